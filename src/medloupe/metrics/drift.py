"""Tell by measured numbers of pictures whether those that come now are still like those of a reference.

Pictures are taken 25 at a time. Of each batch Hotelling's T² compares the mean of p numbers a picture with the
reference; this is a maximum mean discrepancy whose kernel is linear in these numbers, so that of the reference nothing
but means, one covariance and two moments of T² on its own kind are needed. The covariance is that of whole groups
(patients), and T² is taken to the nearest mixture of the reference's classes, so that neither many pictures of one
patient nor a changed mix of classes counts as drift. Its null distribution is a gamma of the two moments.

Each batch's p-value becomes an e-value, and e-values add up to a Shiryaev-Roberts statistic: with a limit of A the mean
number of batches until a false alarm is at least A, however often somebody looks.

Sources: Hotelling, "The generalization of Student's ratio" (Ann. Math. Statist. 2, 1931); Gretton et al., "A kernel
two-sample test" (JMLR 13, 2012); Shin, Ramdas & Rinaldo, "E-detectors" (New England Journal of Statistics in Data
Science, 2023) for the limit; Vovk & Wang, "E-values: calibration, combination and applications" (Ann. Statist. 49,
2021) for the calibrator; Wilson & Hilferty, "The distribution of chi-square" (PNAS 17, 1931) for the gamma's tail.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

BATCH = 25  # pictures
LIMIT = 1000.0  # batches that pass, on average and at least, until a false alarm
CALM = 8  # batches without a sign after which an alarm is over
ORDINARY = 0.05  # a p-value from which on a batch is like the others
SIGN = 0.01  # a p-value below which a batch is a sign
WILD = 0.8  # standard deviation of T² of its own kind over its mean, from which on batches are too unlike each other
MOST_EVIDENCE = 60.0  # that a batch can give: one alone, which may be of one patient, is never an alarm
_RIDGE = 1e-3
_LEAST = 1e-12  # variance, so that examples that are all the same have one
_SMALLEST = 1e-290  # of a p-value
_STEPS = 300  # of the projected gradient
_FOLDS, _ORDERS = 4, 10  # by which a reference without groups is measured


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DriftReference:
    """What pictures of a reference look like in p numbers.

    Attributes
    ----------
    means
        float64 (K, p), one row a class; where classes are not known one row.
    precision
        float64 (p, p): inverse of the covariance within classes.
    mean, variance
        Of T² of batches of its own kind that took no part in the fit.
    """

    means: np.ndarray
    precision: np.ndarray
    mean: float
    variance: float

    def statistic(self, batch: np.ndarray) -> float:
        """Compute T² of a batch (n, p)."""
        return measure_distance(batch.mean(0), self.means, self.precision) * len(batch)

    def p_value(self, batch: np.ndarray) -> float:
        """Tell how probable so large a T² is of a batch (n, p) of its own kind."""
        return gamma_tail(self.statistic(batch), self.mean, self.variance)

    @classmethod
    def of_first(cls, features: np.ndarray, seed: int = 0) -> DriftReference | None:
        """Make one of the first answers' numbers (N, p), of which neither classes nor groups are known.

        None where there are too few of them, copies aside, for two batches in each of the folds by which T² is
        measured, or where they are too unlike each other, as where whole batches are of one patient.
        """
        if len(np.unique(features, axis=0)) < 2 * BATCH * _FOLDS:
            return None
        rng, found = np.random.default_rng(seed), []
        for _ in range(_ORDERS):
            order = rng.permutation(len(features))
            for held in np.array_split(order, _FOLDS):
                others = features[np.setdiff1d(order, held)]
                means, precision = fit_moments(others, np.arange(len(others)))
                batches = (features[held[i : i + BATCH]] for i in range(0, len(held) - BATCH + 1, BATCH))
                found += [measure_distance(b.mean(0), means, precision) * BATCH for b in batches]
        return cls.fit(features, np.arange(len(features)), None, found)

    @classmethod
    def fit(
        cls, features: np.ndarray, groups: np.ndarray, targets: np.ndarray | None, found: Sequence[float]
    ) -> DriftReference | None:
        """Make one of numbers (N, p) as `fit_moments` takes them; None where batches are too unlike each other.

        found: T² of batches that took no part in the fit.
        """
        mean, deviation = float(np.mean(found)), float(np.std(found))
        if deviation > WILD * mean:
            return None
        means, precision = fit_moments(features, groups, targets)
        return cls(means=means, precision=precision, mean=mean, variance=deviation**2)


def fit_moments(
    features: np.ndarray, groups: np.ndarray, targets: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit means by class (K, p) and the inverse covariance (p, p) within them, of whole groups.

    Parameters
    ----------
    features
        float (N, p).
    groups
        (N,), what belongs together.
    targets
        float (N, K), what each shows, or None. Classes of fewer than 5 examples are left out; of several findings each
        is a class, as is having none.
    """
    rows = [np.ones(len(features), bool)]
    if targets is not None:
        having = [np.nan_to_num(column) > 0.5 for column in targets.T]
        none = ~np.any(having, axis=0)
        rows = [row for row in (*having, none) if row.sum() >= 5] or rows
    means = np.stack([features[row].mean(0) for row in rows])
    weight = np.stack(rows).astype(float)
    share = weight / np.maximum(weight.sum(0), 1)
    left = features - share.T @ means - (weight.sum(0) == 0)[:, None] * features.mean(0)
    inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    sums = np.zeros((len(counts), features.shape[1]))
    np.add.at(sums, inverse.ravel(), left)
    covariance = sums.T @ sums / len(features)
    width = len(covariance)
    independent = float(counts.sum()) ** 2 / float((counts.astype(float) ** 2).sum())
    shrunk = width / (width + independent)  # towards the diagonal, the more the fewer independent groups there are
    diagonal = np.diag(np.diag(covariance))
    covariance = (1 - shrunk) * covariance + shrunk * diagonal
    return means, np.linalg.inv(covariance + (_RIDGE * np.trace(diagonal) / width + _LEAST) * np.eye(width))


