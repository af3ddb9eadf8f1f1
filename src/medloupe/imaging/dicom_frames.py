"""Decode single frames of DICOM objects to their stored values, once their headers show what that may cost.

What a compressed stream proves of its samples counts, whatever the data set says: the markers of a JPEG and the flags
of a JPEG 2000 tell how many there are, and whether they are RGB.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import JpegImagePlugin
from pydicom import encaps
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from medloupe.errors import UnreadableImageError
from medloupe.imaging import headers
from medloupe.imaging.colourspace import RGB, YBR, colours_by_values, jpeg2000_colours, jpeg_colours
from medloupe.imaging.facts import Fact
from medloupe.imaging.limits import check_jpeg_effort, check_size
from medloupe.imaging.stored import resolve_words

IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2"))
_NATIVE = {IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN}
_RLE = "1.2.840.10008.1.2.5"
_JPEG_DCT = {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51)}
_END = b"\xff\xd9"  # marker of a JPEG-LS stream
_JPEG_LS = {f"1.2.840.10008.1.2.4.{n}" for n in (80, 81)}
_JPEG = _JPEG_DCT | _JPEG_LS | {f"1.2.840.10008.1.2.4.{n}" for n in (57, 70)}
_JPEG_2000 = {f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 201, 202, 203)}
KNOWN = _NATIVE | _JPEG | _JPEG_2000 | {_RLE}
"""UIDs of the transfer syntaxes that can be decoded, some of them with more libraries."""

OVERLAY_POSITIONS = tuple(0x60000102 + 0x20000 * k for k in range(16))
"""Tags of OverlayBitPosition, which tell that the unused bits of the pixels hold overlays."""

_SPACES = {"YBR_FULL": YBR, "YBR_FULL_422": YBR}  # all others are shown as RGB
_NAMES = {RGB: "RGB", YBR: "YCbCr"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFrame:
    """A decoded frame.

    Attributes
    ----------
    pixels : ndarray, shape (h, w) or (h, w, 3)
        Stored values.
    photometric : str
        What they are: the photometric interpretation that counts.
    bits : int
        That a value takes.
    facts : tuple of Fact
        Where the data set was contradicted.
    """

    pixels: np.ndarray
    photometric: str
    bits: int
    facts: tuple[Fact, ...] = ()


class FrameReader:
    """Decodes the frames of a data set, one at a time.

    Parameters
    ----------
    ds : Dataset
        With pixels; its elements are put right where the compressed stream proves them wrong.
    syntax : str
        UID of the transfer syntax.
    name : str
        What to call the file in errors.

    Raises
    ------
    UnreadableImageError
        Where this installation has no decoder for it.
    ImageTooLargeError
        Where a frame costs too much.
    """

    def __init__(self, ds: Dataset, syntax: str, name: str):
        self._ds, self._syntax, self._name = ds, syntax, name
        self.count = max(1, int(ds.get("NumberOfFrames") or 1))
        self._declared = str(ds.get("PhotometricInterpretation") or "")
        _check_cost(ds, syntax, name)
        if syntax in _NATIVE:
            _drop_excess(ds)
        else:
            self._encapsulated = ds.PixelData
            tables = (ds.get("ExtendedOffsetTable"), ds.get("ExtendedOffsetTableLengths"))
            self._tables = tables if all(tables) else None
            for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
                if keyword in ds:
                    del ds[keyword]
        self._overlays = any(ds[tag].value for tag in OVERLAY_POSITIONS if tag in ds)

    def read(self, index: int) -> DicomFrame:
        """Decode a frame, counted from 0.

        Raises
        ------
        UnreadableImageError
            Where it contradicts the data set in what cannot be put right.
        ImageTooLargeError
            Where it costs too much.
        Exception
            A damaged one may raise anything else.
        """
        proven: str | None = None
        if self._syntax not in _NATIVE:
            stream = self._select(index)
            if self._syntax in _JPEG_DCT:
                return self._take_jpeg(_decode_jpeg(stream), stream)
            if self._ds.SamplesPerPixel == 3 and self._syntax in _JPEG_2000:
                proven = jpeg2000_colours(stream)
        pixels, photometric = self._decode(index if self._syntax in _NATIVE else 0)
        if "PixelData" not in self._ds:
            return DicomFrame(pixels=pixels, photometric=photometric, bits=8 * pixels.itemsize)
        if (self._ds.get("BitsAllocated") or 0) == 1:
            return DicomFrame(pixels=pixels, photometric=photometric, bits=1)
        whole_words = self._syntax in _NATIVE or self._syntax == _RLE
        found = resolve_words(
            pixels,
            bits=int(self._ds.BitsStored),
            high_bit=int(self._ds.get("HighBit") or 0) if whole_words and "HighBit" in self._ds else None,
            overlays=self._overlays,
        )
        if pixels.ndim == 3:
            return self._resolve(found.pixels, found.bits, proven, found.facts)
        return DicomFrame(pixels=found.pixels, photometric=photometric, bits=found.bits, facts=found.facts)

    def _take_jpeg(self, pixels: np.ndarray, stream: bytes) -> DicomFrame:
        """Tell what a decoded JPEG is, whose samples have 8 bits whatever is declared."""
        declared = int(self._ds.get("BitsStored") or 8)
        facts = () if declared == 8 else (Fact("bits", {"declared": declared, "found": 8}),)
        if pixels.ndim == 3:
            return self._resolve(pixels, 8, jpeg_colours(stream), facts)
        photometric = str(self._ds.PhotometricInterpretation)
        return DicomFrame(pixels=pixels, photometric=photometric, bits=8, facts=facts)

    def _decode(self, index: int) -> tuple[np.ndarray, str]:
        """Decode by pydicom: the words of a frame, and their photometric interpretation."""
        decoder = get_decoder(UID(self._syntax))
        if not decoder.is_available:
            raise unsupported_error(self._syntax, self._name)
        options: dict[str, Any] = {"raw": True, "correct_unused_bits": False}
        if self._syntax in _NATIVE:
            options["view_only"] = True
        try:
            pixels, properties = decoder.as_array(self._ds, index=index, **options)
        except BaseException as e:
            if type(e).__name__ != "PanicException":
                raise
            raise ValueError(str(e)) from e  # decoders written in Rust panic on damage, which is no Exception
        return pixels, str(properties["photometric_interpretation"])

    def _resolve(self, pixels: np.ndarray, bits: int, proven: str | None, facts: tuple[Fact, ...]) -> DicomFrame:
        """Tell what samples (h, w, 3) are. proven: by their stream."""
        believed = _SPACES.get(self._declared, RGB)
        space = proven or colours_by_values(pixels, bits, believed)
        if self._declared.startswith("MONOCHROME"):
            facts = (*facts, Fact("colour", {"declared": self._declared, "found": f"in colour ({_NAMES[space]})"}))
        elif space != believed:
            code = "colour" if proven else "colour_values"
            facts = (*facts, Fact(code, {"declared": self._declared, "found": _NAMES[space]}))
        return DicomFrame(pixels=pixels, photometric=space, bits=bits, facts=facts)

    def _select(self, index: int) -> bytes:
        """Put one frame in place of all, once its own header agrees with the data set's, and return its stream.

        Decoders allocate by the stream's header, so a small image in DICOM terms could claim 65500 × 65500 there.
        """
        ds, syntax, name = self._ds, self._syntax, self._name
        frame = encaps.get_frame(
            self._encapsulated,
            index,
            extended_offsets=self._tables,  # type: ignore[arg-type]
            number_of_frames=self.count,
        )
        _check_cost(ds, syntax, name, len(frame))
        expected = (ds.Columns, ds.Rows, ds.SamplesPerPixel)
        if syntax in _JPEG:
            header = headers.jpeg_header(frame)
            check_jpeg_effort(header, name)
            if syntax in _JPEG_LS and not frame.rstrip(b"\0").endswith(_END):  # CharLS may be busy for seconds
                raise UnreadableImageError(
                    f"{name} holds JPEG-LS data without an end: they are cut short.", "Export it again."
                )
            claimed = (header.width, header.height, header.components)
        elif syntax in _JPEG_2000:
            claimed = headers.jpeg2000_size(frame)
        else:  # run lengths lengthen what cannot be compressed by 1 in 128 at most; more is to keep the decoder busy
            claimed = expected
            if len(frame) > 1.1 * ds.Columns * ds.Rows * ds.SamplesPerPixel * max(1, ds.BitsAllocated // 8) + 1024:
                raise UnreadableImageError(
                    f"{name} holds more run-length data than its pixels can need.", "Export it again."
                )
        if claimed[:2] != expected[:2] or claimed[2] not in (1, 3):
            raise UnreadableImageError(
                f"{name} says {expected[0]} × {expected[1]} pixels of {expected[2]} samples, "
                f"but its compressed data say {claimed[0]} × {claimed[1]} of {claimed[2]}.",
                "Export it again from where it came.",
            )
        if claimed[2] != expected[2]:
            ds.SamplesPerPixel = claimed[2]
            _check_cost(ds, syntax, name, len(frame))
        if syntax != _RLE:
            if claimed[2] == 3:
                ds.PlanarConfiguration, ds.PhotometricInterpretation = 0, RGB
            elif not self._declared.startswith(("MONOCHROME", "PALETTE")):
                ds.PhotometricInterpretation = "MONOCHROME2"
        ds.NumberOfFrames = 1
        ds.PixelData = encaps.encapsulate([frame])
        ds["PixelData"].is_undefined_length = True
        return frame


def unsupported_error(syntax: str, name: str) -> UnreadableImageError:
    """Say that a transfer syntax cannot be decoded here, and what to do."""
    known = UID(syntax).name
    return UnreadableImageError(
        f"{name} is DICOM with the transfer syntax {known}, which cannot be decoded here.",
        "pip install 'medloupe[dicom]' adds decoders; or export it uncompressed (Explicit VR Little Endian).",
    )


def _decode_jpeg(stream: bytes) -> np.ndarray:
    """Decode a JPEG to its components, uint8 (h, w) or (h, w, 3), as they were before any conversion of colours."""
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(stream))
    if image.mode != "L" and jpeg_colours(stream) != RGB:
        image.draft("YCbCr", image.size)
    return np.asarray(image)


def _check_cost(ds: Dataset, syntax: str, name: str, frame_bytes: int = 0) -> None:
    """Refuse a frame that costs too much to decode.

    Bytes a pixel, as measured: the stored frame and the 8-bit one, colour a few times over; what the decompressor
    holds, and the compressed frame (frame_bytes, where known) twice beside the file.
    """
    samples = max(1, ds.get("SamplesPerPixel") or 1)
    stored = samples * max(1, (ds.get("BitsAllocated") or 8) // 8)
    cost = stored + (1 if samples == 1 else 7)
    if syntax not in _NATIVE:
        decompressor = {**dict.fromkeys(_JPEG_DCT, 4 if samples == 1 else 0), _RLE: 2 * stored}
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
