"""Judge a detector: compute the figures of a card from its boxes and the true ones, with intervals over groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medloupe.metrics import counting, weighted
from medloupe.metrics.average_precision import average_precisions, name_reference, reference_precisions
from medloupe.metrics.froc import RATES, sensitivity_at
from medloupe.metrics.mark_lines import FALSE_MARKS, LabelLines, draw_lines
from medloupe.metrics.matching import (
    EVERY,
    IOU_THRESHOLDS,
    AreaRange,
    Detections,
    LabelMatches,
    Truths,
    check_boxes,
    match_label,
)
from medloupe.metrics.weighted import Metric, Weighted

OVERLAP = 0.5  # IoU from which on a mark is right
_SURE = 0.1  # scores below stand for next to nothing, and would drown the others in the calibration error
_AT_640 = 640.0  # the side of COCO's pictures, by which its bounds become shares
SIZES = (
    AreaRange(name="small", high=32.0**2),
    AreaRange(name="medium", low=32.0**2, high=96.0**2),
    AreaRange(name="large", low=96.0**2),
)
SHARES = tuple(AreaRange(name=r.name, low=r.low / _AT_640**2, high=r.high / _AT_640**2, relative=True) for r in SIZES)


def judge_detections(
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    labels: Sequence[str],
    groups: np.ndarray,
    sizes: np.ndarray,
    seed: int = 0,
    *,
    false_marks: float = FALSE_MARKS,
    overlap: float = OVERLAP,
    lines: Mapping[str, float] | None = None,
    count_lines: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Compute all figures of a detector, each {"value", "low", "high"}; None where it is not defined.

    Parameters
    ----------
    detections, truths : sequence
        Of N pictures, also of those without boxes.
    labels : sequence of str
        Names, by position.
    groups : np.ndarray
        int (N,): patients, or what else must stay together.
    sizes : np.ndarray
        (N, 2), width and height of the pictures as given, in pixels.
    seed : int
        Of the bootstrap.
    false_marks : float
        Allowed a picture, by which lines are drawn.
    overlap : float
        IoU from which on a mark is right, in all figures but average precision.
    lines, count_lines : mapping of str to float, optional
        Scores from which on boxes of a label are marked, and counted, where they were drawn on other pictures.
        None: they are drawn here, those of each picture without its group where there are ten groups or more.

    Returns
    -------
    dict
        "map50", "map" (0.50 to 0.95), "cpm", "sensitivity", "precision", "ece": means over the labels that have true
        boxes; "false_marks": a picture, of all labels together; "labels": a dict a label; "sizes", "relative_sizes": AP
        by size; "froc"; "count"; what it rests on.

    Raises
    ------
    DataError
        Boxes that are none, or pictures that do not pair up.
    """
    check_boxes(detections, truths, len(labels))
    groups, sizes = np.asarray(groups), np.asarray(sizes, np.float64).reshape(-1, 2)
    ranges = (EVERY, *SIZES, *SHARES)
    matched = [match_label(detections, truths, k, ranges, sizes) for k in range(len(labels))]
    own = IOU_THRESHOLDS if np.isclose(IOU_THRESHOLDS, overlap).any() else np.array([overlap])
    at = int(np.abs(own - overlap).argmin())
    hits = [
        _take(m if own is IOU_THRESHOLDS else match_label(detections, truths, k, thresholds=own), at)
        for k, m in enumerate(matched)
    ]
    drawn = [
        draw_lines(m, groups, false_marks, (lines or {}).get(name), (count_lines or {}).get(name), seed)
        for name, m in zip(labels, hits, strict=True)
    ]
    wanted = [_label_figures(m, line, groups) for m, line in zip(hits, drawn, strict=True)]
    values = _bootstrap(matched, hits, wanted, groups, seed)
    judge = name_reference()
    if judge:
        _put_reference(values, detections, truths, len(labels), sizes)
    found = _summarise(values, len(labels))
    rows = {name: _row(name, k, found, hits[k], drawn[k], groups, wanted[k]) for k, name in enumerate(labels)}
    judged = [row for row in rows.values() if row["n"]]
    if len(judged) == 1:  # then the mean is of one, whose interval was widened
        found |= {name: judged[0][name] for name in ("sensitivity", "precision", "cpm", "froc")}
    return {
        "map50": found["ap50"],
        "map": found["ap"],
        "cpm": found["cpm"],
        "sensitivity": found["sensitivity"],
        "precision": found["precision"],
        "false_marks": found["false_marks"],
        "ece": found["ece"],
        "labels": rows,
        "sizes": _size_rows(SIZES, 1, found, matched),
        "relative_sizes": _size_rows(SHARES, 1 + len(SIZES), found, matched),
        "froc": {"rates": list(RATES), "sensitivity": found["froc"]},
        "count": {name: row["count"] for name, row in rows.items() if row["count"]},
        "overlap": overlap,
        "false_marks_aimed_at": false_marks,
        "pictures": len(truths),
        "groups": len(np.unique(groups)),
        "boxes": sum(row["n"] for row in rows.values()),
        "judge": judge,
    }


