"""Answers as they are remembered, with what people said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from medloupe.model.decision import WITHHELD
from medloupe.model.prediction import withhold
from medloupe.serving.engine.box_storage import restore_boxes
from medloupe.store.tables import FeedbackRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One answer as it is remembered.

    Attributes
    ----------
    at : str
        When, in UTC, as ISO 8601.
    answer : dict
        The Prediction's JSON without the file's name; where the image is kept, `given` has what came beside it, else
        `inputs` only the names.
    kept : bool
        Whether its image is.
    right, labels : bool, tuple of str
        What was last said of it.
    commented : bool
        Whether anything was.
    alias : str
        A short name that a person gave it, or "".
    state : str
        Of the answer; of one from before there were states "refused" or "answered"; "pilot" where a pilot hides it.
    """

    id: str
    at: str
    user_id: int | None
    model: str
    version: int | None
    answer: dict[str, Any]
    kept: bool
    right: bool | None = None
    labels: tuple[str, ...] = ()
    commented: bool = False
    alias: str = ""
    state: str = "answered"


def read_entries(c: Connection, rows: Sequence[Any]) -> list[Entry]:
    """Make entries of rows of PredictionRow, with what was last said of each."""
    ids = [row.id for row in rows]
    said = select(FeedbackRow).where(FeedbackRow.prediction_id.in_(ids)).order_by(FeedbackRow.id)
    last = {row.prediction_id: row for row in c.execute(said).all()}
    return [
        Entry(
            id=row.id,
            at=row.at,
            user_id=row.user_id,
            model=row.model,
            version=row.version,
            answer=hide_answer(row) if row.state == WITHHELD else restore_boxes(row.answer),
            kept=row.kept is not None,
            right=last[row.id].right if row.id in last else None,
            labels=tuple(last[row.id].labels or ()) if row.id in last else (),
            commented=row.id in last,
            alias=row.alias or "",
            state=_state_of(row),
        )
        for row in rows
    ]


def hide_answer(row: Any) -> dict[str, Any]:
    """Make of an answer that a pilot hides the Prediction's JSON that is shown: nothing of what was said."""
    said = withhold(str(row.answer.get("model") or ""), row.version).as_json()
    del said["file"]
    return said


def _state_of(row: Any) -> str:
    if row.state == WITHHELD:
        return WITHHELD
    return row.answer.get("state") or ("refused" if row.answer.get("refused") else "answered")
