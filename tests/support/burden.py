"""What a server costs while it is asked: memory and processor of its whole tree of processes, as Linux counts them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

_EVERY = 0.01  # seconds


@dataclass(slots=True)
class Burden:
    """mib: the most memory of the tree's own above that before. seconds: of processors, of all processes together."""

    mib: float = 0
    seconds: float = 0


@contextmanager
def burden(pid: int) -> Iterator[Burden]:
    """Measures while the block runs; the figures are there after it."""
    found = Burden()
    before, began = memory(pid), _seconds(pid)
    most, stop = [before], threading.Event()

    def sample() -> None:
        while not stop.wait(_EVERY):
            most.append(memory(pid))
            del most[: most.index(max(most))]

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield found
    finally:
        stop.set()
        sampler.join()
        found.mib = max(most) - before
        found.seconds = _seconds(pid) - began


def memory(pid: int) -> float:
    """MiB of a process and its children, without the pages of files, which all of them share.

    A child that has not become another program yet is left out: for these milliseconds its pages are its parent's.
    """
    programs: dict[int, bytes] = {}
    total = 0
    for process, parent in _tree(pid):
        programs[process] = _program(process)
        if programs[process] != programs.get(parent):
            total += _anonymous(process)
    return total / 2**20


def settled(pid: int) -> float:
    """`memory`, when decoders that were exchanged have started."""
    last = memory(pid)
    for _ in range(50):
        time.sleep(0.1)
        now = memory(pid)
        if abs(now - last) < 1:
            return now
        last = now
    return last


def _tree(pid: int) -> list[tuple[int, int]]:
    """Processes, each with its parent, which comes before it; the first has none, 0."""
    found = [(pid, 0)]
    for process, _ in found:
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [(int(child), process) for child in task.read_text().split()]
    return found


def _program(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _anonymous(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0  # it has just ended


def _seconds(pid: int) -> float:
    """Of processors, with those of children that have ended."""
    total = 0.0
    for process, _ in _tree(pid):
        with contextlib.suppress(psutil.Error):
            total += sum(psutil.Process(process).cpu_times()[:4])
    return total
