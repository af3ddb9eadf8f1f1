"""Forget patients: a deletion is carried out to its end, whatever is killed in between.

What is to go is noted first (order.py). Whoever finds such a note, at the start of a server or with the next deletion,
goes on with it; each step can be done again. The rows go by one transaction, then the files that no row names any more,
what was computed from them, and what versions of models keep of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import select, text

from medloupe.erasure.caches import erase_from_caches
from medloupe.erasure.files import erase_files
from medloupe.erasure.finding import find_belongings, find_hashed, find_items, list_hashed, read_patient
from medloupe.erasure.nouns import Belongings, Receipt, TaughtVersion, add_counts
from medloupe.erasure.order import Order, OrderFiles
from medloupe.erasure.rows import count_open, erase_rows
from medloupe.erasure.tombstones import add_tombstone, list_patients
from medloupe.erasure.trainings import list_holding, stop_trainings
from medloupe.erasure.versions import erase_from_versions, survey_versions
from medloupe.errors import BusyError, MedloupeError, StoreError, UnknownError
from medloupe.store.chain import keyed_hash
from medloupe.store.database import cut_log, transaction
from medloupe.store.models import Store
from medloupe.store.production import log_action
from medloupe.store.tables import AuditRow, DatasetRow, now

BEGUN, DONE = "patient.forget", "patient.forgotten"
"""What the audit log calls a deletion when its rows are gone, and when all is."""
ERASED = "dataset.erase"
"""What it calls the deletion of single pictures of a data set."""
_LOG_MS = 3000  # for those who use the database at that moment
_TABLES = ("dataset_items", "dataset_version_items", "frozen_test_items", "dataset_changes", "dataset_uploads")
_TABLES += ("predictions", "feedback", "idempotency_keys", "review_cases", "review_opinions", "versions")
_TABLES += ("shadow_answers",)


class UnfinishedError(StoreError):
    """Something could not be deleted yet; it is tried again."""


class Eraser:
    """Forgets patients, and erases single pictures, in one store.

    Parameters
    ----------
    store : Store
        The store.
    """

    def __init__(self, store: Store):
        self._store = store
        self._orders = OrderFiles(store.home)

    def preview(self, patient: str) -> Receipt:
        """Tell what a deletion would take, without deleting anything. Raises as `forget`."""
        told = read_patient(patient)
        found = find_belongings(self._store, told)
        return Receipt(
            id="",
            patient=keyed_hash(self._store.engine, told),
            at="",
            by="",
            counts=add_counts(count_open(found)),
            versions=tuple(version.title for version in list_holding(self._store.engine, found)),
            models=tuple(self._survey(found)),
            joined=found.joined,
            unread=found.unread,
        )

    def forget(self, patient: str, *, by: str) -> Receipt:
        """Delete all that is kept of a patient, for good, and write what it was into the audit log.

        Raises
        ------
        UnknownError
            Nothing is kept under this id.
        UnfinishedError
            Something could not be deleted yet; a server, or the next call, goes on with it.
        StoreError
            That can be no id.
        """
        told = read_patient(patient)
        with self._orders.alone():
            self._resume()
            found = find_belongings(self._store, told)
            if not found:
                raise UnknownError(
                    "Nothing is kept under this id.",
                    "Ids are compared letter by letter with those in data sets, uploads, review and names of answers.",
                )
            return self._begin(found, told, by)

    def forget_again(self, hashes: Collection[str], *, by: str) -> list[Receipt]:
        """Forget whoever had been forgotten and is here again, as after an older back-up was restored.

        Parameters
        ----------
        hashes
            Of ids under this store's key, as receipts have them.
        by
            Who asks.

        Raises
        ------
        UnfinishedError
            As `forget`.
        """
        done: list[Receipt] = []
        for patient in sorted(list_patients(self._store)):
            if keyed_hash(self._store.engine, patient) in hashes:
                try:
                    done.append(self.forget(patient, by=by))
                except UnknownError:  # gone with another one's, or only named in a log
                    continue
        with self._orders.alone():
            self._resume()
            for hashed in list_hashed(self._store, hashes):
                found = find_hashed(self._store, hashed)
                if found:  # else gone with another one's
                    done.append(self._begin(found, None, by, hashed=hashed))
        return done

    def erase_items(self, dataset: str, ids: Sequence[str], *, by: str) -> Receipt:
        """Erase pictures of a data set for good: with their places in versions, and what was computed from them.

        Raises
        ------
        UnknownError
            There is no such data set, or none of the pictures is in it.
        UnfinishedError
            As `forget`.
        """
        with self._orders.alone():
            self._resume()
            with transaction(self._store.engine) as session:
                wanted = select(DatasetRow.id).where((DatasetRow.id == dataset) | (DatasetRow.name == dataset))
                id = session.scalars(wanted).first()
            if id is None:
                raise UnknownError(f"There is no data set {dataset[:60]!r}.")
            found = find_items(self._store, id, ids)
            if not found:
                raise UnknownError("None of these pictures is in the data set.", "They may have been erased before.")
            return self._begin(found, None, by)

    @property
    def unfinished(self) -> int:
        """How many deletions wait to be gone on with."""
        return len(self._orders.list())

    def resume(self) -> list[Receipt]:
        """Go on with deletions that were interrupted; does nothing where somebody is at work.

        Raises
        ------
        MedloupeError
            One could not be ended; the others are.
        """
        if not self.unfinished and not self._orders.list_halves():
            return []
        try:
            with self._orders.alone(0.1):
                return self._resume()
        except BusyError:
            return []

    def receipts(self, most: int = 100) -> list[Receipt]:
        """List the receipts of complete deletions of patients, the newest first, from the audit log."""
        wanted = select(AuditRow).where(AuditRow.action == DONE).order_by(AuditRow.id.desc()).limit(most)
        with transaction(self._store.engine) as session:
            return [Receipt.from_json(row.detail) for row in session.scalars(wanted) if row.detail]

    # ------------------------------------------------------------------ its steps

    def _survey(self, found: Belongings) -> list[TaughtVersion]:
        """List the versions of models that learned from it: by their cards, and by the trainings of its data sets."""
        trained = {v.made: v.pictures for v in list_holding(self._store.engine, found) if v.made is not None}
        return survey_versions(self._store, found.prefixes, trained)

    def _begin(self, found: Belongings, patient: str | None, by: str, *, hashed: str | None = None) -> Receipt:
        models = tuple(self._survey(found))
        order = Order(id=secrets.token_hex(8), by=by[:64], patient=patient, hashed=hashed, found=found, models=models)
        self._orders.write(order)
        return self._carry_out(order)

    def _resume(self) -> list[Receipt]:
        self._orders.remove_halves()
        done: list[Receipt] = []
        failed: MedloupeError | None = None
        for path in self._orders.list():
            order = self._orders.read(path)
            found = order.found
            if order.patient is not None:  # what came meanwhile, too
                found = found.with_more(find_belongings(self._store, order.patient))
            elif order.hashed is not None:
                found = found.with_more(find_hashed(self._store, order.hashed))
            models = _merge_models(order.models, self._survey(found))
            try:
                done.append(self._carry_out(replace(order, found=found, models=models, resumed=True)))
            except MedloupeError as e:
                failed = e
        if failed is not None:
            raise failed
        return done

    def _carry_out(self, order: Order) -> Receipt:
        try:
            return self._take_steps(order)
        except OSError as e:
            raise UnfinishedError(
                f"Not everything could be deleted yet: {e.filename or ''} {e.strerror or e}.".replace("  ", " "),
                "Look at the rights of that place and the disk; the server, or `medloupe forget --resume`, goes on.",
            ) from e

    def _take_steps(self, order: Order) -> Receipt:
        engine, home = self._store.engine, self._store.home
        jobs = [v.job for v in list_holding(engine, order.found) if v.job is not None]
        order = replace(order, stopped=tuple(sorted({*order.stopped, *stop_trainings(engine, jobs, by=order.by)})))
        self._orders.write(order)
        patient = order.hashed if order.patient is None else keyed_hash(engine, order.patient)
        action = ERASED if patient is None else BEGUN
        with transaction(engine, write=True) as session:
            sets = select(DatasetRow.name).where(DatasetRow.id.in_(list(order.found.items)))
            thing = patient or ", ".join(sorted(session.scalars(sets)))
            versions = erase_rows(
                session, order.found, order.patient, order=order.id, action=action, thing=thing, by=order.by
            )
        merged = tuple(sorted({*order.versions, *versions}))
        order = self._count(replace(order, versions=merged), self._count_rows(order))
        order = self._count(order, erase_files(engine, home, order.found, order.versions))
        order = self._count(order, erase_from_caches(home, order.found.digests, again=order.resumed))
        pages = erase_from_versions(self._store, order.models, order.found.prefixes)
        order = self._count(order, {"reports": pages})
        self._cut_log()
        receipt = Receipt(
            id=order.id,
            patient=patient or "",
            at=now(),
            by=order.by,
            counts=add_counts(order.counts),
            versions=tuple(f"{name}@{number}" for _, name, number in order.versions),
            models=order.models,
            stopped=order.stopped,
            joined=order.found.joined,
            unread=order.found.unread,
            resumed=order.resumed,
        )
        if patient is not None:
            add_tombstone(home, receipt)
        if patient is not None and not self._is_told(order.id):
            with transaction(engine, write=True) as session:
                log_action(session, DONE, patient, actor=order.by, detail=receipt.as_json())
        self._cut_log()
        self._orders.remove(order)
        return receipt

    def _count(self, order: Order, more: Mapping[str, int]) -> Order:
        order = replace(order, counts=add_counts(order.counts, more))
        self._orders.write(order)
        return order

    def _count_rows(self, order: Order) -> dict[str, int]:
        """Count the rows that are gone and not counted yet, by the log: a try that was killed may have deleted some."""
        wanted = select(AuditRow.detail).where(AuditRow.action.in_((BEGUN, ERASED)))
        with transaction(self._store.engine) as session:
            told = [d["counts"] for d in session.scalars(wanted) if d and d.get("order") == order.id]
        return {name: n - order.counts.get(name, 0) for name, n in add_counts(*told).items() if n}

    def _is_told(self, id: str) -> bool:
        return any(receipt.id == id for receipt in self.receipts(1000))

    def _cut_log(self) -> None:
        """Leave no trace in the files of the database."""
        engine = self._store.engine
        if engine.dialect.name == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text(f"VACUUM {', '.join(_TABLES)}"))
        elif not cut_log(engine, _LOG_MS):
            raise UnfinishedError(
                "Everything is deleted, but the log of the database still holds traces: others use it at this moment.",
                "The server, or `medloupe forget --resume`, tries again.",
            )


def _merge_models(before: Sequence[TaughtVersion], now_there: Sequence[TaughtVersion]) -> tuple[TaughtVersion, ...]:
    """Put two looks together: predictions that a killed try took out are no longer there to be counted."""
    known = {(m.name, m.version): m for m in now_there}
    for one in before:
        other = known.get((one.name, one.version))
        known[one.name, one.version] = one if other is None or other.judged < one.judged else other
    return tuple(known[key] for key in sorted(known))
