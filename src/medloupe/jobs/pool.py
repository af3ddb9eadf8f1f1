"""Give tasks to workers that live, whatever they run on: processes of this machine, or actors of a Ray cluster.

A worker is started once, opens what it needs (a network, say) and then does one task after the other. Where one dies,
a new one takes its place and its task is given out again, so tasks must do no harm when they are done twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from medloupe.errors import MedloupeError

ATTEMPTS = 3  # of one task, before it is taken to be what ends its workers
FALSE_STARTS = 5  # in a row, before the machine is taken to be what ends them

Task = TypeVar("Task")
Work = Callable[[Any], Any]
Start = Callable[[], Work]


@dataclass(frozen=True, slots=True)
class Lost:
    """In place of a result: every worker that was given the task died at it. deaths: how many."""

    deaths: int


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a worker.

    Attributes
    ----------
    worker : Hashable
        Which.
    kind : str
        "ready" for its first task, "done" with one, "failed" at one by an error of its own, or "died".
    value : Any
        Of "done" the result, of "failed" the error.
    """

    worker: Hashable
    kind: Literal["ready", "done", "failed", "died"]
    value: Any = None


class WorkerPool(ABC, Generic[Task]):
    """Workers and how tasks are given to them.

    Parameters
    ----------
    workers : int
        How many there are at a time.
    """

    def __init__(self, workers: int):
        self.workers = workers
        self.replaced = 0  # workers that died, and whose place another took
        self._living = 0
        self._idle: list[Hashable] = []  # kept from one run to the next

    @abstractmethod
    def _start(self) -> Hashable:
        """Start a worker, and tell what it goes by."""

    @abstractmethod
    def _send(self, worker: Hashable, task: Task) -> None:
        """Give a task to a worker that has none."""

    @abstractmethod
    def _wait(self) -> list[Event]:
        """Wait until something happened."""

    @abstractmethod
    def close(self) -> None:
        """End all workers."""

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        """Do tasks, and yield each with its result as it gets done, in no order.

        Tasks are taken as workers become free. A task at which ATTEMPTS workers died comes with `Lost`.

        Raises
        ------
        MedloupeError
            What a worker raised on purpose, or where workers end before they do anything.
        RuntimeError
            What it raised else, with its traceback as text.
        """
        waiting = iter(tasks)
        again: deque[tuple[Task, int]] = deque()
        busy: dict[Hashable, tuple[Task, int]] = {}
        idle = self._idle
        false_starts = 0
        while True:
            while idle:
                task, deaths = again.popleft() if again else (next(waiting, None), 0)
                if task is None:
                    break
                worker = idle.pop()
                busy[worker] = (task, deaths)
                self._send(worker, task)
            if not busy and not again and idle:
                return
            while self._living < self.workers:
                self._living += 1
                self._start()
            for event in self._wait():
                if event.kind == "failed":
                    raise event.value
                if event.kind == "died":
                    self._living -= 1
                    self.replaced += 1
                    if event.worker in idle:
                        idle.remove(event.worker)
                    elif event.worker in busy:
                        task, deaths = busy.pop(event.worker)
                        if deaths + 1 < ATTEMPTS:
                            again.append((task, deaths + 1))
                        else:
                            yield task, Lost(deaths + 1)
                    else:
                        false_starts += 1
                        if false_starts >= FALSE_STARTS:
                            raise MedloupeError(
                                f"{false_starts} workers in a row ended before they began.",
                                "There may be too little memory for as many: ask for fewer with --workers.",
                            )
                    continue
                false_starts = 0
                idle.append(event.worker)
                if event.kind == "done":
                    yield busy.pop(event.worker)[0], event.value

    def __enter__(self) -> WorkerPool[Task]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
