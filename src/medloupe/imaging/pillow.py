"""Decode image files by Pillow, which are not trusted: a plugin for each format, and every size checked before.

Only these seven plugins are ever called, directly rather than by Image.open: that needs no global
(Image.MAX_IMAGE_PIXELS) and no warnings filter, which threads would share.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from medloupe.errors import ImageTooLargeError
from medloupe.imaging import headers, levels, limits
from medloupe.imaging.picture import Picture, image_from_array, to_rgb, whole_picture

# A scaled JPEG keeps at least this many times the needed side: fitted, it then differs from the full decoding by a mean
# of half a grey level (99 % of pixels by 2 at most), which tests/imaging/test_decode.py pins.
DRAFT_FACTOR = 2
_SLOW_CODECS = {"ppm", "ppm_plain", "bmp_rle"}


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Does not interpret EXIF while opening: damaged tags would raise warnings, and only the orientation matters."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


_PLUGINS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
}

_TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_file(data: bytes, kind: str, name: str, min_side: int | None = None) -> Picture:
    """Decode a file's bytes, upright.

    A JPEG scaled by 1/8 may end within its last pixels: what is beyond is outside the box.

    Parameters
    ----------
    data : bytes
        The file.
    kind : str
        As headers.sniff tells it.
    name : str
        What to call it in errors.
    min_side : int, optional
        As in `decode.decode`.

    Raises
    ------
    ImageTooLargeError
        From the header.
    Exception
        Whatever Pillow raises of a damaged file.
    """
    return (
        _decode_jpeg(data, name, min_side) if kind == "JPEG" else whole_picture(_decode_other(data, kind, name), kind)
    )


def _decode_other(data: bytes, kind: str, name: str) -> Image.Image:
    if kind == "PNG":
        limits.check_chunks(data, name)
    if kind == "TIFF":
        limits.check_tiles(data, name)
    image = _PLUGINS[kind](io.BytesIO(data))
    limits.check_size(name, *image.size)
    cost = _cost(image) + (12 if kind == "WEBP" else 0)  # WebP keeps two canvases and a copy of one
    if image.tile and image.tile[0].codec_name in _SLOW_CODECS:
        cost = max(cost, limits.MAX_DECODED_BYTES / limits.MAX_SLOW_PIXELS)
        if len(data) > limits.MAX_SLOW_BYTES:
            raise ImageTooLargeError(
                f"{name} is a {kind} of over 8 MiB in a form that decodes slowly.", "Save it as PNG."
            )
    limits.check_size(name, *image.size, bytes_per_pixel=cost + (4 if _orientation(image, data) > 1 else 0))
    image.load()
    orientation = _orientation(image, data)  # anew: in a PNG it may follow the pixels
    if orientation > 1:
        limits.check_size(name, *image.size, bytes_per_pixel=cost + 4)
    if kind == "TIFF":  # Pillow has turned it while loading, and then taken the tag away
        orientation = image.getexif().get(0x0112, 1)
    return _upright(_flatten(image), orientation)


def _decode_jpeg(data: bytes, name: str, min_side: int | None) -> Picture:
    header = headers.jpeg_header(data)
    limits.check_size(name, header.width, header.height)
    limits.check_jpeg_effort(header, name)
    image = _Jpeg(io.BytesIO(data))
    w, h = image.size
    if min_side:
        scale = max(s for s in (1, 2, 4, 8) if s == 1 or max(w, h) >= s * DRAFT_FACTOR * min_side)
        drafted = image.draft(image.mode, (max(1, w // scale), max(1, h // scale))) if scale > 1 else None
        if drafted:
            w, h = drafted[1][2:]
    orientation = _orientation(image, data)
    cost = _cost(image) + (4 if orientation > 1 else 0) + header.buffer / (image.width * image.height)
    limits.check_size(name, *image.size, bytes_per_pixel=cost)
    image.load()
    upright = _upright(_flatten(image), orientation)
    width, height = header.width, header.height
    if orientation >= 5:
        w, h, width, height = h, w, height, width
    left = upright.width - w if orientation in (2, 3, 6, 7) else 0
    top = upright.height - h if orientation in (3, 4, 7, 8) else 0
    return Picture(upright, (left, top, left + w, top + h), width, height, "JPEG")


def _cost(image: Image.Image) -> float:
    """Return the bytes a pixel that decoding and flattening hold at once."""
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "CMYK", "YCbCr", "LAB"):
        return 5 if image.mode in ("L", "P", "1") else 8
    if image.mode.startswith("I;16"):
        return 5
    return {"1": 1, "L": 1, "P": 5, "RGB": 4}.get(image.mode, 9)


def _orientation(image: Image.Image, data: bytes) -> int:
    return headers.exif_orientation(data if image.format == "TIFF" else image.info.get("exif", b""))


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TRANSPOSE[orientation]) if orientation > 1 else image


def _flatten(image: Image.Image) -> Image.Image:
    """Turn any mode into L or RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        return image_from_array(np.asarray(image))
    if image.has_transparency_data:
        return _by_strips(image, _over_black)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L") if image.mode == "1" else _by_strips(image, to_rgb)


def _over_black(image: Image.Image) -> Image.Image:
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    black.alpha_composite(image.convert("RGBA"))
    return black.convert("RGB")


def _by_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Turn into RGB by `convert`, a million pixels at a time, so that its intermediate images stay small."""
    rows = max(1, levels.STRIP_PIXELS // image.width)
    if image.height <= rows:
        return convert(image)
    out = Image.new("RGB", image.size)
    for y in range(0, image.height, rows):
        out.paste(convert(image.crop((0, y, image.width, min(y + rows, image.height)))), (0, y))
    return out
