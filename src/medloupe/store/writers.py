"""Be the one writer among all servers of a store, and know which store a database belongs to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from medloupe.errors import BusyError
from medloupe.store import identity
from medloupe.store.database import explain_failure

_WRITING_LOCK = 7_023_302  # as _UPGRADE_LOCK of database.py: a number that nobody else uses
_POLL_SECONDS = 0.05  # between looks at the lock that another server holds


def read_database_identity(made: Engine) -> str:
    """Read which store a database belongs to. Raises StorageError."""
    try:
        with made.connect() as connection:
            mark = identity.read_mark(connection)
    except SQLAlchemyError as e:
        raise explain_failure(made.url, e) from e
    return "" if mark is None else mark["store"]


@contextmanager
def hold_writing_lock(made: Engine, seconds: float) -> Iterator[None]:
    """Be the one writer of the store among all servers on a PostgreSQL database; does nothing on SQLite.

    Raises
    ------
    BusyError
        Another was it for longer than that.
    """
    if made.dialect.name != "postgresql":
        yield
        return
    end = time.monotonic() + seconds
    with made.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _WRITING_LOCK}).scalar():
            if time.monotonic() > end:
                raise BusyError(
                    f"Another server has written to this store for over {seconds:g} s.",
                    "It adds, promotes or removes a model: wait until it is done, and try again.",
                )
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            try:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _WRITING_LOCK})
            except SQLAlchemyError:  # the lock ends with the connection
                connection.invalidate()
