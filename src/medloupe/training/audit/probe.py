"""Measure how well a few numbers tell the labels apart by themselves, out of fold by group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.metrics.calibration import row_losses
from medloupe.model.head import probabilities
from medloupe.training.heads.solver import Problem, solve

CS = (0.003, 0.03, 0.3, 3.0)  # inverse regularisation strengths, as scikit-learn's C


def probe_logits(
    x: np.ndarray, targets: np.ndarray, fold: np.ndarray, task: str, cs: Sequence[float] = (0.3,)
) -> np.ndarray:
    """Predict rows by linear classifiers that saw nothing of their fold.

    Parameters
    ----------
    x : np.ndarray
        float32 (N, D), used as it is.
    targets : np.ndarray
        float32 (N, K) of 1, 0 and NaN.
    fold : np.ndarray
        int (N,).
    task : str
        "multiclass" or "multilabel".
    cs : sequence of float
        Inverse regularisation strengths to try.

    Returns
    -------
    np.ndarray
        Logits float32 (len(cs), N, K).
    """
    numbers = np.unique(fold)
    problems = [_problem((fold != f).astype(np.float32), c, x.shape[1]) for f in numbers for c in cs]
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
    """Predict rows out of fold at the strength that is best by log loss in the first repeat.

    Parameters
    ----------
    x, targets, task, cs
        As for probe_logits.
    folds : np.ndarray
        int (R, N), of each repeat.

    Returns
    -------
    tuple of (np.ndarray, float)
        Probabilities float32 (R, N, K), and the strength chosen.
    """
    searched = probe_logits(x, targets, folds[0], task, cs)
    best = int(np.argmin([row_losses(z, targets, task).mean() for z in searched]))
    more = [probe_logits(x, targets, fold, task, cs[best : best + 1])[0] for fold in folds[1:]]
    return probabilities(np.stack([searched[best], *more]), task), cs[best]


def probe_unseen(x: np.ndarray, targets: np.ndarray, c: float, unseen: np.ndarray, task: str) -> np.ndarray:
    """Predict probabilities (M, K) of unseen rows (M, D) by a classifier of all rows x (N, D)."""
    problem = _problem(np.ones(len(x), np.float32), c, x.shape[1])
    s = solve(x, targets, [problem], task=task)[0]
    return probabilities(unseen @ s.weight + s.bias, task)


def _problem(weights: np.ndarray, c: float, width: int) -> Problem:
    """Pose a regression on unscaled features."""
    return Problem(weights=weights, c=c, mean=np.zeros(width, np.float32), scale=np.ones(width, np.float32))
