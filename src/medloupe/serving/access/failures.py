"""Count failed log-ins for all servers of a store together, where they share a PostgreSQL database.

What one server counts would let whoever guesses have as many tries at each of them. The table is not written to
PostgreSQL's log (UNLOGGED): it holds keyed hashes for an hour, and is empty again after a crash of PostgreSQL, as the
memory of a single server is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import text

from medloupe.store.chain import keyed_hash
from medloupe.store.database import transaction

if TYPE_CHECKING:
    from sqlalchemy import Engine

_ADD = """
INSERT INTO login_failures AS f (key, failures, at, until)
VALUES (:key, 1, now(), now() + make_interval(secs => CASE WHEN :free <= 1 THEN 1 ELSE 0 END))
ON CONFLICT (key) DO UPDATE SET
  failures = CASE WHEN now() - f.at < interval '1 hour' THEN f.failures + 1 ELSE 1 END,
  at = now(),
  until = now() + make_interval(secs => CASE
    WHEN now() - f.at < interval '1 hour' AND f.failures + 1 >= :free
    THEN least(power(2, least(f.failures + 1 - :free, 20)), :longest) ELSE 0 END)
"""


class SharedFailures:
    """Failed log-ins by key, in the database.

    Parameters
    ----------
    engine : Engine
        Of a PostgreSQL database.
    """

    def __init__(self, engine: Engine):
        self._engine = engine

    def add(self, limits: Mapping[Sequence[str], tuple[int, float]]) -> None:
        """Count a failure.

        Parameters
        ----------
        limits
            Of each key: how many failures cost nothing, and the longest wait in seconds.

        Raises
        ------
        StorageError
            The database cannot be used.
        """
        with transaction(self._engine, write=True) as session:
            rows = [
                {"key": self._hash(key), "free": free, "longest": longest} for key, (free, longest) in limits.items()
            ]
            for row in sorted(rows, key=lambda r: r["key"]):  # in one order, so that no two wait for each other
                session.execute(text(_ADD), row)
            session.execute(text("DELETE FROM login_failures WHERE at < now() - interval '1 hour'"))

    def seconds_to_wait(self, keys: Sequence[Sequence[str]]) -> float:
        """Return how long the next try has to wait, in seconds. Raises StorageError."""
        asked = "SELECT max(extract(epoch FROM until - now())) FROM login_failures WHERE key = ANY(:keys)"
        with transaction(self._engine) as session:
            found = session.execute(text(asked), {"keys": [self._hash(key) for key in keys]}).scalar()
        return max(0.0, float(found or 0.0))

    def forget(self, key: Sequence[str]) -> None:
        """Begin anew with a key. Raises StorageError."""
        with transaction(self._engine, write=True) as session:
            session.execute(text("DELETE FROM login_failures WHERE key = :key"), {"key": self._hash(key)})

    def _hash(self, key: Sequence[str]) -> str:
        return keyed_hash(self._engine, "\0".join(key))
