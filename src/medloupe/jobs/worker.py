"""Do the tasks of a pool in one process: `python -m medloupe.jobs.worker DESCRIPTOR`.

Started by local_pool.py and only by it. The connection brings what gives the work, then task after task; standard input
stays open for as long as whoever started it lives, and this process ends with it, be it in the middle of a task.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from typing import Any

from medloupe.errors import MedloupeError


def main() -> None:
    """Do tasks until the connection ends."""
    threading.Thread(target=_end_with_starter, name="starter-watch", daemon=True).start()
    connection = Connection(int(sys.argv[1]))
    try:
        start = connection.recv()
        outcome = attempt(start)
        connection.send(("ready", None) if outcome[0] == "done" else outcome)
        work = outcome[1]
        while True:
            connection.send(attempt(work, connection.recv()))
    except (EOFError, ConnectionError):
        return


def attempt(work: Any, *task: Any) -> tuple[str, Any]:
    """Do a task: ("done", its result) or ("failed", an error that can be sent), whatever class it had."""
    try:
        return "done", work(*task)
    except MedloupeError as e:
        return "failed", MedloupeError(e.message, e.hint)
    except Exception:  # the other side raises it
        return "failed", RuntimeError(f"A worker failed:\n{traceback.format_exc()}")


def _end_with_starter() -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    os._exit(75)


if __name__ == "__main__":
    main()
