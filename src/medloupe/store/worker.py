"""Take jobs from the queue, one after another, and run each as a command in a process of its own.

A job that fails by itself has failed; one whose process was killed (memory, a person, the machine) is tried again. A
worker that is told to end gives its job back. A worker that dies takes its process with it, and another one takes the
job when it has not been heard of for a while; trainings go on from what was computed before.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from medloupe.errors import StorageError
from medloupe.jobs.local import LocalProcess
from medloupe.store.jobrows import Lease, LeaseLostError
from medloupe.store.queue import JobQueue

BEATS_A_LEASE = 6
_ENDING = "ending"
TELL_SECONDS = 0.9  # between two notes of how far a job is
IDLE_SECONDS = 1.0  # between two looks at an empty queue
MOST_RESULT = 200_000  # letters of what a command printed that are kept
DETAIL_LINES = 12  # of what a failed command said


def build_command(lease: Lease) -> list[str]:
    """Build the command line that does a job."""
    return [sys.executable, "-m", "medloupe", lease.job.kind, *lease.job.arguments, "--json"]


class Worker:
    """One at a time.

    Parameters
    ----------
    queue : JobQueue
        Where jobs come from.
    home : Path
        The folder of the store, for the commands.
    memory : int, optional
        Bytes of address space a job may have, where that can be bounded.
    seconds : float, optional
        How long a job may run.
    command : callable
        What is run for a job.
    """

    def __init__(
        self,
        queue: JobQueue,
        home: Path,
        *,
        memory: int | None = None,
        seconds: float | None = None,
        command: Callable[[Lease], Sequence[str]] = build_command,
    ):
        self._queue, self._home, self._memory, self._seconds, self._command = queue, home, memory, seconds, command
        self._ending = threading.Event()
        self.name = f"{socket.gethostname()}:{os.getpid()}"

    def end(self) -> None:
        """Ask it to end: the job that it has is given back."""
        self._ending.set()

    def run(self) -> None:
        """Work until asked to end. A database that cannot be reached for a while is waited for."""
        while not self._ending.is_set():
            try:
                worked = self.run_one()
            except StorageError:
                worked = False
            if not worked:
                self._ending.wait(IDLE_SECONDS)

    def run_one(self) -> bool:
        """Do the job that waits for the longest.

        Returns
        -------
        bool
            Whether there was one.

        Raises
        ------
        StorageError
            The database cannot be used; a job that was had comes back by itself.
        """
        lease = self._queue.take(self.name)
        if lease is None:
            return False
        with contextlib.suppress(LeaseLostError):
            self._do(lease)
        return True

    def _do(self, lease: Lease) -> None:
        try:
            process = LocalProcess(
                self._command(lease),
                lease.token,
                folder=lease.job.folder,
                environment={"MEDLOUPE_HOME": str(self._home)},
                memory=self._memory,
            )
        except OSError as e:
            self._queue.fail(lease, f"It cannot be started in {lease.job.folder or 'this folder'}: {e.strerror or e}.")
            return
        with process:
            status, why = self._attend(process, lease)
            if why is _ENDING:
                self._queue.give_back(lease)
            elif why:
                self._queue.fail(lease, why)
            elif status == 0:
                self._queue.finish(lease, _read_result(process.read_output()))
            else:
                killed = status < 0
                said = _shorten(process.read_errors())
                what = f"Its process was ended by {signal.Signals(-status).name}." if killed else ""
                self._queue.fail(lease, "\n".join(part for part in (what, said) if part), again=killed)

    def _attend(self, process: LocalProcess, lease: Lease) -> tuple[int, str]:
        """Wait for its end, passing on how far it is. Its exit status, and why it was ended here, or ""."""
        beat = self._queue.lease / BEATS_A_LEASE
        began = heard = time.monotonic()
        told = None
        while True:
            status = process.wait(min(beat, 1.0))
            if status is not None:
                return status, ""
            new = process.read_progress()
            told = new or told
            if self._ending.is_set():
                return process.end(), _ENDING
            if self._seconds is not None and time.monotonic() - began > self._seconds:
                return process.end(), f"It ran for longer than {self._seconds / 3600:g} hours, which is the limit here."
            if time.monotonic() - heard < (min(beat, TELL_SECONDS) if new else beat):
                continue
            try:
                if self._queue.beat(lease, told):
                    return process.end(), "It was stopped."
                heard = time.monotonic()
            except LeaseLostError:
                process.kill()
                raise
            except StorageError:  # not for longer than the job is one's own
                if time.monotonic() - heard > self._queue.lease - beat:
                    process.kill()
                    raise


def _read_result(output: str) -> dict[str, Any]:
    """Read the last line of JSON that a command printed; {} where there is none, or it is too long to be kept."""
    for line in reversed(output.splitlines()):
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict):
                return told if len(line) <= MOST_RESULT else {}
    return {}


def _shorten(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return "\n".join(lines[-DETAIL_LINES:])


def work_until_signalled(worker: Worker) -> None:
    """Let a worker work until this process is told to end (SIGTERM, Ctrl-C)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.end())
    worker.run()


def end_with_input(worker: Worker) -> None:
    """Ask a worker to end when standard input does: whoever started it is gone then, however that came."""

    def wait() -> None:
        with contextlib.suppress(OSError, ValueError):
            while os.read(0, 4096):
                pass
        worker.end()

    threading.Thread(target=wait, name="attended", daemon=True).start()
