"""Bring a decoded picture to the size that a model or a reader needs.

Whatever changes a pixel here or in pillow.py also changes `decode.FITTING`, or `decode.DECODING`.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from medloupe.errors import UnreadableImageError
from medloupe.imaging import levels, resample
from medloupe.imaging.facts import Fact
from medloupe.imaging.quality import SIDES, Measures, measure, shrink_for_measures, shrink_further

if TYPE_CHECKING:
    from medloupe.imaging.photo import Photo

FULL_SIDE = 4096  # pixels of the longer side to which a picture is fitted for parts of it to be looked at, at most
_FEW = 52  # pixels of the longer side by which colour is told
_GREY = 3  # levels by which the channels of a grey picture may differ, as they do in some JPEGs
CropBox = tuple[float, float, float, float]  # left, top, right, bottom in pixels, fractions of one included


@dataclass(frozen=True)
class Picture:
    """A decoded image, upright.

    Attributes
    ----------
    content : Image or ndarray of uint8
        L or RGB, (h, w) or (h, w, 3), perhaps a half, a quarter or an eighth of the file's pixels a side.
    box : CropBox
        Where in it the picture lies.
    width, height : int
        The file's own pixels, upright.
    kind : str
        "JPEG", "PNG", ..., "DICOM"; "array" where no file.
    facts : tuple of Fact
        What had to be decided while decoding.
    photo : Photo or None
        Where it lay in the photograph from which it was cut out; None where it was not.
    """

    content: Image.Image | np.ndarray
    box: CropBox
    width: int
    height: int
    kind: str = "array"
    facts: tuple[Fact, ...] = ()
    photo: Photo | None = None

    @property
    def image(self) -> Image.Image:
        """The content as L or RGB."""
        return self.content if isinstance(self.content, Image.Image) else Image.fromarray(self.content)

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height of the content."""
        if isinstance(self.content, Image.Image):
            return self.content.size
        return self.content.shape[1], self.content.shape[0]

    @property
    def given_size(self) -> tuple[int, int]:
        """Width and height of the picture as given, of which this may be a part."""
        return (self.width, self.height) if self.photo is None else (self.photo.width, self.photo.height)

    def fit(self, size: int) -> np.ndarray:
        """Fit for a model: uint8 RGB (size, size, 3), by the recipe of decode.py."""
        left, top, w, h = fitted_frame(self.box[2] - self.box[0], self.box[3] - self.box[1], size)
        if isinstance(self.content, np.ndarray) and resample.can_resize(self.content, self.box, (w, h)):
            pixels = resample.resize(self.content, (w, h), Image.Resampling.BICUBIC, self.box)
        else:
            pixels = np.asarray(_resize(self.image, self.box, (w, h)))
        if pixels.shape == (size, size, 3):
            return pixels
        square = np.zeros((size, size, 3), np.uint8)
        square[top : top + h, left : left + w] = pixels if pixels.ndim == 3 else pixels[..., None]
        return square

    def measure(self) -> Measures:
        """Measure how it was taken, for `quality.find_fault`."""
        return measure(self._grey, self.glance, self.width, self.height)

    @cached_property
    def _grey(self) -> Image.Image:
        return shrink_for_measures(self.image, self.box)

    @cached_property
    def glance(self) -> Image.Image:
        """It in grey, of 104 pixels at most: enough to be measured, and to be told from a photograph."""
        return shrink_further(self._grey, SIDES[1])

    @cached_property
    def colour(self) -> float:
        """How far the channels lie apart on average, in levels, by every so many pixels; 0 of a grey picture."""
        w, h = self.sides
        step = max(1, min(max(w, h) // _FEW, w, h))
        across, down = w // step, h // step
        if isinstance(self.content, np.ndarray):
            few = self.content[step // 2 :: step, step // 2 :: step][:down, :across]
        else:
            box = (0, 0, across * step, down * step)
            few = np.asarray(self.content.resize((across, down), Image.Resampling.NEAREST, box))
        if few.ndim == 2:
            return 0.0
        levels = few.astype(np.int16)
        return float(np.abs(levels[..., 0::2] - levels[..., 1:2]).sum(2).mean())

    def preview(self, side: int, quality: int = 85) -> tuple[bytes, int, int]:
        """Make a JPEG for a reader's eyes, without any metadata.

        Of a JPEG decoded with `decode.preview_min_side(side)` as min_side, its longer side is at least three quarters
        of `side`.

        Parameters
        ----------
        side : int
            Pixels of the longer side, at most.
        quality : int
            Of the JPEG.

        Returns
        -------
        jpeg : bytes
            The file.
        width, height : int
            Its pixels.
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


def negative_of(fitted: np.ndarray, width: int, height: int) -> np.ndarray | None:
    """Make the negative of a fitted grey picture, its padding left black; None where it has colours.

    Parameters
    ----------
    fitted : ndarray of uint8, shape (S, S, 3)
        As `Picture.fit` gives it.
    width, height : int
        The picture's own pixels.
    """
    if np.ptp(fitted.astype(np.int16), axis=2).max() > _GREY:
        return None
    left, top, w, h = fitted_frame(width, height, len(fitted))
    out = fitted.copy()
    out[top : top + h, left : left + w] = 255 - out[top : top + h, left : left + w]
    return out


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB."""
    return image if image.mode == "RGB" else image.convert("RGB")


def whole_picture(image: Image.Image, kind: str = "array", facts: tuple[Fact, ...] = ()) -> Picture:
    """Make a picture of which every pixel counts."""
    return Picture(image, (0, 0, image.width, image.height), image.width, image.height, kind, facts)


def full_side(width: int, height: int) -> int:
    """Tell to which side a picture is fitted for parts of it to be looked at: its own longer side, or FULL_SIDE."""
    return min(max(width, height), FULL_SIDE)


def fitted_frame(width: float, height: float, size: int) -> tuple[int, int, int, int]:
    """Compute where a picture of width x height lies once it is fitted: left, top, width and height in pixels."""
    w, h = _within((0, 0, width, height), size)
    return (size - w) // 2, (size - h) // 2, w, h


def _within(box: CropBox, size: int) -> tuple[int, int]:
    """Compute width and height of the box once its longer side is `size`."""
    sides = (box[2] - box[0], box[3] - box[1])
    w, h = (max(1, round(side * size / max(sides))) for side in sides)
    return w, h


def _resize(image: Image.Image, box: CropBox, size: tuple[int, int]) -> Image.Image:
    """Resize a part of an image; grey as grey: the same pixels in a third of the time."""
    if image.size == size and (box[2] - box[0], box[3] - box[1]) == size:
        return image
    return image.resize(size, Image.Resampling.BICUBIC, box)


def check_pixels(pixels: np.ndarray) -> np.ndarray:
    """Return the array itself.

    Raises
    ------
    UnreadableImageError
        Where it is no picture.
    """
    numeric = (
        pixels.dtype == bool or np.issubdtype(pixels.dtype, np.integer) or np.issubdtype(pixels.dtype, np.floating)
    )
    if pixels.size == 0 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)) or not numeric:
        raise UnreadableImageError(
            f"The pixels are {pixels.dtype} of shape {pixels.shape}; expected real numbers (h, w) or (h, w, 3).",
            "Drop the alpha channel, or choose one frame.",
        )
    return pixels


def image_from_array(pixels: np.ndarray) -> Image.Image:
    """Make an L or RGB image of real numbers (h, w) or (h, w, 3).

    Raises
    ------
    UnreadableImageError
        For other arrays.
    """
    pixels = check_pixels(pixels)
    return Image.fromarray(np.ascontiguousarray(pixels if pixels.dtype == np.uint8 else levels.to_8bit(pixels)))
