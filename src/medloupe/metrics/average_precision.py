"""Compute the average precision of boxes as COCO does, under weights of the pictures.

All-ones weights give the figure itself, how often each picture's group was drawn gives a bootstrap replicate. The
figure itself is taken from the library `faster-coco-eval` where it is installed; tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

import numpy as np

from medloupe.metrics.matching import IOU_THRESHOLDS, Detections, LabelMatches, Truths

RECALLS = np.linspace(0.0, 1.0, 101)
_CELLS = 2_000_000  # of float32 at a time: bounds the memory, and keeps close to the processor's cache


def average_precisions(matches: LabelMatches, weights: np.ndarray) -> np.ndarray:
    """Average the precision over 101 levels of recall: float64 (B, R, T); NaN where no true box counts.

    Parameters
    ----------
    matches : LabelMatches
        Of one label, by R area ranges and T thresholds of IoU.
    weights : np.ndarray
        float32 (B, N), of the pictures.
    """
    step = max(1, _CELLS // max(1, len(matches.scores)))
    parts = [_average(matches, weights[i : i + step]) for i in range(0, len(weights), step)]
    return np.concatenate(parts) if parts else np.zeros((0, *matches.hit.shape[:2]))


def _average(matches: LabelMatches, weights: np.ndarray) -> np.ndarray:
    marks = weights[:, matches.picture]  # (b, M)
    made = np.full((len(weights), *matches.hit.shape[:2]), np.nan)
    for r, counted in enumerate(matches.truths):
        truths = weights @ counted
        passed = matches.ignored[r]
        base = np.flatnonzero(~passed[0])
        every = _running_sum(marks[:, base])
        for t in range(matches.hit.shape[1]):
            at = np.flatnonzero(matches.hit[r, t])
            said = every[:, np.searchsorted(base, at, side="right")]
            # From one threshold to the next few marks begin or cease to count: only these are summed anew.
            moved = np.flatnonzero(passed[t] != passed[0])
            if len(moved):
                sign = np.where(passed[t, moved], -1, 1).astype(marks.dtype)
                said = said + _running_sum(marks[:, moved] * sign)[:, np.searchsorted(moved, at, side="right")]
            found = _running_sum(marks[:, at])[:, 1:]
            made[:, r, t] = np.where(truths > 0, _area(found, said, truths), np.nan)
    return made


def _running_sum(marks: np.ndarray) -> np.ndarray:
    """Sum (b, M) from the left, beginning with 0: (b, M + 1)."""
    whole = np.float64 if marks.shape[1] > 1 << 22 else np.float32  # of whole numbers: exact up to 2**24
    made = np.zeros((len(marks), marks.shape[1] + 1), whole)
    np.cumsum(marks, axis=1, out=made[:, 1:])
    return made


def _area(found: np.ndarray, said: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """Average the interpolated precision at the marks that hit: found and said so far (b, H), truths (b,)."""
    if not found.shape[1]:
        return np.zeros(len(found))
    recall = found / np.maximum(truths, 1e-9)[:, None].astype(np.float64)
    precision = found / np.maximum(said, 1e-9)
    best_from_here = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALLS, recall.ravel(), side="right").reshape(recall.shape)
    levels = np.diff(reached, axis=1, prepend=0)
    return np.einsum("bh,bh->b", levels, best_from_here, dtype=np.float64) / len(RECALLS)


def name_reference() -> str | None:
    """Name the library that computes the figures, with its version; None where it is not installed."""
    try:
        return f"faster-coco-eval {metadata.version('faster-coco-eval')}"
    except metadata.PackageNotFoundError:
        return None


def reference_precisions(
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    labels: int,
    bounds: Sequence[tuple[float, float]],
    scale: np.ndarray | None = None,
) -> np.ndarray:
    """Ask `faster-coco-eval` for the average precisions, of all boxes however many a picture has.

    Parameters
    ----------
    detections, truths : sequence
        Of N pictures.
    labels : int
        How many there are.
    bounds : sequence of (float, float)
        R ranges of area, in square pixels.
    scale : np.ndarray, optional
        (N,), by which the boxes of each picture are multiplied first.

    Returns
    -------
    np.ndarray
        float64 (labels, R, T); NaN where no true box counts.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    factor = np.ones(len(truths)) if scale is None else np.asarray(scale, np.float64)
    drawn = [
        {"id": 0, "image_id": i + 1, "category_id": int(k) + 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for i, t in enumerate(truths)
        for box, k in zip(_corner_and_size(t.boxes, factor[i]), t.labels, strict=True)
    ]
    for number, entry in enumerate(drawn, 1):
        entry["id"] = number
    said = [
        {"image_id": i + 1, "category_id": int(k) + 1, "bbox": box, "score": float(score)}
        for i, d in enumerate(detections)
        for box, score, k in zip(_corner_and_size(d.boxes, factor[i]), d.scores, d.labels, strict=True)
    ]
    if not drawn or not said:
        made = np.full((labels, len(bounds), len(IOU_THRESHOLDS)), np.nan)
        for entry in drawn:
            for r, (low, high) in enumerate(bounds):
                if low <= entry["area"] <= high:
                    made[entry["category_id"] - 1, r] = 0.0
        return made
    categories = [{"id": k + 1, "name": str(k)} for k in range(labels)]
    whole = COCO(
        {"images": [{"id": i + 1} for i in range(len(truths))], "annotations": drawn, "categories": categories}
    )
    judge = COCOeval_faster(whole, whole.loadRes(said), "bbox")
    judge.params.maxDets = [max(len(d.labels) for d in detections)]
    judge.params.areaRng = [[low, min(high, 1e10)] for low, high in bounds]
    judge.params.areaRngLbl = [str(r) for r in range(len(bounds))]
    judge.evaluate()
    judge.accumulate()
    precision = np.asarray(judge.eval["precision"])[..., -1]  # (T, 101, K, R), -1 where nothing counts
    made = precision.mean(1).transpose(1, 2, 0)
    return np.where(made < 0, np.nan, made)


def _corner_and_size(boxes: np.ndarray, factor: float) -> list[list[float]]:
    wide = np.asarray(boxes, np.float64).reshape(-1, 4) * factor
    return np.column_stack([wide[:, :2], wide[:, 2:] - wide[:, :2]]).tolist()
