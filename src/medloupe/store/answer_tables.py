"""Define the tables of answers: what was said, what people said of it, and pilots in which it is not shown."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from medloupe.store.tablebase import Base


class PredictionRow(Base):
    """An answer that was given.

    Attributes
    ----------
    id
        Random, hexadecimal.
    digest
        sha256 of the image's bytes.
    kept
        The suffix of the kept image file, or None where the image was not kept.
    alias
        A short name that a person gave it, or None.
    state
        As in the answer; of those from before there were states "refused" or "answered".
    deleted_at
        When it was deleted, while that can still be taken back; else None.
    watched
        Numbers of 16 bits by which it is watched whether pictures change (model/drift.py), or None.
    site
        Where it was asked, as the request says, or None.
    patient
        A keyed hash of whose picture it is, where the request said so, or None.
    ms
        Milliseconds that the answer took, or None.
    pilot
        The pilot in which it was given, or None. While it is not shown, `state` is "pilot"; the answer has its own.
    """

    __tablename__ = "predictions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    at: Mapped[str] = mapped_column(String(32), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"), index=True)
    model: Mapped[str] = mapped_column(String(64), index=True)
    version: Mapped[int | None]
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    digest: Mapped[str] = mapped_column(String(64))
    kept: Mapped[str | None] = mapped_column(String(8))
    alias: Mapped[str | None] = mapped_column(String(80))
    state: Mapped[str] = mapped_column(String(16), default="answered", server_default="answered")
    deleted_at: Mapped[str | None] = mapped_column(String(32), index=True)
    watched: Mapped[bytes | None] = mapped_column(LargeBinary)
    site: Mapped[str | None] = mapped_column(String(64))
    patient: Mapped[str | None] = mapped_column(String(32), index=True)
    ms: Mapped[int | None]
    pilot: Mapped[str | None] = mapped_column(String(32), index=True)


class FeedbackRow(Base):
    """What a person said of an answer. right: whether it was; labels: the true ones, where they were given."""

    __tablename__ = "feedback"

    id: Mapped[int] = mapped_column(primary_key=True)
    prediction_id: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    at: Mapped[str] = mapped_column(String(32))
    right: Mapped[bool | None]
    labels: Mapped[list[str] | None] = mapped_column(JSON)


class PilotRow(Base):
    """A time in which answers are recorded and not shown.

    Attributes
    ----------
    id
        Random, hexadecimal.
    ended, ended_by
        When, and by whom; None while it runs.
    plan
        What was planned (metrics/pilot.py), or None.
    """

    __tablename__ = "pilots"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    started: Mapped[str] = mapped_column(String(32), index=True)
    started_by: Mapped[str] = mapped_column(String(64))
    ended: Mapped[str | None] = mapped_column(String(32))
    ended_by: Mapped[str | None] = mapped_column(String(64))
    plan: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class PilotReferenceRow(Base):
    """What an answer of a pilot is compared with. labels: those that are true; none of them is a reference, too."""

    __tablename__ = "pilot_references"

    prediction_id: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True)
    labels: Mapped[list[str]] = mapped_column(JSON)
    at: Mapped[str] = mapped_column(String(32))
    by: Mapped[str] = mapped_column(String(64))
