"""Define the tables: models and their versions, people, what was asked and what was said of the answers.

Times are UTC as ISO 8601 text, which both SQLite and PostgreSQL sort rightly. How the tables come into being and change
is in migrations/versions; tests hold the two against each other.
"""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def now() -> str:
    """Tell the time as the tables keep it: UTC, to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


class Base(DeclarativeBase):
    """Root of the tables."""


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
    """A person who may log in. password: an Argon2id hash. role: viewer, clinician or admin."""

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


class AuditRow(Base):
    """Who did what. Never changed; names no patient and no file."""

    __tablename__ = "audit"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str] = mapped_column(String(32), index=True)
    actor: Mapped[str] = mapped_column(String(64), index=True)
    action: Mapped[str] = mapped_column(String(64), index=True)
    object: Mapped[str] = mapped_column(String(200), default="")
    request_id: Mapped[str] = mapped_column(String(64), default="")
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON)


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


class FeedbackRow(Base):
    """What a person said of an answer. right: whether it was; labels: the true ones, where they were given."""

    __tablename__ = "feedback"

    id: Mapped[int] = mapped_column(primary_key=True)
    prediction_id: Mapped[str] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    at: Mapped[str] = mapped_column(String(32))
    right: Mapped[bool | None]
    labels: Mapped[list[str] | None] = mapped_column(JSON)
