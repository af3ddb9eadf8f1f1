"""Write to the database in one thread, many requests a transaction.

The cost of flushing to the disk is shared, and no request waits for more than the transaction before its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

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
        self._queue.put((write, loop, done))
        return await done

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
        """Write in one transaction; False where it failed and nobody was told, because each is tried again alone."""
        try:
            if self._connection is None:
                # Taking the write lock at the start waits for other writers; later, after a read, it would not.
                self._connection = self._engine.execution_options(writing=True).connect()
            with self._connection.begin():
                results = [write(self._connection) for write, _, _ in work]
        except Exception as e:
            self._disconnect()  # it may be what failed: a database that was started anew knows it no longer
            if not last:
                return False
            error = explain_failure(self._engine.url, e) if isinstance(e, SQLAlchemyError) else e
            for _, loop, done in work:
                loop.call_soon_threadsafe(_settle, done, None, error)
            return True
        for (_, loop, done), result in zip(work, results, strict=True):
            loop.call_soon_threadsafe(_settle, done, result, None)
        return True

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
            self._connection = None


def _settle(done: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if done.cancelled():  # the client went away; what it asked for was done all the same
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
