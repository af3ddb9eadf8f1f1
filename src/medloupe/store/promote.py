"""Put versions into production: the first of a name at once, any other after it passed the gate or was forced.

Which one that is, its history and the audit log change in one transaction (medloupe.store.production); the gate is
medloupe.metrics.gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe.errors import PromotionRefusedError, StoreError
from medloupe.metrics.evidence import FILE as EVIDENCE
from medloupe.store.base import Storage
from medloupe.store.names import Version

if TYPE_CHECKING:
    from medloupe.metrics.gate import Comparison
    from medloupe.store.production import ProductionChange


class ProductionStorage(Storage):
    """A store whose versions go into production and back."""

    def __init__(self, home: Path):
        super().__init__(home)
        self._compared: dict[tuple[Any, ...], Comparison] = {}

    def production(self) -> dict[str, tuple[int, str]]:
        """Find of each name the version in production, and a text that changes with it.

        This is cheap: servers ask all the time.
        """
        with self._explain_errors():
            if not self._exists:
                return {}
            with self._read_session() as versions:
                return versions.production()

    def list_awaited(self) -> list[tuple[str, int]]:
        """List what may come into production next (Versions.awaited), for servers to prepare for. Raises StoreError."""
        with self._explain_errors():
            if not self._exists:
                return []
            with self._read_session() as versions:
                return versions.awaited()

    def version_state(self, name: str, version: int) -> str:
        """Give a text that changes with whatever a version is made of. Raises StoreError where there is none."""
        with self._read_session() as versions:
            return versions.state(name, version)

    def last_change(self, name: str) -> ProductionChange | None:
        """Find the last change of what is in production under a name. Raises StoreError."""
        from medloupe.store.production import read_last_change

        with self._read_session() as versions:
            return read_last_change(versions.session, name)

    def compare(self, name: str, candidate: Version, production: Version = "production") -> Comparison:
        """Compare two versions on the records that both were judged on.

        Raises
        ------
        StoreError
            There is no such version.
        """
        from medloupe.metrics.box_evidence import read_judged
        from medloupe.metrics.gate import compare

        with self._read_session() as versions:
            a, b = (versions.resolve(name, v) for v in (candidate, production))
        folders = [self.folder(name, v) for v in (a, b)]
        key = (name, a, b, *map(_state_of, folders))  # what a version was judged on changes where somebody is forgotten
        if key not in self._compared:
            compared = compare(*map(read_judged, folders), name=name, versions=(a, b))
            if compared.judged is None:
                return compared
            self._compared[key] = compared
        return self._compared[key]

    def promote(
        self, name: str, version: Version, *, actor: str, reason: str = "", force: bool = False, request_id: str = ""
    ) -> Comparison | None:
        """Put a version into production, if it is not worse than what is there now or force overrules that.

        Servers take the change up by themselves. All is in the audit log.

        Returns
        -------
        Comparison | None
            What the gate saw; None where there was nothing in production.

        Raises
        ------
        PromotionRefusedError
            The gate refuses.
        StoreError
            There is no such version, its parts are damaged, it is in production already, or force comes without a
            reason.
        """
        from medloupe.store.production import log_action, set_production

        if force and not reason.strip():
            raise StoreError("A promotion is only forced with a reason.", "It goes into the audit log: --reason TEXT.")
        while True:
            number, present = self._candidate(name, version)
            comparison = None if present is None else self.compare(name, number, present)
            passed = comparison is None or comparison.passed
            seen = None if comparison is None else comparison.as_json()
            detail = {"reason": reason, "forced": force and not passed, "comparison": seen}
            with self._write_session() as versions:
                session, model = versions.session, versions.lock(name)
                numbers, now_present = versions.numbers(name)
                if model is None or number not in numbers or now_present != present:
                    continue  # another promotion or removal came between: look again
                if passed or force:
                    set_production(
                        session,
                        model,
                        number,
                        kind="promote",
                        actor=actor,
                        reason=reason,
                        forced=force and not passed,
                        comparison=seen,
                    )
                action = "promote" if passed or force else "promote.refused"
                log_action(session, action, f"{name}@{number}", actor=actor, request_id=request_id, detail=detail)
                session.commit()
            if comparison is None or passed or force:
                return comparison
            raise PromotionRefusedError(
                f"{name}@{number} was not promoted. {comparison.words}",
                "Train it with more or better data, or overrule this with a reason, which goes into the audit log:"
                f' medloupe models promote {name}@{number} --force --reason "…"',
                comparison,
            )

    def rollback(self, name: str, *, actor: str, reason: str = "", request_id: str = "") -> int:
        """Put back the version that was in production before the present one; return its number.

        Again and again it goes further back. Nothing is compared: this is for when production turned out bad.

        Raises
        ------
        StoreError
            There is nothing to go back to, or its parts are damaged.
        """
        from medloupe.store.production import log_action, previous_version, read_changes, set_production

        with self._write_session() as versions:
            session, model = versions.session, versions.lock(name)
            numbers, present = versions.numbers(name)
            if model is None or not numbers:
                raise versions.unknown_error(name)
            target = None if present is None else previous_version(read_changes(session, name), present, numbers)
            if present is None:
                raise StoreError(
                    f"No version of {name} is in production, so there is none to go back from.",
                    f"Promote one: medloupe models promote {name}@N.",
                )
            if target is None:
                raise StoreError(
                    f"No version of {name} that is still there was in production before {name}@{present}.",
                    f"Promote one: medloupe models promote {name}@N.",
                )
            self._check_parts(versions.row(name, target))
            set_production(session, model, target, kind="rollback", actor=actor, reason=reason)
            detail = {"reason": reason, "forced": False, "comparison": None, "from": present}
            log_action(session, "rollback", f"{name}@{target}", actor=actor, request_id=request_id, detail=detail)
            session.commit()
        return target

    def list_cards(self) -> list[tuple[str, int, dict[str, Any]]]:
        """List name, number and card of all versions."""
        with self._explain_errors():
            if not self._exists:
                return []
            with self._read_session() as versions:
                return [(model.name, row.number, dict(row.card)) for model, row in versions.all()]

    def change_card(self, name: str, version: int, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change the card of a version, in the database and in the file that is offered for it.

        Raises
        ------
        StoreError
            There is no such version, or the disk is full.
        """
        from medloupe.modelfile.recard import replace_card

        with self._write_session() as versions:
            row = versions.row(name, version)
            card = edit(dict(row.card))
            file = self.folder(name, version) / "model.onnx"
            with suppress(FileNotFoundError, ValueError, IndexError):  # of a composed one there is none
                replace_card(file, card)
            row.card = card
            versions.session.commit()

    def history(self, name: str) -> Sequence[ProductionChange]:
        """List how the name's production version changed, the oldest first.

        Raises
        ------
        StoreError
            There is no model.
        """
        from medloupe.store.production import read_changes

        with self._read_session() as versions:
            found = read_changes(versions.session, name)
            if not found and not versions.numbers(name)[0]:
                raise versions.unknown_error(name)
        return found

    def _candidate(self, name: str, version: Version) -> tuple[int, int | None]:
        """Find the version to promote, which is whole, and the one in production. Raises StoreError."""
        with self._read_session() as versions:
            row = versions.row(name, version)
            _, present = versions.numbers(name)
            if row.number == present:
                raise StoreError(f"{name}@{present} is in production already.", f"medloupe models history {name}")
            self._check_parts(row)
            return row.number, present


def _state_of(folder: Path) -> tuple[int, int]:
    """Tell what a version was judged by from what it was judged by before: size and time of the file."""
    try:
        found = (folder / EVIDENCE).stat()
    except OSError:
        return (0, 0)
    return (found.st_size, found.st_mtime_ns)
