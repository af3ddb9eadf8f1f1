"""Keep pilots: times in which answers are recorded and not shown, and the reference that they are compared with.

An answer that is hidden has the state "pilot" in its row, whatever it says itself; whoever reads answers goes by that.
It is shown again, in one transaction, with its reference or with the end of its pilot.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from medloupe.errors import StoreError, UnknownError
from medloupe.model.decision import WITHHELD
from medloupe.store.database import transaction
from medloupe.store.tables import PilotReferenceRow, PilotRow, PredictionRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine

_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """A pilot; ended and ended_by are None while it runs. plan: what was planned, or None."""

    id: str
    started: str
    started_by: str
    ended: str | None
    ended_by: str | None
    plan: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotCase:
    """An answer of a pilot with its reference. labels: the true ones; None without a reference."""

    id: str
    at: str
    model: str
    version: int | None
    answer: Mapping[str, Any]
    site: str
    labels: tuple[str, ...] | None


class Pilots:
    """The pilots of a database; safe to use from several threads."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def running(self) -> Pilot | None:
        """Return the pilot that runs, or None."""
        with transaction(self._engine) as session:
            row = session.scalars(select(PilotRow).where(PilotRow.ended.is_(None)).limit(1)).first()
            return None if row is None else _read(row)

    def latest(self) -> Pilot | None:
        """Return the pilot that was begun last, or None."""
        with transaction(self._engine) as session:
            row = session.scalars(select(PilotRow).order_by(PilotRow.started.desc()).limit(1)).first()
            return None if row is None else _read(row)

    def begin(self, *, by: str, plan: Mapping[str, Any] | None = None) -> Pilot:
        """Begin a pilot; the one that runs, if there is one, goes on."""
        with transaction(self._engine, write=True) as session:
            row = session.scalars(select(PilotRow).where(PilotRow.ended.is_(None)).limit(1)).first()
            if row is None:
                row = PilotRow(id=secrets.token_hex(16), started=now(), started_by=by)
                row.plan = None if plan is None else dict(plan)
                session.add(row)
            elif plan is not None:
                row.plan = dict(plan)
            session.flush()
            return _read(row)

    def end(self, *, by: str) -> int:
        """End the pilot that runs, and show its answers; return how many were hidden.

        Raises
        ------
        StoreError
            None runs.
        """
        with transaction(self._engine, write=True) as session:
            row = session.scalars(select(PilotRow).where(PilotRow.ended.is_(None)).limit(1)).first()
            if row is None:
                raise StoreError("No pilot runs.", "medloupe serve --pilot begins one.")
            row.ended, row.ended_by = now(), by
            return _show(session, PredictionRow.pilot == row.id)

    def show_ended(self) -> int:
        """Show answers that another process recorded at the moment in which their pilot ended; return how many."""
        with transaction(self._engine, write=True) as session:
            over = select(PilotRow.id).where(PilotRow.ended.is_not(None))
            return _show(session, PredictionRow.pilot.in_(over))

    def refer(self, id: str, labels: Sequence[str], *, by: str) -> None:
        """Give the reference of an answer, once, and show the answer.

        Raises
        ------
        UnknownError
            No answer of a pilot has this id.
        StoreError
            It has a reference already: who has seen an answer cannot change what it is compared with.
        """
        with transaction(self._engine, write=True) as session:
            found = session.scalars(
                select(PredictionRow).where(
                    PredictionRow.id == id, PredictionRow.pilot.is_not(None), PredictionRow.deleted_at.is_(None)
                )
            ).first()
            if found is None:
                raise UnknownError(f"There is no answer {id!r} of a pilot.", "medloupe pilot status lists what waits.")
            if session.get(PilotReferenceRow, id) is not None:
                raise StoreError(
                    f"The answer {id} has a reference already.", "It stays, since the answer has been shown since."
                )
            if found.state != WITHHELD:
                raise StoreError(f"The answer {id} has been shown.", "A reference is given before the answer is seen.")
            session.add(PilotReferenceRow(prediction_id=id, labels=list(labels), at=now(), by=by))
            session.flush()
            _show(session, PredictionRow.id == id)

    def cases(self, pilot: str, *, model: str | None = None) -> Iterator[PilotCase]:
        """List the answers of a pilot that were not deleted, the oldest first."""
        wanted = (
            select(PredictionRow, PilotReferenceRow.labels)
            .outerjoin(PilotReferenceRow, PilotReferenceRow.prediction_id == PredictionRow.id)
            .where(PredictionRow.pilot == pilot, PredictionRow.deleted_at.is_(None))
            .order_by(PredictionRow.at, PredictionRow.id)
        )
        if model is not None:
            wanted = wanted.where(PredictionRow.model == model)
        with transaction(self._engine) as session:
            for row, labels in session.execute(wanted):
                yield PilotCase(
                    id=row.id,
                    at=row.at,
                    model=row.model,
                    version=row.version,
                    answer=row.answer,
                    site=row.site or "",
                    labels=None if labels is None else tuple(labels),
                )

    def count(self, pilot: str) -> dict[str, tuple[int, int]]:
        """Count the answers of a pilot, and those with a reference, by model."""
        wanted = (
            select(PredictionRow.model, func.count(), func.count(PilotReferenceRow.prediction_id))
            .outerjoin(PilotReferenceRow, PilotReferenceRow.prediction_id == PredictionRow.id)
            .where(PredictionRow.pilot == pilot, PredictionRow.deleted_at.is_(None))
            .group_by(PredictionRow.model)
            .order_by(PredictionRow.model)
        )
        with transaction(self._engine) as session:
            return {model: (int(n), int(referred)) for model, n, referred in session.execute(wanted)}


def _read(row: PilotRow) -> Pilot:
    return Pilot(
        id=row.id,
        started=row.started,
        started_by=row.started_by,
        ended=row.ended,
        ended_by=row.ended_by,
        plan=row.plan,
    )


def _show(session: Session, which: ColumnElement[bool]) -> int:
    """Give rows that are hidden the state that their answers have; return how many."""
    shown = 0
    while rows := session.execute(
        select(PredictionRow.id, PredictionRow.answer).where(which, PredictionRow.state == WITHHELD).limit(_AT_ONCE)
    ).all():
        by_state: dict[str, list[str]] = {}
        for id, answer in rows:
            by_state.setdefault(str(answer.get("state") or "answered"), []).append(id)
        for state, ids in by_state.items():
            session.execute(update(PredictionRow).where(PredictionRow.id.in_(ids)).values(state=state))
        shown += len(rows)
    return shown
