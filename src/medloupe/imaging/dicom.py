"""Decode DICOM files to uint8 pixels: what is read, and what it may cost.

dicom_frames.py decodes a frame, dicom_display.py says how its pixels look. Only one frame of cines and volumes is held,
so the size limits apply to one, however many there are. Only the elements that pixels depend on are read; what stands
in the others can neither fail nor leak. The transfer syntax is read here and pydicom is given an open data set, because
its own reader inflates deflated files without limit.
"""

from __future__ import annotations

import contextlib
import io
import struct
import zlib

import numpy as np
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from medloupe.errors import ImageError, ImageTooLargeError, UnreadableImageError
from medloupe.imaging.check import is_blank, value_range
from medloupe.imaging.dicom_display import render_pixels
from medloupe.imaging.dicom_frames import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    KNOWN,
    OVERLAY_POSITIONS,
    FrameReader,
    unsupported_error,
)
from medloupe.imaging.dicom_nesting import check_nesting
from medloupe.imaging.facts import Fact
from medloupe.imaging.pages import choose_frames

MAX_INFLATED_BYTES = 48 * 2**20
"""Most that a deflated DICOM file may inflate to: 24 megapixels of 16 bits."""

_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}

_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_KEYWORDS = (
    *_PIXEL_KEYWORDS,
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel"),
    *("PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelPaddingValue", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "PresentationLUTShape"),
    *(f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
    *(f"Segmented{c}PaletteColorLookupTableData" for c in ("Red", "Green", "Blue")),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
_TAGS = [BaseTag(tag) for tag in map(tag_for_keyword, _KEYWORDS) if tag is not None]
_TAGS += [BaseTag(tag) for tag in OVERLAY_POSITIONS]


def decode(data: bytes, name: str) -> tuple[np.ndarray, tuple[float, float] | None, tuple[Fact, ...]]:
    """Decode one frame: the first, unless that is blank.

    Parameters
    ----------
    data : bytes
        The file, with or without the 128-byte preamble.
    name : str
        What to call it in errors.

    Returns
    -------
    pixels : ndarray of uint8, shape (h, w) or (h, w, 3)
        Grey, or RGB.
    source : tuple of float or None
        The lowest and the highest value stored; None where all are the same.
    facts : tuple of Fact
        What was decided on the way.

    Raises
    ------
    UnreadableImageError
        Where there are no pixels or none this installation can decode.
    ImageTooLargeError
        From the header alone.
    Exception
        A damaged file may raise anything else, which `decode.decode` turns into the first.
    """
    ds, syntax = parse_elements(data, name, _TAGS)
    keyword = next((k for k in _PIXEL_KEYWORDS if k in ds), None)
    if keyword is None or not ds.get("Rows") or not ds.get("Columns"):
        raise UnreadableImageError(
            f"{name} is a DICOM file without pixels (a report, a plan or a directory, perhaps).",
            "Choose the image files of the study.",
        )
    frames = FrameReader(ds, syntax, name)
    choice = choose_frames(frames.count, ds.Rows * ds.Columns)
    found, taken = frames.read(0), 0
    for k in choice.order[1:] if is_blank(found.pixels) else ():
        with contextlib.suppress(ValueError, RuntimeError, struct.error, ImageError):  # the first can be read, anyhow
            other = frames.read(k)
            if not is_blank(other.pixels):
                found, taken = other, k
                break
    shown, facts = render_pixels(found.pixels, ds, found.photometric, found.bits, taken)
    return shown, value_range(found.pixels), (*choice.facts(taken), *found.facts, *facts)


def parse_elements(data: bytes, name: str, tags: list[BaseTag]) -> tuple[Dataset, str]:
    """Parse the elements wanted; a deflated file is inflated to MAX_INFLATED_BYTES at most.

    Returns
    -------
    ds : Dataset
        The elements.
    syntax : str
        The UID of the transfer syntax.

    Raises
    ------
    UnreadableImageError
        Where the transfer syntax is none that is known, or sequences lie too deep in each other.
    ImageTooLargeError
        Where it inflates to more.
    """
    at, syntax = _read_meta(data)
    if not syntax:  # no file meta information: the first element shows how it is written
        big = data[at : at + 2] == b"\x00\x08"
        syntax = (BIG_ENDIAN if big else EXPLICIT) if _has_vr(data, at) else IMPLICIT
    if syntax not in KNOWN:
        raise unsupported_error(syntax, name)
    if syntax == DEFLATED:
        data, at = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[at:], MAX_INFLATED_BYTES + 1), 0
        if len(data) > MAX_INFLATED_BYTES:
            raise ImageTooLargeError(
                f"{name} is a deflated DICOM file that inflates to over {MAX_INFLATED_BYTES >> 20} MiB.",
                "Export it uncompressed, or one frame of it.",
            )
    file = io.BytesIO(data)
    file.seek(at)
    implicit = not _has_vr(data, at)  # some writers state an explicit syntax and write implicit VRs
    check_nesting(data, at, implicit=implicit, little=syntax != BIG_ENDIAN, name=name)
    ds = read_dataset(file, implicit, syntax != BIG_ENDIAN, specific_tags=list(tags))
    ds.set_original_encoding(implicit, syntax != BIG_ENDIAN)
    return ds, syntax


def _has_vr(data: bytes, at: int) -> bool:
    """Tell whether the element at `at` carries its value representation, two capital letters."""
    return data[at + 4 : at + 6].isalpha() and data[at + 4 : at + 6].isupper()


def _read_meta(data: bytes) -> tuple[int, str]:
    """Return where the data set starts, and the transfer syntax UID or "": PS3.10 section 7.1."""
    at = 132 if data[128:132] == b"DICM" else 0
    syntax = ""
    while data[at : at + 2] == b"\x02\x00":
        vr = data[at + 4 : at + 6]
        if vr in _LONG_VRS:
            start, (length,) = at + 12, struct.unpack_from("<I", data, at + 8)
        elif vr.isalpha():
            start, (length,) = at + 8, struct.unpack_from("<H", data, at + 6)
        else:  # written with implicit VR, against the standard
            start, (length,) = at + 8, struct.unpack_from("<I", data, at + 4)
        if data[at + 2 : at + 4] == b"\x10\x00":
            syntax = data[start : start + length].rstrip(b"\x00 ").decode("ascii")
        at = start + length
    return at, syntax
