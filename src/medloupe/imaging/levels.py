"""Bring values of any depth to the 256 grey levels that a model and a reader see.

Pixels of more than 8 bits that exceed 255, and floats outside (1, 255], are stretched from their 0.5th to their 99.5th
percentile; an image of one value becomes black.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

STRIP_PIXELS = 1_000_000
"""How much is worked on at once where copies would be several times the image."""


def to_8bit(values: np.ndarray) -> np.ndarray:
    """Turn grey or colour values of any real type into uint8 of the same shape, by the rule at the top of this module.

    The percentiles are values that occur (numpy's "inverted_cdf") in `sample_pixels`, infinities and NaN left out;
    NaN becomes black.
    """
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    return scale_to_8bit(values, *choose_range(values, sample_pixels(values)))


def choose_range(values: np.ndarray, sample: np.ndarray) -> tuple[float, float]:
    """Choose as `display_range` does by a sample of values; where it has but one, by the ends of them all."""
    low, high = display_range(sample)
    if low < high or not values.size:
        return low, high
    whole = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return display_range(np.array([whole.min(), whole.max()])) if whole.size else (low, high)


def sample_pixels(values: np.ndarray) -> np.ndarray:
    """Sample at most about a million of them, flat: every second, third, ... row and column where there are more."""
    step = math.ceil(math.sqrt(values.shape[0] * values.shape[1] / 1e6))
    return values[::step, ::step].ravel()


def display_range(values: np.ndarray) -> tuple[float, float]:
    """Choose which of these values are shown black and white, by the rule at the top of this module.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Flat.

    Returns
    -------
    low, high : float
        Black at low or less, white at high or more.
    """
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 0.0
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 255 and (values.dtype.kind in "iu" or high > 1):
        return 0.0, 255.0
    p_low, p_high = (float(p) for p in np.percentile(values, [0.5, 99.5], method="inverted_cdf"))
    # Where nearly all is one value, what stands out from it is all there is to see.
    return (p_low, p_high) if p_low < p_high else (low, high)


def row_strips(pixels: np.ndarray) -> Iterator[slice]:
    """Cut rows into slices, a million values each: work by strips keeps float copies small."""
    rows = max(1, STRIP_PIXELS // max(1, pixels[:1].size))
    return (slice(y, y + rows) for y in range(0, len(pixels), rows))


def scale_to_8bit(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scale to uint8 of the same shape, 0 at `low` or less and 255 at `high` or more; all 0 where they are equal."""
    out = np.zeros(values.shape, np.uint8)
    if not high > low:
        return out
    with np.errstate(all="ignore"):  # floats may be anything a file holds; numpy keeps this setting per thread
        part = 1.0 if np.isfinite(high - low) else 0.25  # of values whose distance is beyond all numbers
        low, high = low * part, high * part
        for rows in row_strips(values):
            strip = (values[rows].astype(np.float64) * part - low) * (255 / (high - low))
            out[rows] = np.rint(np.clip(np.nan_to_num(strip, nan=0.0), 0, 255))
    return out
