"""Pools that score in this process, for tests that look at what is written and not at who does it."""

from __future__ import annotations

from collections.abc import Hashable

from medloupe.jobs.pool import Event, WorkerPool
from medloupe.scoring.worker import Shard, ShardScorer


class WorkHere(WorkerPool[Shard]):
    """Works in this process. file: a worker ends at any shard with it, unless it is to be skipped."""

    def __init__(self, scorer: ShardScorer, file: str = ""):
        super().__init__(1)
        self._work, self._file = scorer(), file
        self._events: list[Event] = []
        self._count = 0

    def _start(self) -> Hashable:
        self._count += 1
        self._events.append(Event(self._count, "ready"))
        return self._count

    def _send(self, worker: Hashable, task: Shard) -> None:
        deadly = any(item.file == self._file and item.file not in task.skip for item in task.items)
        self._events.append(Event(worker, "died") if deadly else Event(worker, "done", self._work(task)))

    def _wait(self) -> list[Event]:
        told, self._events = self._events, []
        return told

    def close(self) -> None: ...
