"""Bring a decoded picture to the size that a model or a reader needs.

Whatever changes a pixel here or in pillow.py also changes `decode.FITTING`.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medloupe.errors import UnreadableImageError
from medloupe.imaging import levels
from medloupe.imaging.quality import Measures, measure

CropBox = tuple[float, float, float, float]  # left, top, right, bottom in pixels, fractions of one included


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image, upright.

    Attributes
    ----------
    image : Image
        L or RGB, perhaps a half, a quarter or an eighth of the file's pixels a side.
    box : CropBox
        Where in it the picture lies.
    width, height : int
        The file's own pixels, upright.
    kind : str
        "JPEG", "PNG", ..., "DICOM"; "array" where no file.
    """

    image: Image.Image
    box: CropBox
    width: int
    height: int
    kind: str = "array"

    def fit(self, size: int) -> np.ndarray:
        """Fit for a model: uint8 RGB (size, size, 3), by the recipe of decode.py."""
        return np.asarray(_fit(self.image, self.box, size))

    def measure(self) -> Measures:
        """Measure how it was taken, for `quality.find_fault`."""
        return measure(self.image, self.box, self.width, self.height)

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


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB."""
    return image if image.mode == "RGB" else image.convert("RGB")


def whole_picture(image: Image.Image, kind: str = "array") -> Picture:
    """Make a picture of which every pixel counts."""
    return Picture(image, (0, 0, image.width, image.height), image.width, image.height, kind)


def _within(box: CropBox, size: int) -> tuple[int, int]:
    """Compute width and height of the box once its longer side is `size`."""
    sides = (box[2] - box[0], box[3] - box[1])
    w, h = (max(1, round(side * size / max(sides))) for side in sides)
    return w, h


def _fit(image: Image.Image, box: CropBox, size: int) -> Image.Image:
    """Fit a part of an image into a square.

    image: L or RGB (grey is resized as grey: the same pixels in a third of the time). box: the part to fit.
    """
    sides = (box[2] - box[0], box[3] - box[1])
    w, h = _within(box, size)
    if image.size != (w, h) or sides != (w, h):
        image = image.resize((w, h), Image.Resampling.BICUBIC, box)
    if (w, h) != (size, size):
        square = Image.new(image.mode, (size, size))
        square.paste(image, ((size - w) // 2, (size - h) // 2))
        image = square
    return to_rgb(image)


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
