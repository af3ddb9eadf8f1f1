"""Define the tables of the loop from corrections to better models: frozen tests, candidates, and when they are made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Float, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medloupe.store.tablebase import Base


class FrozenTestRow(Base):
    """The test of a data set, frozen when a model of it was first published.

    Attributes
    ----------
    kind
        One of frozen_tests.KINDS.
    dataset_version, model_version
        What was published.
    """

    __tablename__ = "frozen_tests"

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    at: Mapped[str] = mapped_column(String(32))
    by: Mapped[str] = mapped_column(String(64))
    dataset_version: Mapped[int]
    model_version: Mapped[int]


class FrozenTestItemRow(Base):
    """A picture of a frozen test.

    Attributes
    ----------
    digest
        sha256 of the file; "" once it was erased.
    patient
        Whom it was of when it was frozen, if that was known.
    erased
        When it was erased on purpose; then only its place is left.
    """

    __tablename__ = "frozen_test_items"
    __table_args__ = (UniqueConstraint("dataset_id", "item_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("frozen_tests.dataset_id", ondelete="CASCADE"))
    item_id: Mapped[str] = mapped_column(String(32), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    patient: Mapped[str | None] = mapped_column(String(100))
    erased: Mapped[str | None] = mapped_column(String(32))


class CandidateRow(Base):
    """A version of a model that was made of corrections, to be held against the one in production.

    Attributes
    ----------
    dataset_version
        What it learns from.
    job
        In the queue.
    cause
        One of candidates.CAUSES.
    production
        The version of the model in production when it was asked for.
    added
        How many corrections it learns that production had not.
    version
        Of the model, once it is made.
    decision
        One of candidates.DECISIONS, or "" before there is one.
    figures
        What was known when it was decided on.
    """

    __tablename__ = "candidates"
    __table_args__ = (Index("ix_candidates_dataset_created", "dataset_id", "created"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    dataset_version: Mapped[int]
    job: Mapped[str] = mapped_column(String(32), unique=True)
    cause: Mapped[str] = mapped_column(String(16))
    created: Mapped[str] = mapped_column(String(32))
    created_by: Mapped[str] = mapped_column(String(64))
    production: Mapped[int]
    added: Mapped[int]
    version: Mapped[int | None]
    decision: Mapped[str] = mapped_column(String(16), default="")
    decided: Mapped[str | None] = mapped_column(String(32))
    decided_by: Mapped[str | None] = mapped_column(String(64))
    figures: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class RetrainRuleRow(Base):
    """When a candidate of a data set is made without anybody asking; every None: not by that.

    Attributes
    ----------
    corrections
        After so many.
    days
        After so long, where there is any correction.
    """

    __tablename__ = "retrain_rules"

    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    corrections: Mapped[int | None]
    days: Mapped[float | None] = mapped_column(Float)
    at: Mapped[str] = mapped_column(String(32))
    by: Mapped[str] = mapped_column(String(64))
