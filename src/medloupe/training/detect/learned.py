"""Describe the sizes of the pictures and boxes that a detector learned from, by which others are looked at in tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medloupe.training.detect.boxed import BoxedSet

SPAN = (0.05, 0.5, 0.95)  # quantiles: low, median, high
LONG = 0.98  # share of the boxes that are no longer than `longest`


def describe_learned(
    boxed: BoxedSet, rows: np.ndarray, labels: Sequence[str], size: int, tile: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Describe pictures and boxes for the entry `learned` of a card's `detection`.

    Parameters
    ----------
    boxed : BoxedSet
        All pictures with their boxes.
    rows : np.ndarray
        int (n,), of those learned from.
    labels : sequence of str
        Names of the labels.
    size : int
        Side of the fitted picture or tile, in pixels.
    tile : mapping, optional
        Where pictures were learned from in tiles: `zoom`, how much larger than as a whole the usual picture was seen;
        `side`, pixels of that picture along a tile; `same`, "pixels" or "share": which of the two a tile is in pictures
        of other sizes.

    Returns
    -------
    dict
        `longer_side`: of the pictures as given, in pixels, as low, median and high (5, 50 and 95 %). `aspect`: their
        width through their height, likewise. `boxes`: by label,
        how many, and the side of the square of their area in pixels of the fitted picture, likewise. `longest`: the
        longer side of the longest boxes there. `tile`, where it was given.
    """
    sides = boxed.sizes[rows].max(1)
    measured: list[list[np.ndarray]] = [[] for _ in labels]
    longest: list[np.ndarray] = []
    for row, longer in zip(rows, sides, strict=True):
        picture = boxed.pictures[row]
        shown = tile["side"] if tile and tile["same"] == "pixels" else longer / (tile["zoom"] if tile else 1)
        spans = (picture.boxes[:, 2:] - picture.boxes[:, :2]) * (size / max(1, shown))
        longest.append(spans.max(1, initial=0))
        for k in range(len(labels)):
            measured[k].append(np.sqrt(spans[picture.labels == k].prod(1)))
    return {
        "longer_side": _span(sides, 0),
        "aspect": _span(boxed.sizes[rows, 0] / np.maximum(1, boxed.sizes[rows, 1]), 3),
        "boxes": [
            {"label": name, "n": len(own), **_span(own, 1)}
            for name, own in zip(labels, map(np.concatenate, measured), strict=True)
        ],
        "longest": round(float(np.quantile(np.concatenate(longest), LONG)), 1) if len(longest) else None,
        **({"tile": dict(tile)} if tile else {}),
    }


def _span(values: np.ndarray, digits: int) -> dict[str, float | None]:
    """Give low, median and high of some values; None of none."""
    names = ("low", "median", "high")
    if not len(values):
        return dict.fromkeys(names)
    return {n: round(float(v), digits) for n, v in zip(names, np.quantile(values, SPAN), strict=True)}
