"""Compute what a detector's report draws: curves, counts, what is found by size, and which pictures are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medloupe.metrics import weighted
from medloupe.metrics.counting import count_marks
from medloupe.metrics.curves import bin_reliability, round_values, thin_points
from medloupe.metrics.detection import OVERLAP
from medloupe.metrics.froc import froc_curve
from medloupe.metrics.mark_lines import FALSE_MARKS, LabelLines, draw_lines
from medloupe.metrics.matching import Detections, LabelMatches, Truths, box_areas, compute_iou, match_boxes, match_label

_POINTS = 400  # pictures drawn where boxes are counted
_SIZE_BINS, _IN_BIN = 6, 10
SHOWN = 4  # pictures of each kind


def detection_curves(
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    labels: Sequence[str],
    groups: np.ndarray,
    seed: int = 0,
    *,
    false_marks: float = FALSE_MARKS,
    overlap: float = OVERLAP,
    lines: Mapping[str, float] | None = None,
    count_lines: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Compute what is drawn, with the lines that `judge_detections` draws of the same parameters.

    Returns
    -------
    dict
        By label that has true boxes: "froc" (false marks a picture, sensitivity), "pr" (recall, precision),
        "calibration" (bins), "sizes" (bins: share found by the box's side in pixels), "count" (true, counted).
    """
    made = {}
    for k, name in enumerate(labels):
        m = match_label(detections, truths, k, thresholds=np.array([overlap]))
        if not m.truths.any():
            continue
        drawn = draw_lines(m, groups, false_marks, (lines or {}).get(name), (count_lines or {}).get(name), seed)
        made[name] = {
            "froc": _froc(m),
            "pr": _precision_recall(m),
            "calibration": bin_reliability(np.clip(m.scores, 0, 1), m.hit[0, 0]),
            "sizes": _sizes(detections, truths, k, drawn.marks, overlap),
            "count": _counts(m, drawn),
        }
    return made


def find_hits(said: Detections, true: Truths, overlap: float = OVERLAP) -> tuple[np.ndarray, np.ndarray]:
    """Tell which marks of a picture are right, bool (n,), and which true boxes are found, bool (m,)."""
    right, found = np.zeros(len(said.labels), bool), np.zeros(len(true.labels), bool)
    for k in np.unique(np.asarray(said.labels)):
        own = np.flatnonzero(np.asarray(said.labels) == k)
        own = own[np.argsort(-np.asarray(said.scores)[own], kind="stable")]
        drawn = np.flatnonzero(np.asarray(true.labels) == k)
        ious = compute_iou(np.asarray(said.boxes)[own], np.asarray(true.boxes).reshape(-1, 4)[drawn])
        of = match_boxes(ious, np.array([overlap]), np.zeros((1, len(drawn)), bool))[0, 0]
        right[own] = of >= 0
        found[drawn[of[of >= 0]]] = True
    return right, found


def choose_pictures(
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    labels: Sequence[str],
    lines: Mapping[str, float | None],
    groups: np.ndarray,
    overlap: float = OVERLAP,
    most: int = SHOWN,
) -> list[dict[str, Any]]:
    """Choose the pictures that a report shows: most missed, surest false marks, and typical ones that are right.

    Parameters
    ----------
    detections, truths, labels, groups, overlap
        As of `detection_curves`.
    lines : mapping of str to float or None
        The score by label from which on boxes are marked; None: never.
    most : int
        Of each kind; no two of one group.

    Returns
    -------
    list of dict
        "index" of the picture, "kind" ("missed", "false", "right"), "truths" ("label", "box", "found") and "marks"
        ("label", "box", "score", "right"), boxes as x0, y0, x1, y1. "file", "image", "width" and "height" are to be
        added by who has the pictures.
    """
    limits = np.array([np.inf if lines.get(name) is None else float(lines[name] or 0) for name in labels])
    shown: list[tuple[Detections, np.ndarray, np.ndarray]] = []
    missed, surest, complete = [], [], []
    for said, true in zip(detections, truths, strict=True):
        above = np.flatnonzero(np.asarray(said.scores) >= limits[np.asarray(said.labels, int)])
        kept = Detections(
            np.asarray(said.boxes).reshape(-1, 4)[above], np.asarray(said.scores)[above], np.asarray(said.labels)[above]
        )
        right, found = find_hits(kept, true, overlap)
        shown.append((kept, right, found))
        missed.append(int((~found).sum()))
        surest.append(float(kept.scores[~right].max(initial=-1.0)))
        complete.append(int(right.sum()) if len(found) and found.all() and right.all() else 0)
    taken: set[int] = set()
    chosen: list[tuple[int, str]] = []
    typical = np.median([c for c in complete if c]) if any(complete) else 0
    kinds = (
        ("missed", np.argsort(-np.array(missed), kind="stable"), np.array(missed) > 0),
        ("false", np.argsort(-np.array(surest), kind="stable"), np.array(surest) >= 0),
        ("right", np.argsort(np.abs(np.array(complete) - typical), kind="stable"), np.array(complete) > 0),
    )
    for kind, order, fits in kinds:
        count = 0
        for i in order.tolist():
            if count < most and fits[i] and int(groups[i]) not in taken:
                taken.add(int(groups[i]))
                chosen.append((i, kind))
                count += 1
    return [_describe(i, kind, shown[i], truths[i], labels) for i, kind in chosen]


