"""Remember for a moment whose a cookie or token is, so that the database is not asked at each request."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

REMEMBERED = 3.0
"""Seconds for which a cookie or token that was looked up is believed: a person who is shut out may go on so long."""

EVERYBODY = "any"  # the look-up that every request makes
_MOST = 4096  # look-ups remembered
_GRACE = 1.5  # seconds more for which the old answer counts, while everybody's look-up is made again


@dataclass(slots=True)
class _Known:
    """One look-up.

    until: when it is too old, of time.monotonic(). old: what was known before, while this is being asked.
    """

    until: float
    answer: asyncio.Future[Any]
    old: _Known | None = None

    def usable(self, now: float) -> bool:
        """Tell whether it still counts while a newer answer is waited for."""
        self.old = None
        return self.answer.done() and self.answer.exception() is None and now < self.until + _GRACE


class LookupCache:
    """What was looked up in the database lately; holds no secrets."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, bytes], _Known] = OrderedDict()
        self._threads = ThreadPoolExecutor(2, "guard")  # its own: slow work of others must not make everybody wait

    async def look(self, kind: str, secret: str, find: Callable[[str], Any]) -> Any:
        """Look a secret up, or take what was found about REMEMBERED seconds ago at most.

        Who asks meanwhile waits for the same answer.

        Parameters
        ----------
        kind
            Parts what is asked of different tables.
        secret
            The cookie or token.
        find
            Asks the database for it, in another thread.
        """
        key = _key(kind, secret)
        now = time.monotonic()
        found = self._known.get(key)
        if found is None or found.until <= now:
            old = found if kind == EVERYBODY and found is not None and found.usable(now) else None
            answer = asyncio.get_running_loop().run_in_executor(self._threads, find, secret)
            found = _Known(until=now + REMEMBERED, answer=answer, old=old)  # from before it is asked
            self._known[key] = found
            self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        if found.old is not None and not found.answer.done() and found.old.usable(now):
            return found.old.answer.result()  # nobody waits while it is asked again
        found.old = None
        try:
            return await asyncio.shield(found.answer)
        except Exception:  # to be asked again by the next
            if self._known.get(key) is found:
                del self._known[key]
            raise

    def forget(self, kind: str, secret: str) -> None:
        """Forget a look-up that is no longer true."""
        self._known.pop(_key(kind, secret), None)


def _key(kind: str, secret: str) -> tuple[str, bytes]:
    return kind, hashlib.sha256(secret.encode("utf-8", "replace")).digest()
