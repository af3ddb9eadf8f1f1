"""Check a decoded picture against what its source holds and declares: the last step of every way of decoding.

A decoder that misread bit depths, windows or tables gives a picture of one level, and a network answers even that with
certainty. So nothing leaves decoding whose levels were lost on the way: where the source has different values and the
picture has not, it is refused. What is blank in the source itself stays blank, which is told as a fact and stopped by
quality.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from medloupe.errors import UnreadableImageError
from medloupe.imaging.facts import Fact
from medloupe.imaging.levels import row_strips
from medloupe.imaging.quality import LEAST_CONTRAST

NARROW = 20
"""Grey levels, of 256, within which nearly all pixels lie of a picture that was scaled by a depth it has not."""

_STRIP_PIXELS = 50_000
_FEW_ROWS = 16
_OUTER = (0.5, 99.5)  # percentiles between which nearly all pixels lie


def is_flat(shown: np.ndarray) -> bool:
    """Tell whether levels, uint8 of any shape, lie nearly all within NARROW ones."""
    low, high = np.percentile(shown, _OUTER)
    return bool(high - low < NARROW)


def is_blank(values: np.ndarray) -> bool:
    """Tell whether stored values (h, w) or (h, w, 3) are one value, or one colour."""
    return all(bool((values[rows] == values[:1, :1]).all()) for rows in row_strips(values))


def value_range(values: np.ndarray) -> tuple[float, float] | None:
    """Find the lowest and the highest value that is a number, of (h, w) or (h, w, n); None where all are the same."""
    if is_blank(values):
        return None
    real = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return (float(real.min()), float(real.max())) if real.size else None


def measure_spread(image: Image.Image | np.ndarray, enough: float) -> float:
    """Measure how far the levels of a channel go apart, the widest of all; no further than to `enough`."""
    if isinstance(image, np.ndarray):
        few = _spread(image[:: max(1, len(image) // _FEW_ROWS)])  # which tell what is no blank
        return few if few >= enough else _spread(image)
    rows = max(1, _STRIP_PIXELS // max(1, image.width))
    low: list[float] = []
    high: list[float] = []
    for y in range(0, image.height, rows):  # what is no blank is told by its first rows, which are all that is copied
        strip = image.crop((0, y, image.width, min(y + rows, image.height)))
        found = strip.getextrema()
        bands: list[Any] = list(found) if isinstance(found[0], tuple) else [found]
        low = [min(a, b[0]) for a, b in zip(low or [b[0] for b in bands], bands, strict=True)]
        high = [max(a, b[1]) for a, b in zip(high or [b[1] for b in bands], bands, strict=True)]
        if max(b - a for a, b in zip(low, high, strict=True)) >= enough:
            break
    return max((b - a for a, b in zip(low, high, strict=True)), default=0.0)


def _spread(pixels: np.ndarray) -> float:
    """Measure how far the levels of a channel of (h, w) or (h, w, n) go apart, the widest of all."""
    high, low = (reach(reach(pixels, axis=0), axis=0) for reach in (np.max, np.min))
    return float(np.max(high.astype(float) - low))


def check_levels(
    image: Image.Image | np.ndarray, source: tuple[float, float] | None, facts: tuple[Fact, ...]
) -> tuple[Fact, ...]:
    """Check that a picture has kept the levels of its source.

    Parameters
    ----------
    image : Image or ndarray of uint8
        L or RGB, as it was decoded.
    source : tuple of float or None
        The lowest and the highest value stored; None where they are all the same, or the picture has them as they
        are.
    facts : tuple of Fact
        What was decided on the way.

    Returns
    -------
    tuple of Fact
        The same, with what the levels themselves tell.

    Raises
    ------
    UnreadableImageError
        Where the picture is blank and its source is not.
    """
    spread = measure_spread(image, LEAST_CONTRAST)
    if spread >= LEAST_CONTRAST:
        return facts
    if source is not None and spread == 0:
        raise UnreadableImageError(
            f"The picture comes out blank, although its values go from {source[0]:g} to {source[1]:g}: what the file"
            " says of its grey levels (window, tables, depth, transparency) cannot be right.",
            "Export it again from where it came, as PNG if that can be chosen.",
        )
    return (*facts, Fact("blank")) if spread == 0 else facts
