"""Match detected boxes to true ones, as COCO does: the surest first, each true box once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.errors import DataError

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of mAP50-95


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector marks in one picture.

    Attributes
    ----------
    boxes : np.ndarray
        float32 (n, 4): x0, y0, x1, y1 in pixels of the picture as given.
    scores : np.ndarray
        (n,), how likely each is right.
    labels : np.ndarray
        int (n,), positions among the labels.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Truths:
    """What people have drawn in one picture: `boxes` (m, 4) and `labels` (m,), as of Detections."""

    boxes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaRange:
    """Boxes of one size, the only ones that count; those of other sizes are ignored on both sides.

    Attributes
    ----------
    name : str
        "all", "small", …
    low, high : float
        Areas, both inside, in square pixels; where `relative`, in squared shares of the picture's side.
    relative : bool
        Whether areas are divided by that of the picture.
    """

    name: str
    low: float = 0.0
    high: float = np.inf
    relative: bool = False


EVERY = AreaRange(name="all")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMatches:
    """All marks of one label over N pictures, the surest first, and which of them are right.

    Attributes
    ----------
    scores : np.ndarray
        (M,), falling.
    picture : np.ndarray
        int (M,), in which picture each is.
    hit : np.ndarray
        bool (R, T, M): whether it hits a true box that counts, by area range and threshold of IoU.
    ignored : np.ndarray
        bool (R, T, M): whether it counts neither for nor against.
    truths : np.ndarray
        float32 (R, N): how many true boxes count in each picture.
    """

    scores: np.ndarray
    picture: np.ndarray
    hit: np.ndarray
    ignored: np.ndarray
    truths: np.ndarray


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Measure boxes (n, 4): float64 (n,)."""
    wide = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.clip(wide[:, 2:] - wide[:, :2], 0, None).prod(1)


def compute_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Divide the intersection of every box of a by its union with every box of b: float64 (n, m), 0 to 1.

    Parameters
    ----------
    a, b : np.ndarray
        (n, 4) and (m, 4): x0, y0, x1, y1.
    """
    a, b = (np.asarray(x, np.float64).reshape(-1, 4) for x in (a, b))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    inside = np.clip(high - low, 0, None).prod(2)
    union = box_areas(a)[:, None] + box_areas(b)[None] - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def match_boxes(ious: np.ndarray, thresholds: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Give each detection, the surest first, the true box it overlaps most of those left.

    Parameters
    ----------
    ious : np.ndarray
        (n, m), the detections in the order of falling scores.
    thresholds : np.ndarray
        (T,): IoU from which on a box is hit, rising.
    ignored : np.ndarray
        bool (R, m): true boxes that do not count; one is only taken where none that counts is left.

    Returns
    -------
    np.ndarray
        int (R, T, n): the true box of each, -1 where there is none.
    """
    n, m = ious.shape
    found = np.full((len(ignored), len(thresholds), n), -1, np.int64)
    if not m:
        return found
    taken = np.zeros((len(ignored), len(thresholds), m), bool)
    first, second = np.ogrid[: len(ignored), : len(thresholds)]
    for d in np.flatnonzero(ious.max(1, initial=0) >= thresholds[0]):
        near = np.flatnonzero(ious[d] >= thresholds[0])
        overlap = ious[d, near]
        free = (overlap >= thresholds[:, None]) & ~taken[:, :, near]
        counted = free & ~ignored[:, None, near]
        free = np.where(counted.any(2, keepdims=True), counted, free)
        # Of equal overlaps the last is taken, as in COCO's own code.
        best = near[len(near) - 1 - np.where(free, overlap, -1.0)[:, :, ::-1].argmax(2)]
        any_free = free.any(2)
        found[:, :, d] = np.where(any_free, best, -1)
        taken[first, second, best] |= any_free
    return found


