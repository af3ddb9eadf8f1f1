"""Write to the database in one thread, many requests a transaction.

The cost of flushing to the disk is shared, and no request waits for more than the transaction before its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from medloupe.errors import StorageError
from medloupe.store.database import explain_failure

if TYPE_CHECKING:
    from sqlalchemy import Engine

_MOST = 256  # writes in one transaction
Write = Callable[[Connection], Any]


class TransactionWriter:
    """A thread that writes what is handed in; used from event loops."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._queue: queue.SimpleQueue[tuple[Write, asyncio.AbstractEventLoop, asyncio.Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._connection: Connection | None = None  # of the writing thread
        self._file: tuple[int, int] | None = None  # which it is of, with SQLite
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what was handed in."""
        self._queue.put(None)
        self._thread.join()

    async def write(self, write: Write) -> Any:
        """Write in a transaction, which others may share.

        Parameters
        ----------
        write
            Writes over a connection; what it returns is returned once it is on the disk.

        Raises
        ------
        StorageError
            The database cannot be written.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        self.hand_in(write, loop, done)
        return await done

    def hand_in(self, write: Write, loop: asyncio.AbstractEventLoop, done: asyncio.Future[Any]) -> None:
        """Write as `write` does, from any thread; a future of the loop gets what is returned, or the error."""
        self._queue.put((write, loop, done))

    def _work(self) -> None:
        """Write until the end, over one connection: SQLite clears its log away when the last one is closed."""
        try:
            self._write_all()
        finally:
            self._disconnect()

    def _write_all(self) -> None:
        while True:
            waiting = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(waiting) < _MOST and waiting[-1] is not None:
                    waiting.append(self._queue.get_nowait())
            work = [w for w in waiting if w is not None]
            if work and not self._commit(work):
                for one in work:  # apart, so that only those fail that must
                    self._commit([one], last=True)
            if len(work) < len(waiting):
                return

    def _commit(self, work: Sequence[tuple[Write, Any, Any]], last: bool = False) -> bool:
        """Write in one transaction; False where it failed and nobody was told, because each is tried again alone.

        That is of use where one of them is wrong. Where the database is, each would wait as long in vain as the first.
        """
        try:
            self._leave_lost_file()
            if self._connection is None:
                # Taking the write lock at the start waits for other writers; later, after a read, it would not.
                self._connection = self._engine.execution_options(writing=True).connect()
            with self._connection.begin():
                results = [write(self._connection) for write, _, _ in work]
        except Exception as e:
            if not self._outlives(e):
                self._disconnect()  # it may be what failed: a database that was started anew knows it no longer
            if not last and len(work) > 1 and not isinstance(e, OperationalError | PoolTimeoutError | StorageError):
                return False
            error = explain_failure(self._engine.url, e) if isinstance(e, SQLAlchemyError) else e
            for _, loop, done in work:
                _tell(loop, done, None, error)
            return True
        for (_, loop, done), result in zip(work, results, strict=True):
            _tell(loop, done, result, None)
        return True

    def _outlives(self, error: Exception) -> bool:
        """Tell whether the connection is as good as before: a full disk is not its fault.

        It is the one that keeps SQLite's log in being. Without it the next reader would have to make a new log, for
        which there is no room either: what was written could not even be read.
        """
        code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF  # the primary code
        full = code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
        return full and self._connection is not None and not self._connection.in_transaction()

    def _leave_lost_file(self) -> None:
        """Let go of an SQLite file that is no longer there under its name: what is written to it would be lost."""
        path = self._engine.url.database if self._engine.dialect.name == "sqlite" else None
        if path is None:
            return
        try:
            there = os.stat(path)  # noqa: PTH116
            now = (there.st_dev, there.st_ino)
        except OSError:
            now = None
        if self._connection is not None and now != self._file:
            self._disconnect()
        self._file = now

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more, and others still write
        loop.call_soon_threadsafe(_settle, done, result, error)


def _settle(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.cancelled():  # the client went away; what it asked for was done all the same
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
