"""The tables of the store, and how they come into being: SQLAlchemy for queries, Alembic for the schema's history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Engine, ForeignKey, String, UniqueConstraint, create_engine, event, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from medloupe.errors import StoreError

REVISION = "0001"  # of the newest migration in migrations/versions


class Base(DeclarativeBase):
    """Root of the tables."""


class ModelRow(Base):
    """A name. last: the highest version number ever given, so that none is used twice."""

    __tablename__ = "models"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    last: Mapped[int] = mapped_column(default=0)


class VersionRow(Base):
    """One version of a model. Its parts lie as blobs under their sha256."""

    __tablename__ = "versions"
    __table_args__ = (UniqueConstraint("model_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    model_id: Mapped[int] = mapped_column(ForeignKey("models.id"))
    number: Mapped[int]
    created: Mapped[str] = mapped_column(String(32))  # UTC, ISO 8601
    backbone_blob: Mapped[str] = mapped_column(String(64))
    head_blob: Mapped[str] = mapped_column(String(64))
    card: Mapped[dict[str, Any]] = mapped_column(JSON)


def engine(path: Path) -> Engine:
    """The SQLite database at path, with its schema up to date.

    Write-ahead log and full synchronisation: an acknowledged commit survives a power cut. Raises StoreError when the
    file cannot be used or was made by a newer medloupe.
    """
    made = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(made, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    try:
        found = _revision(made)
        if found != REVISION:
            _upgrade(made, found)
    except SQLAlchemyError as e:
        made.dispose()
        raise StoreError(
            f"The database {path} cannot be used: {_first_line(e)}.",
            "Check that you may write there and that the disk is not full, or choose another place with --home.",
        ) from e
    except BaseException:
        made.dispose()
        raise
    return made


def _revision(made: Engine) -> str | None:
    with made.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(made: Engine, found: str | None) -> None:
    """Runs the migrations; Alembic is imported only when there are some to run."""
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"The store was last used by a newer medloupe (schema {found}, this one knows {REVISION}).",
            "Run: pip install -U medloupe",
        )
    with made.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]
