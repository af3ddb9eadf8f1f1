"""Forget a patient again and again, killed (signal 9) at each single step on the disk, and gone on with afterwards.

`python forget_drill.py TEMPLATE OUT EVERY`: homes that were made of a template are under OUT; prints how many kills.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENT = "ANNA-4711"


def die_at(step: int) -> None:
    """Die at that step: files written, renamed or deleted, folders deleted, transactions committed."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    left = [step]

    def count() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **told: Any) -> Any:
            count()
            return real(*given, **told)

        return call

    for owner, name in (
        (os, "unlink"),
        (os, "replace"),
        (os, "rename"),
        (shutil, "rmtree"),
        (Path, "unlink"),
        (os, "fsync"),
    ):
        setattr(owner, name, counted(getattr(owner, name)))
    event.listen(Engine, "commit", lambda _: count())


def run(home: Path, step: int | None) -> int:
    """Forget in a process of its own; its exit status."""
    child = os.fork()
    if child == 0:
        try:
            from medloupe.erasure.eraser import Eraser
            from medloupe.store.models import Store

            eraser = Eraser(Store(home))
            if step is None:
                eraser.resume()
            else:
                die_at(step)
                eraser.forget(PATIENT, by="drill")
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    return os.waitpid(child, 0)[1]


def main() -> None:
    template, out, every = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    import medloupe.erasure.eraser
    import medloupe.store.models  # noqa: F401

    kills = 0
    while True:
        home = out / f"home{kills}"
        shutil.copytree(template, home)
        status = run(home, kills * every)
        if status == 0:
            shutil.rmtree(home)
            break
        assert os.WIFSIGNALED(status), status
        assert run(home, None) == 0
        kills += 1
    print(kills)


if __name__ == "__main__":
    main()
