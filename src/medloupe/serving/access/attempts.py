"""Slow the guessing of passwords down, and check one at a time, since each check costs a core."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from medloupe.serving.access.failures import SharedFailures
from medloupe.serving.http.errors import HttpError
from medloupe.serving.http.threads import run_read, run_write

Key = tuple[str, ...]
WAITING = 16  # log-ins at work or waiting for their turn; more are told to come back
_MOST = 10_000  # keys remembered
_FORGET = 3600.0  # seconds without a failure after which a key begins anew
_LINES = 30  # failures a minute that are worth a line in the audit log


@dataclass(frozen=True, slots=True)
class _Limit:
    """free: failures that cost nothing. longest: seconds that the next try may have to wait."""

    free: int
    longest: float


# A name may be guessed at from everywhere, but must not be locked for its owner by whoever knows it: what weighs is the
# name from one address. An address may be a whole clinic behind one router: it gets more tries than a name there.
_LIMITS = {"pair": _Limit(5, 300), "name": _Limit(50, 30), "address": _Limit(20, 300)}


class Attempts:
    """Failed log-ins by name, by address and by both: beyond the free ones each doubles the wait.

    Parameters
    ----------
    clock
        Tells the time in seconds.
    shared
        What other servers of the store count too; None where there are none.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, shared: SharedFailures | None = None):
        self.shared = shared
        self._clock = clock
        self._failures: OrderedDict[Key, tuple[int, float, float]] = OrderedDict()  # how many, the last, try again at
        self._one = asyncio.Semaphore(1)
        self._present = 0
        self._lines: deque[float] = deque(maxlen=_LINES)

    @asynccontextmanager
    async def turn(self, name: str, address: str) -> AsyncIterator[None]:
        """Wait for the turn of a log-in: the block checks its password, one at a time.

        Raises
        ------
        HttpError
            429 while the name or address has to wait, or too many wait already.
        """
        self._check(name, address)
        if self._present >= WAITING:
            raise HttpError(
                429, "many_logins", "Many people log in at this moment.", "Try again in 1 s.", {"Retry-After": "1"}
            )
        self._present += 1
        try:
            async with self._one:
                self._check(name, address)  # those before may have failed
                if self.shared is not None:
                    _refuse(await run_read(self.shared.seconds_to_wait, _keys(name, address)))
                yield
        finally:
            self._present -= 1

    def record_failure(self, name: str, address: str) -> bool:
        """Note that a wrong password was given.

        Returns
        -------
        bool
            Whether the audit log should say so: a flood must not fill the disk.
        """
        now = self._clock()
        for key in _keys(name, address):
            count, last, _ = self._failures.get(key, (0, now, 0.0))
            count = count + 1 if now - last < _FORGET else 1
            limit = _LIMITS[key[0]]
            over = count - limit.free
            wait = min(2.0 ** min(over, 20), limit.longest) if over >= 0 else 0.0
            self._failures[key] = (count, now, now + wait)
            self._failures.move_to_end(key)
        while len(self._failures) > _MOST:
            self._failures.popitem(last=False)
        if len(self._lines) == _LINES and now - self._lines[0] < 60:
            return False
        self._lines.append(now)
        return True

    async def share_failure(self, name: str, address: str) -> None:
        """Tell the other servers of the store of it. Raises StorageError."""
        if self.shared is not None:
            limits = {key: (_LIMITS[key[0]].free, _LIMITS[key[0]].longest) for key in _keys(name, address)}
            await run_write(self.shared.add, limits)

    async def share_success(self, name: str, address: str) -> None:
        """Tell the other servers of the store of it. Raises StorageError."""
        if self.shared is not None:
            await run_write(self.shared.forget, _keys(name, address)[0])

    def record_success(self, name: str, address: str) -> None:
        """Note that the right password was given.

        Clears that name at that address, and not the address: its owner may guess at other names.
        """
        self._failures.pop(_keys(name, address)[0], None)

    def _check(self, name: str, address: str) -> None:
        now = self._clock()
        _refuse(max(self._failures[k][2] - now if k in self._failures else 0.0 for k in _keys(name, address)))


def _refuse(wait: float) -> None:
    """Raise HttpError where a try has to wait, for so many seconds."""
    if wait > 0:
        seconds = str(int(wait) + 1)
        raise HttpError(
            429,
            "too_many_attempts",
            "Too many wrong passwords.",
            f"Wait {seconds} s and try again; an admin can set a new one: medloupe users passwd NAME",
            {"Retry-After": seconds},
        )


def _keys(name: str, address: str) -> tuple[Key, Key, Key]:
    key = name.strip().casefold()[:64]
    return ("pair", key, address), ("name", key), ("address", address)