def match_label(
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    label: int,
    ranges: Sequence[AreaRange] = (EVERY,),
    sides: np.ndarray | None = None,
    thresholds: np.ndarray = IOU_THRESHOLDS,
) -> LabelMatches:
    """Match the boxes of one label in all pictures.

    Parameters
    ----------
    detections, truths : sequence
        Of N pictures.
    label : int
        Position among the labels.
    ranges : sequence of AreaRange
        R of them.
    sides : np.ndarray, optional
        (N, 2), width and height of the pictures in pixels; needed by ranges that are relative.
    thresholds : np.ndarray
        (T,) of IoU.
    """
    scores, pictures, hits, passed = [], [], [], []
    counted = np.zeros((len(ranges), len(truths)), np.float32)
    for i, (said, true) in enumerate(zip(detections, truths, strict=True)):
        drawn = np.asarray(true.boxes, np.float64).reshape(-1, 4)[np.asarray(true.labels) == label]
        own = np.flatnonzero(np.asarray(said.labels) == label)
        own = own[np.argsort(-np.asarray(said.scores)[own], kind="stable")]
        marked = np.asarray(said.boxes, np.float64).reshape(-1, 4)[own]
        area = np.ones(2) if sides is None else np.asarray(sides[i], np.float64)
        outside = _outside(box_areas(drawn), ranges, float(area.prod()))
        counted[:, i] = (~outside).sum(1)
        if not len(own):
            continue
        found = match_boxes(compute_iou(marked, drawn), thresholds, outside)
        aside = _outside(box_areas(marked), ranges, float(area.prod()))
        aside = np.broadcast_to(aside[:, None], found.shape)
        if len(drawn):
            of_truth = np.take_along_axis(
                np.broadcast_to(outside[:, None], (*found.shape[:2], len(drawn))), np.maximum(found, 0), 2
            )
            aside = np.where(found >= 0, of_truth, aside)
        scores.append(np.asarray(said.scores, np.float64)[own])
        pictures.append(np.full(len(own), i))
        hits.append((found >= 0) & ~aside)
        passed.append(aside)
    if not scores:
        none = np.zeros((len(ranges), len(thresholds), 0), bool)
        return LabelMatches(scores=np.zeros(0), picture=np.zeros(0, int), hit=none, ignored=none, truths=counted)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return LabelMatches(
        scores=np.concatenate(scores)[order],
        picture=np.concatenate(pictures)[order],
        hit=np.concatenate(hits, 2)[:, :, order],
        ignored=np.concatenate(passed, 2)[:, :, order],
        truths=counted,
    )


def _outside(areas: np.ndarray, ranges: Sequence[AreaRange], picture: float) -> np.ndarray:
    """Tell which boxes (n,) lie outside each range: bool (R, n)."""
    scaled = [areas / picture if r.relative else areas for r in ranges]
    return np.stack([(a < r.low) | (a > r.high) for a, r in zip(scaled, ranges, strict=True)])


def check_boxes(detections: Sequence[Detections], truths: Sequence[Truths], labels: int) -> None:
    """Refuse what cannot be judged.

    Raises
    ------
    DataError
        Pictures that do not pair up, boxes that are no numbers or end before they begin, labels that are not there.
    """
    if len(detections) != len(truths):
        raise DataError(
            f"Detections of {len(detections):,} pictures were given with the truth of {len(truths):,}.",
            "Give one of each for every picture, in the same order.",
        )
    for i, (said, true) in enumerate(zip(detections, truths, strict=True)):
        for what, part in (("detection", said), ("true box", true)):
            boxes, names = np.asarray(part.boxes).reshape(-1, 4), np.asarray(part.labels)
            if len(boxes) != len(names):
                fault = f"has {len(boxes)} boxes and {len(names)} labels"
            elif not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
                fault = "has a box that is no rectangle x0 ≤ x1, y0 ≤ y1"
            elif len(names) and (names.min() < 0 or names.max() >= labels):
                fault = f"has a label outside 0 to {labels - 1}"
            elif part is said and (len(said.scores) != len(boxes) or not np.isfinite(said.scores).all()):
                fault = "has scores that are no numbers, or not as many as boxes"
            else:
                continue
            raise DataError(f"Picture {i}: a {what} {fault}.", "Give boxes x0, y0, x1, y1 in pixels of the picture.")
