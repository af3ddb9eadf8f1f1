"""Fit heads on features larger than memory, by passes over their file that begin near the optimum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medloupe.training.heads.solver import Problem, RowWeights, Solution, mean_and_scale, solve
from medloupe.utils.rowfile import RowFile, iterate_rows

SAMPLE = 20_000  # rows on which heads are fitted in memory first: passes over all of them then begin near the end
_PIECES = 200  # places from which they come, spread over the file
_ROWS = 2048
_POISSON = np.cumsum(np.exp(-1) / np.cumprod([1, *range(1, 12)]))  # P(count <= k) with mean 1


class PoissonWeights:
    """Weights of one replicate of a bootstrap over groups, computed where they are wanted instead of being kept.

    A group counts as often as a Poisson variable of mean 1 says, which in many groups is how often it would be drawn
    with replacement; the counts depend on the group's number and the seed alone, so that every pass has the same.

    Source: Chamandy, Muralidharan, Najmi & Naidu, Estimating uncertainty for massive data streams (2012).

    Parameters
    ----------
    base : np.ndarray
        (N,), weights before.
    groups : np.ndarray
        int (N,).
    seed : int
        Of the replicate.
    """

    def __init__(self, base: np.ndarray, groups: np.ndarray, seed: int):
        self._base, self._groups = base, groups
        self._seed = np.uint64((seed * 0x9E3779B97F4A7C15 + 0x2545F4914F6CDD1D) % 2**64)

    def __getitem__(self, part: slice) -> np.ndarray:
        """Give the weights of some rows, float32 (n,)."""
        z = self._groups[part].astype(np.uint64) + self._seed  # mixed as SplitMix64 does
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        uniform = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
        return np.asarray(self._base[part] * np.searchsorted(_POISSON, uniform, side="right"), np.float32)


def solve_problems(
    features: np.ndarray | RowFile,
    targets: np.ndarray,
    problems: Sequence[Problem],
    *,
    task: str,
    tolerance: float = 1e-2,
    iterations: int = 150,
) -> list[Solution]:
    """Solve problems as `solve` does; on features in a file the same optimum is reached in fewer passes.

    There they are solved on a sample of the rows first, and go on from there over all rows.

    Parameters
    ----------
    features, targets, problems, task, tolerance, iterations
        As `solve` has them.
    """
    if not isinstance(features, RowFile):
        return solve(features, targets, problems, task=task, tolerance=tolerance, iterations=iterations)
    sample = sample_rows(len(features))
    some = features[sample]
    taken = [_take(p.weights, sample) for p in problems]
    total = np.maximum([_total(p.weights, len(features)) for p in problems], 1e-12)
    small = [
        replace(p, weights=w, c=float(p.c * t / max(w.sum(), 1e-12)))  # as strong on few rows as on all
        for p, w, t in zip(problems, taken, total, strict=True)
    ]
    start = solve(some, targets[sample], small, task=task, tolerance=tolerance, iterations=iterations)
    return solve(features, targets, problems, task=task, tolerance=tolerance, iterations=iterations, start=start)


def solve_with_bootstrap(
    features: RowFile | np.ndarray,
    targets: np.ndarray,
    problem: Problem,
    groups: np.ndarray,
    *,
    task: str,
    replicates: int,
    seed: int = 0,
    tolerance: float = 1e-2,
    iterations: int = 150,
) -> tuple[Solution, list[Solution]]:
    """Solve a problem and its bootstrap replicates over groups in the same passes.

    Parameters
    ----------
    features, targets, task, tolerance, iterations
        As `solve` has them.
    problem : Problem
        With weights in memory.
    groups : np.ndarray
        int (N,): records of one group are drawn together.
    replicates : int
        How many; memory grows with replicates x D x K, not with N.
    seed : int
        Of the replicates.

    Returns
    -------
    Solution, list of Solution
        Of the problem, and of each replicate.
    """
    base = problem.weights
    if not isinstance(base, np.ndarray):
        raise ValueError("the weights of the problem itself must be an array")
    many = [replace(problem, weights=PoissonWeights(base, groups, seed + 1 + b)) for b in range(replicates)]
    every = [problem, *many]
    solved = solve_problems(features, targets, every, task=task, tolerance=tolerance, iterations=iterations)
    return solved[0], solved[1:]


def measure_scales(features: np.ndarray | RowFile, masks: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Measure what `mean_and_scale` measures, for several masks bool (N,); of features in a file in one pass."""
    if not isinstance(features, RowFile):
        return [mean_and_scale(features, mask) for mask in masks]
    d, m = features.shape[1], len(masks)
    total, squares, count = np.zeros((m, d)), np.zeros((m, d)), np.zeros(m)
    shift: np.ndarray | None = None  # near the mean, so that squares do not cancel
    for part, x in iterate_rows(features, _ROWS):
        shift = x.mean(0) if shift is None else shift
        inside = np.stack([mask[part] for mask in masks]).astype(np.float32)  # (M, n)
        x = x - shift
        total += inside @ x
        squares += inside @ (x * x)
        count += inside.sum(1, dtype=np.float64)
    mean = total / np.maximum(count, 1)[:, None]
    deviation = np.sqrt(np.maximum(squares / np.maximum(count, 1)[:, None] - mean**2, 0))
    scale = np.where(deviation > 1e-6, deviation, np.inf)
    if shift is not None:
        mean += shift
    return [(a.astype(np.float32), b.astype(np.float32)) for a, b in zip(mean, scale, strict=True)]


def predict_streamed(features: RowFile, fold: np.ndarray, solutions: Sequence[Sequence[Solution]]) -> np.ndarray:
    """Predict logits float32 (C, N, K) in one pass, each row by the solutions of its fold.

    Parameters
    ----------
    features : RowFile
        (N, D).
    fold : np.ndarray
        int (N,), places in `solutions`.
    solutions : sequence of sequence of Solution
        C for each fold.
    """
    c, k = len(solutions[0]), len(solutions[0][0].bias)
    z = np.empty((c, len(features), k), np.float32)
    weight = [np.concatenate([s.weight for s in of_fold], 1) for of_fold in solutions]  # (D, C K)
    bias = [np.concatenate([s.bias for s in of_fold]) for of_fold in solutions]
    for part, x in iterate_rows(features, _ROWS):
        for f in np.unique(fold[part]).tolist():
            rows = np.flatnonzero(fold[part] == f)
            z[:, part.start + rows] = (x[rows] @ weight[f] + bias[f]).reshape(len(rows), c, k).transpose(1, 0, 2)
    return z


def sample_rows(n: int) -> np.ndarray:
    """Choose SAMPLE of n rows in pieces spread evenly over them: int, in order; all where there are no more."""
    if n <= SAMPLE:
        return np.arange(n)
    long = SAMPLE // _PIECES
    begins = np.linspace(0, n - long, _PIECES).astype(np.int64)
    return np.unique((begins[:, None] + np.arange(long)).ravel())


def _take(weights: np.ndarray | RowWeights, rows: np.ndarray) -> np.ndarray:
    """Take the weights of some rows."""
    if isinstance(weights, np.ndarray):
        return weights[rows]
    runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
    return np.concatenate([weights[int(run[0]) : int(run[-1]) + 1] for run in runs])


def _total(weights: np.ndarray | RowWeights, n: int) -> float:
    step = 2**20
    return float(sum(weights[a : a + step].sum(dtype=np.float64) for a in range(0, n, step)))
