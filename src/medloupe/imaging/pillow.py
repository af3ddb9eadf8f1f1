"""Decode image files by Pillow, which are not trusted: a plugin for each format, and every size checked before.

Only these plugins are ever called, directly rather than by Image.open: that needs no global
(Image.MAX_IMAGE_PIXELS) and no warnings filter, which threads would share.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import simplejpeg
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    WebPImagePlugin,
)

from medloupe.errors import ImageTooLargeError
from medloupe.imaging import headers, heif, levels, limits
from medloupe.imaging.check import check_levels, measure_spread, value_range
from medloupe.imaging.deep import (
    DeepTiff,
    SampleForm,
    flatten_samples,
    png_form,
    read_samples,
    read_tiff,
    read_wide_ppm,
)
from medloupe.imaging.facts import Fact
from medloupe.imaging.pages import choose_page
from medloupe.imaging.picture import Picture, image_from_array, to_rgb, whole_picture

# A scaled JPEG keeps at least this many times the needed side: fitted, it then differs from the full decoding by a mean
# of half a grey level (99 % of pixels by 2 at most), which tests/imaging/test_decode.py pins.
DRAFT_FACTOR = 2
# Bytes a pixel that decoders hold beside the picture: WebP two canvases and a copy of one, those of films their planes.
_PLANES = {"WEBP": 12, "HEIF": 7, "AVIF": 9}
_SLOW_CODECS = {"ppm", "ppm_plain", "bmp_rle"}


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Does not interpret EXIF while opening: damaged tags would raise warnings, and only the orientation matters."""

    def getexif(self) -> Image.Exif:
        return Image.Exif()


