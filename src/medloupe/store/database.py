"""Open the database: SQLite under the home folder, or PostgreSQL by URL; Alembic keeps the schema's history."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, SQLAlchemyError

from medloupe.errors import StorageError, StoreError
from medloupe.settings import setting
from medloupe.utils.files import exclusive_lock

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

REVISION = "0005"  # of the newest migration in migrations/versions
FILE = "medloupe.sqlite"
_UPGRADE_LOCK = 7_023_301  # any number that nobody else uses as an advisory lock of this PostgreSQL database


def database_url(home: Path) -> URL:
    """Find where the database is: MEDLOUPE_DATABASE, else a file under home.

    Raises
    ------
    StoreError
        What is told is no such URL.
    """
    told = setting("MEDLOUPE_DATABASE")
    if not told:
        return URL.create("sqlite", database=str(home / FILE))
    try:
        made = make_url(told)
    except (ArgumentError, ValueError) as e:  # ValueError: a port that is no number
        raise StoreError("MEDLOUPE_DATABASE is no database URL.", _EXAMPLE) from e
    if made.get_backend_name() in ("postgresql", "postgres"):
        return made.set(drivername="postgresql+psycopg")
    raise StoreError(f"MEDLOUPE_DATABASE names the database {made.get_backend_name()!r}.", _EXAMPLE)


_EXAMPLE = "Expected postgresql://user:password@host/database, or leave it unset for SQLite under --home."


def open_engine(home: Path) -> Engine:
    """Open the database of the store under home, with its schema up to date.

    SQLite: write-ahead log and full synchronisation, so that an acknowledged commit survives a power cut; a connection
    for each transaction, so that forks and threads share none. While the schema is made or changed a lock is held,
    and only then: readers of a finished store wait for nobody.

    Raises
    ------
    StoreError
        The database cannot be used or was made by a newer medloupe.
    """
    where = database_url(home)
    lite = where.get_backend_name() == "sqlite"
    try:
        made = create_engine(
            where,
            hide_parameters=True,  # else tracebacks in the log would show what people sent
            **({"poolclass": NullPool, "connect_args": {"timeout": 30}} if lite else {"pool_pre_ping": True}),
        )
    except ImportError as e:
        raise StoreError(
            "MEDLOUPE_DATABASE names a PostgreSQL database, but its driver is not installed.",
            "Run: pip install 'medloupe[postgres]'",
        ) from e
    weakref.finalize(made, made.pool.dispose)  # whoever drops the engine need not remember its open connections
    if lite:
        _keep_private(where.database or "")
        event.listen(made, "connect", _prepare)
        event.listen(made, "begin", _begin)
    try:
        if _revision(made) != REVISION:
            with _hold_schema_lock(made, home):  # another process may have made the tables meanwhile: look again
                found = _revision(made)
                if found != REVISION:
                    _upgrade(made, found)
    except SQLAlchemyError as e:
        raise explain_failure(where, e) from e
    return made


def writing_session(made: Engine) -> Session:
    """Open a session for a transaction that writes.

    SQLite takes its one write lock at the start of it then, and waits for it: a transaction that reads first and writes
    afterwards would fail at once when another process wrote in between.
    """
    from sqlalchemy.orm import Session

    return Session(made.execution_options(writing=True))


def explain_failure(where: URL, error: SQLAlchemyError) -> StorageError:
    """Say what the driver said of the database, and what to do."""
    cause = getattr(error, "orig", None) or error
    first = (str(cause).strip() or type(cause).__name__).splitlines()[0]
    if isinstance(error, IntegrityError | DataError):  # the database works; what it was given is wrong
        hint = "This is a fault of medloupe, not of the database: please report it with this text."
        return StorageError(f"The database does not take what it was given: {first}.", hint)
    if where.get_backend_name() != "sqlite":
        return StorageError(
            f"The database {where.render_as_string(hide_password=True)} cannot be used: {first}.",
            "Check MEDLOUPE_DATABASE, and that the server runs and lets this user in.",
        )
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the primary code
    hint = "Check that you may write there and that the disk is not full, or choose another place with --home."
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        hint = "The file is damaged: restore it from a backup, or move it away and begin anew."
    elif code == sqlite3.SQLITE_FULL:
        hint = "The disk is full: free some space, or choose another place with --home."
    elif code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
        hint = "Give yourself the right to write there, or choose another place with --home."
    elif code == sqlite3.SQLITE_BUSY:
        hint = "Another program keeps it busy: close that and try again."
    return StorageError(f"The database {where.database} cannot be used: {first}.", hint)


def _keep_private(path: str) -> None:
    """Make the database file, if it is new, for its owner's eyes only: it will hold password hashes and answers."""
    with suppress(OSError):  # it is there, or SQLite will say why it cannot be made
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # Python's own BEGIN comes too late: tables would be made outside it
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")


@contextmanager
def _hold_schema_lock(made: Engine, home: Path) -> Iterator[None]:
    """Be the only one to change the schema, on this machine or, with PostgreSQL, on any."""
    if made.dialect.name == "sqlite":
        with exclusive_lock(home / "store.lock"):
            yield
        return
    with made.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _UPGRADE_LOCK})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _UPGRADE_LOCK})


def _revision(made: Engine) -> str | None:
    with made.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(made: Engine, found: str | None) -> None:
    """Run the migrations; Alembic is imported only when there are some to run."""
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


@contextmanager
def transaction(engine: Engine, *, write: bool = False) -> Iterator[Session]:
    """Open a session; one that writes is committed at the end of the block.

    Raises
    ------
    StorageError
        The database cannot be used.
    """
    from sqlalchemy.orm import Session

    try:
        with writing_session(engine) if write else Session(engine) as session:
            yield session
            if write:
                session.commit()
    except SQLAlchemyError as e:
        raise explain_failure(engine.url, e) from e
