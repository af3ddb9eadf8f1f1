"""Keep shadow comparisons: two versions of a model, of which one is shown and the other answers the same unseen.

All is in the database, so that several servers of one store share a comparison and it outlives them. No picture is
kept: of each request only what the other version says of it, which goes when the answer is deleted.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from medloupe.errors import StoreError, UnknownError
from medloupe.store.database import transaction
from medloupe.store.production import log_action
from medloupe.store.tables import ModelRow, PredictionRow, ShadowAnswerRow, ShadowRow, VersionRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

MOST = 100_000
"""Requests of one comparison."""
BY_COUNT = "count"
"""Who ends a comparison all of whose requests are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """A shadow comparison; the fields are those of shadow_tables.ShadowRow."""

    id: str
    model: str
    before: int
    after: int
    wanted: int
    started: str
    started_by: str
    ended: str | None
    ended_by: str | None
    compared: int
    dropped: int
    failed: int

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.ended is None

    def other(self, shown: int | None) -> int | None:
        """Give the version that answers unseen while this one is shown; None where it is neither of the two."""
        return {self.before: self.after, self.after: self.before}.get(-1 if shown is None else shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowCase:
    """A request that both answered: what each said, as a Prediction's JSON has it, and the milliseconds each took."""

    id: str
    at: str
    site: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    ms: tuple[int | None, int | None]


class Shadows:
    """The shadow comparisons of a database; safe to use from several threads and processes."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def running(self) -> list[Shadow]:
        """List those that go on."""
        with transaction(self._engine) as session:
            return [_read(row) for row in session.scalars(select(ShadowRow).where(ShadowRow.ended.is_(None)))]

    def list(self, model: str) -> list[Shadow]:
        """List those of a model, the newest first."""
        wanted = select(ShadowRow).where(ShadowRow.model == model).order_by(ShadowRow.started.desc(), ShadowRow.id)
        with transaction(self._engine) as session:
            return [_read(row) for row in session.scalars(wanted)]

    def begin(self, model: str, present: int, other: int, *, wanted: int, by: str, request_id: str = "") -> Shadow:
        """Begin to compare two versions, the older one as `before`; one of the same two that goes on is given as it is.

        Parameters
        ----------
        model
            Its name.
        present, other
            The versions, the first of them in production; nothing is compared while neither is.
        wanted
            Requests after which it ends.
        by, request_id
            Who asks, for the audit log.

        Raises
        ------
        UnknownError
            There is no such version.
        StoreError
            Two others of the model are being compared, or the numbers make no sense.
        """
        if not 1 <= wanted <= MOST:
            raise StoreError(f"{wanted:,} requests cannot be compared.", f"Give a number from 1 to {MOST:,}.")
        if present == other:
            raise StoreError(f"Version {other} is in production itself.", "Name another version to compare it with.")
        before, after = sorted((present, other))
        with transaction(self._engine, write=True) as session:
            found = session.scalars(select(ModelRow).where(ModelRow.name == model).with_for_update()).first()
            for number in (before, after):
                _require(session, found, model, number)
            row = session.scalars(
                select(ShadowRow).where(ShadowRow.model == model, ShadowRow.ended.is_(None)).limit(1)
            ).first()
            if row is not None:
                if {row.before, row.after} != {before, after}:
                    raise StoreError(
                        f"Versions {row.before} and {row.after} of {model} are being compared.",
                        "End that first, or wait until it ends by itself.",
                    )
                return _read(row)
            row = ShadowRow(id=secrets.token_hex(16), model=model, before=before, after=after, wanted=wanted)
            row.started, row.started_by = now(), by[:64]
            row.compared = row.dropped = row.failed = 0
            session.add(row)
            detail = {"before": before, "after": after, "requests": wanted}
            log_action(session, "shadow.begin", f"{model}@{after}", actor=by, request_id=request_id, detail=detail)
            return _read(row)

    def end(self, model: str, *, by: str, request_id: str = "") -> Shadow:
        """End the comparison of a model that goes on.

        Raises
        ------
        StoreError
            None goes on.
        """
        with transaction(self._engine, write=True) as session:
            row = session.scalars(
                select(ShadowRow).where(ShadowRow.model == model, ShadowRow.ended.is_(None)).with_for_update()
            ).first()
            if row is None:
                raise StoreError(f"No versions of {model} are being compared.", "It may have ended by itself.")
            _end(session, row, by, request_id)
            return _read(row)

    def keep(self, id: str, prediction: str, version: int, answer: Mapping[str, Any], ms: int | None) -> bool:
        """Keep what the other version says of a request, and end the comparison with the last one.

        Returns
        -------
        bool
            False where the comparison is over, or the answer that was shown is deleted; then nothing is kept.
        """
        with transaction(self._engine, write=True) as session:
            alive = PredictionRow.deleted_at.is_(None)
            there = session.scalars(select(PredictionRow.id).where(PredictionRow.id == prediction, alive)).first()
            row = session.scalars(select(ShadowRow).where(ShadowRow.id == id).with_for_update()).first()
            over = row is None or row.ended is not None or session.get(ShadowAnswerRow, prediction) is not None
            if there is None or row is None or over:
                return False
            said = {key: answer.get(key) for key in ("state", "prediction", "flagged", "probabilities")}
            session.add(ShadowAnswerRow(prediction_id=prediction, shadow_id=id, version=version, answer=said, ms=ms))
            row.compared += 1
            if row.compared >= row.wanted:
                _end(session, row, BY_COUNT, "")
            return True

    def lose(self, id: str, *, dropped: int = 0, failed: int = 0) -> None:
        """Count requests that were not compared, of a comparison that goes on."""
        counted = {"dropped": ShadowRow.dropped + dropped, "failed": ShadowRow.failed + failed}
        with transaction(self._engine, write=True) as session:
            session.execute(update(ShadowRow).where(ShadowRow.id == id, ShadowRow.ended.is_(None)).values(**counted))

    def remove(self, id: str) -> None:
        """Delete a comparison with all that it kept."""
        with transaction(self._engine, write=True) as session:
            session.execute(delete(ShadowRow).where(ShadowRow.id == id))

    def cases(self, shadow: Shadow) -> Iterator[ShadowCase]:
        """List what both said, the oldest first, without answers that were deleted since or that a pilot hides."""
        wanted = (
            select(PredictionRow, ShadowAnswerRow)
            .join(ShadowAnswerRow, ShadowAnswerRow.prediction_id == PredictionRow.id)
            .where(ShadowAnswerRow.shadow_id == shadow.id, PredictionRow.deleted_at.is_(None))
            .where(PredictionRow.pilot.is_(None))
            .order_by(PredictionRow.at, PredictionRow.id)
        )
        with transaction(self._engine) as session:
            for shown, unseen in session.execute(wanted):
                one, other = (shown, unseen) if unseen.version == shadow.after else (unseen, shown)
                yield ShadowCase(
                    id=shown.id,
                    at=shown.at,
                    site=shown.site or "",
                    before=one.answer,
                    after=other.answer,
                    ms=(one.ms, other.ms),
                )


def _require(session: Session, model: ModelRow | None, name: str, number: int) -> None:
    known = (
        model is not None
        and session.scalars(
            select(VersionRow.id).where(VersionRow.model_id == model.id, VersionRow.number == number)
        ).first()
    )
    if not known:
        raise UnknownError(f"There is no {name}@{number}.", "medloupe models list shows the versions.")


def _end(session: Session, row: ShadowRow, by: str, request_id: str) -> None:
    row.ended, row.ended_by = now(), by[:64]
    counts = {name: getattr(row, name) for name in ("before", "after", "wanted", "compared", "dropped", "failed")}
    log_action(session, "shadow.end", f"{row.model}@{row.after}", actor=by, request_id=request_id, detail=counts)


def _read(row: ShadowRow) -> Shadow:
    return Shadow(**{name: getattr(row, name) for name in Shadow.__dataclass_fields__})
