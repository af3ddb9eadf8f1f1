"""Define the tables: models and their versions, people, what was asked and what was said of the answers.

Times are UTC as ISO 8601 text, which both SQLite and PostgreSQL sort rightly. How the tables come into being and change
is in migrations/versions; tests hold the two against each other.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import JSON, DateTime, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medloupe.store.answer_tables import FeedbackRow, PilotReferenceRow, PilotRow, PredictionRow
from medloupe.store.dataset_tables import (
    DatasetChangeRow,
    DatasetItemRow,
    DatasetRow,
    DatasetUploadRow,
    DatasetVersionItemRow,
    DatasetVersionRow,
)
from medloupe.store.retrain_tables import CandidateRow, FrozenTestItemRow, FrozenTestRow, RetrainRuleRow
from medloupe.store.review_tables import ReviewCaseRow, ReviewOpinionRow
from medloupe.store.shadow_tables import ShadowAnswerRow, ShadowRow
from medloupe.store.tablebase import Base, now

__all__ = [  # beside what is defined here
    "Base",
    "CandidateRow",
    "DatasetChangeRow",
    "DatasetItemRow",
    "DatasetRow",
    "DatasetUploadRow",
    "DatasetVersionItemRow",
    "DatasetVersionRow",
    "FeedbackRow",
    "FrozenTestItemRow",
    "FrozenTestRow",
    "PilotReferenceRow",
    "PilotRow",
    "PredictionRow",
    "RetrainRuleRow",
    "ReviewCaseRow",
    "ReviewOpinionRow",
    "ShadowAnswerRow",
    "ShadowRow",
    "now",
]


class ModelRow(Base):
    """A name.

    Attributes
    ----------
    last
        The highest version number ever given, so that none is used twice.
    production
        The version that answers under the bare name, or None.
    """

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    last: Mapped[int] = mapped_column(default=0)
    production: Mapped[int | None]


class PartsColumns:
    """Columns of what is kept as blobs under their sha256; tail_blob: None without a tail."""

    backbone_blob: Mapped[str] = mapped_column(String(64))
    head_blob: Mapped[str] = mapped_column(String(64))
    tail_blob: Mapped[str | None] = mapped_column(String(64))

    @property
    def blobs(self) -> tuple[str, ...]:
        """All its parts."""
        return tuple(b for b in (self.backbone_blob, self.head_blob, self.tail_blob) if b)


class VersionRow(PartsColumns, Base):
    """One version of a model. whole: the backbone's blob is a self-contained model file, which answers by itself."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("model_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    number: Mapped[int]
    created: Mapped[str] = mapped_column(String(32))
    whole: Mapped[bool] = mapped_column(default=False)
    card: Mapped[dict[str, Any]] = mapped_column(JSON)


class VariantRow(PartsColumns, Base):
    """A version in another precision, which kept its accuracy.

    card: the entries in which its card differs from the version's.
    """

    __tablename__ = "variants"
    __table_args__ = (UniqueConstraint("version_id", "precision"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), index=True)
    precision: Mapped[str] = mapped_column(String(8))
    created: Mapped[str] = mapped_column(String(32))
    card: Mapped[dict[str, Any]] = mapped_column(JSON)


class ComponentRow(PartsColumns, Base):
    """A check-up that a composed version asks about what it finds, as it was when the version was made.

    whole: as of a version. card: its own.
    """

    __tablename__ = "components"

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("versions.id", ondelete="CASCADE"), unique=True)
    whole: Mapped[bool] = mapped_column(default=False)
    card: Mapped[dict[str, Any]] = mapped_column(JSON)


class PromotionRow(Base):
    """A change of a model's production version.

    kind: "first", "promote" or "rollback". comparison: what the gate saw, or None.
    """

    __tablename__ = "promotions"

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id", ondelete="CASCADE"), index=True)
    at: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    previous: Mapped[int | None]
    actor: Mapped[str] = mapped_column(String(64))
    forced: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    comparison: Mapped[dict[str, Any] | None] = mapped_column(JSON)


