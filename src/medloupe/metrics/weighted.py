"""Compute metrics with 95 % intervals from a bootstrap over groups.

Every metric is a function of row weights: all ones give the point estimate, how often each row's group was drawn gives
a bootstrap replicate. So one formula serves both, over all replicates at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypedDict

import numpy as np

REPLICATES = 1000
FEWER = 200  # from MANY rows on, where 1,000 would take minutes
MANY = 20_000
BINS = 10
_CHUNK_BYTES = 4 << 20  # of weights at a time: fits the processor's cache, and bounds the memory
_Z = 1.959963984540054


class Metric(TypedDict):
    """A value and its 95 % interval; None where it cannot be computed."""

    value: float | None
    low: float | None
    high: float | None


Weighted = Callable[[np.ndarray], np.ndarray]  # weights float32 (B, N) -> values (B,)


def bootstrap_weights(groups: np.ndarray, seed: int, count: int | None = None) -> Iterator[np.ndarray]:
    """Draw row weights float32 (b, N) in chunks: first one row of ones, then how often each row's group was drawn."""
    count = count or (REPLICATES if len(groups) <= MANY else FEWER)
    rng = np.random.default_rng(seed)
    numbers, group = np.unique(groups, return_inverse=True)
    yield np.ones((1, len(groups)), np.float32)
    step = max(1, _CHUNK_BYTES // (4 * max(1, len(groups))))
    for start in range(0, count, step):
        b = min(step, count - start)
        drawn = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), size=b)
        yield drawn[:, group].astype(np.float32)


def bootstrap_intervals(metrics: dict[str, Weighted], groups: np.ndarray, seed: int = 0) -> dict[str, Metric]:
    """Compute every metric at all-ones weights, with the 2.5 and 97.5 percentiles of its bootstrap replicates."""
    values: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in bootstrap_weights(groups, seed):
            for name, metric in metrics.items():
                values[name].append(metric(weights))
    return {name: summarise(np.concatenate(v)) for name, v in values.items()}


def summarise(values: np.ndarray) -> Metric:
    """Summarise a metric's values (1 + B,): the point estimate, then those of the replicates."""
    point, drawn = values[0], values[1:]
    drawn = drawn[np.isfinite(drawn)]
    if not np.isfinite(point):
        return Metric(value=None, low=None, high=None)
    if len(drawn) < (len(values) - 1) / 2:  # most replicates lack a class: too few groups to say
        return Metric(value=float(point), low=None, high=None)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Metric(value=float(point), low=float(min(low, point)), high=float(max(high, point)))


def average(metrics: Sequence[Weighted]) -> Weighted:
    """Average several metrics, over those that are defined; NaN where none is."""

    def mean(weights: np.ndarray) -> np.ndarray:
        if not metrics:
            return np.full(len(weights), np.nan)
        values = np.stack([m(weights) for m in metrics])
        defined = np.isfinite(values)
        return np.where(defined, values, 0).sum(0) / defined.sum(0)

    return mean


