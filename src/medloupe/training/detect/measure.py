"""Judge measurements that are computed from boxes, on pictures that the detector has not seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medloupe.data.records import Record
from medloupe.errors import DataError, did_you_mean
from medloupe.metrics.matching import Detections, Truths
from medloupe.metrics.weighted import bootstrap_intervals
from medloupe.model.boxes import FoundBox
from medloupe.model.measurements import Measurement, parse_measurement

KNOWN = ("ctr = width(heart) / width(left_lung + right_lung)",)
"""Measured unasked where there are boxes of all that they need: the cardiothoracic ratio."""

FEWEST = 20  # pictures, below which no interval is drawn
COVERED = 0.95


def read_wanted(texts: Sequence[str], labels: Sequence[str]) -> tuple[Measurement, ...]:
    """Read the measurements asked for, by default the KNOWN ones that the labels allow.

    Raises
    ------
    DataError
        For what is none, and for labels that there are no boxes of.
    """
    if not texts:
        return tuple(m for m in map(parse_measurement, KNOWN) if set(m.labels) <= set(labels))
    wanted = tuple(parse_measurement(text) for text in texts)
    for m in wanted:
        for name in m.labels:
            if name not in labels:
                raise DataError(
                    f"{m.name} is measured of {name!r}; boxes are of {', '.join(labels)}.", did_you_mean(name, labels)
                )
    if len({m.name for m in wanted}) < len(wanted):
        raise DataError("Two measurements have the same name.", "Give each a name of its own.")
    return wanted


def judge_measurements(
    wanted: Sequence[Measurement],
    detections: Sequence[Detections],
    truths: Sequence[Truths],
    records: Sequence[Record],
    labels: Sequence[str],
    groups: np.ndarray,
    lines: Mapping[str, float],
    seed: int,
) -> list[dict[str, Any]]:
    """Measure pictures that were not learned from, hold that against the truth, and make the entries of the card.

    The truth is a column of the data of the measurement's name, where most pictures have a number there; else it is
    computed from the true boxes.

    Parameters
    ----------
    wanted : sequence of Measurement
        What is measured.
    detections, truths, records : sequences
        Of the same pictures: what was found, the true boxes, and their records.
    labels : sequence of str
        Names of the labels.
    groups : np.ndarray
        int (n,), equal for records that belong together.
    lines : mapping
        By label the score from which a box is marked.
    seed : int
        Of the bootstrap.
    """
    made = []
    for m in wanted:
        found = np.array([_value(m, d.boxes, d.scores, d.labels, labels, lines) for d in detections])
        boxed = np.array([_value(m, t.boxes, np.ones(len(t.labels)), t.labels, labels, {}) for t in truths])
        told = np.array([_number(r.columns.get(m.name)) for r in records])
        by_column = np.isfinite(told).sum() >= len(records) / 2
        truth = told if by_column else boxed
        both = np.isfinite(found) & np.isfinite(truth)
        made.append(_entry(m, (truth - found)[both], groups[both], found, truth, by_column, seed))
    return made


def _entry(
    m: Measurement,
    errors: np.ndarray,
    groups: np.ndarray,
    found: np.ndarray,
    truth: np.ndarray,
    by_column: bool,
    seed: int,
) -> dict[str, Any]:
    n, able = len(errors), int(np.isfinite(truth).sum())
    both = np.isfinite(found) & np.isfinite(truth)
    unseen = np.abs(truth[both] - _mean_of_others(truth[both], groups))
    below = above = None
    figures: dict[str, Any] = {}
    if n:
        formulas = {
            "mean_absolute_error": lambda w: (w @ np.abs(errors)) / w.sum(1),
            "mean_difference": lambda w: (w @ -errors) / w.sum(1),
            "always_the_mean": lambda w: (w @ unseen) / w.sum(1),
        }
        figures = dict(bootstrap_intervals(formulas, groups, seed))
    if n >= FEWEST:
        below, above = -_quantile(errors, (1 - COVERED) / 2), _quantile(errors, (1 + COVERED) / 2)
    missing = int((np.isfinite(truth) & ~np.isfinite(found)).sum())
    source = f"the column {m.name}" if by_column else "the true boxes"
    error = figures.get("mean_absolute_error") or {}
    words = (
        f"{m.name}, measured on {n:,} pictures not learned from and held against {source}:"
        f" off by {error['value']:.3f} on average; always saying the mean would be off by"
        f" {(figures.get('always_the_mean') or {}).get('value') or 0:.3f}."
        if n
        else f"{m.name} could not be judged."
    )
    if missing:
        words += f" On {missing:,} of {able:,} a box was not found."
    return {
        **m.as_json(),
        "below": below,
        "above": above,
        "n": n,
        "missing": missing,
        "truth": "column" if by_column else "boxes",
        "figures": figures,
        "words": words,
    }


def _mean_of_others(truth: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Average, for each picture, the truth of the pictures of other groups; of all where there are none."""
    _, group = np.unique(groups, return_inverse=True)
    total, own = truth.sum(), np.bincount(group, weights=truth)[group] if len(truth) else np.zeros(0)
    rest = len(truth) - (np.bincount(group)[group] if len(truth) else np.zeros(0))
    return np.where(rest > 0, (total - own) / np.maximum(rest, 1), total / max(1, len(truth)))


def _quantile(errors: np.ndarray, share: float) -> float:
    """Find the error below which a share of new ones lies, a little farther out as conformal prediction asks."""
    ordered, n = np.sort(errors), len(errors)
    if share < 0.5:
        return float(ordered[max(math.floor((n + 1) * share) - 1, 0)])
    return float(ordered[min(math.ceil((n + 1) * share) - 1, n - 1)])


def _value(
    m: Measurement,
    boxes: np.ndarray,
    scores: np.ndarray,
    numbers: np.ndarray,
    labels: Sequence[str],
    lines: Mapping[str, float],
) -> float:
    """Measure one picture; NaN where that cannot be."""
    rows = [
        FoundBox(label=labels[int(k)], score=float(s), x=float(b[0]), y=float(b[1]), width=w, height=h)
        for b, s, k in zip(boxes, scores, numbers, strict=True)
        for w, h in [(float(b[2] - b[0]), float(b[3] - b[1]))]
    ]
    value = m.measure(rows, lines or dict.fromkeys(labels, 0.0)).value
    return math.nan if value is None else value


def _number(text: str | None) -> float:
    try:
        return float(text) if text is not None else math.nan
    except ValueError:
        return math.nan