def measure_distance(mean: np.ndarray, means: np.ndarray, precision: np.ndarray) -> float:
    """Measure the squared distance of a mean (p,) from the nearest mixture of classes' means (K, p)."""
    apart = means - mean
    inner = apart @ precision @ apart.T  # of weights w on the simplex, wᵀ·inner·w is the distance
    if len(means) == 1:
        return float(inner[0, 0])
    if len(means) == 2:
        (a, b), (_, c) = inner
        t = min(1.0, max(0.0, float((a - b) / max(a - 2 * b + c, 1e-12))))
        return float((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c)
    w = np.full(len(means), 1 / len(means))
    step = 1 / max(float(np.linalg.eigvalsh(inner)[-1]), 1e-12)
    for _ in range(_STEPS):
        moved = _project_to_simplex(w - step * (inner @ w))
        if np.abs(moved - w).max() < 1e-6:
            break
        w = moved
    return float(max(w @ inner @ w, 0.0))


def _project_to_simplex(w: np.ndarray) -> np.ndarray:
    """Duchi et al., "Efficient projections onto the l1-ball" (ICML 2008)."""
    ranked = np.sort(w)[::-1]
    over = (np.cumsum(ranked) - 1) / np.arange(1, len(w) + 1)
    return np.maximum(w - over[np.flatnonzero(ranked > over)[-1]], 0)


def gamma_tail(value: float, mean: float, variance: float) -> float:
    """Compute P(X > value) of a gamma with this mean and variance, by Wilson and Hilferty's cube root."""
    shape = mean * mean / max(variance, 1e-12)
    z = ((max(value, 0.0) / mean) ** (1 / 3) - (1 - 1 / (9 * shape))) * math.sqrt(9 * shape)
    return max(0.5 * math.erfc(z / math.sqrt(2)), _SMALLEST)


def to_e_value(p: float) -> float:
    """Calibrate a p-value to an e-value: the mean of κ·p^(κ-1) over all κ from 0 to 1, at most MOST_EVIDENCE."""
    p = min(max(p, _SMALLEST), 1 - 1e-9)
    log = math.log(p)
    return min((1 - p + p * log) / (p * log * log), MOST_EVIDENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftState:
    """What stands after a batch.

    Attributes
    ----------
    evidence
        The Shiryaev-Roberts statistic.
    p
        Of the batch.
    alarm
        Whether pictures are found to differ.
    since
        Number of the batch with which it began, from 0; None without an alarm.
    """

    evidence: float
    p: float
    alarm: bool
    since: int | None


def watch_batches(p_values: Sequence[float], limit: float = LIMIT) -> Iterator[DriftState]:
    """Watch p-values of batches, in the order in which they came.

    An alarm is over after CALM batches without a sign; the statistic then begins anew.

    Parameters
    ----------
    p_values
        Of batches.
    limit
        The evidence from which on there is an alarm; where several things are watched together, for all of them.
    """
    evidence, first, since, calm = 0.0, 0, None, 0
    for i, p in enumerate(p_values):
        e = to_e_value(p)
        if p >= ORDINARY:  # a drift begins after the last batch that looks like the others
            first = i + 1
        evidence = min((evidence + 1) * e, 1e300)
        if since is None and evidence >= limit:
            since, calm = min(first, i), 0
        elif since is not None:
            calm = 0 if p < SIGN else calm + 1
            if calm >= CALM:
                since, evidence = None, 0.0
        yield DriftState(evidence=evidence, p=p, alarm=since is not None, since=since)
