"""Find the round field of an eyepiece or a fundus camera, lit in the dark, in a photograph.

The frame's rim tells what the dark looks like; what parts from it is the field, and along rays from its middle its
edge is looked for. A circle is fitted to those places, then again without what lies off. Direct exports of fundus
cameras look the same but for their surround, which is black: no phone sees such black.
"""

from __future__ import annotations

import numpy as np

ROUND_LINE = 0.7
"""Share of its rim that lies on a circle, from which on a field is taken for round."""

_RIM = 0.04  # of the longer side, in which the dark is measured
_RAYS = 72
_PARTS = 10.0  # levels by which the field parts from the dark at least
_NEAR = 0.04  # of the radius, within which an edge lies on the circle
_LEAST_RADIUS, _MOST_RADIUS = 0.12, 0.49  # of the longer and of the shorter side
_BLACK = 8.0  # levels up to which the dark is that of an export
_BRIGHT = 120.0  # levels from which on it is no dark
_GRAIN = 0.5  # levels by which neighbours in the dark of a photograph differ at least, on average


def find_round_field(small: np.ndarray) -> tuple[np.ndarray, float]:
    """Find a round field.

    Parameters
    ----------
    small : ndarray of float32, shape (h, w) or (h, w, 3)
        The frame, about 160 pixels on its longer side.

    Returns
    -------
    corners : ndarray of float, shape (4, 2)
        Of the upright square around it, in pixels.
    confidence : float
        Share of its rim that lies on the circle, 0 where there is none.
    """
    grey = small if small.ndim == 2 else small.max(2)
    h, w = grey.shape
    nothing = np.zeros((4, 2)), 0.0
    rim = max(2, round(_RIM * max(h, w)))
    ring = np.concatenate([grey[:rim].ravel(), grey[-rim:].ravel(), grey[:, :rim].ravel(), grey[:, -rim:].ravel()])
    dark, spread = float(np.median(ring)), float(np.percentile(ring, 90) - np.percentile(ring, 10))
    line = dark + max(_PARTS, 1.5 * spread)
    lit = grey > line
    if spread > 60 or not 0.02 < lit.mean() < 0.8:
        return nothing
    y, x = np.nonzero(lit)
    middle = np.array([np.median(x), np.median(y)]) + 0.5
    edge = _edges(lit, middle)
    kept = np.isfinite(edge).all(1)
    if kept.sum() < _RAYS // 2:
        return nothing
    points = edge[kept]
    centre, radius = _circle(points)
    for _ in range(3):
        off = np.abs(np.hypot(*(points - centre).T) - radius)
        near = off <= max(1.5 * np.median(off), _NEAR * radius)
        centre, radius = _circle(points[near])
    on = np.abs(np.hypot(*(points - centre).T) - radius) <= _NEAR * radius
    inside = (centre - radius > -0.1 * radius).all() and (centre + radius < np.array([w, h]) + 0.1 * radius).all()
    if not (_LEAST_RADIUS * max(h, w) <= radius <= _MOST_RADIUS * min(h, w)) or not inside:
        return nothing
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * radius + centre
    return square, float(on.sum()) / _RAYS


def may_be_photographed(small: np.ndarray) -> bool:
    """Tell at a glance, by its rim, whether a frame may be a photograph of a round field: neither black nor bright."""
    grey = small if small.ndim == 2 else small.max(2)
    rim = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    return bool(_BLACK / 2 < np.median(rim) < _BRIGHT)


def is_photographed_dark(pixels: np.ndarray, field: np.ndarray) -> bool:
    """Tell whether the dark around a field is that of a camera, not the black of an export.

    Parameters
    ----------
    pixels : ndarray of float32, shape (h, w) or (h, w, 3)
        The frame, not scaled down.
    field : ndarray of float, shape (4, 2)
        Corners of the square around the field, in its pixels.
    """
    grey = pixels if pixels.ndim == 2 else pixels.max(2)
    h, w = grey.shape
    left, top = np.clip(field.min(0), 0, (w, h)).astype(int)
    right, bottom = np.clip(field.max(0), 0, (w, h)).astype(int)
    strips = [grey[:top], grey[bottom:], grey[:, :left], grey[:, right:]]
    strips = [s[2:-2, 2:-2] for s in strips if min(s.shape) > 8]
    if not strips:
        return False
    level = float(np.median(np.concatenate([s.ravel() for s in strips])))
    grain = float(np.mean(np.concatenate([np.abs(np.diff(s, axis=1)).ravel() for s in strips])))
    return level > _BLACK and grain >= _GRAIN


def _edges(lit: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Find the outermost lit place along each ray, (N, 2); NaN where it lies on the frame."""
    h, w = lit.shape
    angle = np.arange(_RAYS) * 2 * np.pi / _RAYS
    far = np.arange(1, int(np.hypot(h, w)), 0.5)
    x = middle[0] + np.outer(np.cos(angle), far)
    y = middle[1] + np.outer(np.sin(angle), far)
    inside = (x >= 1) & (x < w - 1) & (y >= 1) & (y < h - 1)
    on = lit[np.clip(y.astype(int), 0, h - 1), np.clip(x.astype(int), 0, w - 1)] & inside
    last = np.where(on.any(1), on.shape[1] - 1 - on[:, ::-1].argmax(1), 0)
    rays = np.arange(_RAYS)
    out = np.stack([x[rays, last], y[rays, last]], 1)
    beyond = np.minimum(last + 4, on.shape[1] - 1)
    out[~on.any(1) | ~inside[rays, beyond]] = np.nan
    return out


def _circle(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit a circle (Kåsa 1976): its centre and radius."""
    design = np.column_stack([2 * points, np.ones(len(points))])
    a, b, c = np.linalg.lstsq(design, (points**2).sum(1), rcond=None)[0]
    return np.array([a, b]), float(np.sqrt(max(0.0, c + a * a + b * b)))
