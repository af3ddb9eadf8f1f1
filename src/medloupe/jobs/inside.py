"""What a command does that a worker started: it tells how far it is, and ends when the worker is gone.

The worker names the job and gives a pipe for progress, in variables that are no settings of a person; its end of
standard input stays open as long as it lives.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time

JOB, PROGRESS = "_MEDLOUPE_JOB", "_MEDLOUPE_PROGRESS"
_LEAST_SECONDS = 0.25  # between two lines about one stage


def read_job() -> tuple[str, int] | None:
    """Read which job this process does, and in which attempt; None where no worker started it."""
    name, _, attempt = os.environ.get(JOB, "").partition(":")
    return (name, int(attempt)) if name and attempt.isdigit() else None


def end_with_worker() -> None:
    """End this process and all that it started as soon as the worker is gone. Does nothing where there is none."""
    if read_job() is not None:
        threading.Thread(target=_wait_for_end, name="worker-watch", daemon=True).start()


def _wait_for_end() -> None:
    try:
        while os.read(sys.__stdin__.fileno() if sys.__stdin__ else 0, 4096):
            pass
    except (OSError, ValueError):
        pass
    if hasattr(os, "killpg") and os.getpgid(0) == os.getpid():  # the worker made it the head of a group
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(os.EX_TEMPFAIL if hasattr(os, "EX_TEMPFAIL") else 75)


class PipeProgress:
    """Writes how far it is to the worker's pipe, a line of JSON a step, at most four a second for a stage."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self._told: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int, /) -> None:
        """Report that `done` of `total` steps of the stage are done."""
        now = time.monotonic()
        if done not in (0, total) and now - self._told.get(stage, -1.0) < _LEAST_SECONDS:
            return
        self._told[stage] = now
        line = json.dumps({"stage": stage, "done": done, "total": total}) + "\n"
        try:
            os.write(self._descriptor, line.encode())  # shorter than PIPE_BUF: whole or not at all
        except OSError:
            self._descriptor = -1  # nobody listens any more


def open_progress() -> PipeProgress | None:
    """Open the worker's pipe; None where no worker gave one."""
    told = os.environ.get(PROGRESS, "")
    return PipeProgress(int(told)) if told.isdigit() else None
