"""Tell in a few microseconds whether anything was committed to a database of SQLite since the last look.

Servers ask the store all the time whether another version is in production; of a server at rest that was most of its
work. Source: SQLite, "PRAGMA data_version".
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

_Mark = tuple[int, int, int]  # of the file device and number, of what it holds the version


class CommitWatch:
    """Watch over a database; for any number of threads.

    What cannot be told counts as a commit: other databases, a file that vanished, one that is locked.

    Parameters
    ----------
    engine : Engine
        Of the database.
    """

    def __init__(self, engine: Engine):
        self._path = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._seen: _Mark | None = None

    def look(self) -> bool:
        """Tell whether anything may have been committed since the last look, or none was taken yet."""
        with self._lock:
            before, self._seen = self._seen, self._read()
            return before is None or self._seen != before

    def forget(self) -> None:
        """Let the next look tell of a commit, where what this one told of could not be taken up."""
        with self._lock:
            self._seen = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._disconnect()

    def _read(self) -> _Mark | None:
        if self._path is None:
            return None
        try:
            found = self._path.stat()
            # A file of the same name that came in its place has another number.
            if self._seen is None or self._connection is None or self._seen[:2] != (found.st_dev, found.st_ino):
                self._disconnect()
                where = f"{self._path.absolute().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(where, uri=True, timeout=0, check_same_thread=False)
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except (OSError, sqlite3.Error):
            self._disconnect()
            return None
        return found.st_dev, found.st_ino, version

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
