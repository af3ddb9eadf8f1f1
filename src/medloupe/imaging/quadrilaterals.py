"""Put four straight edges together to the sides of a picture, and measure what tells such sides from others.

Corners are (x, y) from the upper left clockwise, sides the upper, right, lower and left one.
"""

from __future__ import annotations

import numpy as np

from medloupe.imaging.lines import Lines, differences, find_lines, strongest_channel

FEATURES = (
    *(f"support_{n}" for n in range(4)),
    *(f"contrast_{n}" for n in range(4)),
    *(f"agree_{n}" for n in range(4)),
    "onward",
    "onward_most",
    "same_sign",
    "outside_rough",
    "outside_rough_most",
    "inside_rough",
    "area",
    "margin",
    "margin_mean",
    "tilt",
    "straight",
    "converge",
    "stretch",
    "outside_flat",
    "skew",
    "grey",
)
"""What is measured of a quadrilateral, in this order; numbers about 0 to 1."""

_MOST_LINES = 14
_LEAST_SHARE = 0.3  # of the frame's width and height that the picture takes at half height
_SAMPLES = 40  # along each side
_OFF = 2.0  # pixels from a side at which inside and outside are looked at


def candidates(small: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Find quadrilaterals that may be a picture's sides.

    Parameters
    ----------
    small : ndarray of float32, shape (h, w) or (h, w, 3)
        The frame, about 160 pixels on its longer side.
    most : int
        How many to give.

    Returns
    -------
    corners : ndarray of float, shape (N, 4, 2)
        In its pixels, the middle of the first one at (0.5, 0.5).
    features : ndarray of float, shape (N, len(FEATURES))
        Of each.
    """
    h, w = small.shape[:2]
    across, down = differences(small)
    upright = find_lines(across, down, _MOST_LINES)
    lefts, rights = _pairs(upright, h, w)
    if not len(lefts):
        return np.empty((0, 4, 2)), np.empty((0, len(FEATURES)))
    level = find_lines(np.ascontiguousarray(down.T), across.T, _MOST_LINES)
    tops, bottoms = _pairs(level, w, h)
    if not len(tops):
        return np.empty((0, 4, 2)), np.empty((0, len(FEATURES)))
    crossings = _cross(upright, level)
    pair, other = np.nonzero(_within_frame(crossings, lefts, rights, tops, bottoms, h, w))
    if not len(pair):
        return np.empty((0, 4, 2)), np.empty((0, len(FEATURES)))
    left, right, top, bottom = lefts[pair], rights[pair], tops[other], bottoms[other]
    x, y = crossings[..., 0], crossings[..., 1].T
    across, down = _support(level, x[lefts], x[rights]), _support(upright, y[tops], y[bottoms])
    support, onward = (
        np.stack([a[pair, top], d[other, right], a[pair, bottom], d[other, left]], 1)
        for a, d in zip(across, down, strict=True)
    )
    worth = np.sort(support, 1) @ np.array([0.4, 0.3, 0.2, 0.1]) - 0.3 * onward.mean(1)
    best = np.argsort(-worth)[:most]
    left, right, top, bottom = left[best], right[best], top[best], bottom[best]
    around = [crossings[left, top], crossings[right, top], crossings[right, bottom], crossings[left, bottom]]
    corners = np.stack(around, 1) + 0.5
    return corners, _measure(small, corners, support[best], onward[best])


def _pairs(lines: Lines, length: int, breadth: int) -> tuple[np.ndarray, np.ndarray]:
    """Pair lines that lie far enough apart: the places of the nearer and the farther one."""
    middle = lines.start + lines.slope * (length / 2)
    first, second = np.nonzero(middle[:, None] + _LEAST_SHARE * breadth < middle[None])
    return first, second


def _cross(upright: Lines, level: Lines) -> np.ndarray:
    """Compute where each upright line crosses each level one: (U, V, 2)."""
    a, s = upright.start[:, None], upright.slope[:, None]  # x = a + s y
    b, t = level.start, level.slope  # y = b + t x
    y = (b + t * a) / (1 - s * t)
    return np.stack([a + s * y, y], 2)


def _within_frame(
    crossings: np.ndarray,
    lefts: np.ndarray,
    rights: np.ndarray,
    tops: np.ndarray,
    bottoms: np.ndarray,
    h: int,
    w: int,
) -> np.ndarray:
    """Tell of which pairs of upright lines and pairs of level lines all corners lie in the frame, or nearly."""
    off = 0.03 * max(h, w)
    inside = (crossings > -off) & (crossings < np.array([w, h]) + off)
    able = inside[..., 0] & inside[..., 1]
    both = able[lefts] & able[rights]  # of each pair of upright lines, with each level one
    return both[:, tops] & both[:, bottoms]


def _support(lines: Lines, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell how much of a side has an edge on it, and how much its line has one beyond the corners: (P, N) each.

    one, other : along line n, where pairs of other lines cross it, (P, N).
    """
    begin, end = np.minimum(one, other), np.maximum(one, other)
    length = lines.light.shape[1] - 1
    reach = 0.12 * (end - begin)
    at = [
        np.clip(np.rint(p), 0, length).astype(int)
        for p in (begin - reach, begin - 2, begin + 1, end, end + 3, end + reach)
    ]
    n = np.arange(one.shape[1])
    light, dark = ([counts[n, k] for k in at] for counts in (lines.light, lines.dark))
    within = [(counts[3] - counts[2]) / np.maximum(end - begin, 1) for counts in (light, dark)]
    beyond = [counts[1] - counts[0] + counts[5] - counts[4] for counts in (light, dark)]
    room = np.maximum(at[1] - at[0], 0) + np.maximum(at[5] - at[4], 0)
    support = np.maximum(*within) + 0.3 * np.minimum(*within)
    onward = np.where(room > 1, np.maximum(*beyond) / np.maximum(room, 1), 0.5)
    return support, onward


def _measure(small: np.ndarray, corners: np.ndarray, support: np.ndarray, onward: np.ndarray) -> np.ndarray:
    """Measure the FEATURES of quadrilaterals (N, 4, 2)."""
    h, w = small.shape[:2]
    frame = np.array([w, h])
    start, end = corners, np.roll(corners, -1, 1)
    along = end - start
    length = np.linalg.norm(along, axis=2)
    inward = np.stack([-along[..., 1], along[..., 0]], 2) / length[..., None]
    t = np.linspace(0.04, 0.96, _SAMPLES)
    on = start[:, :, None] + t[:, None] * along[:, :, None]  # (N, 4, T, 2)
    inside = _look(small, on + _OFF * inward[:, :, None])
    outside = _look(small, on - _OFF * inward[:, :, None])
    farther = _look(small, on - 2 * _OFF * inward[:, :, None])
    channels = (len(corners), 4 * _SAMPLES, inside.shape[-1])
    step = strongest_channel((inside - outside).reshape(channels)).reshape(len(corners), 4, _SAMPLES)
    contrast = np.log1p(np.abs(step).mean(2)) / 4
    agree = np.abs(step.mean(2)) / (np.abs(step).mean(2) + 1)
    rough = np.log1p(_roughness(outside)) / 4
    flat = np.median(np.abs(np.diff(farther, axis=2)).max(3), axis=(1, 2))
    around = [np.sort(values, 1) for values in (support, contrast, agree)]
    angle = np.stack([along[:, 0, 1] / along[:, 0, 0], along[:, 1, 0] / along[:, 1, 1]], 1)
    opposite = np.stack([along[:, 2, 1] / along[:, 2, 0], along[:, 3, 0] / along[:, 3, 1]], 1)
    tilts = np.abs(np.concatenate([angle, opposite], 1))
    margins = np.concatenate([corners.min(1) / frame, 1 - corners.max(1) / frame], 1)
    x, y = corners[..., 0], corners[..., 1]
    area = 0.5 * np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)) / (w * h)
    sizes = np.sort(np.log(length / np.roll(length, 2, 1))[:, :2] ** 2, 1)
    columns = [
        *(group[:, k] for group in around for k in range(4)),
        onward.mean(1),
        onward.max(1),
        np.abs(np.sign(step.mean(2)).sum(1)) / 4,
        rough.mean(1),
        rough.max(1),
        np.log1p(_roughness(inside)).mean(1) / 4,
        area,
        np.clip(margins.min(1), -0.03, 0.2) * 5,
        np.clip(margins.mean(1), 0, 0.3) * 3,
        np.clip(tilts.mean(1), 0, 0.3) * 3,
        np.exp(-tilts.max(1) / 0.012),
        np.clip(np.abs(angle - opposite).max(1), 0, 0.4) * 2.5,
        np.clip(np.abs(np.log(length[:, 0] / length[:, 1])), 0, 1.5),
        np.exp(-flat),
        np.clip(np.sqrt(sizes[:, 1]), 0, 1),
        np.full(len(corners), np.exp(-_colour(small))),
    ]
    return np.stack(columns, 1)


def _colour(small: np.ndarray) -> float:
    """Tell how far the channels lie apart on average, in levels; cameras see no two of them alike."""
    if small.ndim == 2:
        return 0.0
    red, green, blue = (small[..., k] for k in range(3))
    return float((np.abs(red - green) + np.abs(blue - green)).mean()) / 2


def _roughness(strip: np.ndarray) -> np.ndarray:
    """Tell how much colours (N, 4, T, C) change along their side, beside a slow change: (N, 4), in levels."""
    slow = strip.reshape(*strip.shape[:2], 5, -1, strip.shape[-1]).mean(3, keepdims=True)
    return (strip.reshape(*slow.shape[:3], -1, strip.shape[-1]) - slow).std((2, 3)).max(-1)


def _look(small: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Look at places (..., 2), the nearest pixel: (..., C)."""
    h, w = small.shape[:2]
    x = np.clip(at[..., 0].astype(int), 0, w - 1)
    y = np.clip(at[..., 1].astype(int), 0, h - 1)
    found = small[y, x]
    return found if small.ndim == 3 else found[..., None]
