"""Decode DICOM files to uint8 pixels: what is read, and what it may cost.

dicom_display.py says how the pixels look. Only the first frame of cines and volumes is decoded, so the size limits
apply to one frame, however many there are. Only the elements that pixels depend on are read; what stands in the others
can neither fail nor leak. The transfer syntax is read here and pydicom is given an open data set, because its own
reader inflates deflated files without limit.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from pydicom import encaps
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import BaseTag
from pydicom.uid import UID

from medloupe.errors import ImageTooLargeError, UnreadableImageError
from medloupe.imaging import headers
from medloupe.imaging.dicom_display import render_pixels
from medloupe.imaging.limits import check_jpeg_effort, check_size

MAX_INFLATED_BYTES = 48 * 2**20
"""Most that a deflated DICOM file may inflate to: 24 megapixels of 16 bits."""

_IMPLICIT, _EXPLICIT, _DEFLATED, _BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
_NATIVE = {_IMPLICIT, _EXPLICIT, _DEFLATED, _BIG_ENDIAN}
_RLE = "1.2.840.10008.1.2.5"
_JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
_JPEG = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81)}  # 80 and 81 are JPEG-LS
_JPEG_2000 = {f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203)}
_LONG_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}

_PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_KEYWORDS = (
    *_PIXEL_KEYWORDS,
    *("ExtendedOffsetTable", "ExtendedOffsetTableLengths", "NumberOfFrames", "Rows", "Columns", "SamplesPerPixel"),
    *("PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated", "BitsStored", "HighBit"),
    *("PixelRepresentation", "PixelPaddingValue", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"),
    *(f"{c}PaletteColorLookupTable{part}" for c in ("Red", "Green", "Blue") for part in ("Descriptor", "Data")),
    *(f"Segmented{c}PaletteColorLookupTableData" for c in ("Red", "Green", "Blue")),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
_TAGS = [BaseTag(tag) for tag in map(tag_for_keyword, _KEYWORDS) if tag is not None]


def decode(data: bytes, name: str) -> np.ndarray:
    """Decode the first frame.

    Parameters
    ----------
    data : bytes
        The file, with or without the 128-byte preamble.
    name : str
        What to call it in errors.

    Returns
    -------
    ndarray of uint8, shape (h, w) or (h, w, 3)
        Grey, or RGB.

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
    _check_cost(ds, syntax, name)
    options: dict[str, Any] = {}
    if syntax in _NATIVE:
        options["view_only"] = True
        _drop_excess(ds)
    else:
        _keep_first_frame(ds, syntax, name)
    decoder = get_decoder(UID(syntax))
    if not decoder.is_available:
        raise _unsupported(syntax, name)
    try:
        pixels, properties = decoder.as_array(ds, index=0, raw=True, **options)
    except BaseException as e:
        if type(e).__name__ != "PanicException":
            raise
        raise ValueError(str(e)) from e  # decoders written in Rust panic on damage, which is no Exception
    return render_pixels(pixels, ds, str(properties["photometric_interpretation"]), int(properties["bits_stored"]))


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
        Where the transfer syntax is none that is known.
    ImageTooLargeError
        Where it inflates to more.
    """
    at, syntax = _read_meta(data)
    if not syntax:  # no file meta information: the first element shows how it is written
        big = data[at : at + 2] == b"\x00\x08"
        syntax = (_BIG_ENDIAN if big else _EXPLICIT) if _has_vr(data, at) else _IMPLICIT
    if syntax not in _NATIVE | _JPEG | _JPEG_2000 | {_RLE}:
        raise _unsupported(syntax, name)
    if syntax == _DEFLATED:
        data, at = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[at:], MAX_INFLATED_BYTES + 1), 0
        if len(data) > MAX_INFLATED_BYTES:
            raise ImageTooLargeError(
                f"{name} is a deflated DICOM file that inflates to over {MAX_INFLATED_BYTES >> 20} MiB.",
                "Export it uncompressed, or one frame of it.",
            )
    file = io.BytesIO(data)
    file.seek(at)
    implicit = not _has_vr(data, at)  # some writers state an explicit syntax and write implicit VRs
    ds = read_dataset(file, implicit, syntax != _BIG_ENDIAN, specific_tags=list(tags))
    ds.set_original_encoding(implicit, syntax != _BIG_ENDIAN)
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


def _unsupported(syntax: str, name: str) -> UnreadableImageError:
    known = UID(syntax).name
    return UnreadableImageError(
        f"{name} is DICOM with the transfer syntax {known}, which cannot be decoded here.",
        "pip install 'medloupe[dicom]' adds decoders; or export it uncompressed (Explicit VR Little Endian).",
    )


def _check_cost(ds: Dataset, syntax: str, name: str, frame_bytes: int = 0) -> None:
    """Refuse a frame that costs too much to decode.

    Bytes a pixel, as measured: the stored frame and the 8-bit one, colour a few times over; what the decompressor
    holds, and the compressed frame (frame_bytes, where known) twice beside the file.
    """
    samples = max(1, ds.get("SamplesPerPixel") or 1)
    stored = samples * max(1, (ds.get("BitsAllocated") or 8) // 8)
    cost = stored + (1 if samples == 1 else 7)
    if syntax not in _NATIVE:
        decompressor = {_JPEG_BASELINE: 4 if samples == 1 else 0, _RLE: 2 * stored}
        cost += decompressor.get(syntax, stored + 4 * samples) + 2 * frame_bytes / (ds.Columns * ds.Rows)
    check_size(name, ds.Columns, ds.Rows, cost)


def _drop_excess(ds: Dataset) -> None:
    """Cut what follows the last native frame: sound files are padded so, and pydicom would warn of each."""
    bits = ds.get("BitsAllocated") or 0
    if "PixelData" in ds and bits % 8 == 0 and ds.get("PhotometricInterpretation") != "YBR_FULL_422":
        frames = max(1, int(ds.get("NumberOfFrames") or 1))
        size = ds.Rows * ds.Columns * (ds.get("SamplesPerPixel") or 1) * (bits // 8) * frames
        size += size % 2
        if len(ds.PixelData) > size > 0:
            ds.PixelData = ds.PixelData[:size]


def _keep_first_frame(ds: Dataset, syntax: str, name: str) -> None:
    """Replace the encapsulated frames by the first, once its own header agrees with the data set's.

    Decoders allocate by the codestream's header, so a small image in DICOM terms could claim 65500 × 65500 there.
    """
    tables = (ds.get("ExtendedOffsetTable"), ds.get("ExtendedOffsetTableLengths"))
    frame = encaps.get_frame(
        ds.PixelData,
        0,
        extended_offsets=tables if all(tables) else None,  # type: ignore[arg-type]
        number_of_frames=int(ds.get("NumberOfFrames") or 1),
    )
    _check_cost(ds, syntax, name, len(frame))
    expected = (ds.Columns, ds.Rows, ds.SamplesPerPixel)
    if syntax in _JPEG:
        header = headers.jpeg_header(frame)
        check_jpeg_effort(header, name)
        claimed = (header.width, header.height, header.components)
    elif syntax in _JPEG_2000:
        claimed = headers.jpeg2000_size(frame)
    else:  # run lengths lengthen incompressible data by 1 in 128 at most; more is an attempt to keep the decoder busy
        claimed = expected
        if len(frame) > 1.1 * ds.Columns * ds.Rows * ds.SamplesPerPixel * max(1, ds.BitsAllocated // 8) + 1024:
            raise UnreadableImageError(
                f"{name} holds more run-length data than its pixels can need.", "Export it again."
            )
    if claimed != expected:
        raise UnreadableImageError(
            f"{name} says {expected[0]} × {expected[1]} pixels of {expected[2]} samples, "
            f"but its compressed data say {claimed[0]} × {claimed[1]} of {claimed[2]}.",
            "Export it again from where it came.",
        )
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in ds:
            del ds[keyword]
    ds.NumberOfFrames = 1
    ds.PixelData = encaps.encapsulate([frame])
    ds["PixelData"].is_undefined_length = True
