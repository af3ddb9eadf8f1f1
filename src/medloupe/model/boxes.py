"""Describe boxes that a detector finds, and move them between the picture as given and as fitted.

Boxes are float32 (n, 4): x0, y0, x1, y1 in pixels, x to the right and y down, measured from the top left corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from medloupe.imaging.picture import fitted_frame
from medloupe.metrics.matching import compute_iou

if TYPE_CHECKING:
    from medloupe.imaging.photo import Photo


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBox:
    """One place that a detector marks, in pixels of the picture as given.

    Attributes
    ----------
    label : str
        What it shows.
    score : float
        Calibrated: of boxes with .7, 70 in 100 lie on what they name.
    x, y, width, height : float
        Its top left corner and size.
    """

    label: str
    score: float
    x: float
    y: float
    width: float
    height: float

    def as_json(self) -> dict[str, str | float]:
        """Give the entry that `predict --json` prints."""
        return {
            "label": self.label,
            "score": self.score,
            "x": self.x,
            "y": self.y,
            "w": self.width,
            "h": self.height,
        }


def fit_boxes(boxes: np.ndarray, width: int, height: int, size: int) -> np.ndarray:
    """Move boxes from a picture of width x height to where they lie once it is fitted to size x size."""
    left, top, w, h = fitted_frame(width, height, size)
    scale = np.array([w / width, h / height] * 2, np.float64)
    return (np.asarray(boxes, np.float64).reshape(-1, 4) * scale + (left, top, left, top)).astype(np.float32)


def to_photograph(boxes: Sequence[FoundBox], photo: Photo | None, width: int, height: int) -> tuple[FoundBox, ...]:
    """Move boxes from a picture of width x height to the photograph from which it was cut out: what encloses them."""
    if photo is None or photo.corners is None or not boxes:
        return tuple(boxes)
    corners = np.array(
        [[(b.x, b.y), (b.x + b.width, b.y), (b.x + b.width, b.y + b.height), (b.x, b.y + b.height)] for b in boxes]
    )
    moved = photo.to_given(corners.reshape(-1, 2), width, height).reshape(-1, 4, 2)
    low = np.clip(moved.min(1), 0, (photo.width, photo.height)).tolist()
    high = np.clip(moved.max(1), 0, (photo.width, photo.height)).tolist()
    return tuple(
        replace(box, x=x0, y=y0, width=x1 - x0, height=y1 - y0)
        for box, (x0, y0), (x1, y1) in zip(boxes, low, high, strict=True)
    )


def unfit_boxes(boxes: np.ndarray, width: int, height: int, size: int) -> np.ndarray:
    """Move boxes from a picture fitted to size x size back to its own width x height, cut off at its edges."""
    left, top, w, h = fitted_frame(width, height, size)
    moved = (np.asarray(boxes, np.float64).reshape(-1, 4) - (left, top, left, top)) / ([w / width, h / height] * 2)
    return np.clip(moved, 0, [width, height, width, height]).astype(np.float32)


def name_boxes(found: np.ndarray, labels: Sequence[str], width: int, height: int, size: int) -> tuple[FoundBox, ...]:
    """Name what a detector found on a picture of width x height that was fitted to size x size, the surest first.

    found: float32 (M, 6), as the file gives it; rows with score 0 are none.
    """
    rows = found[found[:, 4] > 0]
    corners = unfit_boxes(rows[:, :4], width, height, size).tolist()
    made = []
    for (x0, y0, x1, y1), row in zip(corners, rows, strict=True):
        if x1 > x0 and y1 > y0:  # the rest lies in the padding
            score, label = float(row[4]), labels[int(row[5])]
            made.append(FoundBox(label=label, score=score, x=x0, y=y0, width=x1 - x0, height=y1 - y0))
    return tuple(made)


OVERLAP = 0.6  # IoU from which on the weaker of two boxes of one label is left out
ROUNDS = 4  # of suppressing: a box that is left out itself suppresses none


def suppress(boxes: np.ndarray, labels: np.ndarray, overlap: float = OVERLAP) -> np.ndarray:
    """Tell which of boxes stay where they lie over each other.

    The same as greedy suppression unless more than ROUNDS boxes suppress each other in a chain; it is computed in the
    same steps by the graph of a model file, all of whose sizes are known.

    Parameters
    ----------
    boxes : np.ndarray
        float (n, 4), the best first.
    labels : np.ndarray
        int (n,). Boxes of different labels do not suppress each other.
    overlap : float
        IoU.

    Returns
    -------
    np.ndarray
        bool (n,).
    """
    over = (compute_iou(boxes, boxes) > overlap) & (labels[:, None] == labels[None])
    over &= np.tri(len(boxes), k=-1, dtype=bool)  # only better ones suppress
    kept = np.ones(len(boxes), bool)
    for _ in range(ROUNDS):
        kept = ~(over & kept[None]).any(1)
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """The part of a model that finds boxes in the maps of its backbone.

    Attributes
    ----------
    network : bytes
        An ONNX graph: maps float32 (N, C, h, w) by the names of their values in the backbone's graph; `boxes` float32
        (N, M, 6) out: x0, y0, x1, y1 in pixels of the fitted picture, calibrated score, label; rows of zeros where
        there are fewer than M.
    most : int
        M.
    gain : np.ndarray
        float32 (K,): what the logit of a label's best score adds to its logit of the whole picture.
    """

    network: bytes
    most: int
    gain: np.ndarray

    def logits(self, boxes: np.ndarray) -> np.ndarray:
        """Compute what boxes (N, M, 6) add to the logits of the whole pictures: float32 (N, K)."""
        return np.asarray(self.gain * score_logits(best_scores(boxes, len(self.gain))), np.float32)


LEAST_BEST, MOST_BEST = 1e-3, 0.999  # what a best score is clipped to before its logit is taken


def best_scores(boxes: np.ndarray, labels: int) -> np.ndarray:
    """Give the best score of each label, float32 (N, K), 0 where there is none. boxes: (N, M, 6)."""
    of = boxes[:, :, 5, None] == np.arange(labels)
    return np.max(boxes[:, :, 4, None] * of, axis=1, initial=0).astype(np.float32)


def score_logits(scores: np.ndarray) -> np.ndarray:
    """Take the logits of scores, clipped."""
    p = np.clip(scores, LEAST_BEST, MOST_BEST)
    return np.log(p) - np.log1p(-p)
