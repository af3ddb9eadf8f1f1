"""Compute the points of a report's curves: ROC, precision against recall, and calibration."""

from __future__ import annotations

from typing import Any

import numpy as np

from medloupe.metrics import weighted
from medloupe.metrics.tables import Judged

_LARGEST = 160  # points drawn


def curves(judged: Judged) -> dict[str, Any]:
    """Compute the ROC, precision-recall and calibration curves of the first repeat, thinned for drawing."""
    p, targets = judged.probabilities[0], judged.targets
    roc, pr = {}, {}
    for k, name in enumerate(judged.labels):
        known = ~np.isnan(targets[:, k])
        truth, scores = targets[known, k] == 1, p[known, k]
        if not truth.any() or truth.all():
            continue
        order = np.argsort(-scores, kind="stable")
        last = np.r_[np.diff(scores[order]) != 0, True]  # a threshold lies only between different scores
        tp, fp = np.cumsum(truth[order])[last], np.cumsum(~truth[order])[last]
        tpr, fpr = np.r_[0, tp / tp[-1]], np.r_[0, fp / fp[-1]]
        at = _thin(fpr, tpr)
        roc[name] = {"fpr": _round(fpr[at]), "tpr": _round(tpr[at])}
        recall, precision = tp / tp[-1], tp / (tp + fp)
        at = _thin(recall, precision)
        pr[name] = {
            "recall": _round(recall[at]),
            "precision": _round(precision[at]),
            "prevalence": float(truth.mean()),
        }
    return {"roc": roc, "pr": pr, "calibration": _calibration(judged)}


def _calibration(judged: Judged) -> list[dict[str, Any]]:
    """Predicted against observed, in bins of equal width: of the announced label, or of all labels pooled."""
    p, targets = judged.probabilities[0], judged.targets
    if judged.task == "multiclass":
        said = p.max(1)
        right = targets[np.arange(len(p)), p.argmax(1)] == 1
    else:
        known = ~np.isnan(targets)
        said, right = p[known], targets[known] == 1
    bins = np.minimum((said * weighted.BINS).astype(int), weighted.BINS - 1)
    rows = []
    for b in np.unique(bins):
        own = bins == b
        low, high = weighted.wilson(float(right[own].sum()), float(own.sum()))
        rows.append(
            {
                "n": int(own.sum()),
                "predicted": float(said[own].mean()),
                "observed": float(right[own].mean()),
                "low": low,
                "high": high,
            }
        )
    return rows


def _thin(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Positions of at most _LARGEST points, spread evenly along the curve's length."""
    if len(x) <= _LARGEST:
        return np.arange(len(x))
    length = np.r_[0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    at = np.searchsorted(length, np.linspace(0, length[-1], _LARGEST))
    return np.unique(np.r_[0, np.minimum(at, len(x) - 1), len(x) - 1])


def _round(values: np.ndarray) -> list[float]:
    return np.round(values, 4).tolist()
