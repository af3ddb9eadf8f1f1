"""Any image file to uint8 RGB at the model's input size: decode, then fit. Training, command line, server and report
all come through here, so that a model sees in use what it saw in training.

The fitting, for anyone who runs the ONNX file without medloupe:

    im = Image.open(path).convert("RGB")                                   # from PIL import Image
    w, h = (max(1, round(side * 224 / max(im.size))) for side in im.size)  # the longer side becomes 224
    out = Image.new("RGB", (224, 224))                                     # black
    out.paste(im.resize((w, h), Image.Resampling.BICUBIC), ((224 - w) // 2, (224 - h) // 2))
    x = np.asarray(out)[None]                                              # uint8 (1, 224, 224, 3): the input `image`

What is not plain 8-bit becomes so by these rules: EXIF orientation is applied; transparency lies over black, like the
padding and the surround of most medical images; of animations and cines the first frame counts; pixels of more than
8 bits that exceed 255, and floats outside (1, 255], are stretched from their 0.5th to their 99.5th percentile (an image
of one value becomes black). DICOM has rules of its own, in dicom.py.

Files are not trusted. The format is told from the bytes, and only seven Pillow plugins are ever called, directly
rather than by Image.open: that needs no global (Image.MAX_IMAGE_PIXELS) and no warnings filter, which threads would
share. All sizes are checked from the header, by what decoding would cost in memory, before a pixel is decoded.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

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

from medloupe import headers, levels, limits
from medloupe.errors import ImageError, ImageTooLargeError, NotAnImageError, UnreadableImageError

FITTING = "contain-black-bicubic-1"
"""Names the way of decoding and fitting, for caches and cards; changes whenever its pixels do."""

# A scaled JPEG keeps at least this many times the needed side: fitted, it then differs from the full decoding by a mean
# of half a grey level (99 % of pixels by 2 at most), which tests/test_images.py pins.
_DRAFT_FACTOR = 2
_SLOW_CODECS = {"ppm", "ppm_plain", "bmp_rle"}
_Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels, fractions of one included


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


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image, upright.

    image: L or RGB, perhaps a half, a quarter or an eighth of the file's pixels a side. box: where in it the picture
    lies. width, height: the file's own pixels, upright. kind: "JPEG", "PNG", ..., "DICOM"; "array" where no file.
    """

    image: Image.Image
    box: _Box
    width: int
    height: int
    kind: str = "array"

    def fit(self, size: int) -> np.ndarray:
        """What a model sees: uint8 RGB (size, size, 3), by the recipe at the top of this module."""
        return np.asarray(_fit(self.image, self.box, size))

    def preview(self, side: int, quality: int = 85) -> tuple[bytes, int, int]:
        """(JPEG, width, height) for a reader's eyes: the longer side at most `side`, without any metadata.

        Of a JPEG decoded with `preview_min_side(side)` as min_side, it is at least three quarters of `side`.
        """
        left, top = math.ceil(self.box[0]), math.ceil(self.box[1])
        w, h = max(1, int(self.box[2]) - left), max(1, int(self.box[3]) - top)
        if max(w, h) > side:
            w, h = _within(self.box, side)
            shown = self.image.resize((w, h), Image.Resampling.BICUBIC, self.box)
        else:
            shown = self.image.crop((left, top, left + w, top + h))
        shown.info = {}  # Pillow would write a comment found here into the new file
        file = io.BytesIO()
        shown.save(file, "JPEG", quality=quality)
        return file.getvalue(), w, h


def preview_min_side(side: int) -> int:
    """Of a large JPEG's half, quarter and eighth, the smallest that has three quarters of `side`: what `picture` shall
    be told, so that a preview costs a fraction of decoding the whole."""
    return math.ceil(0.75 * side / _DRAFT_FACTOR)


def picture(source: bytes | Path | np.ndarray, *, min_side: int | None = None) -> Picture:
    """The image decoded as by `decode`, with its own size, for those who fit it more than once."""
    return _decode(source, min_side)


def load(source: bytes | Path | np.ndarray, size: int) -> np.ndarray:
    """Decode and fit: uint8 RGB (size, size, 3), the one way from a file to a model.

    source: the file's bytes, its path, or pixels (see `decode`). The result is the same for bytes and path.
    Raises NotAnImageError, UnreadableImageError or ImageTooLargeError, naming the file where a path was given.
    """
    return _decode(source, size).fit(size)


