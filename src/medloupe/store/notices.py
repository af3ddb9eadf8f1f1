"""Tell all servers on a PostgreSQL database at once that another version is there or answers (LISTEN and NOTIFY).

A notice is sent by the transaction that changes it, so it never comes before the change can be read. One may be lost
with a connection: servers look from time to time all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

CHANNEL = "medloupe_production"
_LOOK = 1.0  # seconds between looks whether to end
_AGAIN = 1.0  # seconds until a lost connection is made again


def announce_change(session: Session, name: str) -> None:
    """Tell, with the session's transaction, that versions of a name, or which answers, change; nothing on SQLite."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_notify(:channel, :name)"), {"channel": CHANNEL, "name": name})


class ChangeListener:
    """Listen in a thread of its own until closed; on SQLite there is nothing to hear.

    Parameters
    ----------
    engine : Engine
        Of the database.
    hear : callable
        Called at each notice, and once whenever listening begins: what came before was not heard.
    """

    def __init__(self, engine: Engine, hear: Callable[[], object]):
        self._engine, self._hear = engine, hear
        self._ended = threading.Event()
        self.listening = False
        """Whether notices come at this moment."""
        self._thread: threading.Thread | None = None
        if engine.dialect.name == "postgresql":
            self._thread = threading.Thread(target=self._work, name="notices", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(10 * _LOOK)

    def _work(self) -> None:
        while not self._ended.is_set():
            try:
                self._listen()
            except Exception:  # whatever it is, looking from time to time goes on without it
                self.listening = False
                self._ended.wait(_AGAIN)

    def _listen(self) -> None:
        with self._engine.connect() as pooled:
            pooled.detach()  # one of its own: it must not lie in the pool with what it listens to
            driver: Any = pooled.connection.driver_connection
            driver.autocommit = True
            driver.execute(f"LISTEN {CHANNEL}")
            self.listening = True
            self._hear()
            while not self._ended.is_set():
                for _ in driver.notifies(timeout=_LOOK, stop_after=1):
                    self._hear()
