"""Read what an image file claims in its header, from the bytes without decoding anything.

Pillow and pydicom read these headers too, but some of what keeps a decoder cheap (how often a JPEG rewrites the
same pixels, how large the tiles of a TIFF are) they tell only after the memory or the time is spent. All
functions take untrusted bytes; they raise ValueError, IndexError or struct.error where the structure is broken.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

FORMATS = "JPEG, PNG, BMP, GIF, TIFF, WebP, PPM/PGM or DICOM"
SNIFF_BYTES = 512

WAVEFORM_CLASSES = b"1.2.840.10008.5.1.4.1.1.9."
"""With what the SOP classes of DICOM waveforms begin; those of pictures begin otherwise."""

_MAGIC = (
    # First: the 128 bytes before may hold a TIFF header, so that slide viewers open the same file (PS3.10 7.1).
    ("DICOM", re.compile(rb".{128}DICM", re.DOTALL)),
    ("JPEG", re.compile(rb"\xff\xd8\xff")),
    ("PNG", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("GIF", re.compile(rb"GIF8[79]a")),
    ("WEBP", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("TIFF", re.compile(rb"II\*\x00|MM\x00\*")),
    ("BMP", re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\x00\x00\x00", re.DOTALL)),
    ("PPM", re.compile(rb"P[1-6]\s+[#\d]|Pf\s+[#\d]")),
    # The brand, or among the compatible ones behind it; heif.py tells whether they can be decoded.
    ("AVIF", re.compile(rb"....ftyp(avi[fs]....|mif1....(....){0,8}?avi[fs])", re.DOTALL)),
    ("HEIF", re.compile(rb"....ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)....", re.DOTALL)),
    # Without preamble: file meta information, or one of the elements a data set starts with, its VR or a short length.
    ("DICOM", re.compile(rb"\x02\x00[\x00\x01\x02\x10]\x00(UL|OB|UI)")),
    ("DICOM", re.compile(rb"\x08\x00[\x00\x01\x05\x08\x12\x16\x18]\x00([A-Z]{2}|[\x02-\x7f]\x00\x00\x00)", re.DOTALL)),
    ("DICOM", re.compile(rb"\x00\x08\x00[\x00\x01\x05\x08\x12\x16\x18][A-Z]{2}")),
)
_HEIF = "pip install 'medloupe[heif]' reads HEIC"
_FOREIGN = (
    (
        re.compile(rb"....ftyp(hei|hev|mif|msf|avi)", re.DOTALL),
        "a HEIC or AVIF photo",
        f"Save or share it as JPEG; {_HEIF}.",
    ),
    (re.compile(rb"%PDF"), "a PDF document", "Export its pages or figures as PNG."),
    (re.compile(rb"PK\x03\x04"), "a ZIP archive (or an Office document)", "Unpack it and give the images inside."),
    (re.compile(rb"\x1f\x8b"), "a gzip archive (NIfTI volumes often are)", "Export slices as PNG or DICOM."),
    (
        re.compile(rb"\s*<(!DOCTYPE|html|svg|\?xml)", re.IGNORECASE),
        "a web page or XML text",
        "Download the image itself.",
    ),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "a PostScript document", "Export it as PNG."),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), "a bare JPEG 2000 file", "Convert it to PNG."),
    (re.compile(rb"II\+\x00|MM\x00\+"), "a BigTIFF (a whole slide, likely)", "Export a region of it as PNG or TIFF."),
)


def sniff(head: bytes) -> str | None:
    """Return the format that the first SNIFF_BYTES bytes show: a Pillow format name, "DICOM", or None."""
    return next((name for name, magic in _MAGIC if magic.match(head)), None)


def describe_foreign(head: bytes) -> tuple[str, str]:
    """Say what a file that is no image seems to be, and what to do about it: ("a PDF document", "Export ...")."""
    for magic, what, hint in _FOREIGN:
        if magic.match(head):
            return what, hint
    what = "text" if re.fullmatch(rb"[\t\r\n\x20-\x7e\x80-\xff]+", head) else "of no known image format"
    return what, f"Give a {FORMATS} file; the file name's extension does not matter."


@dataclass(frozen=True, slots=True, kw_only=True)
class JpegHeader:
    """A JPEG or JPEG-LS codestream before its first scan.

    Attributes
    ----------
    width, height : int
        Pixels.
    components : int
        Samples a pixel.
    scans : int
        How often the pixels are passed over, 1 unless progressive or by component.
    buffer : int
        Bytes of coefficients the decoder must hold at once, 0 for one full scan.
    complete : bool
        False where there are fewer bytes than Huffman codes can do with, two bits a block (one if progressive): libjpeg
        would paint what is missing grey without a word.
    """

    width: int
    height: int
    components: int
    scans: int
    buffer: int
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TiffPage:
    """What a page of a TIFF claims. reduced: it is a smaller version of another page."""

    width: int
    height: int
    reduced: bool


_MAX_SEGMENTS = 4_000
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)  # any number of 0xff may stand before it


def jpeg_header(data: bytes) -> JpegHeader:
    """Read width, height and decoding effort of a JPEG (ITU T.81 annex B), without decoding.

    Raises
    ------
    ValueError
        Where there is no frame or no scan, or more than 4,000 segments.
    """
    width = height = scans = buffer = components = 0
    fewest = 0.0
    complete = True
    progressive = False
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(data, at)
        if marker is None:
            break
        code, at = marker[1][0], marker.end()
        if code in (0x01, 0xD8):
            continue
        if code == 0xD9:
            break
        (length,) = struct.unpack_from(">H", data, at)
        if code == 0xF7 or (0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC)):
            height, width, components = struct.unpack_from(">HHB", data, at + 3)
            sampling = [(data[at + 9 + 3 * k] >> 4, data[at + 9 + 3 * k] & 15) for k in range(components)]
            largest = max(h for h, _ in sampling) * max(v for _, v in sampling) if sampling else 0
            blocks = sum(h * v for h, v in sampling) / largest if largest else 1  # coefficients a pixel
            fewest = width * height * blocks / 64 / (4 if code < 0xC2 else 8) if code < 0xC3 else 0
            progressive = code not in (0xC0, 0xC1, 0xC3, 0xF7)
            buffer = int(2 * blocks * width * height)
        elif code == 0xDA:
            if not width:
                raise ValueError("a JPEG scan before the frame header")
            complete = complete and (scans > 0 or len(data) - at >= fewest)
            scans += 1
            if scans == 1 and not progressive and data[at + 2] >= components:
                buffer = 0  # libjpeg reads no further
                break
        at += length
    else:
        raise ValueError(f"more than {_MAX_SEGMENTS} JPEG segments")
    if not (width and scans):
        raise ValueError("a JPEG without frame or scan")
    return JpegHeader(width=width, height=height, components=components, scans=scans, buffer=buffer, complete=complete)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """List the segments of a JPEG before its first scan: (marker, what follows its length)."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(data, at)
        if marker is None or marker[1][0] in (0xD9, 0xDA):
            return
        code, at = marker[1][0], marker.end()
        if code in (0x01, 0xD8):
            continue
        (length,) = struct.unpack_from(">H", data, at)
        yield code, data[at + 2 : at + length]
        at += length


