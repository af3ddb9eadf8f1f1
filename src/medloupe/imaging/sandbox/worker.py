r"""Decode images in one process: `python -m medloupe.imaging.sandbox.worker SECONDS MEMORY`.

Started by process.py and only by it. It reads requests from its standard input and answers on its standard output, one
after the other, until the input ends. It never opens what it was not given, holds no secret, and is bounded by the
operating system: address space, file size, files and a timer that ends it should its parent be gone. Frames are plain
structures, never pickles: the parent must be able to read the answer of a process that an image has taken over.

Request:  REQUEST (size, side, length), the image's bytes. size and side: 0 for no pixels, or no preview.
Answer:   ANSWER (status, leaving, kind, width, height, milliseconds, size, preview w, h, length, measures...), then
          size × size × 3 bytes of pixels, then `length` bytes: the preview as JPEG. Where status is an error's,
          there are no pixels and the text is message, "\0", hint. The measures of quality.py are NaN without pixels.
"""

from __future__ import annotations

import gc
import os
import signal
import struct
import sys
import time
from typing import BinaryIO

from medloupe.errors import ImageError, ImageTooLargeError, NotAnImageError, UnreadableImageError
from medloupe.imaging import decode
from medloupe.imaging.picture import Picture
from medloupe.imaging.quality import MEASURES, as_numbers

READY = b"medloupe.decodeworker 1\n"
"""Written once the process is up and bounded."""

REQUEST = struct.Struct("<IIQ")
ANSWER = struct.Struct(f"<B?6sIIfIIII{len(MEASURES)}d")

ERRORS: tuple[type[ImageError], ...] = (NotAnImageError, UnreadableImageError, ImageTooLargeError)
"""Status 1, 2 and 3."""

_UNMEASURED = (float("nan"),) * len(MEASURES)
_TRIM_BYTES = 32 * 2**20
_LEAVE_BYTES = 100 * 2**20
_MAX_FILES = 32
_ORPHAN_SECONDS = 5.0  # how long after its parent should have ended it that a process ends itself


def main() -> None:
    """Answer requests until the input ends."""
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    requests, answers = _streams()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the parent decides; it finishes what it accepted
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.dont_write_bytecode = True
    _bound(memory)
    resident = _Resident()
    _write(answers, [READY])
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        size, side, length = REQUEST.unpack(head)
        data = requests.read(length)
        if len(data) < length:
            break
        _alarm(seconds + _ORPHAN_SECONDS)
        parts = _answer(data, size, side)
        _alarm(0)
        del data
        leaving = resident.settle()
        _write(answers, [ANSWER.pack(parts[0], leaving, *parts[1]), *parts[2:]])
        del parts
        if leaving:
            break


def _answer(data: bytes, size: int, side: int) -> tuple:
    """Return (status, fields of ANSWER after `leaving`, payloads ...)."""
    start = time.perf_counter()
    try:
        pixels, jpeg, shown, measures = b"", b"", (0, 0), _UNMEASURED
        picture = decode.decode_picture(data, min_side=size or decode.preview_min_side(side))
        if size:
            pixels = picture.fit(size)
            measures = as_numbers(picture.measure())
        if side:
            if size and _is_too_small(picture, side):
                picture = decode.decode_picture(data, min_side=decode.preview_min_side(side))
            jpeg, *shown = picture.preview(side)
    except ImageError as e:
        status = next((k for k, error in enumerate(ERRORS, 1) if isinstance(e, error)), 2)
        text = f"{e.message}\0{e.hint}".encode(errors="replace")
        return status, (b"", 0, 0, _since(start), 0, 0, 0, len(text), *_UNMEASURED), text
    except MemoryError:
        text = b"The image needs more memory to decode than it may have.\0Scale the image down first."
        return 3, (b"", 0, 0, _since(start), 0, 0, 0, len(text), *_UNMEASURED), text
    kind = picture.kind.encode()
    return 0, (kind, picture.width, picture.height, _since(start), size, *shown, len(jpeg), *measures), pixels, jpeg


def _since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


def _is_too_small(picture: Picture, side: int) -> bool:
    """Tell whether a JPEG was scaled down for the model to less than a preview needs."""
    return max(picture.image.size) < min(0.75 * side, max(picture.width, picture.height))


def _streams() -> tuple[BinaryIO, int]:
    """Keep the pipes for frames alone: whatever a library prints goes nowhere."""
    requests = os.fdopen(os.dup(0), "rb", buffering=4096)
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nowhere, fd)
    os.close(nowhere)
    return requests, answers


def _write(fd: int, parts: list) -> None:
    """Write all of the buffers, in one call where the system has that."""
    views = [memoryview(part).cast("B") for part in parts if len(part)]
    while views:
        count = os.writev(fd, views) if hasattr(os, "writev") else os.write(fd, views[0])
        while views and count >= len(views[0]):
            count -= len(views.pop(0))
        if count:
            views[0] = views[0][count:]


def _bound(memory: int) -> None:
    """Set what the operating system itself refuses from here on. Windows has no such limits."""
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


def _alarm(seconds: float) -> None:
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


class _Resident:
    """Keeper of a small resident set after large pictures, or teller that it cannot."""

    def __init__(self) -> None:
        self.page = os.sysconf("SC_PAGESIZE") if hasattr(os, "sysconf") else 0
        self.start = self.settled = self.now()

    def now(self) -> int:
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


if __name__ == "__main__":
    main()