def _describe(
    i: int, kind: str, seen: tuple[Detections, np.ndarray, np.ndarray], true: Truths, labels: Sequence[str]
) -> dict[str, Any]:
    said, right, found = seen
    drawn = np.asarray(true.boxes, np.float64).reshape(-1, 4)
    return {
        "index": i,
        "kind": kind,
        "truths": [
            {"label": labels[int(k)], "box": box.tolist(), "found": bool(f)}
            for k, box, f in zip(true.labels, drawn, found, strict=True)
        ],
        "marks": [
            {"label": labels[int(k)], "box": box.tolist(), "score": float(s), "right": bool(r)}
            for k, box, s, r in zip(said.labels, said.boxes.astype(float), said.scores, right, strict=True)
        ],
    }


def _froc(m: LabelMatches) -> dict[str, list[float]]:
    scores, wrong, found = froc_curve(m)
    at = thin_points(np.minimum(wrong, 16.0) / 16.0, found)
    return {
        "score": round_values(scores[at]),
        "false_marks": round_values(wrong[at]),
        "sensitivity": round_values(found[at]),
    }


def _precision_recall(m: LabelMatches) -> dict[str, list[float]]:
    hit = m.hit[0, 0]
    found = np.cumsum(hit)
    recall, precision = found / m.truths[0].sum(), found / np.arange(1, len(hit) + 1)
    precision = np.maximum.accumulate(precision[::-1])[::-1] if len(hit) else precision
    at = thin_points(recall, precision)
    return {"recall": round_values(recall[at]), "precision": round_values(precision[at])}


def _sizes(
    detections: Sequence[Detections], truths: Sequence[Truths], label: int, lines: np.ndarray, overlap: float
) -> list[dict[str, float]]:
    """Share the true boxes out among bins of about as many each, by the root of their area."""
    sides, found = [], []
    for said, true, line in zip(detections, truths, lines, strict=True):
        own = np.asarray(true.labels) == label
        if not own.any():
            continue
        above = (np.asarray(said.labels) == label) & (np.asarray(said.scores) >= line)
        kept = Detections(
            np.asarray(said.boxes).reshape(-1, 4)[above], np.asarray(said.scores)[above], np.asarray(said.labels)[above]
        )
        drawn = Truths(np.asarray(true.boxes).reshape(-1, 4)[own], np.asarray(true.labels)[own])
        sides.append(np.sqrt(box_areas(drawn.boxes)))
        found.append(find_hits(kept, drawn, overlap)[1])
    side, hit = np.concatenate(sides), np.concatenate(found)
    parts = max(1, min(_SIZE_BINS, len(side) // _IN_BIN))
    ends = np.unique(np.quantile(side, np.linspace(0, 1, parts + 1)))
    at = np.clip(np.searchsorted(ends, side, side="right") - 1, 0, max(0, len(ends) - 2))
    rows = []
    for b in np.unique(at):
        own = at == b
        low, high = weighted.wilson(float(hit[own].sum()), float(own.sum()))
        rows.append(
            {
                "n": int(own.sum()),
                "smallest": float(side[own].min()),
                "side": float(np.median(side[own])),
                "largest": float(side[own].max()),
                "found": float(hit[own].mean()),
                "low": low,
                "high": high,
            }
        )
    return rows


def _counts(m: LabelMatches, lines: LabelLines) -> dict[str, list[int]]:
    truth = m.truths[0].astype(int)
    counted = count_marks(m.scores, m.picture, len(truth), lines.counts)
    at = np.unique(np.linspace(0, len(truth) - 1, min(_POINTS, len(truth))).astype(int))
    return {"true": truth[at].tolist(), "counted": counted[at].tolist()}
