"""Measure whether percentages hold: log loss, calibration slope, intercept and error, as functions of row weights.

Source: Van Calster et al., "Calibration: the Achilles heel of predictive analytics" (BMC Medicine 17:230, 2019).
"""

from __future__ import annotations

import numpy as np

from medloupe.metrics.weighted import Weighted, calibration_error

_SMALLEST = 1e-7  # a probability; single precision does not know a smaller distance to 1
_STEPS = 25
_STEEPEST = 20.0  # slope from which the labels are told apart without a mistake, and none can be told
_Z = 1.959963984540054


def log_loss(probabilities: np.ndarray, targets: np.ndarray, task: str) -> Weighted:
    """Measure the mean log loss (natural logarithm): of the true class, or over all labels known.

    Parameters
    ----------
    probabilities
        (N, K), calibrated.
    targets
        (N, K) of 1/0/NaN.
    task
        multiclass or multilabel.
    """
    p = np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    known = ~np.isnan(targets)
    lost = np.where(targets == 1, -np.log(p), 0.0)
    if task == "multilabel":
        lost = lost + np.where(targets == 0, -np.log1p(-p), 0.0)
        count = known.sum(1).astype(np.float64)
    else:
        count = known.all(1).astype(np.float64)
    total = lost.sum(1)

    def value(weights: np.ndarray) -> np.ndarray:
        return (weights @ total) / (weights @ count)

    return value


def expected_calibration_error(probabilities: np.ndarray, targets: np.ndarray, task: str) -> Weighted:
    """Measure the expected calibration error of (N, K): of the most probable class, or of all labels known together."""
    p = probabilities
    if task == "multilabel":
        row, k = np.nonzero(~np.isnan(targets))
        return calibration_error(p[row, k], targets[row, k] == 1, row)
    rows = np.arange(len(p))
    return calibration_error(p.max(1), targets[rows, p.argmax(1)] == 1, rows)


def slope(probabilities: np.ndarray, truth: np.ndarray) -> Weighted:
    """Fit a logistic regression of the truth on the logit of the probability: 1 is right, below 1 is too sure.

    Parameters
    ----------
    probabilities
        (N,) of one label.
    truth
        (N,) of 1/0/NaN.

    Returns
    -------
    Weighted
        The slope; NaN where a replicate is told apart without a mistake.
    """
    x, y, known = _logit(probabilities), np.nan_to_num(truth).astype(np.float64), ~np.isnan(truth)

    def value(weights: np.ndarray) -> np.ndarray:
        w = np.where(known, weights, 0).astype(np.float64)
        c, s = np.zeros(len(w)), np.ones(len(w))
        last = np.full(len(w), np.inf)
        for _ in range(_STEPS):
            p = _sigmoid(c[:, None] + s[:, None] * x)
            r, v = w * (p - y), w * p * (1 - p)
            g0, g1 = r.sum(1), r @ x
            h00, h01, h11 = v.sum(1) + 1e-9, v @ x, v @ (x * x) + 1e-9
            det = h00 * h11 - h01**2
            det = np.where(det > 1e-12, det, np.nan)
            d0, d1 = (h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det
            cut = np.minimum(1, 2 / np.maximum(np.maximum(np.abs(d0), np.abs(d1)), 1e-12))  # no step farther than 2
            c, s, last = c - cut * d0, s - cut * d1, np.abs(cut * d1)
            if np.nanmax(last, initial=0) < 1e-6:
                break
        return np.where(_has_both(w, y) & (last < 1e-3) & (np.abs(s) < _STEEPEST), s, np.nan)

    return value


def intercept(probabilities: np.ndarray, truth: np.ndarray) -> Weighted:
    """Find what must be added to the logits so that as many cases are expected as there are (calibration in the large).

    0 is right; below 0 the percentages of the label are too high here.

    Parameters
    ----------
    probabilities
        (N,) of one label.
    truth
        (N,) of 1/0/NaN.
    """
    x, y, known = _logit(probabilities), np.nan_to_num(truth).astype(np.float64), ~np.isnan(truth)

    def value(weights: np.ndarray) -> np.ndarray:
        w = np.where(known, weights, 0).astype(np.float64)
        c = np.zeros(len(w))
        for _ in range(_STEPS):
            p = _sigmoid(c[:, None] + x)
            step = (w * (p - y)).sum(1) / np.maximum((w * p * (1 - p)).sum(1), 1e-9)
            c -= np.clip(step, -2, 2)
            if np.abs(step).max(initial=0) < 1e-6:
                break
        return np.where(_has_both(w, y), c, np.nan)

    return value


def cases_needed(share: float, half_width: float) -> int:
    """Count the independent cases that give a share a 95 % interval (Wilson) of at most ± half_width.

    Raises
    ------
    ValueError
        For a half_width that no hundred thousand cases reach.
    """
    n = np.arange(1, 100_001)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n))
    enough = np.flatnonzero(half <= half_width)
    if not len(enough):
        raise ValueError(f"±{half_width:g} takes more than 100,000 cases.")
    return int(n[enough[0]])


def _logit(p: np.ndarray) -> np.ndarray:
    q = np.clip(p.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    return np.log(q) - np.log1p(-q)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(x / 2))


def _has_both(w: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Tell which replicates hold cases and others, bool (B,)."""
    return ((w @ y) > 0) & ((w @ (1 - y)) > 0)


def row_losses(logits: np.ndarray, targets: np.ndarray, task: str) -> np.ndarray:
    """Compute the log loss (N,) of logits (N, K) row by row; a row without a label has none."""
    z, known = logits.astype(np.float64), ~np.isnan(targets)
    y = np.where(known, targets, 0)
    if task == "multiclass":
        z = z - z.max(1, keepdims=True)
        return (np.log(np.exp(z).sum(1)) - (z * y).sum(1)) * known.any(1)
    return ((np.logaddexp(0, z) - z * y) * known).sum(1)
