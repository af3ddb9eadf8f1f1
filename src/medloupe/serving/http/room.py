"""Hold the memory of one body that is being read, and tell how fast it comes in."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

STALLED = 5.0
"""Seconds over which the pace of a body is told."""


class Room:
    """Memory for one body.

    Parameters
    ----------
    claim
        Takes so many bytes from what all have together, or raises.

    Attributes
    ----------
    bytes : int
        Taken so far.
    gave_way : bool
        Whether they were given to others, since the body came too slowly.
    timer : asyncio.Timeout, optional
        Of the wait for its next bytes; None once it is complete.
    """

    def __init__(self, claim: Callable[[int], None]):
        self._claim = claim
        self.bytes = 0
        self.gave_way = False
        self.timer: asyncio.Timeout | None = None
        self._last = self._marked = time.monotonic()
        self._bytes_then = 0

    def take(self, size: int) -> None:
        """Take memory for a piece that came; raises as `claim` does."""
        self._claim(size)
        self.bytes += size
        self._last = time.monotonic()
        if self._last - self._marked >= STALLED:
            self._marked, self._bytes_then = self._last, self.bytes

    def rate(self, now: float) -> float:
        """Return the bytes a second that it comes in by; inf where it is complete or that cannot be told yet."""
        if self.timer is None:
            return math.inf
        if now - self._last >= STALLED:
            return 0.0
        return (self.bytes - self._bytes_then) / (now - self._marked) if now - self._marked >= STALLED else math.inf

    def give_way(self) -> int:
        """Give the memory up now, let the one who waits for more bytes know, and return how much it was."""
        freed, self.bytes = self.bytes, 0
        if freed and self.timer is not None:
            self.gave_way = True
            self.timer.reschedule(asyncio.get_running_loop().time())
        return freed
