"""Decode untrusted images in other processes, so that a bad one costs its own request and not the server.

An image may crash, hang or fill a decoder.

    with DecoderPool(workers=2) as decoders:
        decoded = decoders.decode(data, 224)  # the pixels of imaging.decode.load(data, 224)

Headers are checked before anything is decoded (pillow.py, limits.py); the processes are for the faults of decoders that
no check knows of. Each is bounded in time from here, in memory and files by the operating system (worker.py); on
Windows in time alone.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from dataclasses import dataclass

import numpy as np

from medloupe.errors import ImageError, ImageTooLargeError, MedloupeError, UnreadableImageError
from medloupe.imaging.limits import MAX_FILE_BYTES
from medloupe.imaging.quality import Measures
from medloupe.imaging.sandbox.process import DecodeProcess, DecodeReply, Watch

MAX_SIDE = 8192
"""Largest side of pixels or of a preview that can be asked for."""

_START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image for a model.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (size, size, 3)
        RGB, exactly those of `imaging.decode.load`.
    width, height : int
        The file's own, upright.
    kind : str
        The format told from the bytes: "JPEG", "PNG", ..., "DICOM".
    milliseconds : float
        Spent decoding.
    measures : Measures
        How the picture was taken.
    """

    pixels: np.ndarray
    width: int
    height: int
    kind: str
    milliseconds: float
    measures: Measures


@dataclass(frozen=True, slots=True)
class Preview:
    """One image for a reader's eyes: `jpeg`, its bytes without metadata, of width × height pixels."""

    jpeg: bytes
    width: int
    height: int


