"""Leave no trace of what was deleted in the files of an SQLite database.

Deleted rows are overwritten where they stood (`PRAGMA secure_delete`), but the log beside the database holds pages as
they were before, until it is written back and cut to nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING

from medloupe.errors import BusyError
from medloupe.serving.http.threads import run_write
from medloupe.store.database import cut_log

if TYPE_CHECKING:
    from sqlalchemy import Engine

WAIT_MS = 1500
"""For those who read or write at that moment; then it is tried again later."""
REST_SECONDS = 5.0
"""After a try in vain; who deletes meanwhile does not wait for another."""
log = logging.getLogger("medloupe.serving")


class TraceEraser:
    """Cuts the log of an SQLite database after deletions; does nothing for other databases."""

    def __init__(self, engine: Engine):
        self._engine = engine
        self._due = False
        self._rests_until = 0.0
        self._lock = threading.Lock()
        self._trying: asyncio.Future[bool] | None = None

    def note(self) -> None:
        """Note that something was deleted."""
        self._due = True

    async def erase(self) -> None:
        """Leave no trace of what was deleted just now; where others hold the log, later, when `try_now` is called.

        Those who delete at the same time share one try.
        """
        self.note()
        if self._engine.dialect.name != "sqlite":
            return
        while self._due and time.monotonic() >= self._rests_until:
            if self._trying is None or self._trying.done():
                self._trying = asyncio.ensure_future(run_write(self.try_now))
            try:
                await asyncio.shield(self._trying)
            except BusyError:
                return

    def try_now(self) -> bool:
        """Cut the log, if that is due, waiting WAIT_MS at most for others; tell whether nothing is left to do."""
        if self._engine.dialect.name != "sqlite":
            return True
        with self._lock:
            if not self._due:
                return True
            self._due = False  # what is deleted from here on is for the next time
            busy = not cut_log(self._engine, WAIT_MS)
            if busy:
                self._due, self._rests_until = True, time.monotonic() + REST_SECONDS
        if busy:
            log.warning("traces of deleted answers stay for now", extra={"reason": "others read or write the database"})
        return not busy
