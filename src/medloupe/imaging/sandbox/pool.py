"""Decode untrusted images in other processes, so that a bad one costs its own request and not the server.

An image may crash, hang or fill a decoder.

    with DecoderPool(workers=2) as decoders:
        decoded = decoders.decode(data, 224)  # the pixels of imaging.decode.load(data, 224)

Headers are checked before anything is decoded (pillow.py, limits.py); the processes are for the faults of decoders that
no check knows of. Each is bounded in time from here, in memory and files by the operating system (worker.py); on
Windows in time alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.errors import ImageTooLargeError, UnreadableImageError
from medloupe.imaging.facts import Fact
from medloupe.imaging.limits import MAX_FILE_BYTES
from medloupe.imaging.photo import NEVER, Photo, PhotoRequest
from medloupe.imaging.quality import Measures
from medloupe.imaging.sandbox.process import DecodeProcess, DecodeReply
from medloupe.imaging.sandbox.processpool import PoolWords, ProcessPool
from medloupe.imaging.sandbox.worker import NOT_IN_FULL
from medloupe.utils.spans import span

MAX_SIDE = 8192
"""Largest side of pixels or of a preview that can be asked for."""

_WORDS = PoolWords(
    error=UnreadableImageError,
    what="The image",
    work="decoded",
    process="The process that decodes images",
    part="its decoder",
    late="Export it again, or scale it down.",
    failed="Export it again from where it came, as PNG if that can be chosen.",
)


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
    facts : tuple of Fact
        What had to be decided about it.
    photo : Photo or None
        Where it lay in a photograph; None where it is none.
    full : ndarray of uint8, shape (F, F, 3), or None
        The picture fitted to F, its `imaging.picture.full_side`, where it was wanted.
    """

    pixels: np.ndarray
    width: int
    height: int
    kind: str
    milliseconds: float
    measures: Measures
    facts: tuple[Fact, ...] = ()
    photo: Photo | None = None
    full: np.ndarray | None = None

    @property
    def given_size(self) -> tuple[int, int]:
        """Width and height of the picture as given, of which this may be a part."""
        return (self.width, self.height) if self.photo is None else (self.photo.width, self.photo.height)


@dataclass(frozen=True, slots=True)
class Preview:
    """One image for a reader's eyes: `jpeg`, its bytes without metadata, of width × height pixels."""

    jpeg: bytes
    width: int
    height: int


class DecoderPool(ProcessPool[DecodeProcess]):
    """Processes that decode, started when first needed; for any number of threads.

    Parameters
    ----------
    workers : int
        How many processes.
    seconds : float
        After which a decoding is ended.
    memory : int
        Bytes that decoding may take beside what a process has at rest.
    """

    def __init__(self, workers: int, *, seconds: float = 10, memory: int = 512 * 2**20):
        super().__init__(lambda: DecodeProcess(seconds, memory), workers, seconds=seconds, words=_WORDS)
        self._most = min(MAX_FILE_BYTES, memory // 2)  # the file itself is held there, and DICOM copies some of it

    def decode(
        self, data: bytes | memoryview, size: int, photo: PhotoRequest = NEVER, above: int | None = None
    ) -> Decoded:
        """Decode for a model of input size `size`. Blocks until a process is free and has done it.

        Parameters
        ----------
        data : bytes
            The file.
        size : int
            Pixels a side.
        above : int, optional
            Pixels of the longer side above which the picture is wanted in full, too; 0 for always.
        photo : PhotoRequest
            Whether it may be a photograph of a picture, which is then cut out.

        Raises
        ------
        NotAnImageError, ImageTooLargeError
            As `imaging.decode.load`.
        UnreadableImageError
            Also where the image made its decoder fail or took too long.
        CornersError
            Where given corners cannot be those of a picture.
        DecoderLostError
            Where no process can be started, or it was ended from outside twice.
        """
        return _make_decoded(self._ask(data, photo, size=size, above=above))

    def preview(self, data: bytes | memoryview, side: int, photo: PhotoRequest = NEVER) -> Preview:
        """Make a preview for a web page: upright, in the grey levels that a model sees, the longer side at most `side`.

        Raises as `decode`.
        """
        return _make_preview(self._ask(data, photo, side=side))

    def decode_and_preview(
        self,
        data: bytes | memoryview,
        size: int,
        side: int,
        photo: PhotoRequest = NEVER,
        above: int | None = None,
    ) -> tuple[Decoded, Preview]:
        """Decode once for both, unless a large JPEG is scaled more for the model than for the page.

        Raises as `decode`.
        """
        answer = self._ask(data, photo, size=size, side=side, above=above)
        return _make_decoded(answer), _make_preview(answer)

    def _ask(
        self,
        data: bytes | memoryview,
        photo: PhotoRequest,
        size: int | None = None,
        side: int | None = None,
        above: int | None = None,
    ) -> DecodeReply:
        for asked in (size, side):
            if asked is not None and not 1 <= asked <= MAX_SIDE:
                raise ValueError(f"a side of {asked} pixels; expected 1 to {MAX_SIDE}")
        if len(data) > self._most:
            raise ImageTooLargeError(
                f"The image is a file of over {self._most >> 20} MiB.", "Export one frame or a smaller image."
            )
        wanted = NOT_IN_FULL if above is None else above
        with span("decode", bytes=len(data)):
            answer = self.exchange(lambda process: process.ask(data, size or 0, side or 0, photo, wanted))
        if answer.error is not None:
            raise answer.error
        return answer


def _make_decoded(answer: DecodeReply) -> Decoded:
    return Decoded(
        answer.pixels,
        answer.width,
        answer.height,
        answer.kind,
        answer.milliseconds,
        answer.measures,
        answer.facts,
        answer.photo,
        answer.full,
    )


def _make_preview(answer: DecodeReply) -> Preview:
    return Preview(answer.jpeg, answer.jpeg_width, answer.jpeg_height)
