"""Draw what the head of a detector shall say of a picture: heat around the middles of boxes, and their sides.

Source: Liu et al., "Training-Time-Friendly Network for Real-Time Object Detection" (TTFNet, AAAI 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

SPREAD = 0.54  # of half a box, in which its heat lies (TTFNet's alpha)
HEAT_DEVIATIONS, BOX_DEVIATIONS = 6, 4
"""Standard deviations across that part: of the heat (as in TTFNet), and of the weights by which places learn
the box. These are flatter, so that more places than the middle alone learn it."""
LEAST_SIDE = 1.0  # pixels that a box measures at least
NEITHER = 0.9999
"""Heat of a place that counts neither as the middle of something nor as a place where there is nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceTargets:
    """What the head shall say of one picture.

    Attributes
    ----------
    heat : np.ndarray
        float32 (K, h, w), 1 at the middle of each box, NEITHER on boxes that are cut off too much to be learned.
    box : np.ndarray
        float32 (4, h, w): x0, y0, x1, y1 in pixels of the box that a place belongs to.
    weight : np.ndarray
        float32 (h, w): how much a place counts for its box; each box has the logarithm of its area in all.
    """

    heat: np.ndarray
    box: np.ndarray
    weight: np.ndarray


def mark_cut(labels: np.ndarray) -> np.ndarray:
    """Mark labels int (n,) as those of boxes that are cut off too much to be learned; marked ones are given back."""
    return -1 - labels


def draw_targets(boxes: np.ndarray, labels: np.ndarray, classes: int, size: int, stride: int) -> PlaceTargets:
    """Draw the targets of one picture.

    Parameters
    ----------
    boxes, labels : np.ndarray
        float32 (n, 4) in pixels, int (n,); labels as `mark_cut` changes them are of boxes that are cut off.
    classes : int
        K.
    size, stride : int
        Of the picture; of the map.
    """
    side = size // stride
    heat = np.zeros((classes, side, side), np.float32)
    box = np.zeros((4, side, side), np.float32)
    weight = np.zeros((side, side), np.float32)
    is_cut = labels < 0
    for (x0, y0, x1, y1), k in zip(boxes[is_cut] / stride, mark_cut(labels[is_cut]), strict=True):
        heat[k, int(y0) : math.ceil(y1), int(x0) : math.ceil(x1)] = NEITHER
    boxes, labels = boxes[~is_cut], labels[~is_cut]
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], LEAST_SIDE)
    for k in np.argsort(-sizes.prod(1), kind="stable"):  # the smallest box wins where they lie over each other
        w, h = sizes[k] / stride
        middle = (boxes[k, :2] + boxes[k, 2:]) / 2 / stride - 0.5  # in places, whose middles are whole numbers
        cx, cy = np.clip(np.round(middle), 0, side - 1).astype(int)
        rx, ry = max(1, int(w / 2 * SPREAD)), max(1, int(h / 2 * SPREAD))
        x0, x1, y0, y1 = max(0, cx - rx), min(side, cx + rx + 1), max(0, cy - ry), min(side, cy + ry + 1)
        dx, dy = np.arange(x0, x1) - cx, np.arange(y0, y1) - cy
        steep, flat = (
            np.exp(-((dx[None] * across / (2 * rx + 1)) ** 2 + (dy[:, None] * across / (2 * ry + 1)) ** 2) / 2)
            for across in (HEAT_DEVIATIONS, BOX_DEVIATIONS)
        )
        part = (slice(y0, y1), slice(x0, x1))
        heat[labels[k]][part] = np.maximum(heat[labels[k]][part], steep)
        box[(slice(None), *part)] = boxes[k][:, None, None]
        weight[part] = flat * np.log(sizes[k].prod() + np.e) / flat.sum()
    return PlaceTargets(heat=heat, box=box, weight=weight)