def _take(matches: LabelMatches, at: int) -> LabelMatches:
    """Keep one threshold of IoU, and all sizes together."""
    return LabelMatches(
        scores=matches.scores,
        picture=matches.picture,
        hit=matches.hit[:1, at : at + 1],
        ignored=matches.ignored[:1, at : at + 1],
        truths=matches.truths[:1],
    )


def _label_figures(m: LabelMatches, lines: LabelLines, groups: np.ndarray) -> dict[str, Weighted]:
    """Make the figures of one label that are sums over pictures."""
    n, truth = len(groups), m.truths[0]
    above = m.scores >= lines.marks[m.picture]
    marks = np.bincount(m.picture[above], minlength=n)
    hits = np.bincount(m.picture[above & m.hit[0, 0]], minlength=n)
    positive, called, first = _by_group(truth > 0, marks > 0, groups)
    counted = counting.count_marks(m.scores, m.picture, n, lines.counts)
    sure = m.scores >= _SURE
    made: dict[str, Weighted] = {
        "sensitivity": _ratio(hits, truth),
        "precision": _ratio(hits, marks),
        "false_marks": _ratio(marks - hits, np.ones(n)),
        "patient_sensitivity": weighted.share(called & first, positive & first),
        "patient_specificity": weighted.share(~called & first, ~positive & first),
        "median_error": counting.median_relative_error(counted, truth),
        **counting.agreement(counted, truth),
    }
    if sure.any():
        made["ece"] = weighted.calibration_error(
            np.clip(m.scores[sure], 0, 1), m.hit[0, 0][sure].astype(float), m.picture[sure]
        )
    return made


def _by_group(positive: np.ndarray, called: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, ...]:
    """Say of every picture what holds for its group, and which picture is the first of its group: bool (N,) each."""
    _, index, group = np.unique(groups, return_index=True, return_inverse=True)
    first = np.zeros(len(groups), bool)
    first[index] = True
    whole = [np.bincount(group, weights=x)[group] > 0 for x in (positive, called)]
    return whole[0], whole[1], first


def _ratio(of: np.ndarray, among: np.ndarray) -> Weighted:
    """Divide two sums over the pictures; NaN where there is nothing to divide by."""
    matrix = np.column_stack([of, among]).astype(np.float64)

    def value(weights: np.ndarray) -> np.ndarray:
        top, bottom = (weights @ matrix).T
        return top / np.where(bottom > 0, bottom, np.nan)

    return value


def _bootstrap(
    matched: Sequence[LabelMatches],
    hits: Sequence[LabelMatches],
    wanted: Sequence[Mapping[str, Weighted]],
    groups: np.ndarray,
    seed: int,
) -> dict[str, np.ndarray]:
    """Compute everything at all-ones weights and under every draw, by name.

    "by_size" is (1 + B, K, R, T), "froc" (1 + B, K, F), all others (1 + B, K).
    """
    names = sorted({name for figures in wanted for name in figures})
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("by_size", "froc", *names)}
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in weighted.bootstrap_weights(groups, seed):
            parts["by_size"].append(np.stack([average_precisions(m, weights) for m in matched], 1))
            parts["froc"].append(np.stack([sensitivity_at(m, weights) for m in hits], 1))
            lacking = np.full(len(weights), np.nan)
            for name in names:
                parts[name].append(np.stack([f[name](weights) if name in f else lacking for f in wanted], 1))
    return {name: np.concatenate(p) for name, p in parts.items()}


def _put_reference(
    values: dict[str, np.ndarray],
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    labels: int,
    sizes: np.ndarray,
) -> None:
    """Let the library say the figures themselves; the draws stay our own."""
    absolute = [(r.low, r.high) for r in (EVERY, *SIZES)]
    scale = _AT_640 / np.sqrt(np.maximum(sizes.prod(1), 1.0))
    relative = [(r.low * _AT_640**2, r.high * _AT_640**2) for r in SHARES]
    values["by_size"][0] = np.concatenate(
        [
            reference_precisions(detections, truths, labels, absolute),
            reference_precisions(detections, truths, labels, relative, scale),
        ],
        axis=1,
    )


