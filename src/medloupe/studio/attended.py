"""Run the worker of the queue beside the server, in a process that gives its job back when the server is gone."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from medloupe.store.jobrows import RUNNING, WAITING
from medloupe.store.queue import JobQueue

ENDING_SECONDS = 12.0
_AGAIN_SECONDS = 10.0  # between two starts of one that ends by itself
log = logging.getLogger("medloupe.studio")


class AttendedWorker:
    """The worker of a server, started when there is something to do.

    Parameters
    ----------
    queue
        Of the jobs.
    home
        The folder of the store.
    log_path
        Where it says what goes wrong.
    """

    def __init__(self, queue: JobQueue, home: Path, log_path: Path):
        self._queue, self._home, self._log = queue, home, log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._started = -_AGAIN_SECONDS

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def ensure(self, *, soon: bool = False) -> None:
        """Start it where a job waits, or was left by one that died, and none runs here; soon: or will be wanted."""
        if self.alive or sys.platform == "win32" or time.monotonic() - self._started < _AGAIN_SECONDS:
            return
        if not soon and not self._queue.list(WAITING, RUNNING, most=1):
            return
        self._started = time.monotonic()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "medloupe", "jobs", "work", "--attended", "--home", str(self._home)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
            )
        log.info("worker started")

    def end(self) -> None:
        """Ask it to end, and wait until it has given its job back."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        try:
            process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
