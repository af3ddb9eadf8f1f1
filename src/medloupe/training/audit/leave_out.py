"""Predict every row's labels without its group, in closed form: kernel ridge regression on embeddings.

One decomposition serves all groups, all labels and all strengths, so that leaving each group out in turn costs no more
than fitting once. The kernel is half linear, half Gaussian of the angle between standardised embeddings: what a linear
head can tell and what only neighbours tell. Above LANDMARKS rows it is Nyström's approximation.

Source: leave-out residuals of linear smoothers, (1 - H_GG)^-1 (y_G - fit_G) (Allen's PRESS, for blocks); Williams &
Seeger, NIPS 13 (2001) for Nyström.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from medloupe.training.heads.solver import mean_and_scale

LANDMARKS = 2_000  # rows that span the kernel; all rows where there are fewer
FEWER_LANDMARKS = 400  # of sets above MANY rows, whose features would not fit into memory otherwise
MANY = 20_000
STRENGTHS = (3e-4, 1e-3, 3e-3)  # ridge for each row, for a kernel of mean diagonal 1; predictions are averaged


class GroupLeaveOut:
    """Kernel ridge regression that predicts each group of rows from all others.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D).
    groups : np.ndarray
        int (N,): rows that are left out together.
    seed : int
        Of the landmarks.
    """

    def __init__(self, embeddings: np.ndarray, groups: np.ndarray, seed: int = 0):
        features = _kernel_features(embeddings, seed)  # (N, m)
        values, directions = np.linalg.eigh(features.T @ features)
        values = np.maximum(values, 0)
        held = values > values.max(initial=0) * 1e-10
        self._values = values[held]
        self._basis = features @ directions[:, held] / np.sqrt(self._values)  # (N, r), orthonormal columns
        self._groups = list(_split_by_group(groups))

    def predict(self, targets: np.ndarray) -> np.ndarray:
        """Predict targets float (N, K) of all rows, each without its group; about a probability, not bounded.

        The overall mean, to which predictions shrink, is that of all rows.
        """
        mean = targets.mean(0)
        centred = targets - mean
        projected = self._basis.T @ centred
        total = np.zeros_like(centred, dtype=np.float64)
        for strength in STRENGTHS:
            kept = self._values / (self._values + strength * len(targets))
            residual = centred - self._basis @ (kept[:, None] * projected)
            for rows in self._groups:
                total[rows] += centred[rows] - self._leave_out(rows, kept, residual[rows])
        return mean + total / len(STRENGTHS)

    def _leave_out(self, rows: np.ndarray, kept: np.ndarray, residual: np.ndarray) -> np.ndarray:
        """Turn residuals (G, K) of a fit on all rows into those of the fit without these."""
        basis = self._basis[rows]
        if len(rows) == 1:
            return residual / max(1 - float((basis**2 * kept).sum()), 1e-9)
        if len(rows) <= len(kept):
            hat = (basis * kept) @ basis.T
            return np.linalg.solve(np.eye(len(rows)) - hat, residual)
        # Woodbury: the same by a matrix of the kernel's rank
        scaled = basis * np.sqrt(kept)
        inner = np.linalg.solve(np.eye(len(kept)) - scaled.T @ scaled, scaled.T @ residual)
        return residual + scaled @ inner


def _kernel_features(embeddings: np.ndarray, seed: int) -> np.ndarray:
    """Make features float64 (N, m) whose products are the kernel."""
    n = len(embeddings)
    most = FEWER_LANDMARKS if n > MANY else LANDMARKS
    chosen = np.arange(n) if n <= most else np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
    mean, scale = mean_and_scale(embeddings, np.ones(n, bool))
    marks = _standardise(embeddings[chosen], mean, scale)
    lengths = np.linalg.norm(marks, axis=1)
    mean_square = max(float((lengths**2).mean()), 1e-12)
    usual = _usual_distance(marks, lengths)

    def kernel(rows: np.ndarray) -> np.ndarray:
        products = rows @ marks.T
        angles = products / np.maximum(np.linalg.norm(rows, axis=1)[:, None] * lengths[None], 1e-12)
        return (products / mean_square + np.exp((2 * angles - 2) / usual)) / 2

    values, directions = np.linalg.eigh(kernel(marks).astype(np.float64))
    held = values > values.max(initial=0) * 1e-7
    root = (directions[:, held] / np.sqrt(values[held])).astype(np.float32)  # (m, r)
    features = np.empty((n, root.shape[1]))
    for start in range(0, n, 512):
        part = _standardise(embeddings[start : start + 512], mean, scale)
        features[start : start + 512] = kernel(part) @ root
    return features


def _standardise(rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.asarray((rows - mean) / scale, np.float32)


def _usual_distance(marks: np.ndarray, lengths: np.ndarray) -> float:
    """Measure the median squared distance between directions of (m, D), of which it is 2 where they are at random."""
    some = marks[:1000] / np.maximum(lengths[:1000, None], 1e-12)
    products = (some @ some.T)[np.triu_indices(len(some), 1)]
    return max(float(np.median(2 - 2 * products)), 1e-6) if len(products) else 2.0


def _split_by_group(groups: np.ndarray) -> Iterator[np.ndarray]:
    """Give the rows of each group."""
    order = np.argsort(groups, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