class Ranking:
    """How scores rank positives above negatives: AUC and average precision under row weights. Ties count half.

    Parameters
    ----------
    scores
        (N,).
    truth
        (N,) of 1/0/NaN, where NaN takes no part.
    """

    def __init__(self, scores: np.ndarray, truth: np.ndarray):
        known = np.flatnonzero(~np.isnan(truth))
        self.order = known[np.argsort(scores[known], kind="stable")]
        sorted_scores = scores[self.order]
        self.positive = truth[self.order] == 1
        self.starts = np.flatnonzero(np.r_[True, np.diff(sorted_scores) != 0]) if len(known) else np.empty(0, int)

    def _by_score(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weight of positives and of negatives at each distinct score, ascending: (B, U) each."""
        w = weights[:, self.order]
        positive = np.where(self.positive, w, 0)
        return self._sum(positive), self._sum(w - positive)

    def _sum(self, w: np.ndarray) -> np.ndarray:
        return w if len(self.starts) == w.shape[1] else np.add.reduceat(w, self.starts, axis=1)

    def auc(self, weights: np.ndarray) -> np.ndarray:
        """Compute the area under the ROC curve (B,); NaN where a replicate lacks positives or negatives."""
        if not len(self.order):
            return np.full(len(weights), np.nan)
        positive, negative = self._by_score(weights)
        below = np.cumsum(negative, axis=1, dtype=np.float32)
        total = positive.sum(1, dtype=np.float64) * below[:, -1]
        below -= 0.5 * negative
        return np.einsum("bu,bu->b", positive, below, dtype=np.float64) / np.where(total > 0, total, np.nan)

    def average_precision(self, weights: np.ndarray) -> np.ndarray:
        """Compute the area under the precision-recall curve by steps (B,); NaN where a replicate lacks positives."""
        if not len(self.order):
            return np.full(len(weights), np.nan)
        positive, negative = (w[:, ::-1] for w in self._by_score(weights))
        found = np.cumsum(positive, axis=1, dtype=np.float32)
        flagged = np.cumsum(negative, axis=1, dtype=np.float32)
        flagged += found
        precision = found / np.maximum(flagged, 1e-9)
        total = found[:, -1]
        return np.einsum("bu,bu->b", positive, precision, dtype=np.float64) / np.where(total > 0, total, np.nan)


def share(of: np.ndarray, among: np.ndarray) -> Weighted:
    """Measure the weighted share of rows with `of` among rows with `among`; NaN where a replicate has none of these.

    Parameters
    ----------
    of
        bool (N,), or float32 (N,) in 0 to 1: the share itself of each row.
    among
        bool (N,).
    """
    matrix = np.column_stack([of * among, among]).astype(np.float32)

    def value(weights: np.ndarray) -> np.ndarray:
        hit, total = (weights @ matrix).T
        return hit / np.where(total > 0, total, np.nan)

    return value


def f1(called: np.ndarray, truth: np.ndarray) -> Weighted:
    """Measure the F1 of a label: bool (N,) called, bool (N,) true; 0 where it is never right."""
    matrix = np.column_stack([called & truth, called, truth]).astype(np.float32)

    def value(weights: np.ndarray) -> np.ndarray:
        hit, c, t = (weights @ matrix).T
        return 2 * hit / np.where(c + t > 0, c + t, np.nan)

    return value


def calibration_error(confidence: np.ndarray, right: np.ndarray, row: np.ndarray) -> Weighted:
    """Measure the expected calibration error over BINS equal bins (Guo et al., ICML 2017).

    Parameters
    ----------
    confidence, right
        (M,) one entry a statement.
    row
        (M,) the row of the data it belongs to.
    """
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    n = int(row.max(initial=-1)) + 1
    gap = np.zeros((n, BINS), np.float32)
    count = np.zeros(n, np.float32)
    np.add.at(gap, (row, bins), confidence - right)
    np.add.at(count, row, 1)

    def value(weights: np.ndarray) -> np.ndarray:
        w = weights[:, :n]
        return np.abs(w @ gap).sum(1) / (w @ count)

    return value


def brier(probabilities: np.ndarray, truth: np.ndarray) -> Weighted:
    """Measure the mean squared error of the probabilities, summed over labels (Brier 1950).

    Parameters
    ----------
    probabilities
        (N, K).
    truth
        (N, K) of 1/0/NaN; NaN is left out.
    """
    error = np.nansum((probabilities - truth) ** 2, axis=1).astype(np.float32)
    known = (~np.isnan(truth).all(1)).astype(np.float32)

    def value(weights: np.ndarray) -> np.ndarray:
        return (weights @ (error * known)) / (weights @ known)

    return value


def wilson(hits: float, n: float, z: float = _Z) -> tuple[float, float]:
    """Compute the interval of a share (Wilson 1927): honest at 0 and 100 %, where a bootstrap sees no spread.

    hits: of n; z: of the normal distribution, by default for 95 %.
    """
    if n <= 0:
        return 0.0, 1.0
    p, z2 = hits / n, z**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * np.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return float(min(p, max(0.0, centre - half))), float(max(p, min(1.0, centre + half)))


def widen_share_interval(metric: Metric, n: int) -> Metric:
    """Join the bootstrap interval of a share with Wilson's for n independent groups."""
    if metric["value"] is None:
        return metric
    low, high = wilson(metric["value"] * n, n)
    return _join_intervals(metric, low, high)


def widen_auc_interval(metric: Metric, positives: int, negatives: int) -> Metric:
    """Join the bootstrap interval of an AUC with Newcombe's (Statistics in Medicine 25 (2006) 559-573, method 5).

    positives, negatives: independent groups. Few groups, or an AUC of 1, leave a bootstrap without spread.
    """
    if metric["value"] is None or not positives or not negatives:
        return metric
    low = _lowest_auc(metric["value"], positives, negatives)
    return _join_intervals(metric, low, 1 - _lowest_auc(1 - metric["value"], positives, negatives))


def _lowest_auc(value: float, positives: int, negatives: int) -> float:
    """Find the AUC from which `value` lies 1.96 of its own standard errors (after Hanley & McNeil) above."""
    low, high = 0.0, value
    for _ in range(50):
        a = (low + high) / 2
        spread = 1 + ((positives + negatives) / 2 - 1) * ((1 - a) / (2 - a) + a / (1 + a))
        if value - a > _Z * np.sqrt(a * (1 - a) / (positives * negatives) * spread):
            low = a
        else:
            high = a
    return low


def _join_intervals(metric: Metric, low: float, high: float) -> Metric:
    lows = [v for v in (metric["low"], low) if v is not None]
    highs = [v for v in (metric["high"], high) if v is not None]
    return Metric(value=metric["value"], low=float(min(lows)), high=float(max(highs)))
