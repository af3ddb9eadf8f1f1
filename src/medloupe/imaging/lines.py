"""Find straight edges in a small picture by the Hough transform, and how far each of them is really there.

Lines are nearly upright or nearly level, as the sides of a picture are that somebody photographed. Both kinds are
handled by one code: level lines are the upright ones of the transposed picture. Duda and Hart 1972, "Use of the Hough
transformation to detect lines and curves in pictures".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SLOPES = np.linspace(-0.42, 0.42, 43)
"""Sideways steps a step along, of the lines that are looked for: up to 23 degrees."""

_LEAST_EDGE = 3.0  # levels across two pixels, below which nothing counts as an edge
_CAPPED = 18.0  # levels from which on an edge counts no more than others
_NEAR = 4.0  # pixels within which two lines are one, at both ends
_MOST_POINTS = 1800  # the strongest; more where several are equally strong


@dataclass(frozen=True, slots=True)
class Lines:
    """Straight edges in a picture of `length` rows.

    Attributes
    ----------
    start, slope : ndarray of float, shape (N,)
        Line n runs through x = start + slope * y.
    light, dark : ndarray of float, shape (N, length + 1)
        In how many of the first y rows an edge lies on it to whose right it is lighter, or darker.
    """

    start: np.ndarray
    slope: np.ndarray
    light: np.ndarray
    dark: np.ndarray


def strongest_channel(difference: np.ndarray) -> np.ndarray:
    """Keep of differences (h, w) or (h, w, n) those of the channel that differs most: (h, w)."""
    if difference.ndim == 2:
        return difference
    found = difference[..., 0]
    for channel in range(1, difference.shape[2]):
        other = difference[..., channel]
        found = np.where(np.abs(other) > np.abs(found), other, found)
    return found


def differences(small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the differences across two pixels to the right and downwards, 0 in the rim: (h, w) each.

    small: float32 (h, w) or (h, w, 3).
    """
    h, w = small.shape[:2]
    across, down = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    across[:, 1:-1] = strongest_channel(small[:, 2:] - small[:, :-2])
    down[1:-1] = strongest_channel(small[2:] - small[:-2])
    return across, down


def find_lines(across: np.ndarray, down: np.ndarray, most: int) -> Lines:
    """Find the straight edges that are nearly upright.

    Parameters
    ----------
    across, down : ndarray of float32, shape (h, w)
        As `differences` gives them.
    most : int
        How many to give; those with most edge on them.
    """
    h, w = across.shape
    size = np.abs(across)
    edge = (size >= _LEAST_EDGE) & (size >= 0.7 * np.abs(down))
    edge[:, 1:-1] &= (size[:, 1:-1] >= size[:, :-2]) & (size[:, 1:-1] > size[:, 2:])
    y, x = np.nonzero(edge)
    strength = size[y, x]
    if len(y) > _MOST_POINTS:
        # All that are as strong as the last one: which of equals a partition keeps differs between processors.
        kept = strength >= np.partition(strength, len(y) - _MOST_POINTS)[len(y) - _MOST_POINTS]
        y, x, strength = y[kept], x[kept], strength[kept]
    votes, left = _vote(x, y - h / 2, np.minimum(strength, _CAPPED) + _CAPPED / 2, h, w)
    start, slope = _peaks(votes, left, h, most)
    light, dark = _follow(across, edge, start, slope)
    return Lines(start, slope, light, dark)


def _vote(x: np.ndarray, y: np.ndarray, weight: np.ndarray, h: int, w: int) -> tuple[np.ndarray, int]:
    """Let edge points vote: (slopes, places at half height), and the place of the first column."""
    left = int(np.ceil(SLOPES[-1] * h / 2)) + 2
    width = w + 2 * left
    shift = np.arange(len(SLOPES), dtype=np.float32)[:, None] * width + np.float32(left + 0.5)
    places = (shift - np.multiply.outer(SLOPES.astype(np.float32), y.astype(np.float32)) + x.astype(np.float32)).astype(
        np.int64
    )
    votes = np.bincount(places.ravel(), np.tile(weight, len(SLOPES)), len(SLOPES) * width)
    votes = votes.reshape(len(SLOPES), width).astype(float)  # without any edge it would hold whole numbers
    votes[:, 1:-1] += 0.5 * (votes[:, :-2] + votes[:, 2:])
    return votes, left


def _peaks(votes: np.ndarray, left: int, h: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Take the strongest lines one after the other, and out with what is the same line."""
    middle = np.arange(votes.shape[1]) - left
    top = middle - SLOPES[:, None] * (h / 2)
    end = middle + SLOPES[:, None] * (h / 2)
    votes = votes.copy()
    start, slope, reach = [], [], math.ceil(_NEAR)
    for _ in range(most):
        k = int(votes.argmax())
        if votes.flat[k] <= 0:
            break
        i, j = divmod(k, votes.shape[1])
        start.append(top[i, j])
        slope.append(SLOPES[i])
        near = slice(max(0, j - reach), j + reach + 1)  # beyond, one of the ends lies farther off
        same = np.abs(top[:, near] - top[i, j]) < _NEAR
        same &= np.abs(end[:, near] - end[i, j]) < _NEAR
        votes[:, near][same] = 0
    return np.array(start), np.array(slope)


def _follow(
    across: np.ndarray, edge: np.ndarray, start: np.ndarray, slope: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count along each line the rows in which an edge lies on it: to lighter, and to darker, (N, h + 1) each."""
    h, w = across.shape
    rows = np.arange(h)
    at = np.rint(start[:, None] + slope[:, None] * rows).astype(int)  # (N, h)
    light, dark = np.zeros(at.shape, bool), np.zeros(at.shape, bool)
    for step in (-1, 0, 1):
        near = at + step
        inside = (near >= 0) & (near < w)
        near = np.clip(near, 0, w - 1)
        there = edge[rows, near] & inside
        rising = across[rows, near] > 0
        light |= there & rising
        dark |= there & ~rising
    grown = [np.zeros((len(start), h + 1), np.float32) for _ in range(2)]
    for out, found in zip(grown, (light, dark), strict=True):
        np.cumsum(found, axis=1, out=out[:, 1:])
    return grown[0], grown[1]