class DecoderPool:
    """Processes that decode, started when first needed; for any number of threads.

    Parameters
    ----------
    workers : int
        How many processes.
    seconds : float
        After which a decoding is ended.
    memory : int
        Bytes that decoding may take beside what a process has at rest.

    Attributes
    ----------
    killed : int
        How many decodings were ended because they took too long.
    died : int
        How many processes ended by themselves, or were ended by others, while decoding.
    """

    def __init__(self, workers: int, *, seconds: float = 10, memory: int = 512 * 2**20):
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        self.seconds = seconds
        self.killed = 0
        """How many decodings were ended because they took too long."""
        self.died = 0
        """How many processes ended by themselves, or were ended by others, while decoding."""
        self._most = min(MAX_FILE_BYTES, memory // 2)  # the file itself is held there, and DICOM copies some of it
        self._processes = [DecodeProcess(seconds, memory) for _ in range(workers)]
        self._free = self._processes.copy()  # last in, first out: with little to do, one process is kept warm
        self._waiting: deque[queue.SimpleQueue[DecodeProcess]] = deque()  # first come, first served
        self._lock = threading.Lock()
        self._watch = Watch(seconds)
        self._closed = False

    def decode(self, data: bytes | memoryview, size: int) -> Decoded:
        """Decode for a model of input size `size`. Blocks until a process is free and has done it.

        Raises
        ------
        NotAnImageError, ImageTooLargeError
            As `imaging.decode.load`.
        UnreadableImageError
            Also where the image made its decoder fail or took too long.
        MedloupeError
            Where no process can be started.
        """
        return _make_decoded(self._ask(data, size=size))

    def preview(self, data: bytes | memoryview, side: int) -> Preview:
        """Make a preview for a web page: upright, in the grey levels that a model sees, the longer side at most `side`.

        Raises as `decode`.
        """
        return _make_preview(self._ask(data, side=side))

    def decode_and_preview(self, data: bytes | memoryview, size: int, side: int) -> tuple[Decoded, Preview]:
        """Decode once for both, unless a large JPEG is scaled more for the model than for the page.

        Raises as `decode`.
        """
        answer = self._ask(data, size=size, side=side)
        return _make_decoded(answer), _make_preview(answer)

    def close(self) -> None:
        """Accept no more, finish what was accepted, end the processes. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for process in [self._take(closing=True) for _ in self._processes]:
            process.end()
        self._watch.close()

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, data: bytes | memoryview, size: int | None = None, side: int | None = None) -> DecodeReply:
        for asked in (size, side):
            if asked is not None and not 1 <= asked <= MAX_SIDE:
                raise ValueError(f"a side of {asked} pixels; expected 1 to {MAX_SIDE}")
        if len(data) > self._most:
            raise ImageTooLargeError(
                f"The image is a file of over {self._most >> 20} MiB.", "Export one frame or a smaller image."
            )
        process = self._take()
        try:
            answer = self._exchange(process, data, size or 0, side or 0)
        except BaseException as e:  # half an answer may still be in the pipe
            process.end(at_once=True)
            if isinstance(e, ImageError):
                self._relaunch(process)
            raise
        else:
            if answer.leaving:
                self._relaunch(process)
        finally:
            self._give_back(process)
        if answer.error is not None:
            raise answer.error
        return answer

    def _exchange(self, process: DecodeProcess, data: bytes | memoryview, size: int, side: int) -> DecodeReply:
        if not process.is_up:
            self._start(process)
        self._watch.begin(process, self.seconds)
        try:
            answer = process.ask(data, size, side)
        except (OSError, EOFError):
            raise self._failure(process, overdue=self._watch.end(process)) from None
        except BaseException:
            self._watch.end(process)
            raise
        if self._watch.end(process):  # just as the answer was complete
            process.end(at_once=True)
            self._relaunch(process)
        return answer

    def _start(self, process: DecodeProcess) -> None:
        for last in (False, True):  # twice: one that was started in advance may have ended since
            self._watch.begin(process, max(_START_SECONDS, self.seconds))
            try:
                process.start()
            except (OSError, EOFError) as e:
                process.end(at_once=True)
                if last:
                    raise MedloupeError(
                        f"The process that decodes images cannot be started ({e}).",
                        "Look at the memory and the number of processes that are free on this machine.",
                    ) from e
            else:
                break
            finally:
                self._watch.end(process)

    def _relaunch(self, process: DecodeProcess) -> None:
        """Launch it so that it is up, or nearly, when the next image comes.

        Where that fails, the next image will say so.
        """
        with contextlib.suppress(OSError):
            process.launch()

    def _failure(self, process: DecodeProcess, overdue: bool) -> UnreadableImageError:
        """Say what to tell of an image whose decoding ended without an answer."""
        how = process.end(at_once=True)
        with self._lock:
            self.killed += overdue
            self.died += not overdue
        if overdue:
            return UnreadableImageError(
                f"The image could not be decoded within {self.seconds:g} seconds and was given up.",
                "Export it again, or scale it down.",
            )
        return UnreadableImageError(
            f"The image made its decoder fail ({how}): it is likely damaged.",
            "Export it again from where it came, as PNG if that can be chosen.",
        )

    def _take(self, closing: bool = False) -> DecodeProcess:
        with self._lock:
            if self._closed and not closing:
                raise RuntimeError("The decoder pool is closed.")
            if self._free:
                return self._free.pop()
            turn: queue.SimpleQueue[DecodeProcess] = queue.SimpleQueue()
            self._waiting.append(turn)
        try:
            return turn.get()
        except BaseException:  # Ctrl-C in the main thread: the turn goes to the next
            with self._lock:
                left = turn in self._waiting
                if left:
                    self._waiting.remove(turn)
            if not left:
                self._give_back(turn.get())
            raise

    def _give_back(self, process: DecodeProcess) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().put(process)
            else:
                self._free.append(process)


def _make_decoded(answer: DecodeReply) -> Decoded:
    return Decoded(answer.pixels, answer.width, answer.height, answer.kind, answer.milliseconds, answer.measures)


def _make_preview(answer: DecodeReply) -> Preview:
    return Preview(answer.jpeg, answer.jpeg_width, answer.jpeg_height)
