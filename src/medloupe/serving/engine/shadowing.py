"""Let the other version answer in shadow what was asked, so that both can be compared, and never in anybody's way.

Requests wait in a short queue in memory, which is full at once on a busy server; what finds no place is left out and
counted. One thread of low priority works on them while nobody else is being answered, with a decoder of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medloupe.ecg.parsers import EcgParsers
from medloupe.errors import MedloupeError
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.serving.engine.pictures import Answerer
from medloupe.serving.engine.priority import lower_priority
from medloupe.store.shadows import Shadow, Shadows

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.serving.engine.answer import Answer
    from medloupe.serving.engine.catalog import Catalog
    from medloupe.serving.engine.checkup import CheckUp
    from medloupe.serving.engine.question import Question
    from medloupe.serving.engine.sessions import Sessions

MOST, MOST_BYTES = 16, 64 * 2**20
"""Requests that wait, and bytes of theirs."""
PATIENCE = 10.0  # seconds for which one waits until nobody is being answered
_STEP = 0.005
_AGAIN = 1.0  # seconds between two looks whether it may go on
log = logging.getLogger("medloupe.serving")


@dataclass(frozen=True, slots=True)
class _Waiting:
    shadow: Shadow
    version: int
    prediction: str
    question: Question
    size: int


class ShadowRunner:
    """Answers again in the background by other versions; safe to use from several threads.

    Parameters
    ----------
    engine
        Of the database, in which comparisons begin, end and are kept.
    catalog
        Gives the versions.
    sessions
        Runs the networks.
    busy
        Whether anybody is being answered.
    """

    def __init__(self, engine: Engine, catalog: Catalog, sessions: Sessions, busy: Callable[[], bool]):
        self.shadows = Shadows(engine)
        self._catalog, self._sessions, self._busy = catalog, sessions, busy
        self._now: Mapping[str, Shadow] = {}
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._dropped: dict[str, int] = {}
        self._others: dict[tuple[str, int], CheckUp] = {}
        self.compared, self.dropped, self.failed = 0, 0, 0

    @property
    def count(self) -> int:
        """How many comparisons go on."""
        return len(self._now)

    def refresh(self) -> None:
        """Look which comparisons go on. Raises StorageError."""
        self._now = {shadow.model: shadow for shadow in self.shadows.running()}

    def offer(self, answer: Answer, question: Question) -> None:
        """Take a request that was answered, if its check-up is being compared; never waits and never fails.

        Parameters
        ----------
        answer
            As it was recorded.
        question
            What was asked.
        """
        shadow = self._now.get(answer.prediction.model)
        version = None if shadow is None else shadow.other(answer.prediction.version)
        if shadow is None or version is None or self._closed:
            return
        size = _measure(question)
        with self._wake:
            if len(self._waiting) >= MOST or self._bytes + size > MOST_BYTES:
                self._drop(shadow.id)
                return
            asked = replace(question, heatmap=False, preview=False, cancellation=None)
            self._waiting.append(_Waiting(shadow, version, answer.id, asked, size))
            self._bytes += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
                self._thread.start()
            self._wake.notify()

    def close(self) -> None:
        """Let go of what waits; the one that is being answered is finished."""
        with self._wake:
            self._closed, thread = True, self._thread
            self._waiting.clear()
            self._wake.notify()
        if thread is not None:
            thread.join(PATIENCE)

    def _drop(self, id: str) -> None:
        self.dropped += 1
        self._dropped[id] = self._dropped.get(id, 0) + 1

    def _work(self) -> None:
        lower_priority()
        decoders, parsers = DecoderPool(1), EcgParsers(1)
        answerer = Answerer(self._sessions, decoders, lambda: False, parsers)
        try:
            while (one := self._next()) is not None:
                try:
                    if not self._wait_for_calm():
                        with self._wake:
                            self._drop(one.shadow.id)
                    else:
                        self._answer(answerer, one)
                    self._count_dropped()
                except Exception:  # a comparison is never worth a server
                    log.exception("unexpected")
        finally:
            self._others.clear()
            decoders.close()
            parsers.close()

    def _next(self) -> _Waiting | None:
        """Wait for a request; None at the end, or once no comparison goes on: the next one begins anew."""
        with self._wake:
            while not self._waiting:
                if self._closed or not self._now:
                    self._thread = None
                    return None
                self._wake.wait(_AGAIN)
            one = self._waiting.popleft()
            self._bytes -= one.size
            return one

    def _wait_for_calm(self) -> bool:
        until = time.monotonic() + PATIENCE
        while self._busy() and not self._closed:
            if time.monotonic() > until:
                return False
            time.sleep(_STEP)
        return not self._closed

    def _answer(self, answerer: Answerer, one: _Waiting) -> None:
        shadow = self._now.get(one.shadow.model)
        if shadow is None or shadow.id != one.shadow.id:  # over meanwhile
            return
        try:
            answer = answerer.ask(self._catalog, self._find(shadow.model, one.version), one.question)
        except MedloupeError as e:
            self.failed += 1
            log.warning("shadow not answered", extra={"model": shadow.model, "version": one.version, "reason": str(e)})
            with contextlib.suppress(MedloupeError):
                self.shadows.lose(shadow.id, failed=1)
            return
        ms = round(sum(answer.prediction.timings.values())) or None
        try:
            kept = self.shadows.keep(shadow.id, one.prediction, one.version, answer.prediction.as_json(), ms)
        except MedloupeError as e:
            log.warning("shadow not kept", extra={"model": shadow.model, "version": one.version, "reason": str(e)})
            return
        self.compared += kept
        if not kept or shadow.compared + 1 >= shadow.wanted:
            with contextlib.suppress(MedloupeError):
                self.refresh()

    def _find(self, name: str, version: int) -> CheckUp:
        """Give a version, which is loaded once."""
        found = self._others.get((name, version))
        if found is None:
            found = self._others[name, version] = self._catalog.get(name, version)
        return found

    def _count_dropped(self) -> None:
        with self._wake:
            counts, self._dropped = self._dropped, {}
        for id, n in counts.items():
            with contextlib.suppress(MedloupeError):
                self.shadows.lose(id, dropped=n)


def _measure(question: Question) -> int:
    data = question.data
    return len(data) if isinstance(data, bytes | bytearray | memoryview) else sum(len(part) for part in data.values())
