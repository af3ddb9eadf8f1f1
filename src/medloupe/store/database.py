"""Open the database: SQLite under the home folder, or PostgreSQL by URL; Alembic keeps the schema's history."""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from medloupe.errors import BusyError, StorageError, StoreError
from medloupe.settings import setting
from medloupe.store import chain, identity
from medloupe.store.postgres import POOL_SECONDS, allow_long, bound_waits
from medloupe.utils.files import exclusive_lock

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

REVISION = "0018"  # of the newest migration in migrations/versions
FILE = "medloupe.sqlite"
BUSY_SECONDS = 5
"""How long to wait for whoever writes to an SQLite database."""
SCHEMA_SECONDS = 120.0
"""How long to wait for whoever makes or changes the schema."""
_BUSY_STATES = ("55P03", "57014")  # of PostgreSQL: no lock in time; a statement took too long
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
    known = identity.find_identity(home)
    options: dict[str, Any] = {"poolclass": NullPool, "connect_args": {"timeout": BUSY_SECONDS}}
    if not lite:
        options = {"pool_pre_ping": True, "pool_timeout": POOL_SECONDS, "pool_use_lifo": True}
    try:
        # Without hiding, tracebacks in the log would show what people sent.
        made = create_engine(where, hide_parameters=True, **options)
        if not lite:
            bound_waits(made)
    except ImportError as e:
        raise StoreError(
            "MEDLOUPE_DATABASE names a PostgreSQL database, but its driver is not installed.",
            "Run: pip install 'medloupe[postgres]'",
        ) from e
    weakref.finalize(made, made.pool.dispose)  # whoever drops the engine need not remember its open connections
    if lite:
        if known is not None and known.settled and not Path(where.database or "").exists():
            identity.check_database(home, known, None, where.database or "")
        _keep_private(where.database or "")
        event.listen(made, "do_connect", _connect_existing)
        event.listen(made, "connect", _prepare)
        event.listen(made, "begin", _begin)
    try:
        if known is None or not _is_ready(made, known):
            with _hold_schema_lock(made, home):  # another process may have made the tables meanwhile: look again
                known = _make_ready(made, home)
    except SQLAlchemyError as e:
        raise explain_failure(where, e) from e
    made.update_execution_options(**{chain.KEY: bytes.fromhex(known.key)})
    return made


def begin_anew(home: Path) -> str:
    """Go on with the database that is there, or an empty one, in place of the one that the store had.

    The key of the store changes, as it is not known who has the other one; the audit log that is there is sealed as it
    is, and its chain begins anew.

    Returns
    -------
    str
        Which database it is.

    Raises
    ------
    StoreError
        The database cannot be used.
    """
    identity.set_identity_aside(home)
    where = database_url(home)
    if where.get_backend_name() == "sqlite" and not Path(where.database or "").exists():
        open_engine(home)
        return where.database or ""
    made = create_engine(where, hide_parameters=True, poolclass=NullPool)
    try:
        with made.connect() as connection, connection.begin():
            if identity.read_mark(connection) is not None:
                connection.execute(text("DELETE FROM identity"))
    except SQLAlchemyError as e:
        raise explain_failure(where, e) from e
    finally:
        made.dispose()
    open_engine(home)
    return where.render_as_string(hide_password=True)


def _is_ready(made: Engine, known: identity.Identity) -> bool:
    """Tell whether the schema is up to date and the database the one of this store."""
    if not known.settled or _revision(made) != REVISION:
        return False
    with made.connect() as connection:
        return identity.read_mark(connection) == known.mark


