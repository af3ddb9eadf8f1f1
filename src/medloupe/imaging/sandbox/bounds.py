"""Bound the process in which this runs: memory, files, time; pipes for frames alone. The worker's end."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import BinaryIO

READY = b"medloupe.decodeworker 1\n"
"""What a worker writes once it is up and bounded."""

ORPHAN_SECONDS = 5.0
"""How long after its parent should have ended it that a worker ends itself."""

_TRIM_BYTES = 32 * 2**20
_LEAVE_BYTES = 100 * 2**20
_MAX_FILES = 32


def open_streams() -> tuple[BinaryIO, int]:
    """Keep the pipes for frames alone: whatever a library prints goes nowhere."""
    requests = os.fdopen(os.dup(0), "rb", buffering=4096)
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
    return requests, answers


def write_all(fd: int, parts: list) -> None:
    """Write all of the buffers, in one call where the system has that."""
    views = [memoryview(part).cast("B") for part in parts if len(part)]
    while views:
        count = os.writev(fd, views) if hasattr(os, "writev") else os.write(fd, views[0])
        while views and count >= len(views[0]):
            count -= len(views.pop(0))
        if count:
            views[0] = views[0][count:]


def set_limits(memory: int) -> None:
    """Set what the operating system itself refuses from here on; signals to stop are for the parent.

    Windows has no such limits. memory: bytes beside what the process has now.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the parent decides; it finishes what it accepted
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.dont_write_bytecode = True
    try:
        import resource
    except ImportError:
        return
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_NOFILE, _MAX_FILES)
    pages = _statm()
    if pages is not None:
        _lower(resource.RLIMIT_AS, pages[0] * resource.getpagesize() + memory)


def _lower(what: int, most: int) -> None:
    import resource

    hard = resource.getrlimit(what)[1]
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def set_alarm(seconds: float) -> None:
    """End this process, whatever it hangs in, unless reset in time: its parent may have been killed meanwhile."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _statm() -> tuple[int, int] | None:
    """Return (address space, resident set) in pages; None where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
            total, resident, *_ = file.read().split()
    except OSError:
        return None
    return int(total), int(resident)


class Resident:
    """Keeper of a small resident set after large pictures, or teller that it cannot."""

    def __init__(self) -> None:
        self.page = os.sysconf("SC_PAGESIZE") if hasattr(os, "sysconf") else 0
        self.start = self.settled = self.now()

    def now(self) -> int:
        """Return the resident set now, in bytes; 0 where the system does not say."""
        pages = _statm() if self.page else None
        return pages[1] * self.page if pages else 0

    def settle(self) -> bool:
        """Give memory back where much was taken; tell whether this process had better be replaced."""
        if self.now() <= self.settled + _TRIM_BYTES:
            return False
        gc.collect()
        _trim()
        self.settled = self.now()
        return self.settled > self.start + _LEAVE_BYTES


def _trim() -> None:
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)
