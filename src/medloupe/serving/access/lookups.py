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

from medloupe.errors import StorageError

REMEMBERED = 3.0
"""Seconds for which a cookie or token that was looked up is believed: a person who is shut out may go on so long."""

EVERYBODY = "any"  # the look-up that every request makes
_MOST = 4096  # look-ups remembered
_GRACE = 1.5  # seconds more for which the old answer counts, while everybody's look-up is made again
_SOON = 0.3  # seconds in which a database that works answers
STALE = 300.0
"""Seconds for which what was known still counts while the database does not answer: nobody can be shut out, or let in,
without it, and what needs no database goes on."""


@dataclass(slots=True)
class _Known:
    """One look-up.

    until: when it is too old, of time.monotonic(). old: what was known before, while this is being asked. asked: when
    the last answer that the database gave was asked for.
    """

    until: float
    answer: asyncio.Future[Any]
    asked: float
    old: _Known | None = None
    before: _Known | None = None

    def succeeded(self) -> bool:
        """Tell whether the database answered."""
        return self.answer.done() and not self.answer.cancelled() and self.answer.exception() is None

    def last_success(self) -> _Known | None:
        """Return this one, where the database answered it, else the one before."""
        if not self.succeeded():
            return self.before
        self.before = None
        return self

    def usable(self, now: float) -> bool:
        """Tell whether it still counts while a newer answer is waited for."""
        self.old = None
        return self.succeeded() and now < self.until + _GRACE


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
            answer.add_done_callback(_hear)
            before = None if found is None else found.last_success()
            found = _Known(until=now + REMEMBERED, answer=answer, asked=now, old=old, before=before)
            self._known[key] = found
            self._known.move_to_end(key)
            while len(self._known) > _MOST:
                self._known.popitem(last=False)
        if found.old is not None and not found.answer.done() and found.old.usable(now):
            return found.old.answer.result()  # nobody waits while it is asked again
        found.old = None
        known = found.before is not None and now - found.before.asked < STALE
        try:
            if known:
                await asyncio.wait({found.answer}, timeout=_SOON)
                if not found.answer.done():
                    assert found.before is not None
                    return found.before.answer.result()
            said = await asyncio.shield(found.answer)
        except StorageError:
            if known and found.before is not None:
                return found.before.answer.result()  # to be asked again when this is too old
            self._drop(key, found)
            raise
        except Exception:  # to be asked again by the next
            self._drop(key, found)
            raise
        found.before = None
        return said

    def _drop(self, key: tuple[str, bytes], found: _Known) -> None:
        if self._known.get(key) is found:
            del self._known[key]

    def forget(self, kind: str, secret: str) -> None:
        """Forget a look-up that is no longer true."""
        self._known.pop(_key(kind, secret), None)

    def forget_all(self) -> None:
        """Forget all look-ups, after a change of somebody's account: what counts from now on is asked for."""
        self._known.clear()


def _hear(answer: asyncio.Future[Any]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not answer.cancelled():
        answer.exception()


def _key(kind: str, secret: str) -> tuple[str, bytes]:
    return kind, hashlib.sha256(secret.encode("utf-8", "replace")).digest()
