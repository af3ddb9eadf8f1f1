"""Define the tables of the review queue: cases that people look at again, and what each reader said."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medloupe.store.tablebase import Base


class ReviewCaseRow(Base):
    """An answer, with its picture, that people look at again.

    Attributes
    ----------
    id
        Random, hexadecimal.
    prediction_id
        Of the answer; no key, since the answer may be forgotten before.
    model, version, task, labels
        What answered, and what it can say.
    answer
        Its state, prediction, flagged labels, probabilities and boxes; of an ECG what was measured.
    said
        What the person at the page said of it, if anything: "right", "labels".
    digest
        sha256 of the picture, which lies under it; "" once it was withdrawn.
    width, height
        Of the picture, upright, in pixels; of an ECG its samples and leads.
    basis, basis_by, basis_at
        Why the picture may be kept (review_queue.BASES), who confirmed that, and when.
    state
        One of review_queue.STATES.
    wanted
        How many readers must agree.
    outcome
        What they agreed on: "verdict", "labels", "boxes"; None until then.
    patient
        Whose picture it is, as the person who sent it said; None where nobody did.
    dataset, item
        The data set that it went into, and as which picture; why: why it did not.
    """

    __tablename__ = "review_cases"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    prediction_id: Mapped[str] = mapped_column(String(32), unique=True)
    model: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int | None]
    task: Mapped[str] = mapped_column(String(16))
    labels: Mapped[list[str]] = mapped_column(JSON)
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    said: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    width: Mapped[int]
    height: Mapped[int]
    basis: Mapped[str] = mapped_column(String(16))
    basis_by: Mapped[str] = mapped_column(String(64))
    basis_at: Mapped[str] = mapped_column(String(32))
    created: Mapped[str] = mapped_column(String(32), index=True)
    state: Mapped[str] = mapped_column(String(16), index=True)
    wanted: Mapped[int] = mapped_column(default=1)
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    patient: Mapped[str | None] = mapped_column(String(100), index=True)
    dataset: Mapped[str | None] = mapped_column(String(32))
    item: Mapped[str | None] = mapped_column(String(32))
    why: Mapped[str] = mapped_column(String(32), default="")


class ReviewOpinionRow(Base):
    """What one reader said of a case, not knowing what others did.

    Attributes
    ----------
    verdict
        "label" or "discard".
    labels
        Those that are right; none of them is an answer, too.
    boxes
        Each {"label", "x", "y", "width", "height"} in pixels, or None where none were asked for.
    """

    __tablename__ = "review_opinions"
    __table_args__ = (UniqueConstraint("case_id", "reader"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("review_cases.id", ondelete="CASCADE"), index=True)
    reader: Mapped[str] = mapped_column(String(64))
    at: Mapped[str] = mapped_column(String(32))
    verdict: Mapped[str] = mapped_column(String(16))
    labels: Mapped[list[str]] = mapped_column(JSON)
    boxes: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
