"""How well a few numbers tell the labels apart by themselves, out of fold by group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.metrics.calibration import row_losses
from medloupe.model.head import probabilities
from medloupe.training.heads.solver import Problem, solve

CS = (0.003, 0.03, 0.3, 3.0)  # C of scikit-learn


def probe_logits(
    x: np.ndarray, targets: np.ndarray, fold: np.ndarray, task: str, cs: Sequence[float] = (0.3,)
) -> np.ndarray:
    """Logits (C, N, K) of linear classifiers of x (N, D) for each penalty, every row by one that saw nothing of its
    fold. targets: (N, K) of 1/0/NaN. fold: int (N,)."""
    numbers = np.unique(fold)
    flat = {"mean": np.zeros(x.shape[1], np.float32), "scale": np.ones(x.shape[1], np.float32)}
    problems = [Problem(weights=(fold != f).astype(np.float32), c=c, **flat) for f in numbers for c in cs]
    z = np.zeros((len(cs), *targets.shape), np.float32)
    solved = iter(solve(x, targets, problems, task=task))
    for f in numbers:
        rows = np.flatnonzero(fold == f)
        for j in range(len(cs)):
            s = next(solved)
            z[j, rows] = x[rows] @ s.weight + s.bias
    return z


def probe_out_of_fold(
    x: np.ndarray, targets: np.ndarray, folds: np.ndarray, task: str, cs: Sequence[float] = CS
) -> tuple[np.ndarray, float]:
    """Probabilities (R, N, K) out of fold at the best penalty by log loss in the first repeat, and that penalty.

    folds: int (R, N).
    """
    tried = probe_logits(x, targets, folds[0], task, cs)
    best = int(np.argmin([row_losses(z, targets, task).mean() for z in tried]))
    more = [probe_logits(x, targets, fold, task, cs[best : best + 1])[0] for fold in folds[1:]]
    return probabilities(np.stack([tried[best], *more]), task), cs[best]


def probe_unseen(x: np.ndarray, targets: np.ndarray, c: float, unseen: np.ndarray, task: str) -> np.ndarray:
    """Probabilities (M, K) of unseen rows (M, D), from a classifier of all rows x (N, D)."""
    flat = {"mean": np.zeros(x.shape[1], np.float32), "scale": np.ones(x.shape[1], np.float32)}
    problem = Problem(weights=np.ones(len(x), np.float32), c=c, **flat)
    s = solve(x, targets, [problem], task=task)[0]
    return probabilities(unseen @ s.weight + s.bias, task)
