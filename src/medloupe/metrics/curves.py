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
        at = thin_points(fpr, tpr)
        roc[name] = {"fpr": round_values(fpr[at]), "tpr": round_values(tpr[at])}
        recall, precision = tp / tp[-1], tp / (tp + fp)
        at = thin_points(recall, precision)
        pr[name] = {
            "recall": round_values(recall[at]),
            "precision": round_values(precision[at]),
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
    return bin_reliability(said, right)


def bin_reliability(said: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Compare what was said (M,), 0 to 1, with what was right, bool (M,), in bins of equal width."""
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


def thin_points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Choose at most _LARGEST points of a curve, spread evenly along its length: int positions."""
    if len(x) <= _LARGEST:
        return np.arange(len(x))
    length = np.r_[0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    at = np.searchsorted(length, np.linspace(0, length[-1], _LARGEST))
    return np.unique(np.r_[0, np.minimum(at, len(x) - 1), len(x) - 1])


def round_values(values: np.ndarray) -> list[float]:
    """Round to four decimals, as a drawing needs no more."""
    return np.round(values, 4).tolist()
