"""Start a decoding process (worker.py), ask it, and watch over its time: the parent's end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO

import numpy as np

from medloupe.errors import ImageError
from medloupe.imaging.facts import Fact, unpack_facts
from medloupe.imaging.photo import NEVER, Photo, PhotoRequest
from medloupe.imaging.picture import full_side
from medloupe.imaging.quality import MEASURES, Measures
from medloupe.imaging.sandbox.bounds import READY
from medloupe.imaging.sandbox.photos import NO_PHOTO, pack_request, unpack_photo
from medloupe.imaging.sandbox.worker import ANSWER, ERRORS, NOT_IN_FULL, REQUEST

_MAX_BODY_BYTES = 2**28
_MAX_FACTS_BYTES = 2**16
_END_SECONDS = 2.0
_PIPE_BYTES = 2**20  # a usual photo passes in one piece; with Linux's 64 KiB the processes would take turns
# No secret of the server's goes along. Temporary folders are for Windows, which needs them to start Python.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP")
_SETTINGS = {
    "OPENBLAS_NUM_THREADS": "1",  # its threads would take address space, and no linear algebra is done here
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
    # What one picture took serves the next, as fresh pages are dear; worker.py gives back what is much.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
}


@dataclass(frozen=True, slots=True)
class DecodeReply:
    """What a process says of one image.

    Attributes
    ----------
    leaving : bool
        The process ends.
    error : ImageError or None
        Why there is nothing else.
    kind : str
        The format told from the bytes.
    width, height : int
        The file's own.
    milliseconds : float
        Spent decoding.
    pixels : ndarray of uint8, shape (size, size, 3)
        RGB; of size 0 where none were asked for.
    jpeg : bytes
        The preview, b"" where none was asked for.
    jpeg_width, jpeg_height : int
        Its pixels.
    measures : Measures
        How the picture was taken; NaN where no pixels were asked for.
    facts : tuple of Fact
        What had to be decided about it.
    photo : Photo or None
        Where it lay in a photograph.
    full : ndarray of uint8, shape (F, F, 3), or None
        The picture fitted to its `full_side`, where it was wanted.
    """

    leaving: bool
    error: ImageError | None
    kind: str
    width: int
    height: int
    milliseconds: float
    pixels: np.ndarray
    jpeg: bytes
    jpeg_width: int
    jpeg_height: int
    measures: Measures
    facts: tuple[Fact, ...] = ()
    photo: Photo | None = None
    full: np.ndarray | None = None


class WorkerProcess:
    """A process with its pipes, started anew where it has ended.

    Used by one thread at a time, but for `kill`.

    Parameters
    ----------
    module : str
        What it runs; it writes READY once it is up and bounded.
    seconds : float
        After which it ends itself should its parent be gone.
    memory : int
        Bytes it may take beside what it has at rest.
    """

    def __init__(self, module: str, seconds: float, memory: int):
        self._command = [sys.executable, "-P", "-m", module, repr(float(seconds)), str(int(memory))]
        self._process: subprocess.Popen[bytes] | None = None
        self._up = False

    @property
    def pid(self) -> int | None:
        """Its process id; None where there is no process now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def is_up(self) -> bool:
        """Whether it can be asked at once."""
        return self._up and self.pid is not None

    def launch(self) -> None:
        """Start without waiting until it is up. Raises OSError."""
        self.end(at_once=True)
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ} | _SETTINGS,
            start_new_session=True,  # Ctrl-C in the terminal is for the server alone
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        for pipe in self._pipes():
            _widen(pipe)

    def start(self) -> None:
        """Start unless started, and wait until it is up. Raises OSError, or EOFError where it ended instead."""
        if self.pid is None:
            self.launch()
        greeting = bytearray(len(READY))
        _read(self._pipes()[1], greeting)
        if greeting != READY:
            raise EOFError("it answered what it should not")
        self._up = True

    def send(self, head: bytes, data: bytes | memoryview) -> None:
        """Write a request. Raises OSError, or EOFError where it has ended."""
        _write(self._pipes()[0], head, data)

    def receive(self, into: bytearray | memoryview) -> None:
        """Read as many bytes of its answer. Raises OSError, or EOFError where it ended before."""
        _read(self._pipes()[1], into)

    def kill(self) -> None:
        """Kill it, from any thread: whoever waits for an answer gets an EOFError."""
        process = self._process
        if process is not None:
            process.kill()

    def end(self, at_once: bool = False) -> str:
        """End it, by the end of its input or at once; return how it ended, in words."""
        process, self._process, self._up = self._process, None, False
        if process is None:
            return "not started"
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            process.wait(0.1 if at_once else _END_SECONDS)  # one that is dying already shall tell of what
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "it had to be ended"  # by us: nobody else is to be blamed
        code = process.returncode
        return signal.Signals(-code).name if -code in set(signal.Signals) else f"exit status {code}"

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise EOFError("it has ended")
        return process.stdin, process.stdout