def load_measured(source: bytes | np.ndarray, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """As `load`, and the image's own width and height in pixels, upright, before any scaling."""
    picture = _decode(source, size)
    return picture.fit(size), (picture.width, picture.height)


def decode(source: bytes | Path | np.ndarray, *, min_side: int | None = None) -> np.ndarray:
    """The image as uint8 RGB (h, w, 3), upright.

    source: the file's bytes, its path, or pixels: uint8 (h, w) or (h, w, 3) as they are, other integers and floats
    stretched to 8 bits. min_side: what the longer side will be fitted to; a JPEG much larger than that is decoded at
    a half, a quarter or an eighth of its size (never below twice min_side).
    Raises NotAnImageError, UnreadableImageError or ImageTooLargeError, naming the file where a path was given.
    """
    if isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim == 3 and source.shape[2] == 3:
        return _check_array(source)
    return np.asarray(_rgb(_decode(source, min_side).image))


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Resized to (size, size, 3) uint8 RGB: bicubic with antialiasing, aspect kept, centred on black.

    image: uint8 (h, w, 3) or (h, w). The recipe is spelt out at the top of this module.
    Raises UnreadableImageError for other arrays.
    """
    return _whole(_from_array(image)).fit(size)


def _rgb(image: Image.Image) -> Image.Image:
    return image if image.mode == "RGB" else image.convert("RGB")


def _whole(image: Image.Image, kind: str = "array") -> Picture:
    return Picture(image, (0, 0, image.width, image.height), image.width, image.height, kind)


def _within(box: _Box, size: int) -> tuple[int, int]:
    """Width and height of the box once its longer side is `size`."""
    sides = (box[2] - box[0], box[3] - box[1])
    w, h = (max(1, round(side * size / max(sides))) for side in sides)
    return w, h


def _fit(image: Image.Image, box: _Box, size: int) -> Image.Image:
    """image: L or RGB (grey is resized as grey: the same pixels in a third of the time). box: the part to fit."""
    sides = (box[2] - box[0], box[3] - box[1])
    w, h = _within(box, size)
    if image.size != (w, h) or sides != (w, h):
        image = image.resize((w, h), Image.Resampling.BICUBIC, box)
    if (w, h) != (size, size):
        square = Image.new(image.mode, (size, size))
        square.paste(image, ((size - w) // 2, (size - h) // 2))
        image = square
    return _rgb(image)


def _check_array(pixels: np.ndarray) -> np.ndarray:
    numeric = (
        pixels.dtype == bool or np.issubdtype(pixels.dtype, np.integer) or np.issubdtype(pixels.dtype, np.floating)
    )
    if pixels.size == 0 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)) or not numeric:
        raise UnreadableImageError(
            f"The pixels are {pixels.dtype} of shape {pixels.shape}; expected real numbers (h, w) or (h, w, 3).",
            "Drop the alpha channel, or choose one frame.",
        )
    return pixels


def _from_array(pixels: np.ndarray) -> Image.Image:
    """L or RGB."""
    pixels = _check_array(pixels)
    return Image.fromarray(np.ascontiguousarray(pixels if pixels.dtype == np.uint8 else levels.to_8bit(pixels)))


def _decode(source: bytes | Path | np.ndarray, min_side: int | None) -> Picture:
    """As `decode`. A JPEG scaled by 1/8 may end within its last pixels: what is beyond is outside the box."""
    if isinstance(source, np.ndarray):
        return _whole(_from_array(source))
    if isinstance(source, Path):
        name, data = str(source), _read(source)
    else:
        name, data = "The image", source
    kind = headers.sniff(data[: headers.SNIFF_BYTES])
    if kind is None:
        _refuse(name, data)
    try:
        if kind == "DICOM":
            from medloupe import dicom  # pydicom takes 0.2 s to import, and most data sets have none

            return _whole(_from_array(dicom.decode(data, name)), kind)
        if kind == "JPEG":
            return _decode_jpeg(data, name, min_side)
        return _whole(_decode_file(data, kind, name), kind)
    except ImageError:
        raise
    except MemoryError as e:
        raise ImageTooLargeError(
            f"{name} needs more memory to decode than there is.", "Scale the image down first."
        ) from e
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise ImageTooLargeError(f"{name} claims too many pixels: {e}", "Scale the image down first.") from e
    except (
        Exception
    ) as e:  # damaged files make decoders raise nearly anything, and every one means the same to the caller
        raise UnreadableImageError(
            f"{name} is a {kind} image, but damaged or cut short ({type(e).__name__}: {str(e)[:200]}).",
            "Copy or export it again from where it came.",
        ) from e


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(headers.SNIFF_BYTES)
            if headers.sniff(head) is None:  # a stray video need not be read whole to be refused
                _refuse(str(path), head)
            data = head + file.read(limits.MAX_FILE_BYTES - len(head) + 1)
    except OSError as e:
        raise UnreadableImageError(
            f"{path} cannot be opened: {e.strerror}.", "Check the path and its permissions."
        ) from e
    if len(data) > limits.MAX_FILE_BYTES:
        raise ImageTooLargeError(
            f"{path} is larger than {limits.MAX_FILE_BYTES >> 20} MiB.", "Export one frame or a smaller image."
        )
    return data


def _refuse(name: str, data: bytes) -> NoReturn:
    if not data:
        raise NotAnImageError(f"{name} is empty (0 bytes); expected a {headers.FORMATS} file.", "Copy it again.")
    what, hint = headers.describe_foreign(data[: headers.SNIFF_BYTES])
    raise NotAnImageError(f"{name} is not an image: it is {what}; expected a {headers.FORMATS} file.", hint)


def _decode_file(data: bytes, kind: str, name: str) -> Image.Image:
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
        scale = max(s for s in (1, 2, 4, 8) if s == 1 or max(w, h) >= s * _DRAFT_FACTOR * min_side)
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
    """Bytes a pixel that decoding and flattening hold at once."""
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
    """Any mode to L or RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_array(np.asarray(image))
    if image.has_transparency_data:
        return _by_strips(image, _over_black)
    if image.mode in ("L", "RGB"):
        return image
    return image.convert("L") if image.mode == "1" else _by_strips(image, _rgb)


def _over_black(image: Image.Image) -> Image.Image:
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    black.alpha_composite(image.convert("RGBA"))
    return black.convert("RGB")


def _by_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """RGB by `convert`, a million pixels at a time, so that its intermediate images stay small."""
    rows = max(1, levels.STRIP_PIXELS // image.width)
    if image.height <= rows:
        return convert(image)
    out = Image.new("RGB", image.size)
    for y in range(0, image.height, rows):
        out.paste(convert(image.crop((0, y, image.width, min(y + rows, image.height)))), (0, y))
    return out
