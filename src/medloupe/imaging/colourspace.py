"""Tell RGB from YCbCr by the compressed stream, or by the values, where a DICOM file's own word may be wrong.

The markers of a JPEG (JFIF, Adobe, the names and sampling of its components) and the flags of a JPEG 2000 say what its
samples are, and the decoder goes by them. Where a stream says nothing, the values do: what was stored as RGB, read as
YCbCr, gives colours that do not exist, and the other way round a picture would have to be of two greys only.
"""

from __future__ import annotations

import struct

import numpy as np

from medloupe.imaging.headers import jpeg_segments

RGB, YBR = "RGB", "YBR_FULL"
_OUTSIDE = 12  # levels beyond 0 to 255 from which a colour does not exist
# Of 700 medical and everyday photographs: RGB read as YCbCr has more such colours but for one in fifteen, YCbCr none;
# and of RGB with as few, none had a first channel so much wider than the others.
_MANY, _FEW = 0.03, 0.002
_CONTRAST, _WIDER, _CENTRED = 40, 1.5, 64
_SAMPLES = 100_000
_SYCC, _SRGB = 18, 16


def jpeg_colours(stream: bytes) -> str | None:
    """Tell what the three components of a JPEG are, by libjpeg's rule; None where nothing in it says so."""
    ids, subsampled, jfif, adobe = b"", False, False, None
    for code, segment in jpeg_segments(stream):
        if code == 0xE0 and segment[:5] == b"JFIF\0":
            jfif = True
        elif code == 0xEE and segment[:5] == b"Adobe" and len(segment) >= 12:
            adobe = segment[11]
        elif 0xC0 <= code <= 0xCF and code not in (0xC4, 0xC8, 0xCC) and len(segment) >= 15:
            ids = bytes(segment[6 + 3 * k] for k in range(3))
            subsampled = len({segment[7 + 3 * k] for k in range(3)}) > 1
    if jfif or adobe == 1 or subsampled:
        return YBR
    return RGB if adobe == 0 or ids == b"RGB" else None


def jpeg2000_colours(stream: bytes) -> str | None:
    """Tell what a JPEG 2000 decodes to, by its multiple component transformation and its colour box (15444-1)."""
    start = stream.find(b"\xff\x4f\xff\x51")
    if start < 0:
        return None
    at = start + 2
    while at + 4 <= len(stream) and stream[at] == 0xFF and stream[at + 1] not in (0x90, 0x93, 0xD9):
        (length,) = struct.unpack_from(">H", stream, at + 2)
        if stream[at + 1] == 0x52:
            if stream[at + 8]:
                return RGB
            break
        at += 2 + length
    box = stream.find(b"colr\x01", 0, start)
    kind = struct.unpack_from(">I", stream, box + 7)[0] if box >= 0 and box + 11 <= start else 0
    return {_SRGB: RGB, _SYCC: YBR}.get(kind)


def colours_by_values(pixels: np.ndarray, bits: int, declared: str) -> str:
    """Tell what samples (h, w, 3) can only be; `declared` where both are possible."""
    flat = pixels.reshape(-1, 3)[:: max(1, pixels.shape[0] * pixels.shape[1] // _SAMPLES)].astype(np.float64)
    y, cb, cr = (flat * (255 / ((1 << bits) - 1))).T
    cb, cr = cb - 128, cr - 128
    red, green, blue = y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb
    outside = [(c < -_OUTSIDE) | (c > 255 + _OUTSIDE) for c in (red, green, blue)]
    share = float((outside[0] | outside[1] | outside[2]).mean())
    if declared == YBR:
        return RGB if share > _MANY else YBR
    wide = [float(np.ptp(np.percentile(c, (1, 99)))) for c in (y, cb, cr)]
    centred = max(abs(float(np.median(cb))), abs(float(np.median(cr)))) < _CENTRED
    proven = share < _FEW and wide[0] >= _CONTRAST and wide[0] > _WIDER * max(wide[1:]) and centred
    return YBR if proven else RGB
