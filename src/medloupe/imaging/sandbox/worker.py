r"""Decode images in one process: `python -m medloupe.imaging.sandbox.worker SECONDS MEMORY`.

Started by process.py and only by it. It reads requests from its standard input and answers on its standard output, one
after the other, until the input ends. It never opens what it was not given, holds no secret, and is bounded by the
operating system: address space, file size, files and a timer that ends it should its parent be gone. Frames are plain
structures, never pickles: the parent must be able to read the answer of a process that an image has taken over.

Request:  REQUEST (size, side, above, length, photo...), the image's bytes. size and side: 0 for no pixels, or no
          preview; above: pixels of the longer side above which the picture is wanted in full, too.
Answer:   ANSWER (status, leaving, kind, width, height, milliseconds, size, full, preview w, h, length, facts, photo...,
          measures...), then size × size × 3 bytes of pixels, full × full × 3 of the picture in full, `length` bytes:
          the preview as JPEG, and `facts` bytes of facts.py. `photo` of both is told in photos.py. Where status is an
          error's, there are no pixels, and the text is message, "\0", hint. The measures of quality.py are NaN without
          pixels.
"""

from __future__ import annotations

import struct
import sys
import time

from medloupe.errors import CornersError, ImageError, ImageTooLargeError, NotAnImageError, UnreadableImageError
from medloupe.imaging import decode
from medloupe.imaging.facts import pack_facts
from medloupe.imaging.photo import PhotoRequest
from medloupe.imaging.picture import Picture
from medloupe.imaging.quality import MEASURES, as_numbers
from medloupe.imaging.sandbox.bounds import (
    ORPHAN_SECONDS,
    READY,
    Resident,
    open_streams,
    set_alarm,
    set_limits,
    write_all,
)
from medloupe.imaging.sandbox.photos import ASKED, NO_PHOTO, TOLD, pack_photo, unpack_request

REQUEST = struct.Struct(f"<IIIQ{ASKED}")
ANSWER = struct.Struct(f"<B?6sIIfIIIIII{TOLD}{len(MEASURES)}d")
NOT_IN_FULL = 2**32 - 1
"""What `above` is where no picture is wanted in full."""

ERRORS: tuple[type[ImageError], ...] = (NotAnImageError, UnreadableImageError, ImageTooLargeError, CornersError)
"""Status 1 to 4."""

_UNMEASURED = (float("nan"),) * len(MEASURES)


def main() -> None:
    """Answer requests until the input ends."""
    seconds, memory = float(sys.argv[1]), int(sys.argv[2])
    requests, answers = open_streams()
    set_limits(memory)
    resident = Resident()
    write_all(answers, [READY])
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        size, side, above, length, *asked = REQUEST.unpack(head)
        data = requests.read(length)
        if len(data) < length:
            break
        set_alarm(seconds + ORPHAN_SECONDS)
        parts = _answer(data, size, side, above, unpack_request(asked))
        set_alarm(0)
        del data
        leaving = resident.settle()
        write_all(answers, [ANSWER.pack(parts[0], leaving, *parts[1]), *parts[2:]])
        del parts
        if leaving:
            break


def _answer(data: bytes, size: int, side: int, above: int, photo: PhotoRequest) -> tuple:
    """Return (status, fields of ANSWER after `leaving`, payloads ...)."""
    start = time.perf_counter()
    try:
        pixels, jpeg, shown, measures, full = b"", b"", (0, 0), _UNMEASURED, None
        if size:
            picture, full = decode.decode_in_full(data, size, None if above == NOT_IN_FULL else above, photo)
            pixels = picture.fit(size)
            measures = as_numbers(picture.measure())
        else:
            picture = decode.decode_picture(data, min_side=decode.preview_min_side(side), photo=photo)
        if side:
            larger = picture
            if size and _is_too_small(picture, side):
                larger = decode.decode_picture(
                    data, min_side=decode.preview_min_side(side), photo=decode.same_photo(picture, photo)
                )
            jpeg, *shown = larger.preview(side)
    except ImageError as e:
        status = next((k for k, error in enumerate(ERRORS, 1) if isinstance(e, error)), 2)
        text = f"{e.message}\0{e.hint}".encode(errors="replace")
        return status, (b"", 0, 0, _since(start), 0, 0, 0, 0, len(text), 0, *NO_PHOTO, *_UNMEASURED), text
    except MemoryError:
        text = b"The image needs more memory to decode than it may have.\0Scale the image down first."
        return 3, (b"", 0, 0, _since(start), 0, 0, 0, 0, len(text), 0, *NO_PHOTO, *_UNMEASURED), text
    kind, facts = picture.kind.encode(), pack_facts(picture.facts)
    sizes = (len(jpeg), len(facts))
    whole = 0 if full is None else len(full)
    head = (
        kind,
        picture.width,
        picture.height,
        _since(start),
        size,
        whole,
        *shown,
        *sizes,
        *pack_photo(picture.photo),
        *measures,
    )
    return 0, head, pixels, b"" if full is None else full, jpeg, facts


def _since(start: float) -> float:
    return 1000 * (time.perf_counter() - start)


def _is_too_small(picture: Picture, side: int) -> bool:
    """Tell whether a JPEG was scaled down for the model to less than a preview needs."""
    return max(picture.sides) < min(0.75 * side, max(picture.width, picture.height))


if __name__ == "__main__":
    main()