_PLUGINS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "TIFF": DeepTiff,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "PPM": PpmImagePlugin.PpmImageFile,
    "HEIF": heif.open_heif,
    "AVIF": heif.open_avif,
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
    UnreadableImageError
        Where its levels were lost.
    Exception
        Whatever Pillow raises of a damaged file.
    """
    if kind == "JPEG":
        return _decode_jpeg(data, name, min_side)
    if kind == "PNG":
        limits.check_chunks(data, name)
    if kind == "TIFF":
        limits.check_tiles(data, name)
    choice = choose_page(_open(data, kind, 0), data, kind)
    page = choice.order[0]
    found = _decode_page(data, kind, name, page)
    for other in () if measure_spread(found.image, 1) else choice.order[1:]:
        try:
            tried = _decode_page(data, kind, name, other)
        except EOFError:  # an animation of fewer frames
            break
        if measure_spread(tried.image, 1):
            found, page = tried, other
            break
    facts = check_levels(found.image, found.source, (*choice.facts(page), *found.facts))
    return whole_picture(found.image, kind, facts)


class _Page(NamedTuple):
    """A decoded page: the image, the range of its values where it was stretched, and what was decided on the way."""

    image: Image.Image
    source: tuple[float, float] | None = None
    facts: tuple[Fact, ...] = ()


def _open(data: bytes, kind: str, page: int) -> ImageFile.ImageFile:
    image = _PLUGINS[kind](io.BytesIO(data))
    if page:
        image.seek(page)
    return image


def _decode_page(data: bytes, kind: str, name: str, page: int) -> _Page:
    image = _open(data, kind, page)
    limits.check_size(name, *image.size)
    form = png_form(image) if kind == "PNG" else image.form if isinstance(image, DeepTiff) else None
    cost = form.cost if form is not None else _cost(image)
    cost += _PLANES.get(kind, 0)
    slow = image.tile and image.tile[0].codec_name in _SLOW_CODECS
    if slow:
        cost = max(cost, limits.MAX_DECODED_BYTES / limits.MAX_SLOW_PIXELS)
        if len(data) > limits.MAX_SLOW_BYTES:
            raise ImageTooLargeError(
                f"{name} is a {kind} of over 8 MiB in a form that decodes slowly.", "Save it as PNG."
            )
    turned = _orientation(image, data)
    limits.check_size(name, *image.size, bytes_per_pixel=cost + (4 if turned > 1 else 0))
    if kind == "TIFF" and page:
        limits.check_size(name, *(int(image.tag_v2.get(tag, 0)) for tag in (322, 323)), bytes_per_pixel=4)  # type: ignore[attr-defined]
    if form is not None:
        return _decode_deep(data, kind, image, form, page, turned)
    wide = read_wide_ppm(image, data) if kind == "PPM" else None
    if wide is not None:
        return _Page(image_from_array(wide), value_range(wide))
    image.load()
    orientation = _orientation(image, data)  # anew: in a PNG it may follow the pixels
    if orientation > 1:
        limits.check_size(name, *image.size, bytes_per_pixel=cost + 4)
    if kind == "TIFF":  # Pillow has turned it while loading, and then taken the tag away
        orientation = image.getexif().get(0x0112, 1)
    if kind == "TIFF" and image.mode == "L" and image.tag_v2.get(339) == (2,):  # type: ignore[attr-defined]
        signed = np.asarray(image).view(np.int8)  # which Pillow takes for unsigned
        return _Page(_upright(image_from_array(signed), orientation), value_range(signed))
    clear = _is_clear(image)
    flat = _flatten(image.convert(image.mode[:-1]) if clear else image)
    facts = (Fact("transparent"),) if clear else ()
    return _Page(_upright(flat, orientation), _extrema(image) if image.mode[0] in "IF" else None, facts)


def _decode_deep(
    data: bytes, kind: str, image: ImageFile.ImageFile, form: SampleForm, page: int, orientation: int
) -> _Page:
    """Decode what has more than 8 bits in a form that Pillow does not hand over whole."""
    if isinstance(image, DeepTiff):  # which Pillow turns
        values, orientation = read_tiff(data, image, page), 1
    else:
        values = read_samples(lambda: _open(data, kind, page), form)
    key = image.info.get("transparency")
    flat = flatten_samples(values, form, key if isinstance(key, tuple) else None)
    clear = form.alpha == "straight" and not values[..., -1].any()
    shown = values[..., :-1] if form.alpha else values
    return _Page(
        _upright(Image.fromarray(flat), orientation), value_range(shown), (Fact("transparent"),) if clear else ()
    )


def _extrema(image: Image.Image) -> tuple[float, float] | None:
    """Find the range of the values of a grey image of any depth; None where all are the same, or some no numbers."""
    low, high = (float(v) for v in image.getextrema())  # type: ignore[arg-type]
    return (low, high) if low < high else None


def _is_clear(image: Image.Image) -> bool:
    """Tell whether a picture is transparent everywhere, which leaves nothing to see."""
    return image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (0, 0)


def _decode_jpeg(data: bytes, name: str, min_side: int | None) -> Picture:
    header = headers.jpeg_header(data)
    scaled = min_side and header.scans == 1 and max(header.width, header.height) <= limits.MAX_SCALED_SIDE
    most = max(limits.MAX_PIXELS, limits.MAX_SCALED_PIXELS) if scaled else None
    limits.check_size(name, header.width, header.height, most_pixels=most)
    limits.check_jpeg_effort(header, name)
    image = _Jpeg(io.BytesIO(data))
    w, h = image.size
    orientation = _orientation(image, data)
    cost = _cost(image) + (4 if orientation > 1 else 0)
    if min_side:
        scale = max(s for s in (1, 2, 4, 8) if s == 1 or max(w, h) >= s * DRAFT_FACTOR * min_side)
        while scale < 8 and w * h / scale**2 * cost + header.buffer > limits.MAX_DECODED_BYTES:
            scale *= 2  # rather fewer pixels than none
        drafted = image.draft(image.mode, (max(1, w // scale), max(1, h // scale))) if scale > 1 else None
        if drafted:
            w, h = drafted[1][2:]
    cost += header.buffer / (image.width * image.height)
    limits.check_size(name, *image.size, bytes_per_pixel=cost, most_pixels=most)
    width, height = header.width, header.height
    plain = _decode_plain_jpeg(image, data) if orientation <= 1 else None
    if plain is not None:
        return Picture(plain, (0, 0, w, h), width, height, "JPEG", check_levels(plain, None, ()))
    image.load()
    upright = _upright(_flatten(image), orientation)
    if orientation >= 5:
        w, h, width, height = h, w, height, width
    left = upright.width - w if orientation in (2, 3, 6, 7) else 0
    top = upright.height - h if orientation in (3, 4, 7, 8) else 0
    facts = check_levels(upright, None, ())
    return Picture(upright, (left, top, left + w, top + h), width, height, "JPEG", facts)


def _decode_plain_jpeg(image: ImageFile.ImageFile, data: bytes) -> np.ndarray | None:
    """Decode a JPEG that Pillow has opened by libjpeg-turbo's own interface, in less time.

    Returns
    -------
    ndarray of uint8, shape (h, w) or (h, w, 3), or None
        The pixels that Pillow gives; None of what is not plain, or damaged, which is for Pillow to say.
    """
    if image.mode not in ("L", "RGB"):
        return None
    w, h = image.size
    scale = getattr(image, "decoderconfig", None) or (1,)  # where it is to be drafted
    colours = "GRAY" if image.mode == "L" else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(data, colours, min_height=h, min_width=w, min_factor=max(1, scale[0]))
    except (ValueError, MemoryError):
        return None
    pixels = pixels[..., 0] if image.mode == "L" else pixels
    return pixels if pixels.shape[:2] == (h, w) else None


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
