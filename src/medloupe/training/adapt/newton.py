"""Minimise the penalised log loss of scaled and shifted logits, by damped Newton steps."""

from __future__ import annotations

import numpy as np

# How far from "unchanged" is expected before any local case was seen, as standard deviations: of a class's log odds
# (an odds of 8 to 1 between two classes), and of the scale, which moves less from one hospital to the next.
_SHIFT, _SCALE = 1.5, 0.5
_LEAST = 0.1  # scale; a model that ranks backwards here is not turned round by calibrating it
_STEPS = 50


def minimise_log_loss(z: np.ndarray, y: np.ndarray, weight: float, scaled: bool) -> tuple[float, np.ndarray]:
    """Find the scale and shifts with the least penalised log loss of softmax(scale * z + shift).

    The penalty is on the scale itself, not its logarithm, so that the problem stays convex, and growing surer is
    dearer than growing less sure.

    Parameters
    ----------
    z : np.ndarray
        float (N, K): logits.
    y : np.ndarray
        (N, K) of 1 and 0: the truth.
    weight : float
        What each row counts, above 0.
    scaled : bool
        Whether the scale may move from 1.

    Returns
    -------
    tuple of float and np.ndarray
        The scale, at least 0.1, and the shifts (K,).
    """
    a, b = _newton(z, y, weight, scaled, 1.0)
    if a < _LEAST:
        a, b = _newton(z, y, weight, False, _LEAST)
    return a, b


def _newton(z: np.ndarray, y: np.ndarray, weight: float, scaled: bool, a: float) -> tuple[float, np.ndarray]:
    """Minimise by damped Newton steps from scale a, which is held where not scaled."""
    k = z.shape[1]
    at = np.r_[a, np.zeros(k)]
    prior = np.r_[1 / _SCALE**2, np.full(k, 1 / _SHIFT**2)]
    centre = np.r_[1.0, np.zeros(k)]
    free = slice(0 if scaled else 1, None)

    def value(at: np.ndarray) -> float:
        s = at[0] * z + at[1:]
        top = s.max(1, keepdims=True)
        lost = (np.log(np.exp(s - top).sum(1)) + top[:, 0] - (y * s).sum(1)).sum()
        return float(weight * lost + 0.5 * (prior * (at - centre) ** 2).sum())

    now = value(at)
    for _ in range(_STEPS):
        s = at[0] * z + at[1:]
        p = np.exp(s - s.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        mean = (p * z).sum(1)
        slope = weight * np.r_[((p - y) * z).sum(), (p - y).sum(0)] + prior * (at - centre)
        curve = np.empty((k + 1, k + 1))
        curve[1:, 1:] = np.diag(p.sum(0)) - p.T @ p
        curve[0, 1:] = curve[1:, 0] = (p * (z - mean[:, None])).sum(0)
        curve[0, 0] = (p * z * z).sum() - (mean**2).sum()
        curve = weight * curve + np.diag(prior)
        step = np.zeros(k + 1)
        step[free] = np.linalg.solve(curve[free, free], slope[free])
        length = 1.0
        while (ahead := value(at - length * step)) > now and length > 1e-6:
            length /= 2
        at, now = at - length * step, min(now, ahead)
        if np.abs(step).max() < 1e-8:
            break
    return float(at[0]), at[1:]
