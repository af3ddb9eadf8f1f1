"""Read how large a picture is, and how it lies in its file, from the header alone where the format allows it."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path

from medloupe.errors import ImageError
from medloupe.imaging import headers

_START = 1 << 18  # bytes within which the frame of most JPEGs is told
_MOST_CHUNKS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSize:
    """The size of a picture in pixels, as it lies in the file.

    Attributes
    ----------
    width, height : int
        As stored, before any turning.
    orientation : int
        EXIF orientation, 1 to 8: 1 is upright, 5 to 8 lie on their side.
    """

    width: int
    height: int
    orientation: int = 1

    @property
    def stored(self) -> tuple[int, int]:
        """Width and height as they lie in the file."""
        return self.width, self.height

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height as the picture is shown, and as a model sees it."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)


def read_size(path: Path) -> PictureSize | None:
    """Read the size of a picture; None where the file cannot be read.

    JPEG, PNG and DICOM are read by their headers; other formats are decoded, which turns them upright.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_START)
            kind = headers.sniff(head[: headers.SNIFF_BYTES])
            if kind == "JPEG":
                return _read_jpeg(head, file)
            if kind == "PNG":
                return _read_png(file)
    except (OSError, ValueError, IndexError, struct.error):
        return None
    return _read_dicom(path) if kind == "DICOM" else _decode(path) if kind else None


def _read_jpeg(head: bytes, file: io.BufferedReader) -> PictureSize | None:
    found = _find_frame(head)
    if found is None and len(head) == _START:
        found = _find_frame(head + file.read())
    return found


def _find_frame(data: bytes) -> PictureSize | None:
    orientation = 1
    try:
        for code, body in headers.jpeg_segments(data):
            if code == 0xE1 and body.startswith(b"Exif\x00"):
                orientation = headers.exif_orientation(body)
            if code == 0xF7 or (0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC)):
                height, width = struct.unpack_from(">HH", body, 1)
                return PictureSize(width=width, height=height, orientation=orientation)
    except struct.error:
        return None
    return None


def _read_png(file: io.BufferedReader) -> PictureSize:
    file.seek(8)
    width = height = 0
    orientation = 1
    for _ in range(_MOST_CHUNKS):
        start = file.read(8)
        if len(start) < 8:
            break
        length, name = struct.unpack(">I4s", start)
        if name == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
            file.seek(length - 8 + 4, io.SEEK_CUR)
            continue
        if name == b"eXIf":
            orientation = headers.exif_orientation(file.read(min(length, 1 << 16)))
            break
        file.seek(length + 4, io.SEEK_CUR)
    return PictureSize(width=width, height=height, orientation=orientation)


def _read_dicom(path: Path) -> PictureSize | None:
    import pydicom  # takes 0.2 s, and most data sets have none

    try:
        tags = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=["Rows", "Columns"])
        return PictureSize(width=int(tags.Columns), height=int(tags.Rows))
    except Exception:  # damaged files make pydicom raise nearly anything, and each means the same here
        return None


def _decode(path: Path) -> PictureSize | None:
    from medloupe.imaging.decode import decode_picture

    try:
        picture = decode_picture(path)
    except ImageError:
        return None
    return PictureSize(width=picture.width, height=picture.height)