class DecodeProcess(WorkerProcess):
    """A process that decodes images."""

    def __init__(self, seconds: float, memory: int):
        super().__init__("medloupe.imaging.sandbox.worker", seconds, memory)
        self._head = bytearray(ANSWER.size)

    def ask(
        self, data: bytes | memoryview, size: int, side: int, photo: PhotoRequest = NEVER, above: int = NOT_IN_FULL
    ) -> DecodeReply:
        """Ask for one image.

        Parameters
        ----------
        data : bytes
            The file.
        size, side : int
            0 where no pixels, or no preview, are wanted.
        photo : PhotoRequest
            Whether it may be a photograph of a picture.
        above : int
            Pixels of the longer side above which the picture is wanted in full, too.

        Raises
        ------
        OSError, EOFError
            Where the process ended, or answered what no sound process would.
        """
        self.send(REQUEST.pack(size, side, above, len(data), *pack_request(photo)), data)
        self.receive(self._head)
        told = ANSWER.unpack(self._head)
        status, leaving, kind, width, height, milliseconds, got, whole, w, h, length, more = told[:12]
        seen, numbers = told[12 : 12 + len(NO_PHOTO)], told[12 + len(NO_PHOTO) :]
        sound = status <= len(ERRORS) and length <= _MAX_BODY_BYTES and more <= _MAX_FACTS_BYTES
        sound = sound and got == (0 if status else size)
        wanted = not status and size and max(width, height) > above
        sound = sound and whole == (full_side(width, height) if wanted else 0)
        if not sound:
            raise EOFError("it answered what it should not")
        pixels = np.empty((got, got, 3), np.uint8)
        body, facts = bytearray(length), bytearray(more)
        if got:
            self.receive(pixels.reshape(-1).data)
        full = np.empty((whole, whole, 3), np.uint8) if whole else None
        if full is not None:
            self.receive(full.reshape(-1).data)
        self.receive(body)
        self.receive(facts)
        error = None
        if status:
            message, _, hint = body.decode(errors="replace").partition("\0")
            error, body = ERRORS[status - 1](message, hint), b""
        name = kind.rstrip(b"\0").decode("ascii", "replace")
        measures = Measures(**dict(zip(MEASURES, numbers, strict=True)))
        try:
            found = unpack_photo(seen)
        except ValueError as e:
            raise EOFError(str(e)) from None
        known = unpack_facts(bytes(facts))
        shown = (bytes(body), w, h)
        return DecodeReply(
            leaving, error, name, width, height, milliseconds, pixels, *shown, measures, known, found, full
        )


class Watch:
    """Killer of the processes that are not done in time, in one thread that sleeps until the earliest could be due.

    The thread is not woken for each request: one that begins while it sleeps cannot be due before the sleep, of
    `seconds` at most, is over.

    Parameters
    ----------
    seconds : float
        The usual time allowed.
    """

    def __init__(self, seconds: float):
        self._seconds = seconds
        self._deadlines: dict[WorkerProcess, float] = {}
        self._killed: set[WorkerProcess] = set()
        self._change = threading.Condition()
        self._idle = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def begin(self, process: WorkerProcess, seconds: float) -> None:
        """Kill it in so many seconds, not fewer than the usual ones, unless `end` comes first."""
        with self._change:
            self._deadlines[process] = time.monotonic() + seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="medloupe-decoder-watch", daemon=True)
                self._thread.start()
            elif self._idle:
                self._change.notify()

    def end(self, process: WorkerProcess) -> bool:
        """Tell whether it has been killed since `begin`, and watch no longer."""
        with self._change:
            self._deadlines.pop(process, None)
            killed = process in self._killed
            self._killed.discard(process)
        return killed

    def close(self) -> None:
        """End the thread."""
        with self._change:
            self._closed = True
            self._change.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with self._change:
            while not self._closed:
                now = time.monotonic()
                for process in [p for p, deadline in self._deadlines.items() if deadline <= now]:
                    del self._deadlines[process]
                    self._killed.add(process)
                    process.kill()
                self._idle = not self._deadlines
                due = min(self._deadlines.values(), default=now)
                self._change.wait(None if self._idle else min(due - now, self._seconds))


def _write(pipe: IO[bytes], head: bytes, data: bytes | memoryview) -> None:
    fd = pipe.fileno()
    # Where the system can, in one call, so that the reader is woken once.
    sent = (os.writev(fd, [head, data]) if hasattr(os, "writev") else os.write(fd, head)) - len(head)
    view = memoryview(data)
    while sent < len(view):
        sent += os.write(fd, view[sent:])


def _read(pipe: IO[bytes], into: bytearray | memoryview) -> None:
    view = memoryview(into)
    at = 0
    while at < len(view):
        count = pipe.readinto(view[at:])  # type: ignore[attr-defined]  # of io.RawIOBase, as bufsize is 0
        if not count:
            raise EOFError("it has ended")
        at += count


def _widen(pipe: IO[bytes]) -> None:
    """Let the pipe hold a whole photo, where the system can."""
    try:
        import fcntl

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # Linux
    except (ImportError, AttributeError, OSError):  # or over the user's allowance of pipe pages
        return
