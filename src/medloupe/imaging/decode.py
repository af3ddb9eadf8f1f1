"""Decode any image file to uint8 RGB at the model's input size: decode, then fit.

Training, command line, server and report all come through here, so that a model sees in use what it saw in training.

The fitting, for anyone who runs the ONNX file without medloupe:

    im = Image.open(path).convert("RGB")                                   # from PIL import Image
    w, h = (max(1, round(side * 224 / max(im.size))) for side in im.size)  # the longer side becomes 224
    out = Image.new("RGB", (224, 224))                                     # black
    out.paste(im.resize((w, h), Image.Resampling.BICUBIC), ((224 - w) // 2, (224 - h) // 2))
    x = np.asarray(out)[None]                                              # uint8 (1, 224, 224, 3): the input `image`

What is not plain 8-bit becomes so by these rules: EXIF orientation is applied; transparency lies over black, like the
padding and the surround of most medical images; of animations and cines the first frame counts that is not blank, and
of pages the first that is no thumbnail; pixels of more than 8 bits that exceed 255, and floats outside (1, 255], are
stretched from their 0.5th to their 99.5th percentile, all channels together (an image of one value becomes black).
DICOM has rules of its own, in dicom.py. What had to be decided on the way is told by `Picture.facts`, and what comes
out is checked by check.py.

Files are not trusted. The format is told from the bytes, and all sizes are checked from the header, by what decoding
would cost in memory, before a pixel is decoded.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
from PIL import Image

from medloupe.errors import ImageError, ImageTooLargeError, NotAnImageError, UnreadableImageError
from medloupe.imaging import headers, heif, limits, pillow
from medloupe.imaging.check import check_levels, value_range
from medloupe.imaging.photo import NEVER, PhotoRequest
from medloupe.imaging.photograph import straighten
from medloupe.imaging.picture import (
    FULL_SIDE,
    Picture,
    check_pixels,
    full_side,
    image_from_array,
    to_rgb,
    whole_picture,
)
from medloupe.imaging.quality import Measures

FITTING = "contain-black-bicubic-1"
"""Names the way of decoding and fitting, for cards and caches; changes whenever the pixels of ordinary pictures do."""

DECODING = 2
"""Numbers what is made of all other files, for caches; changes whenever the pixels of any of them do."""


def preview_min_side(side: int) -> int:
    """Return what `decode_picture` shall be told, so that a preview costs a fraction of decoding the whole.

    Of a large JPEG's half, quarter and eighth it is the smallest that has three quarters of `side`.
    """
    return math.ceil(0.75 * side / pillow.DRAFT_FACTOR)


def decode_picture(
    source: bytes | Path | np.ndarray, *, min_side: int | None = None, photo: PhotoRequest = NEVER
) -> Picture:
    """Decode the image as by `decode`, with its own size, for those who fit it more than once.

    photo: whether it may be a photograph of a picture, which is then cut out. Raises CornersError, too.
    """
    return straighten(lambda side: _decode(source, side), photo, min_side)


def decode_in_full(
    source: bytes | Path | np.ndarray, size: int, above: int | None, photo: PhotoRequest = NEVER
) -> tuple[Picture, np.ndarray | None]:
    """Decode an image to be looked at as a whole and, if it is large, in parts.

    Parameters
    ----------
    source : bytes, Path or ndarray
        As `decode` has it.
    size : int
        To which it will be fitted as a whole.
    above : int or None
        Pixels of its longer side above which parts are wanted; None for never.
    photo : PhotoRequest
        Whether it may be a photograph of a picture, which is then cut out.

    Returns
    -------
    picture : Picture
        To be fitted.
    full : ndarray of uint8, shape (F, F, 3), or None
        The picture fitted to F, its `full_side`. A large JPEG that is scaled while it is decoded to be fitted is
        decoded once more for that, unless all pictures are wanted in full.
    """
    picture = decode_picture(source, min_side=max(size, FULL_SIDE) if above == 0 else size, photo=photo)
    if above is None or max(picture.width, picture.height) <= above:
        return picture, None
    side = full_side(picture.width, picture.height)
    if max(picture.sides) >= side:
        return picture, picture.fit(side)
    return picture, decode_picture(source, min_side=side, photo=same_photo(picture, photo)).fit(side)


def same_photo(picture: Picture, photo: PhotoRequest) -> PhotoRequest:
    """Ask for the corners that were found in a picture before, where it is decoded once more."""
    return replace(photo, corners=picture.photo.corners) if picture.photo is not None else NEVER


def load(source: bytes | Path | np.ndarray, size: int) -> np.ndarray:
    """Decode and fit an image, the one way from a file to a model.

    Parameters
    ----------
    source : bytes, Path or ndarray
        The file's bytes, its path, or pixels (see `decode`). The result is the same for bytes and path.
    size : int
        Pixels a side.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
        RGB.

    Raises
    ------
    NotAnImageError, UnreadableImageError, ImageTooLargeError
        Naming the file where a path was given.
    """
    return _decode(source, size).fit(size)


def load_measured(source: bytes | np.ndarray, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode and fit as `load`, and return the image's own width and height in pixels, upright, before any scaling."""
    picture = _decode(source, size)
    return picture.fit(size), (picture.width, picture.height)


