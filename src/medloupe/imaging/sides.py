"""Weigh quadrilaterals by what was measured of them, and place their sides to a fraction of a pixel.

The weights were fitted by scripts/fit_photographs.py on simulated photographs and on direct exports; benchmarks/
photographs.py judges them on others, and on photographs of another making.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np

from medloupe.imaging.lines import strongest_channel
from medloupe.imaging.quadrilaterals import FEATURES

AUTO_LINE = 0.55
"""Confidence from which on a picture is taken for a photograph unasked."""

ALWAYS_LINE = 0.2
"""Confidence from which on corners are told of what is known to be a photograph."""

_SAMPLES = 72  # along a side
_REACH = 1.8  # pixels of the small picture, around a side, within which it is looked for anew
_STEP = 0.5  # pixels of the fine picture


def confidences(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell how probably each quadrilateral is a photographed picture, and how probably its sides are placed well.

    Around a picture lie others: a bezel, a margin, a light box. They tell a photograph, too.

    Parameters
    ----------
    features : ndarray of float, shape (N, F)
        Those of quadrilaterals.FEATURES.

    Returns
    -------
    photographed, placed : ndarray of float, shape (N,)
        0 to 1, by logistic regressions.
    """
    read = fitted()
    photographed, placed = (_probabilities(features, *read[name]) for name in ("photographed", "placed"))
    return photographed, placed


def _probabilities(values: np.ndarray, weights: np.ndarray, bias: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values @ weights + bias, -30, 30)))


@cache
def fitted() -> dict[str, tuple[np.ndarray, float]]:
    """Read the weights and biases of the regressions."""
    read = json.loads(files("medloupe.imaging").joinpath("sides.json").read_text())
    return {
        name: (np.array([read[name]["weights"][feature] for feature in FEATURES]), read[name]["bias"])
        for name in ("photographed", "placed")
    }


def refine(fine: np.ndarray, corners: np.ndarray, scale: float) -> np.ndarray:
    """Place the sides where the edge is steepest.

    Parameters
    ----------
    fine : ndarray of float32, shape (h, w) or (h, w, 3)
        The frame, larger than that in which the corners were found.
    corners : ndarray of float, shape (4, 2)
        In its pixels.
    scale : float
        How many times larger it is.

    Returns
    -------
    ndarray of float, shape (4, 2)
        The same where the sides cannot be placed better.
    """
    lines = [_place_side(fine, corners[k], corners[(k + 1) % 4], _REACH * scale) for k in range(4)]
    placed = [_crossing(lines[k - 1], lines[k]) for k in range(4)]
    if any(p is None for p in placed):
        return corners
    moved = np.array(placed, float)
    return moved if np.abs(moved - corners).max() <= 3 * _REACH * scale else corners


def _place_side(fine: np.ndarray, start: np.ndarray, end: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit a line to the steepest places near a side: a point of it and its direction."""
    along = end - start
    length = float(np.hypot(*along))
    normal = np.array([-along[1], along[0]]) / length
    t = np.linspace(0.05, 0.95, _SAMPLES)
    off = np.arange(-reach - _STEP, reach + 1.5 * _STEP, _STEP)
    at = start + t[:, None, None] * along + off[None, :, None] * normal
    profile = _bilinear(fine, at)
    steep = strongest_channel(profile[:, 2:] - profile[:, :-2])
    sign = 1.0 if np.median(steep.sum(1)) >= 0 else -1.0
    rise = np.maximum(sign * steep, 0)
    # What a side is, most of its places agree on: the common course weighs beside each place's own.
    common = rise.mean(0)
    best = (rise + 2 * common).argmax(1)
    moved, weight = off[1:-1][best], np.minimum(rise[np.arange(_SAMPLES), best], 30.0) + 1e-3
    a = b = 0.0
    for _ in range(4):
        design = np.stack([np.ones(_SAMPLES), t], 1) * np.sqrt(weight)[:, None]
        a, b = np.linalg.lstsq(design, moved * np.sqrt(weight), rcond=None)[0]
        weight = weight / (1 + ((moved - a - b * t) / 1.0) ** 2)
    one, other = start + a * normal, start + along + (a + b) * normal
    return one, other - one


def _crossing(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
    """Compute where two lines cross; None where they are parallel."""
    (p, u), (q, v) = one, other
    across = u[0] * v[1] - u[1] * v[0]
    if abs(across) < 1e-6:
        return None
    s = ((q - p)[0] * v[1] - (q - p)[1] * v[0]) / across
    return p + s * u


def _bilinear(fine: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Look at places (..., 2) between pixels: (...) or (..., C)."""
    h, w = fine.shape[:2]
    x = np.clip(at[..., 0] - 0.5, 0, w - 1.001)
    y = np.clip(at[..., 1] - 0.5, 0, h - 1.001)
    i, j = x.astype(int), y.astype(int)
    fx, fy = x - i, y - j
    if fine.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    k, m = np.minimum(i + 1, w - 1), np.minimum(j + 1, h - 1)
    upper = fine[j, i] * (1 - fx) + fine[j, k] * fx
    return upper * (1 - fy) + (fine[m, i] * (1 - fx) + fine[m, k] * fx) * fy
