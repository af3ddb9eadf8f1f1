"""Limit how much decoding an image may cost, told from its header before a pixel is decoded.

Together these keep any file, whatever it claims, within about 150 MiB and two seconds of a processor.
"""

from __future__ import annotations

from medloupe.errors import ImageTooLargeError, UnreadableImageError
from medloupe.imaging import headers

MAX_PIXELS = 64_000_000
"""Most pixels a header may claim: above the 50-megapixel photos of phones and any radiograph (mammograms: 28)."""

MAX_SCALED_PIXELS = 150_000_000
"""Most pixels of a baseline JPEG that is scaled while it is decoded: 12,000 a side, at a second of a processor."""

MAX_SCALED_SIDE = 16_384
"""Longest side of such a JPEG."""

MAX_DECODED_BYTES = 136_000_000
"""Most memory decoding may take: 34 megapixels of colour, 17 with transparency. A JPEG that is decoded for a model is
scaled while decoding and stays far below."""

MAX_FILE_BYTES = 512 * 2**20
"""Largest file that is read at all."""

MAX_SLOW_PIXELS = 1_500_000
"""Most pixels in the formats that Pillow decodes in Python, at a million pixels a second."""

MAX_SLOW_BYTES = 8 * 2**20
"""Largest file in those formats."""

_MAX_SCANNED_PIXELS = (
    1_000_000_000  # pixels times scans of a progressive JPEG, about a second; usual ones have 10 scans
)
_MAX_CHUNKS = 50_000  # PNG chunks or TIFF tiles; each is a step in Python


def check_size(name: str, width: int, height: int, bytes_per_pixel: float = 1, most_pixels: int | None = None) -> None:
    """Raise ImageTooLargeError where width × height is over most_pixels, or its decoding over MAX_DECODED_BYTES.

    most_pixels: MAX_PIXELS where it is left out.
    """
    pixels, most = width * height, MAX_PIXELS if most_pixels is None else most_pixels
    if pixels > most or pixels * bytes_per_pixel > MAX_DECODED_BYTES:
        most = min(most, MAX_DECODED_BYTES / bytes_per_pixel)
        raise ImageTooLargeError(
            f"{name} claims {width} × {height} pixels; at most {most / 1e6:.0f} million are read in this format.",
            "Scale the image down first: models look at a few hundred pixels a side.",
        )


def check_jpeg_effort(header: headers.JpegHeader, name: str) -> None:
    """Refuse a JPEG that costs too much, or is cut short.

    Raises
    ------
    ImageTooLargeError
        Where it passes over too many pixels too often, or must hold too many at once.
    UnreadableImageError
        Where its bytes cannot be all of it.
    """
    if header.scans * header.width * header.height > _MAX_SCANNED_PIXELS or header.buffer > MAX_DECODED_BYTES:
        raise ImageTooLargeError(
            f"{name} is a progressive JPEG of {header.width} × {header.height} pixels in {header.scans} scans: "
            "too costly to decode.",
            "Save it as a baseline JPEG, or scale it down.",
        )
    if not header.complete:
        raise UnreadableImageError(
            f"{name} has too few bytes for the {header.width} × {header.height} JPEG pixels it claims.",
            "Copy or export it again from where it came.",
        )


def check_chunks(data: bytes, name: str) -> None:
    """Raise ImageTooLargeError where a PNG has too many chunks."""
    if headers.png_chunk_count(data, _MAX_CHUNKS) > _MAX_CHUNKS:
        raise ImageTooLargeError(f"{name} has over {_MAX_CHUNKS} PNG chunks.", "Save it again as PNG.")


def check_tiles(data: bytes, name: str) -> None:
    """Refuse a TIFF whose tiles cost too much.

    Raises
    ------
    ImageTooLargeError
        Where it claims tiles far larger than itself (they are allocated whole), or millions of tiny ones.
    """
    tags = headers.tiff_tags(data)
    tile = [tags.get(tag, (0, None))[1] or 0 for tag in (322, 323)]
    check_size(name, *tile, bytes_per_pixel=4)
    if max(tags.get(tag, (0, None))[0] for tag in (273, 324)) > _MAX_CHUNKS:
        raise ImageTooLargeError(f"{name} has over {_MAX_CHUNKS} TIFF strips or tiles.", "Save it again as PNG.")