def _summarise(values: Mapping[str, np.ndarray], labels: int) -> dict[str, Any]:
    """Bring the draws to figures: "ap50", "ap", … over all labels, (name, k) of label k, ("size", r, name) by size."""
    precision = values["by_size"]
    ap = {"ap50": precision[..., 0], "ap": precision.mean(-1)}  # (1 + B, K, R)
    found: dict[Any, Any] = {}
    for name, by in ap.items():
        found[name] = weighted.summarise(_mean(by[..., 0]))
        found |= {(name, k): weighted.summarise(by[:, k, 0]) for k in range(labels)}
        found |= {("size", r, name): weighted.summarise(_mean(by[..., r])) for r in range(by.shape[2])}
    froc = values["froc"]
    cpm = froc.mean(2)
    found["froc"] = [weighted.summarise(_mean(froc[:, :, f])) for f in range(froc.shape[2])]
    found["cpm"] = weighted.summarise(_mean(cpm))
    found |= {("cpm", k): weighted.summarise(cpm[:, k]) for k in range(labels)}
    found |= {("froc", k): [weighted.summarise(froc[:, k, f]) for f in range(froc.shape[2])] for k in range(labels)}
    for name in values.keys() - {"by_size", "froc"}:
        found |= {(name, k): weighted.summarise(values[name][:, k]) for k in range(labels)}
    for name in ("sensitivity", "precision", "ece"):
        found[name] = weighted.summarise(_mean(values[name])) if name in values else _undefined()
    found["false_marks"] = weighted.summarise(values["false_marks"].sum(1))
    return found


def _mean(values: np.ndarray) -> np.ndarray:
    """Average (1 + B, K) over the labels that are defined; NaN where none is."""
    defined = np.isfinite(values)
    total = defined.sum(1)
    return np.where(defined, values, 0).sum(1) / np.where(total > 0, total, np.nan)


def _undefined() -> Metric:
    return Metric(value=None, low=None, high=None)


def _row(
    name: str,
    k: int,
    found: Mapping[Any, Any],
    m: LabelMatches,
    lines: LabelLines,
    groups: np.ndarray,
    wanted: Mapping[str, Weighted],
) -> dict[str, Any]:
    """Make the row of one label."""
    truth = m.truths[0]
    with_it = len(np.unique(groups[truth > 0]))
    marked = m.picture[m.scores >= lines.marks[m.picture]]
    called = len(np.unique(groups[marked]))

    def widened(figure: str, n: int) -> Metric:
        return weighted.widen_share_interval(found[figure, k], n)

    counts = {key: found[key, k] for key in ("median_error", "mean_difference", "lower_limit", "upper_limit")}
    return {
        "n": int(truth.sum()),
        "pictures": int((truth > 0).sum()),
        "groups": with_it,
        "ap50": found["ap50", k],
        "ap": found["ap", k],
        "cpm": widened("cpm", with_it),
        "froc": [weighted.widen_share_interval(metric, with_it) for metric in found["froc", k]],
        "line": _finite(lines.mark),
        "held_out": lines.held_out,
        "sensitivity": widened("sensitivity", with_it),
        "precision": widened("precision", called),
        "false_marks": found["false_marks", k],
        "patients": {
            "with": with_it,
            "without": len(np.unique(groups)) - with_it,
            "sensitivity": widened("patient_sensitivity", with_it),
            "specificity": widened("patient_specificity", len(np.unique(groups)) - with_it),
        },
        "ece": found["ece", k] if "ece" in wanted else _undefined(),
        "count": {"line": _finite(lines.count), "mean": float(truth.mean()), **counts} if with_it else None,
    }


def _size_rows(
    ranges: Sequence[AreaRange], first: int, found: Mapping[Any, Any], matched: Sequence[LabelMatches]
) -> list[dict[str, Any]]:
    """Make a row for each size: its bounds, how many true boxes it holds, and the average precision."""
    return [
        {
            "name": r.name,
            "low": r.low**0.5,
            "high": _finite(r.high**0.5),
            "n": int(sum(m.truths[first + i].sum() for m in matched)),
            "ap50": found["size", first + i, "ap50"],
            "ap": found["size", first + i, "ap"],
        }
        for i, r in enumerate(ranges)
    ]


def _finite(x: float) -> float | None:
    return float(x) if np.isfinite(x) else None
