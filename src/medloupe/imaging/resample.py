"""Resize 8-bit pixels as Pillow does, to the last bit, by the matrix products of NumPy: in half the time.

Pillow resamples in two passes, first along rows, then along columns, each by whole-number weights of 22 binary places,
and rounds each pass to 8 bits. The sums of a pass are products with a matrix that is zero but for a band; NumPy works
them out in single precision, by blocks along the band. Where such a sum lies so near to a half that its last places
could turn the rounding, it is worked out once more in whole numbers.

Source: Pillow, `src/libImaging/Resample.c`, whose results this gives for every size (tests/imaging/test_resample.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

MOST_PIXELS = 2**20
"""Of larger pictures the matrices of a pass are no longer small, and their products would go to several threads."""

_PLACES = 22  # binary, of Pillow's weights
_BLOCK = 4  # columns of one product: with more, most of it would be zeros
_MOST_TAPS = 40  # pixels that one sum takes in
_OFF = 2.0**-24 * 400  # levels that a sum can be off by each of them: a rounding of at most 400
_KNOWN = 24  # passes whose matrices are kept


def _bicubic(x: np.ndarray) -> np.ndarray:
    a, x = -0.5, np.abs(x)
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    return np.where(x < 1, near, np.where(x < 2, (((x - 5) * x + 8) * x - 4) * a, 0.0))


def _box(x: np.ndarray) -> np.ndarray:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


_KERNELS: dict[Image.Resampling, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    Image.Resampling.BICUBIC: (_bicubic, 2.0),
    Image.Resampling.BOX: (_box, 0.5),
}


@dataclass(frozen=True, slots=True)
class _Pass:
    """One pass: `weights` int64 (n, taps) of each pixel made, from `starts` (n,) on, and the band in blocks.

    first, last : the pixels that are read. blocks : of each the pixels made, the pixels read, and the matrix.
    """

    weights: np.ndarray
    starts: np.ndarray
    first: int
    last: int
    blocks: tuple[tuple[int, int, int, int, np.ndarray], ...]


def can_resize(pixels: np.ndarray, box: tuple[float, float, float, float], size: tuple[int, int]) -> bool:
    """Tell whether `resize` takes it: uint8 (h, w) or (h, w, 3), of few pixels, of about the size wanted."""
    h, w = pixels.shape[:2]
    if pixels.dtype != np.uint8 or h * w > MOST_PIXELS or not pixels.flags.c_contiguous:
        return False
    if h - size[1] > max(0, 2 * (w - size[0])):  # Pillow goes along columns first then, from its version 13 on
        return False
    scales = ((box[2] - box[0]) / size[0], (box[3] - box[1]) / size[1])
    return all(0.5 <= scale <= (_MOST_TAPS - 2) / 4 for scale in scales)


def resize(
    pixels: np.ndarray,
    size: tuple[int, int],
    kind: Image.Resampling,
    box: tuple[float, float, float, float],
) -> np.ndarray:
    """Resize pixels to the very values that Pillow gives.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w) or (h, w, 3)
        As `can_resize` takes them.
    size : tuple of int
        Width and height wanted.
    kind : Image.Resampling
        BICUBIC or BOX.
    box : tuple of float
        Left, top, right, bottom of what is resized.

    Returns
    -------
    ndarray of uint8
        Of that size; the pixels themselves where nothing changes.
    """
    h, w = pixels.shape[:2]
    left, top, right, bottom = (float(np.float32(side)) for side in box)  # as Pillow takes it
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    flat = pixels.reshape(h, w * channels)
    down = None if (top, bottom, size[1]) == (0, h, h) else _plan(h, top, bottom, size[1], kind, 1)
    offset = 0
    if (left, right, size[0]) != (0, w, w):
        across = _plan(w, left, right, size[0], kind, channels)
        if down is not None:
            offset, flat = down.first, flat[down.first : down.last]
        flat = _resample_rows(flat, across, channels)
    if down is not None:
        flat = _resample_columns(flat, down, offset)
    return flat.reshape(size[1], size[0], channels) if pixels.ndim == 3 else flat


def _resample_rows(flat: np.ndarray, plan: _Pass, channels: int) -> np.ndarray:
    values = flat.astype(np.float32)
    sums = np.empty((len(flat), len(plan.starts) * channels), np.float32)
    for i, j, low, high, matrix in plan.blocks:
        np.matmul(values[:, low * channels : high * channels], matrix, out=sums[:, i * channels : j * channels])
    made, doubtful = _round(sums, plan.weights.shape[1])
    if doubtful.size:
        rows, columns = np.divmod(doubtful, sums.shape[1])
        at, channel = np.divmod(columns, channels)
        taps = np.minimum(plan.starts[at][:, None] + np.arange(plan.weights.shape[1]), flat.shape[1] // channels - 1)
        made.ravel()[doubtful] = _exact(flat[rows[:, None], taps * channels + channel[:, None]], plan.weights[at])
    return made


def _resample_columns(flat: np.ndarray, plan: _Pass, offset: int) -> np.ndarray:
    values = flat.astype(np.float32)
    sums = np.empty((len(plan.starts), flat.shape[1]), np.float32)
    for i, j, low, high, matrix in plan.blocks:
        np.matmul(matrix.T, values[low - offset : high - offset], out=sums[i:j])
    made, doubtful = _round(sums, plan.weights.shape[1])
    if doubtful.size:
        at, columns = np.divmod(doubtful, sums.shape[1])
        taps = np.minimum(plan.starts[at][:, None] - offset + np.arange(plan.weights.shape[1]), len(flat) - 1)
        made.ravel()[doubtful] = _exact(flat[taps, columns[:, None]], plan.weights[at])
    return made


def _round(sums: np.ndarray, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """Round sums, which are lost, to levels; return also where single precision cannot tell the level."""
    sums += np.float32(0.5)
    np.clip(sums, np.float32(0.5), np.float32(255.5), out=sums)  # beyond is no level, and no doubt
    made = sums.astype(np.uint8)
    sums -= made
    sums -= np.float32(0.5)  # now from the middle of the level
    np.abs(sums, out=sums)
    return made, np.flatnonzero(sums.ravel() > np.float32(0.5 - taps * _OFF))


def _exact(pixels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Work out levels from pixels and weights, both (n, taps), as Pillow does."""
    sums = (pixels * weights).sum(axis=1) + (1 << (_PLACES - 1))
    return np.clip(sums >> _PLACES, 0, 255).astype(np.uint8)


