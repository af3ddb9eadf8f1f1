"""Bound every wait for a PostgreSQL server: to connect, for a lock, for an answer, and for one that is stopped.

The server itself ends statements and waits for locks that take too long. One that is stopped, or whose machine is
gone, ends nothing: its kernel, or nobody, still acknowledges what is sent. So the time is kept here, too, and after one
wait in vain the next ones fail at once for a moment instead of each waiting anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

CONNECT_SECONDS = 3
"""For a connection to be made, log-in included."""
LOCK_SECONDS = 3
"""For a lock that another transaction holds."""
STATEMENT_SECONDS = 4
"""For one statement, as the server counts."""
ANSWER_SECONDS = 5.0
"""For an answer of the server, as is counted here."""
POOL_SECONDS = 3
"""For one of the connections that others use."""
LONG_SECONDS = 300.0
"""For the statements of `allow_long`."""
_SILENCE = 1.0  # seconds after a wait in vain in which nobody tries again
# A machine that vanished is noticed by probes where nothing was sent, and by unacknowledged bytes where something was.
_KEEPALIVE = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 5000}


def bound_waits(made: Engine) -> None:
    """Make all connections of an engine of PostgreSQL bounded ones.

    What the URL itself says of these parameters counts.

    Raises
    ------
    ImportError
        The driver is not installed.
    """
    kind, gate = _connection_class(), _Gate()

    def connect(dialect: Any, record: Any, given: Any, options: dict[str, Any]) -> Any:
        gate.enter()
        try:
            connection = kind.connect(*given, **{"connect_timeout": CONNECT_SECONDS, **_KEEPALIVE, **options})
        except kind.timeout as e:
            gate.close(str(e))
            raise
        except Exception:  # refused at once: whoever tries again need not wait
            gate.open()
            raise
        gate.open()
        connection.gate = gate
        return connection

    def prepare(connection: Any, record: Any) -> None:
        told = connection.info.options
        for name, seconds in (("statement_timeout", STATEMENT_SECONDS), ("lock_timeout", LOCK_SECONDS)):
            if name not in told:
                connection.execute(f"SET {name} = '{seconds}s'")
        connection.commit()

    event.listen(made, "do_connect", connect)
    event.listen(made, "connect", prepare)


@contextmanager
def allow_long(connection: Connection) -> Iterator[None]:
    """Let statements take LONG_SECONDS while the block runs; does nothing on other databases.

    For what is done rarely and by one alone: changes of the schema, and reading the whole audit log.

    Parameters
    ----------
    connection
        Not within a transaction; of no use any more after the block.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.patience = LONG_SECONDS
    try:
        for name in ("statement_timeout", "lock_timeout"):
            connection.exec_driver_sql(f"SET {name} = '{LONG_SECONDS:.0f}s'")
        connection.commit()
        yield
    finally:
        connection.invalidate()  # with its settings


class _Gate:
    """Turns away at once whoever would wait for a server that just was waited for in vain; one at a time tries again.

    A single slow statement does not come to that: the server ends it earlier than ANSWER_SECONDS.
    """

    def __init__(self) -> None:
        self._shut_until: float | None = None
        self._why = ""
        self._lock = threading.Lock()

    def close(self, why: str) -> None:
        with self._lock:
            self._shut_until, self._why = time.monotonic() + _SILENCE, why.strip()

    def open(self) -> None:
        with self._lock:
            self._shut_until = None

    def fault(self) -> str:
        """Say why nobody should wait now; "" where one may."""
        with self._lock:
            return self._why if self._shut_until is not None and time.monotonic() < self._shut_until else ""

    def enter(self) -> None:
        """Let one try while the others are turned away."""
        import psycopg

        with self._lock:
            if self._shut_until is None:
                return
            now = time.monotonic()
            if now < self._shut_until:
                raise psycopg.OperationalError(self._why)
            self._shut_until = now + CONNECT_SECONDS + _SILENCE


def _connection_class() -> Any:
    import psycopg
    from psycopg import errors

    class BoundedConnection(psycopg.Connection[Any]):
        """A connection that is closed when the server does not answer in time."""

        timeout = errors.ConnectionTimeout
        patience = ANSWER_SECONDS
        gate: _Gate | None = None

        def wait(self, gen: Any, *given: Any, **options: Any) -> Any:
            """Wait for what the driver asked for, up to `patience` seconds."""
            why = self.gate.fault() if self.gate is not None else ""
            try:
                if why:
                    raise _OverdueError
                return super().wait(_until(gen, time.monotonic() + self.patience), *given, **options)
            except _OverdueError:
                self.pgconn.finish()
                if not why:
                    why = f"the server did not answer within {self.patience:g} s"
                    if self.gate is not None:
                        self.gate.close(why)
                raise psycopg.OperationalError(why) from None

    return BoundedConnection


class _OverdueError(Exception):
    pass


def _until(gen: Generator[Any, Any, Any], deadline: float) -> Generator[Any, Any, Any]:
    """Pass on what the driver waits for, and end it when nothing came before the deadline."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                raise _OverdueError
            wanted = gen.send(ready)
    except StopIteration as e:
        return e.value
