"""What workers do in tests of pools: classes that they import themselves."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.errors import ColumnError


@dataclass(frozen=True, slots=True)
class Worker:
    """Squares numbers; "env:NAME#…" gives a variable, "fail" raises.

    "die" ends the process, "die:N" until it has N times, in a file of `folder`.
    """

    folder: str = ""
    dead: bool = False

    def __call__(self) -> Callable[[Any], Any]:
        if self.dead:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.work

    def work(self, task: Any) -> Any:
        if isinstance(task, int):
            return task * task
        if task.startswith("env:"):
            return os.environ.get(task[4:].partition("#")[0])
        if task == "pid":
            return os.getpid()
        if task == "sleep":
            Path(self.folder, "asleep").write_text(str(os.getpid()))
            time.sleep(600)
        if task == "wrong":
            raise ColumnError("sexe", ["sex", "age"], "table.csv")
        if task == "fail":
            raise ZeroDivisionError("of the worker's own")
        times = int(task.partition(":")[2] or 1000)
        seen = Path(self.folder, "deaths")
        deaths = len(seen.read_text()) if seen.exists() else 0
        if deaths >= times:
            return f"lived after {deaths}"
        seen.write_text("x" * (deaths + 1))
        os.kill(os.getpid(), signal.SIGKILL)
        return None
