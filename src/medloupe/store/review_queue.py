"""Keep the review queue: answers that people look at again, one reader or two, and what they agree on.

Pictures lie under home/review/blobs, by sha256, and are gone from there once the last case that has them is withdrawn.
What is settled goes into the data set of the model's name, as training data: never into a test part.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from medloupe.errors import StorageError, StoreError, UnknownError
from medloupe.store.blobs import Blobs
from medloupe.store.database import transaction
from medloupe.store.production import log_action
from medloupe.store.review_nouns import (
    BASES,
    DISCARD,
    DISCARDED,
    LONGEST_PATIENT,
    OPEN,
    SETTLED,
    WITHDRAWN,
    ReviewCase,
    check_opinion,
    find_agreed,
    read_case_row,
)
from medloupe.store.tables import ReviewCaseRow, ReviewOpinionRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session


class ReviewQueue:
    """The review queue of one store. Safe to use from several processes."""

    def __init__(self, engine: Engine, home: Path):
        self.engine = engine
        self.blobs = Blobs(home / "review")

    def add(
        self,
        data: bytes,
        *,
        prediction_id: str,
        model: str,
        version: int | None,
        task: str,
        labels: Sequence[str],
        answer: Mapping[str, Any],
        said: Mapping[str, Any] | None,
        size: tuple[int, int],
        basis: str,
        patient: str | None = None,
        wanted: int = 1,
        by: str,
    ) -> ReviewCase:
        """Add a case, with the picture; the one there is where the answer has one.

        Parameters
        ----------
        data : bytes
            The picture's file.
        size : tuple of int
            Width and height, upright, in pixels; of an ECG its samples and leads.
        basis : str
            Why it may be kept: one of review_nouns.BASES.
        patient : str, optional
            Whose it is, by an id of the house's own; without one the case is taken for a patient of its own.
        by : str
            Who confirms that.

        Raises
        ------
        StoreError
            The basis is none, or that can be no patient's id.
        StorageError
            The disk is full.
        """
        if basis not in BASES:
            raise StoreError(
                f"{basis[:40]!r} is no basis for keeping a picture.", f"Confirm one of {', '.join(BASES)}."
            )
        if patient is not None and not (0 < len(patient) <= LONGEST_PATIENT and patient.isprintable()):
            raise StoreError("That is no patient's id.", f"Give 1 to {LONGEST_PATIENT} letters on one line.")
        digest = hashlib.sha256(data).hexdigest()
        try:
            self.blobs.put(digest, data)
        except OSError as e:
            raise StorageError(
                f"The picture cannot be kept: {e.strerror or e}.", "Free some disk space on the server, and try again."
            ) from e
        at = now()
        row = ReviewCaseRow(
            id=secrets.token_hex(16),
            prediction_id=prediction_id,
            model=model,
            version=version,
            task=task,
            labels=list(labels),
            answer=dict(answer),
            said=None if said is None else dict(said),
            digest=digest,
            width=size[0],
            height=size[1],
            basis=basis,
            basis_by=by[:64],
            basis_at=at,
            created=at,
            state=OPEN,
            wanted=wanted,
            outcome=None,
            patient=patient,
            dataset=None,
            item=None,
            why="",
        )
        try:
            with transaction(self.engine, write=True) as session:
                there = _by_prediction(session, prediction_id)
                if there is not None and there.state != WITHDRAWN:
                    return _read(session, there)
                if there is not None:
                    raise StoreError("This picture was withdrawn from review.", "It is not taken in again.")
                session.add(row)
                session.flush()
                log_action(session, "review.add", row.id, actor=by, detail={"basis": basis, "model": model})
                return _read(session, row)
        except IntegrityError:  # added by somebody else in the same moment
            with transaction(self.engine) as session:
                return _read(session, _by_prediction(session, prediction_id))

    def list(self, *states: str, most: int = 200) -> list[ReviewCase]:
        """List cases in these states (without any, all), the oldest first; withdrawn ones hold nothing."""
        with transaction(self.engine) as session:
            wanted = select(ReviewCaseRow).order_by(ReviewCaseRow.created, ReviewCaseRow.id).limit(most)
            rows = list(session.scalars(wanted.where(ReviewCaseRow.state.in_(states)) if states else wanted))
            by_case: dict[str, list[ReviewOpinionRow]] = {}
            opinions = select(ReviewOpinionRow).where(ReviewOpinionRow.case_id.in_([row.id for row in rows]))
            for opinion in session.scalars(opinions.order_by(ReviewOpinionRow.id)):
                by_case.setdefault(opinion.case_id, []).append(opinion)
            return [read_case_row(row, by_case.get(row.id, [])) for row in rows]

    def get(self, id: str) -> ReviewCase:
        """Read a case, by its id or that of the answer. Raises UnknownError."""
        with transaction(self.engine) as session:
            return _read(session, _find(session, id))

    def count(self) -> dict[str, int]:
        """Count the cases by state."""
        with transaction(self.engine) as session:
            wanted = select(ReviewCaseRow.state, func.count()).group_by(ReviewCaseRow.state)
            rows = session.execute(wanted).all()
            return {str(row[0]): int(row[1]) for row in rows}

    def give_opinion(
        self,
        id: str,
        reader: str,
        *,
        verdict: str,
        labels: Sequence[str] = (),
        boxes: Sequence[Mapping[str, Any]] | None = None,
    ) -> ReviewCase:
        """Keep what a reader says, once each; where enough agree the case is settled or discarded.

        Where the readers that were wanted differ, the case stays open for further ones, until more say one thing than
        any other.

        Raises
        ------
        UnknownError
            There is no such case.
        StoreError
            It is closed, the reader has read it already, or the opinion makes no sense.
        """
        with transaction(self.engine, write=True) as session:
            row = _find(session, id, lock=True)
            case = _read(session, row)
            if case.state != OPEN:
                raise StoreError(f"The case is {case.state}.", "Take the next one.")
            if case.read_by(reader):
                raise StoreError("You have read this case already.", "Another reader is needed.")
            check_opinion(case, verdict, labels, boxes)
            given = list(labels)
            if case.task == "detection" and boxes is not None:
                given = sorted({str(box["label"]) for box in boxes})
            session.add(
                ReviewOpinionRow(
                    case_id=row.id,
                    reader=reader[:64],
                    at=now(),
                    verdict=verdict,
                    labels=[] if verdict == DISCARD else given,
                    boxes=None if boxes is None or verdict == DISCARD else [_clean(box) for box in boxes],
                )
            )
            session.flush()
            case = _read(session, row)
            agreed = find_agreed(case.opinions, case.wanted)
            if agreed is not None:
                row.state = DISCARDED if agreed.verdict == DISCARD else SETTLED
                boxes_agreed = None if agreed.boxes is None else list(agreed.boxes)
                row.outcome = {"verdict": agreed.verdict, "labels": list(agreed.labels), "boxes": boxes_agreed}
            log_action(session, "review.opinion", row.id, actor=reader, detail={"state": row.state})
            session.flush()
            return _read(session, row)

    def ask_second(self, id: str, *, by: str) -> ReviewCase:
        """Want two readers at least, who must agree. Raises as `give_opinion`."""
        with transaction(self.engine, write=True) as session:
            row = _find(session, id, lock=True)
            if row.state != OPEN:
                raise StoreError(f"The case is {row.state}.", "Take the next one.")
            row.wanted = max(row.wanted, 2)
            log_action(session, "review.second", row.id, actor=by)
            session.flush()
            return _read(session, row)

    def withdraw(self, id: str, *, by: str) -> ReviewCase:
        """Withdraw a picture: what was said of it and the picture are gone, its place stays; case or answer by id.

        Where it had gone into a data set, `dataset` and `item` of the case as it was say where to erase it, too.

        Raises
        ------
        UnknownError
            There is no such case.
        StorageError
            The picture could not be deleted.
        """
        with transaction(self.engine, write=True) as session:
            row = _find(session, id, lock=True)
            before = _read(session, row)
            if row.state == WITHDRAWN:
                return before
            digest = row.digest
            clear_case(session, row)
            log_action(session, "review.withdraw", row.id, actor=by)
            session.flush()
            others = select(ReviewCaseRow.id).where(ReviewCaseRow.digest == digest).limit(1)
            gone = session.scalars(others).first() is None
        if gone:
            try:
                self.blobs.path(digest).unlink(missing_ok=True)
            except OSError as e:
                raise StorageError(
                    f"The case is withdrawn, but its picture could not be deleted: {e.strerror or e}.",
                    "The operator should look at the rights of the folder `review`.",
                ) from e
        return before

    def place(self, id: str, *, dataset: str | None, item: str | None, why: str = "") -> None:
        """Note which picture of which data set a case became, or why it became none. Raises UnknownError."""
        with transaction(self.engine, write=True) as session:
            row = _find(session, id, lock=True)
            row.dataset, row.item, row.why = dataset, item, why

    def picture(self, case: ReviewCase) -> bytes:
        """Read the picture of a case.

        Raises
        ------
        UnknownError
            It was withdrawn.
        """
        try:
            return self.blobs.path(case.digest).read_bytes() if case.digest else _gone()
        except FileNotFoundError:
            return _gone()


def clear_case(session: Session, row: ReviewCaseRow) -> bool:
    """Take all that was said of a case out of its row, whose place stays; whether there was anything."""
    if row.state == WITHDRAWN:
        return False
    row.state, row.digest, row.answer, row.said, row.outcome, row.patient = WITHDRAWN, "", {}, None, None, None
    row.labels, row.width, row.height = [], 0, 0
    for opinion in session.scalars(select(ReviewOpinionRow).where(ReviewOpinionRow.case_id == row.id)):
        session.delete(opinion)
    return True


def _gone() -> bytes:
    raise UnknownError("The picture of this case is not kept any more.", "It was withdrawn.")


def _clean(box: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": str(box["label"]), **{k: round(float(box[k]), 1) for k in ("x", "y", "width", "height")}}


def _by_prediction(session: Session, prediction_id: str) -> ReviewCaseRow | None:
    return session.scalars(select(ReviewCaseRow).where(ReviewCaseRow.prediction_id == prediction_id)).first()


def _find(session: Session, id: str, *, lock: bool = False) -> ReviewCaseRow:
    """Find a case by its id or its answer's. Raises UnknownError."""
    wanted = select(ReviewCaseRow).where((ReviewCaseRow.id == id) | (ReviewCaseRow.prediction_id == id)).limit(1)
    row = session.scalars(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise UnknownError(f"There is no case {id[:60]!r}.", "It may have been withdrawn.")
    return row


def _read(session: Session, row: ReviewCaseRow | None) -> ReviewCase:
    if row is None:
        raise UnknownError("There is no such case.")
    opinions = select(ReviewOpinionRow).where(ReviewOpinionRow.case_id == row.id).order_by(ReviewOpinionRow.id)
    return read_case_row(row, list(session.scalars(opinions)))