@lru_cache(_KNOWN)
def _plan(there: int, low: float, high: float, wanted: int, kind: Image.Resampling, channels: int) -> _Pass:
    """Plan a pass from `there` pixels, of which low to high count, to the wanted number."""
    kernel, reach = _KERNELS[kind]
    scale = float(np.float32(high) - np.float32(low)) / wanted
    wide = max(scale, 1.0)
    support, inverse = reach * wide, 1.0 / wide
    taps = math.ceil(support) * 2 + 1
    centres = low + (np.arange(wanted) + 0.5) * scale
    starts = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    counts = np.minimum((centres + support + 0.5).astype(np.int64), there) - starts
    within = np.arange(taps) < counts[:, None]
    weights = np.where(within, kernel((np.arange(taps) + starts[:, None] - centres[:, None] + 0.5) * inverse), 0.0)
    total = np.zeros(wanted)
    for column in weights.T:  # one after the other, as the last places depend on the order
        total += column
    weights /= np.where(total == 0, 1.0, total)[:, None]
    whole = np.trunc(np.where(weights < 0, -0.5, 0.5) + weights * (1 << _PLACES)) * within
    blocks: list[tuple[int, int, int, int, np.ndarray]] = []
    for i in range(0, wanted, _BLOCK):
        j = min(i + _BLOCK, wanted)
        first, last = int(starts[i]), int((starts[i:j] + counts[i:j]).max())
        band = np.zeros((last - first, j - i), np.float32)
        for k in range(i, j):
            at = int(starts[k]) - first
            band[at : at + counts[k], k - i] = whole[k, : counts[k]] / (1 << _PLACES)
        blocks.append((i, j, first, last, np.kron(band, np.eye(channels, dtype=np.float32)) if channels > 1 else band))
    return _Pass(whole.astype(np.int64), starts, int(starts[0]), int((starts + counts).max()), tuple(blocks))
