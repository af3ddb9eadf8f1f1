"""Map a function over batches of many items in threads, without a queue of results building up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from medloupe.settings import threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_batches(
    items: Iterable[Item], size: int, start: Callable[[], Callable[[list[Item]], Result]]
) -> Iterator[Result]:
    """Yield what the work gives for every `size` items, in the order of getting done.

    What a thread raises is raised here; leaving the loop early stops the threads.

    Parameters
    ----------
    items : iterable
        Taken as the threads need them, `settings.threads()` of which there are.
    size : int
        Items of one batch; the last may have fewer.
    start : callable
        Called once in each thread, gives the work of that thread, which may keep buffers of its own.
    """
    todo = _Shared(iter(items))
    done: queue.Queue[tuple[Result] | BaseException | None] = queue.Queue(maxsize=2 * threads())
    stop = threading.Event()

    def run() -> None:
        try:
            work = start()
            while not stop.is_set() and (taken := todo.take(size)):
                done.put((work(taken),))
        except BaseException as e:  # handed to the caller's thread, which raises it
            done.put(e)
        done.put(None)

    workers = [threading.Thread(target=run, daemon=True) for _ in range(threads())]
    for worker in workers:
        worker.start()
    finished = 0
    try:
        while finished < len(workers):
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            if result is None:
                finished += 1
            else:
                yield result[0]
    finally:
        stop.set()
        while any(w.is_alive() for w in workers):  # a worker may stand at a full queue
            try:
                done.get(timeout=0.05)
            except queue.Empty:
                continue


class _Shared:
    """An iterator that several threads take from."""

    def __init__(self, items: Iterator):
        self._items, self._lock = items, threading.Lock()

    def take(self, n: int) -> list:
        with self._lock:
            return [item for _, item in zip(range(n), self._items, strict=False)]
