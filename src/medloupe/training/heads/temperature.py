"""Scale logits by a temperature, so that they do not claim to be surer than they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medloupe.model.head import probabilities


def calibrate_across_folds(logits: np.ndarray, targets: np.ndarray, fold: np.ndarray, task: str) -> np.ndarray:
    """Calibrate out-of-fold logits, each fold by the temperature of the others.

    Parameters
    ----------
    logits : np.ndarray
        float32 (N, K).
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    fold : np.ndarray
        int (N,).
    task : str
        "multiclass" or "multilabel".

    Returns
    -------
    np.ndarray
        Probabilities float32 (N, K).
    """
    p = np.empty_like(logits)
    for f in np.unique(fold):
        own = fold == f
        p[own] = probabilities(logits[own] / fit_temperature(logits[~own], targets[~own], task), task)
    return p


def fit_temperature(logits: np.ndarray, targets: np.ndarray, task: str) -> np.ndarray:
    """Find the temperatures that minimise the log loss of out-of-fold logits, by golden section on their log.

    Parameters
    ----------
    logits : np.ndarray
        float32 (N, K).
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    task : str
        "multiclass" or "multilabel".

    Returns
    -------
    np.ndarray
        float32 (K,): one for all classes of a multi-class set; one a label in a multi-label set, 1 where a label is
        always or never present.

    References
    ----------
    Guo et al., "On calibration of modern neural networks" (ICML 2017).
    """
    k = logits.shape[1]
    if task == "multiclass":
        known = ~np.isnan(targets).any(1)
        z, y = logits[known].astype(np.float64), _smooth_targets(targets[known], k)

        def loss(t: float) -> float:
            s = z / t
            s = s - s.max(1, keepdims=True)
            return float((np.log(np.exp(s).sum(1)) - (s * y).sum(1)).mean())

        return np.full(k, _search_golden_section(loss), np.float32)
    temperature = np.ones(k, np.float32)
    for j in range(k):
        known = ~np.isnan(targets[:, j])
        z, y = logits[known, j].astype(np.float64), targets[known, j]
        if 0 < y.sum() < len(y):
            soft = _smooth_targets(y, 2)
            temperature[j] = _search_golden_section(
                lambda t, z=z, y=soft: float((np.logaddexp(0, z / t) - y * z / t).mean())
            )
    return temperature


def _smooth_targets(targets: np.ndarray, k: int) -> np.ndarray:
    """Count one more case of each of k answers: n cases told apart without a mistake do not make certainty.

    Source: Platt (1999), "Probabilistic outputs for support vector machines", section 2.2.
    """
    share = k / (len(targets) + k)
    return targets.astype(np.float64) * (1 - share) + share / k


def _search_golden_section(loss: Callable[[float], float], low: float = -2.3, high: float = 3.0) -> float:
    """Find the temperature between e^low and e^high with the least loss, which is convex in 1/t."""
    ratio = (np.sqrt(5) - 1) / 2
    a, b = low, high
    c, d = b - ratio * (b - a), a + ratio * (b - a)
    fc, fd = loss(float(np.exp(c))), loss(float(np.exp(d)))
    while b - a > 1e-3:
        if fc < fd:
            b, d, fd = d, c, fc
            c = b - ratio * (b - a)
            fc = loss(float(np.exp(c)))
        else:
            a, c, fc = c, d, fd
            d = a + ratio * (b - a)
            fd = loss(float(np.exp(d)))
    return float(np.exp((a + b) / 2))