def load_judged(source: bytes | Path | np.ndarray, size: int) -> tuple[np.ndarray, Measures]:
    """Decode and fit as `load`, and measure how the picture was taken."""
    picture = _decode(source, size)
    return picture.fit(size), picture.measure()


def decode(source: bytes | Path | np.ndarray, *, min_side: int | None = None) -> np.ndarray:
    """Decode an image at its own size, upright.

    Parameters
    ----------
    source : bytes, Path or ndarray
        The file's bytes, its path, or pixels: uint8 (h, w) or (h, w, 3) as they are, other integers and floats
        stretched to 8 bits.
    min_side : int, optional
        What the longer side will be fitted to; a JPEG much larger than that is decoded at a half, a quarter or an
        eighth of its size (never below twice min_side).

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)
        RGB.

    Raises
    ------
    NotAnImageError, UnreadableImageError, ImageTooLargeError
        Naming the file where a path was given.
    """
    if isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim == 3 and source.shape[2] == 3:
        return check_pixels(source)
    return np.asarray(to_rgb(_decode(source, min_side).image))


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """Resize pixels for a model: bicubic with antialiasing, aspect kept, centred on black.

    The recipe is spelt out at the top of this module.

    Parameters
    ----------
    image : ndarray of uint8, shape (h, w, 3) or (h, w)
        The picture.
    size : int
        Pixels a side.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
        RGB.

    Raises
    ------
    UnreadableImageError
        For other arrays.
    """
    return whole_picture(image_from_array(image)).fit(size)


def _decode(source: bytes | Path | np.ndarray, min_side: int | None) -> Picture:
    """Decode as `decode`."""
    if isinstance(source, np.ndarray):
        image = image_from_array(source)
        held = None if source.dtype == np.uint8 else value_range(source)
        return whole_picture(image, facts=check_levels(image, held, ()))
    if isinstance(source, Path):
        name, data = str(source), _read(source)
    else:
        name, data = "The image", source
    kind = headers.sniff(data[: headers.SNIFF_BYTES])
    if kind is None or (kind in heif.KINDS and not heif.can_read(kind)):
        _refuse(name, data)
    try:
        if kind == "DICOM":
            from medloupe.imaging import dicom  # pydicom takes 0.2 s to import, and most data sets have none

            pixels, held, facts = dicom.decode(data, name)
            image = image_from_array(pixels)
            return whole_picture(image, kind, check_levels(image, held, facts))
        return pillow.decode_file(data, kind, name, min_side)
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
        if kind == "TIFF" and isinstance(e, SyntaxError) and "unknown" in str(e):
            raise UnreadableImageError(
                f"{name} is a TIFF whose pixels have a form that is not read here (kind of numbers, or channels).",
                "Save it as PNG, or as a TIFF of 8 or 16 bits in grey or RGB.",
            ) from e
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
    except FileNotFoundError:
        raise UnreadableImageError(f"There is no file {path}.", "Check the path.") from None
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
