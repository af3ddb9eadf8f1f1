"""Compute where a picture is cut around a box: the same for training and for answering."""

from __future__ import annotations

import math
from collections.abc import Sequence

MARGIN = 0.15
"""Of a box's own side, that is added on each of its sides where nothing else is told."""

MOST_MARGIN = 1.0


def bound_crop(
    corners: Sequence[float], margin: float, frame: tuple[int, int, int, int]
) -> tuple[int, int, int, int] | None:
    """Compute the crop of a box with its margin, within the picture.

    Parameters
    ----------
    corners : sequence of float
        x0, y0, x1, y1 of the box, in pixels.
    margin : float
        Of the box's own side, that is added on each side.
    frame : tuple of int
        Left, top, width and height of the picture, in the same pixels.

    Returns
    -------
    tuple of int or None
        Left, top, right, bottom, at least one pixel each way; None where the box lies outside of the picture.
    """
    x0, y0, x1, y1 = (float(v) for v in corners)
    edge_x, edge_y = frame[0] + frame[2], frame[1] + frame[3]
    if x1 <= frame[0] or y1 <= frame[1] or x0 >= edge_x or y0 >= edge_y:
        return None
    dx, dy = margin * (x1 - x0), margin * (y1 - y0)
    left, top = max(frame[0], math.floor(x0 - dx)), max(frame[1], math.floor(y0 - dy))
    right, bottom = min(edge_x, math.ceil(x1 + dx)), min(edge_y, math.ceil(y1 + dy))
    return left, top, max(right, left + 1), max(bottom, top + 1)
