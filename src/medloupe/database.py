"""The tables of the store, and how they come into being: SQLAlchemy for queries, Alembic for the schema's history."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    Engine,
    ForeignKey,
    NullPool,
    String,
    UniqueConstraint,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from medloupe.errors import StoreError
from medloupe.files import locked

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


def engine(path: Path, lock: Path) -> Engine:
    """The SQLite database at path, with its schema up to date.

    lock: file of the lock that is held while the schema is made or changed, and only then: readers of a finished
    store wait for nobody. Write-ahead log and full synchronisation: an acknowledged commit survives a power cut.
    Raises StoreError when the file cannot be used or was made by a newer medloupe.
    """
    # A connection for each transaction: none is left open, and forks and threads share none.
    url = URL.create("sqlite", database=str(path))
    made = create_engine(url, poolclass=NullPool, connect_args={"timeout": 30})

    @event.listens_for(made, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # Python's own BEGIN comes too late: tables would be made outside it
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(made, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    try:
        if _revision(made) != REVISION:
            with locked(lock):  # another process may have made the tables meanwhile: look again
                found = _revision(made)
                if found != REVISION:
                    _upgrade(made, found)
    except SQLAlchemyError as e:
        raise unusable(path, e) from e
    return made


def unusable(path: Path, error: SQLAlchemyError) -> StoreError:
    """What the driver said of the database at path, and what to do."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the primary code
    hint = "Check that you may write there and that the disk is not full, or choose another place with --home."
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        hint = "The file is damaged: restore it from a backup, or move it away and begin anew."
    elif code == sqlite3.SQLITE_BUSY:
        hint = "Another program keeps it busy: close that and try again."
    return StoreError(f"The database {path} cannot be used: {str(cause).splitlines()[0]}.", hint)


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
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(
            f"The store was last used by a newer medloupe (schema {found}, this one knows {REVISION}).",
            "Run: pip install -U medloupe",
        )
    with made.connect() as connection:
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.execute("PRAGMA journal_mode=WAL")  # stays with the file
            driver.execute("PRAGMA foreign_keys=OFF")  # SQLite alters a table by dropping the old one
        config.attributes["connection"] = connection
        with connection.begin():
            command.upgrade(config, "head")