def _make_ready(made: Engine, home: Path) -> identity.Identity:
    """Bring the schema up to date, and make store and database known to each other; the schema's lock is held.

    The file says that the database has the mark only once that is so: a kill in between leaves nothing that looks like
    a loss.
    """
    shown = made.url.render_as_string(hide_password=True) if made.dialect.name != "sqlite" else made.url.database or ""
    known, found = identity.find_identity(home), _revision(made)
    with made.connect() as connection:
        identity.check_database(home, known, identity.read_mark(connection), shown)
    if found != REVISION:
        _upgrade(made, found)
    if known is None:
        known = identity.make_identity()
    if identity.read_identity(home) is None:
        identity.write_identity(home, known)
    key = {chain.KEY: bytes.fromhex(known.key)}
    writing = made.execution_options(writing=True, **key)
    with writing.connect() as connection, allow_long(connection), connection.begin():
        if identity.read_mark(connection) is None:
            identity.write_mark(connection, known)
            chain.start_chain(connection)
    if not known.settled:
        known = replace(known, settled=True)
        identity.write_identity(home, known)
    return known


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
    if isinstance(error, PoolTimeoutError):
        return BusyError("All connections to the database are in use.", "Try again in a moment.")
    if isinstance(error, IntegrityError | DataError):  # the database works; what it was given is wrong
        hint = "This is a fault of medloupe, not of the database: please report it with this text."
        return StorageError(f"The database does not take what it was given: {first}.", hint)
    if where.get_backend_name() != "sqlite":
        kind = BusyError if getattr(cause, "sqlstate", "") in _BUSY_STATES else StorageError
        return kind(
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
    elif code == sqlite3.SQLITE_CANTOPEN and where.database and not Path(where.database).exists():
        hint = "The file is gone: put it back, or mount the folder that it is in."
    elif code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        hint = "Another program keeps it busy: close that and try again."
        return BusyError(f"The database {where.database} cannot be used: {first}.", hint)
    return StorageError(f"The database {where.database} cannot be used: {first}.", hint)


def _keep_private(path: str) -> None:
    """Make the database file, if it is new, for its owner's eyes only: it will hold password hashes and answers."""
    with suppress(OSError):  # it is there, or SQLite will say why it cannot be made
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _connect_existing(dialect: Any, record: Any, given: list[Any], options: dict[str, Any]) -> sqlite3.Connection:
    """Connect to the file, which must be there: SQLite would make one that vanished anew, without accounts."""
    return sqlite3.connect(f"{Path(given[0]).absolute().as_uri()}?mode=rw", uri=True, **options)


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # Python's own BEGIN comes too late: tables would be made outside it
    # What is deleted is overwritten, not only forgotten: it is of patients.
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writing") else "BEGIN")


@contextmanager
def _hold_schema_lock(made: Engine, home: Path) -> Iterator[None]:
    """Be the only one to change the schema, on this machine or, with PostgreSQL, on any."""
    if made.dialect.name == "sqlite":
        with exclusive_lock(home / "store.lock", SCHEMA_SECONDS):
            yield
        return
    with made.connect() as connection, allow_long(connection):
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
    with made.connect() as connection, allow_long(connection):
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.execute("PRAGMA journal_mode=WAL")  # stays with the file
            driver.execute("PRAGMA foreign_keys=OFF")  # SQLite alters a table by dropping the old one
        config.attributes["connection"] = connection
        with connection.begin():
            command.upgrade(config, "head")
        if isinstance(driver, sqlite3.Connection) and found is not None:
            with suppress(sqlite3.Error):  # it needs as much room again: not everybody has it
                driver.execute("VACUUM")  # what older versions deleted still lies in free pages


def cut_log(engine: Engine, wait_ms: int) -> bool:
    """Write the log beside an SQLite database back and cut it to nothing, so that it holds no page as it was before.

    Parameters
    ----------
    engine
        Of any database; those of other kinds have no such log.
    wait_ms
        For those who read or write at that moment.

    Returns
    -------
    bool
        Whether nothing is left in it.
    """
    if engine.dialect.name != "sqlite":
        return True
    try:
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.execute(f"PRAGMA busy_timeout={wait_ms}")
            busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except (SQLAlchemyError, sqlite3.Error):
        return False
    return not busy


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
