"""Workers as processes of this machine, one core each."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Hashable
from multiprocessing.connection import Connection, wait
from typing import Any

from medloupe.jobs import worker as worker_module
from medloupe.jobs.pool import Event, Start, WorkerPool

ONE_CORE = {
    "MEDLOUPE_THREADS": "1",
    "MEDLOUPE_ENGINE": "local",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""What a worker of one core is told; results may depend on how many threads add up, so that all have the same."""


class LocalPool(WorkerPool[Any]):
    """A pool of processes; they end with this one, however it ends.

    Parameters
    ----------
    start, workers
        As open_pool has them.
    """

    def __init__(self, start: Start, workers: int):
        super().__init__(workers)
        self._start_work = start
        self._processes: dict[Hashable, subprocess.Popen[bytes]] = {}
        self._connections: dict[Hashable, Connection] = {}
        self._started: set[Hashable] = set()

    @property
    def pids(self) -> list[int]:
        """The processes that live."""
        return [p.pid for p in self._processes.values()]

    def _start(self) -> Hashable:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", worker_module.__name__, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                env={**os.environ, **ONE_CORE},
            )
        connection = Connection(ours.detach())
        self._processes[process.pid], self._connections[process.pid] = process, connection
        with contextlib.suppress(ConnectionError):  # its end is an event of its own
            connection.send(self._start_work)
        return process.pid

    def _send(self, worker: Hashable, task: Any) -> None:
        with contextlib.suppress(ConnectionError):
            self._connections[worker].send(task)

    def _wait(self) -> list[Event]:
        by_connection = {connection: worker for worker, connection in self._connections.items()}
        events: list[Event] = []
        for each in wait(list(by_connection)):
            worker = by_connection[each]  # pyright: ignore[reportArgumentType] (only connections were given)
            try:
                kind, value = self._connections[worker].recv()
                events.append(Event(worker, kind, value))
            except (EOFError, ConnectionError):
                self._end(worker)
                events.append(Event(worker, "died"))
        return events

    def _end(self, worker: Hashable) -> None:
        process = self._processes.pop(worker)
        self._connections.pop(worker).close()
        process.kill()
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def close(self) -> None:
        """End all workers at once."""
        for worker in list(self._processes):
            self._end(worker)
        self._idle.clear()
        self._living = 0