class UserRow(Base):
    """A person who may log in. password: an Argon2id hash. role: viewer, clinician, trainer or admin."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16))
    created: Mapped[str] = mapped_column(String(32))
    disabled: Mapped[bool] = mapped_column(default=False)


class LoginRow(Base):
    """A browser that is logged in. digest: sha256 of its cookie, which is kept nowhere. csrf: what its forms carry."""

    __tablename__ = "logins"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    csrf: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created: Mapped[str] = mapped_column(String(32))
    expires: Mapped[str] = mapped_column(String(32))


class TokenRow(Base):
    """An API token. digest: sha256 of the token, which is shown once and kept nowhere."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    created: Mapped[str] = mapped_column(String(32))
    last_used: Mapped[str | None] = mapped_column(String(32))


class LoginFailureRow(Base):
    """Wrong passwords of late, which servers that share a PostgreSQL database count together; empty on SQLite.

    Attributes
    ----------
    key
        Keyed hash of a name, an address, or both.
    at
        Of the last one; after an hour the row counts no more.
    until
        When the next try is taken.
    """

    __tablename__ = "login_failures"

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    failures: Mapped[int]
    at: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))
    until: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))


class AuditRow(Base):
    """Who did what. Never changed; names no patient and no file.

    Attributes
    ----------
    number
        In the chain, from 1 without a gap; None of lines from before there was one.
    hash
        Of this line and the one before, keyed (chain.py).
    """

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(String(32), index=True)
    actor: Mapped[str] = mapped_column(String(64), index=True)
    action: Mapped[str] = mapped_column(String(64), index=True)
    object: Mapped[str] = mapped_column(String(200), default="")
    request_id: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    number: Mapped[int | None] = mapped_column(index=True, unique=True)
    hash: Mapped[str | None] = mapped_column(String(64))


class AuditHeadRow(Base):
    """The one row that says which line of the audit log is the last; locked by whoever adds lines."""

    __tablename__ = "audit_head"

    id: Mapped[int] = mapped_column(primary_key=True)
    last: Mapped[int]
    hash: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str] = mapped_column(String(64))


class AuditSealRow(Base):
    """A sealed part of the audit log.

    Attributes
    ----------
    kind
        "before" the chain, where first and last are ids of lines; or "chained", where they are numbers.
    hash
        Of the last line, or of all lines from before the chain.
    mac
        Of this seal and the one before.
    removed_at, removed_mac
        When the lines were removed on purpose, if they were.
    """

    __tablename__ = "audit_seals"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    first: Mapped[int]
    last: Mapped[int]
    lines: Mapped[int]
    at: Mapped[str] = mapped_column(String(32))
    hash: Mapped[str] = mapped_column(String(64))
    mac: Mapped[str] = mapped_column(String(64))
    removed_at: Mapped[str | None] = mapped_column(String(32))
    removed_mac: Mapped[str | None] = mapped_column(String(64))


class IdentityRow(Base):
    """The one row that says which store this database belongs to (identity.py). key_digest: of the store's key."""

    __tablename__ = "identity"

    id: Mapped[int] = mapped_column(primary_key=True)
    store: Mapped[str] = mapped_column(String(32))
    key_digest: Mapped[str] = mapped_column(String(64))
    made: Mapped[str] = mapped_column(String(32))


class IdempotencyRow(Base):
    """A request that was done under a key: what it was, as a digest, and what was answered. Goes with its answer."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[str] = mapped_column(String(32), index=True)
    request: Mapped[str] = mapped_column(String(64))
    prediction_id: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), index=True)
    reply: Mapped[dict[str, Any]] = mapped_column(JSON)


class JobRow(Base):
    """A long task in the queue (queue.py).

    Attributes
    ----------
    id
        Random, hexadecimal.
    arguments
        Of the command `medloupe KIND`.
    folder
        In which the command is run, as its paths mean.
    state
        One of jobrows.STATES.
    attempt
        How often it was taken; who works on it holds this number, and is nobody any more once it has changed.
    deaths
        How often its process or worker ended in the middle of it.
    leased_until
        When whoever has it is taken for dead unless heard of before.
    progress, result
        As the worker tells them.
    """

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    arguments: Mapped[list[str]] = mapped_column(JSON)
    folder: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16), index=True)
    created: Mapped[str] = mapped_column(String(32), index=True)
    created_by: Mapped[str] = mapped_column(String(64))
    started: Mapped[str | None] = mapped_column(String(32))
    finished: Mapped[str | None] = mapped_column(String(32))
    attempt: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(String(100))
    leased_until: Mapped[str | None] = mapped_column(String(32))
    stop_asked: Mapped[bool] = mapped_column(default=False)
    progress: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str] = mapped_column(Text, default="")