def jpeg2000_size(data: bytes) -> tuple[int, int, int]:
    """Read (width, height, components) of a JPEG 2000 codestream (ISO 15444-1 A.5.1), bare or in a JP2 box."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise ValueError("no JPEG 2000 codestream")
    right, bottom, left, top = struct.unpack_from(">4I", data, at + 8)
    (components,) = struct.unpack_from(">H", data, at + 40)
    return right - left, bottom - top, components


def png_chunk_count(data: bytes, most: int) -> int:
    """Count the chunks of a PNG, up to one over `most`. Each costs the decoder a step, however small."""
    at, count = 8, 0
    while at + 8 <= len(data) and count <= most:
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        count += 1
    return count


_TIFF_TYPES = {1: "B", 3: "H", 4: "I"}


def tiff_tags(data: bytes) -> dict[int, tuple[int, int | None]]:
    """Read the first directory of a TIFF or EXIF block: {tag: (count, value)}; value is None unless a lone integer."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4])
    if order is None:
        raise ValueError("no TIFF header")
    (at,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, at)
    tags: dict[int, tuple[int, int | None]] = {}
    for k in range(entries):
        tag, kind, count = struct.unpack_from(order + "HHI", data, at + 2 + 12 * k)
        code = _TIFF_TYPES.get(kind)
        value = struct.unpack_from(order + code, data, at + 10 + 12 * k)[0] if code and count == 1 else None
        tags[tag] = (count, value)
    return tags


def tiff_pages(data: bytes, most: int) -> list[TiffPage]:
    """List the first pages of a TIFF, `most` at most, by its chain of directories; the first one must be whole."""
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4])
    if order is None:
        raise ValueError("no TIFF header")
    (at,) = struct.unpack_from(order + "I", data, 4)
    pages: list[TiffPage] = []
    while at and len(pages) < most:
        try:
            page, at = _tiff_page(data, at, order)
        except struct.error:
            if not pages:
                raise
            break
        pages.append(page)
    return pages


def _tiff_page(data: bytes, at: int, order: str) -> tuple[TiffPage, int]:
    """Read the size of the page whose directory starts at `at`, and where the next one starts."""
    (entries,) = struct.unpack_from(order + "H", data, at)
    found = {254: 0, 256: 0, 257: 0}
    for k in range(entries):
        tag, kind, count = struct.unpack_from(order + "HHI", data, at + 2 + 12 * k)
        if tag > 257:  # they are in order
            break
        code = _TIFF_TYPES.get(kind)
        if tag in found and code and count == 1:
            (found[tag],) = struct.unpack_from(order + code, data, at + 10 + 12 * k)
    (following,) = struct.unpack_from(order + "I", data, at + 2 + 12 * entries)
    return TiffPage(width=found[256], height=found[257], reduced=bool(found[254] & 1)), following


def exif_orientation(exif: bytes) -> int:
    """Read the orientation (1 to 8) of an EXIF block; 1 where absent or broken, since the pixels themselves are sound.

    Read here rather than by Pillow's Exif, which reports other damaged tags through Python's warnings.
    """
    try:
        value = tiff_tags(exif.removeprefix(b"Exif\x00\x00")).get(0x0112, (0, None))[1]
    except (ValueError, IndexError, struct.error):
        return 1
    return value if value is not None and 1 <= value <= 8 else 1
