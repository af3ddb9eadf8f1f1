"""List things that were probably not marked: confident detections where no box is."""

from __future__ import annotations

import numpy as np

from medloupe.data.records import Dataset
from medloupe.metrics.matching import compute_iou
from medloupe.training.audit.boxes import corners
from medloupe.training.audit.finding import SHOWN, Finding, count_noun

CONFIDENT = 0.8  # score from which a detection without a box is worth a look
APART = 0.1  # overlap up to which a detection lies where nothing is marked


def find_unmarked(
    data: Dataset,
    rows: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    labels: np.ndarray,
    confident: float = CONFIDENT,
) -> list[Finding]:
    """List confident detections where nothing is marked: things that were probably forgotten.

    Detections must be made out of fold, by a model that never learned from the picture.

    Parameters
    ----------
    data : Dataset
        With its boxes.
    rows : np.ndarray
        int (M,): the record of each detection.
    boxes : np.ndarray
        float (M, 4): x0, y0, x1, y1 in pixels of the upright picture.
    scores : np.ndarray
        float (M,), calibrated: .8 is right in 80 of 100.
    labels : np.ndarray
        int (M,): the place of its label in `data.labels`.
    confident : float, optional
        Score from which a detection counts.
    """
    found: list[tuple[float, int, str]] = []
    chosen = np.flatnonzero(scores >= confident)
    for row in np.unique(rows[chosen]).tolist():
        here = chosen[rows[chosen] == row]
        marked = corners(data.records[row].boxes)
        free = compute_iou(boxes[here], marked).max(1) <= APART if len(marked) else np.ones(len(here), bool)
        known = data.records[row].labels
        for k in here[free]:
            name = data.labels[int(labels[k])]
            if name in known:  # where a label is not stated nothing is forgotten
                x, y, right, bottom = np.round(boxes[k]).astype(int)
                found.append((float(scores[k]), row, f"{name} at {x},{y} ({right - x}×{bottom - y}), {scores[k]:.0%}"))
    if not found:
        return []
    found.sort(key=lambda one: -one[0])
    pictures = len({row for _, row, _ in found})
    return [
        Finding(
            kind="boxes_missing",
            level="warning",
            title=f"{count_noun(len(found), 'thing')} on {count_noun(pictures, 'picture')} may not be marked",
            detail="A model that never saw these pictures finds them with a score of"
            f" {confident:.0%} or more where there is no box. What is not marked counts as wrong when the model finds"
            " it, and teaches it to look away.",
            advice="Look at them, the surest first, and draw the boxes that are missing.",
            count=len(found),
            files=tuple((data.records[row].id, what) for _, row, what in found[:SHOWN]),
        )
    ]
