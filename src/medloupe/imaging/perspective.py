"""Undo the perspective in which a flat picture was photographed, by its four corners.

The true shape of what was photographed is not known: its sides are taken as long as the opposite sides of the
quadrilateral are on average, which is exact where the camera looked straight on, and a few per cent off where it stood
aslant.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

Corners = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""Upper left, upper right, lower right, lower left: x and y in pixels, the first pixel from 0 to 1."""

MOST_SIDE = 4096
"""Pixels of the longer side that a picture has at most once its perspective is undone."""

_LEAST_SIDE = 8.0  # pixels of a side below which nothing can be seen


def homography(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Solve for the matrix (3, 3) that takes places source (4, 2) to target (4, 2).

    Raises
    ------
    numpy.linalg.LinAlgError
        Where three of the places lie on a line.
    """
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return np.append(np.linalg.solve(np.array(rows, float), np.array(right, float)), 1.0).reshape(3, 3)


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Take places (N, 2) by a matrix (3, 3)."""
    taken = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return taken[:, :2] / taken[:, 2:]


def is_convex(corners: np.ndarray) -> bool:
    """Tell whether corners (4, 2) go clockwise around a quadrilateral without a dent, no side tiny."""
    along = np.roll(corners, -1, 0) - corners
    turn = along[:, 0] * np.roll(along[:, 1], -1) - along[:, 1] * np.roll(along[:, 0], -1)
    return bool((turn > 0).all() and np.linalg.norm(along, axis=1).min() >= _LEAST_SIDE)


def area(corners: np.ndarray) -> float:
    """Compute the area between corners (4, 2)."""
    x, y = corners[:, 0], corners[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def upright_size(corners: np.ndarray) -> tuple[float, float]:
    """Estimate width and height of what lies between corners (4, 2), in their pixels."""
    length = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    return float(length[0] + length[2]) / 2, float(length[1] + length[3]) / 2


def rectangle(width: float, height: float) -> np.ndarray:
    """Give the corners (4, 2) of an upright picture."""
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], float)


def rectify(image: Image.Image, corners: np.ndarray, most: int = MOST_SIDE) -> Image.Image:
    """Cut out what lies between corners (4, 2), its perspective undone, scaled down to at most `most` pixels a side.

    What is scaled down is averaged first, so that nothing finer than the new pixels is left to alias.
    """
    width, height = upright_size(corners)
    shrink = max(1, int(max(width, height) / most))
    if shrink > 1:
        image, corners = image.reduce(shrink), corners / shrink
        width, height = width / shrink, height / shrink
    scale = min(1.0, most / max(width, height))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    back = homography(rectangle(*size), corners)
    coefficients: Sequence[float] = back.ravel()[:8].tolist()
    return image.transform(size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC)
