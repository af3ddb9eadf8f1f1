"""Solve many regularised logistic regressions on one feature matrix together.

Cross-validating a linear head means fitting it for every fold and strength of regularisation. Each such fit
alone is bound by reading the matrix from memory; all of them together are one matrix product an iteration, several
times faster. Every problem keeps its own scaling, its own L-BFGS history and its own step.

Source: Nocedal & Wright, Numerical Optimization, 2nd ed., algorithms 7.4 and 7.5 (L-BFGS); backtracking by Armijo's
condition. The objective is scikit-learn's: C * sum of losses + |w|^2 / 2, divided here by C * sum of weights.

The objective is a sum over rows, so a matrix that is larger than memory is read in passes, one for each evaluation
(utils/rowfile.py): the same computation, with other parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medloupe.utils.rowfile import RowFile, iterate_rows

MEMORY = 8  # pairs of steps and gradients remembered by each problem
COLUMNS = 320  # columns of the matrix product solved at once: bounds the memory, fills the cores
STREAMED_ROWS = 2048  # the same of one that is read from a disk
STREAMED_COLUMNS = 2048  # and its columns: the fewer passes the better
ROWS = 512  # of the feature matrix at a time: the logits of all rows and problems would outgrow the features
ARMIJO = 1e-4
STEEP = 1e-4  # tolerance down to which one also stops where the objective hardly falls


class RowWeights(Protocol):
    """Weights of rows that are computed when they are asked for."""

    def __getitem__(self, part: slice, /) -> np.ndarray:
        """Give those of some rows, float32 (n,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One regression to solve.

    Attributes
    ----------
    weights : np.ndarray or RowWeights
        float32 (N,), zero for the rows left out.
    c : float
        Inverse regularisation strength, C of scikit-learn: the larger, the freer.
    mean, scale : np.ndarray
        float32 (D,); features enter as (x - mean) / scale. A scale of infinity leaves a feature out.
    """

    weights: np.ndarray | RowWeights
    c: float
    mean: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A solved regression.

    Attributes
    ----------
    weight, bias : np.ndarray
        (D, K) and (K,) for unscaled features: logits are x @ weight + bias.
    iterations : int
        Steps that were taken.
    converged : bool
        Whether the tolerance was reached before the iterations were spent.
    """

    weight: np.ndarray
    bias: np.ndarray
    iterations: int
    converged: bool


def solve(
    features: np.ndarray | RowFile,
    targets: np.ndarray,
    problems: Sequence[Problem],
    *,
    task: str,
    tolerance: float = 1e-2,
    iterations: int = 150,
    offset: np.ndarray | None = None,
    start: Sequence[Solution] | None = None,
) -> list[Solution]:
    """Solve all problems.

    Parameters
    ----------
    features : np.ndarray or RowFile
        float32 (N, D).
    targets : np.ndarray
        float32 (N, K): one-hot rows (multiclass) or 1, 0 and NaN (multilabel), where NaN carries no loss.
    problems : sequence of Problem
        Each with its own rows, strength and scaling.
    task : str
        "multiclass" or "multilabel".
    tolerance : float
        Of the gradient's largest entry, relative to the first one.
    iterations : int
        After which a problem is given back as it stands.
    offset : np.ndarray or None
        float32 (N, K), logits that are already there, to which x @ weight is added; then the bias stays 0, and means
        must be 0.
    start : sequence of Solution, optional
        From which to go on, one for each problem, such as those of a part of the rows; zero by default.

    Returns
    -------
    list of Solution
        One for each problem, in their order.
    """
    k = targets.shape[1]
    at_once = max(1, (STREAMED_COLUMNS if isinstance(features, RowFile) else COLUMNS) // k)
    solutions: list[Solution] = []
    for first in range(0, len(problems), at_once):
        batch = _SolverBatch(features, targets, problems[first : first + at_once], task, offset)
        near = None if start is None else batch.place(start[first : first + at_once])
        solutions += batch.run(tolerance, iterations, near)
    return solutions


def mean_and_scale(x: np.ndarray, mask: np.ndarray, chunk: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Measure mean and standard deviation, float32 (D,) each, of the rows in a mask.

    Parameters
    ----------
    x : np.ndarray
        float32 (N, D).
    mask : np.ndarray
        bool (N,).

    Returns
    -------
    tuple of np.ndarray
        Mean, and scale; constant features get an infinite scale, which leaves them out.
    """
    n, total, squares = int(mask.sum()), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for start in range(0, len(x), chunk):  # in pieces: a copy of all would double the memory
        part = x[start : start + chunk][mask[start : start + chunk]]
        total += part.sum(0, dtype=np.float64)
        squares += np.einsum("nd,nd->d", part, part, dtype=np.float64)
    mean = total / n
    deviation = np.sqrt(np.maximum(squares / n - mean**2, 0))
    scale = np.where(deviation > 1e-6, deviation, np.inf)
    return mean.astype(np.float32), scale.astype(np.float32)


class _SolverBatch:
    """The problems solved at once. Parameters are float32 (P, (D + 1) K): scaled weights, then biases."""

    def __init__(
        self,
        features: np.ndarray | RowFile,
        targets: np.ndarray,
        problems: Sequence[Problem],
        task: str,
        offset: np.ndarray | None,
    ):
        self.x = features
        self.offset = offset
        self.known = ~np.isnan(targets)
        self.y = np.where(self.known, targets, 0).astype(np.float32)
        self.task = task
        self.n, self.d = features.shape
        self.k = targets.shape[1]
        # in a multi-class set an unlabelled row carries no loss
        self.stated = np.asarray(self.known.any(1)) if task == "multiclass" else None
        self.w = [p.weights for p in problems]  # P of (N,)
        self.total = np.maximum(self._total_weights(), 1e-12)
        self.ridge = np.array([1 / (p.c * t) for p, t in zip(problems, self.total, strict=True)], np.float32)
        self.inverse = np.stack([1 / p.scale for p in problems]).astype(np.float32)  # (P, D)
        self.mean = np.stack([p.mean for p in problems]).astype(np.float32)

    def _weights(self, part: slice, rows: np.ndarray) -> np.ndarray:
        """Weights (n, P) of some rows, for the problems in rows."""
        w = np.stack([self.w[i][part] for i in rows], 1).astype(np.float32, copy=False)
        return w if self.stated is None else w * self.stated[part, None]

    def _total_weights(self) -> np.ndarray:
        if all(isinstance(w, np.ndarray) for w in self.w):
            w = np.stack([np.asarray(w) for w in self.w]).astype(np.float32)  # (P, N)
            return (w if self.stated is None else w * self.stated).sum(1)
        every = np.arange(len(self.w))
        step = max(ROWS, 2**22 // len(every))
        parts = (slice(a, a + step) for a in range(0, self.n, step))
        total = np.zeros(len(every))
        for part in parts:
            total += self._weights(part, every).sum(0, dtype=np.float64)
        return total

    def place(self, solutions: Sequence[Solution]) -> np.ndarray:
        """Give the parameters (P, size) that solutions have, those of features that are left out being 0."""
        u = np.stack([s.weight for s in solutions])
        bias = np.stack([s.bias for s in solutions]) + np.einsum("pd,pdk->pk", self.mean, u)
        inverse = self.inverse[:, :, None]
        v = np.divide(u, inverse, out=np.zeros_like(u), where=inverse > 0)
        return np.concatenate([v.reshape(len(u), -1), bias], 1).astype(np.float32)

    def run(self, tolerance: float, iterations: int, start: np.ndarray | None = None) -> list[Solution]:
        solved: dict[int, Solution] = {}
        at = np.arange(len(self.w))  # the problems still open; all below has one row for each of them
        theta = np.zeros((len(at), (self.d + 1) * self.k), np.float32)
        f, g = self.evaluate(theta, at)
        first = np.maximum(np.abs(g).max(1), 1e-12)
        if start is not None:
            near, g_near = self.evaluate(start, at)
            better = near < f
            theta, f = np.where(better[:, None], start, theta), np.where(better, near, f)
            g = np.where(better[:, None], g_near, g)
        direction = -g
        slope = -_row_dots(g, g)
        step = np.minimum(1, 1 / np.maximum(np.abs(g).sum(1), 1e-12))
        used = np.zeros(len(at), np.int64)
        history: list[tuple[np.ndarray, np.ndarray]] = []  # steps and changes of the gradient, newest last
        done = np.zeros(len(at), bool)
        for _ in range(iterations):
            trial = theta + step[:, None].astype(np.float32) * direction
            f_new, g_new = self.evaluate(trial, at)
            ok = f_new <= f + ARMIJO * step * slope + 1e-7 * np.abs(f)
            done = ~ok & (step < 1e-6)  # no descent is left at this precision
            if tolerance >= STEEP:  # below, the objective's last digits are noise, and the gradient's tell more
                done |= ok & (f - f_new <= 1e-4 * tolerance * np.maximum(np.abs(f_new), 1e-3))
            s, y = trial - theta, g_new - g
            curved = ok & (_row_dots(s, y) > 1e-10)
            s[~curved] = 0  # a pair of zeros has no effect
            y[~curved] = 0
            history = [*history, (s, y)][-MEMORY:]
            theta = np.where(ok[:, None], trial, theta)
            g = np.where(ok[:, None], g_new, g)
            f = np.where(ok, f_new, f)
            used += ok
            done |= ok & (np.abs(g).max(1) <= tolerance * first)
            if done.all():
                break
            fresh = _lbfgs_directions(g, history)
            downhill = _row_dots(g, fresh) < 0
            fresh[~downhill] = -g[~downhill]
            direction = np.where(ok[:, None], fresh, direction)
            slope = np.where(ok, _row_dots(g, direction), slope)
            step = np.where(ok, 1, step * 0.4)
            if done.any():
                for i in np.flatnonzero(done):
                    problem = int(at[i])
                    solved[problem] = self._solution(theta[i], problem, int(used[i]), converged=True)
                keep = ~done
                done = done[keep]
                at, theta, f, g, first, used = at[keep], theta[keep], f[keep], g[keep], first[keep], used[keep]
                direction, slope, step = direction[keep], slope[keep], step[keep]
                history = [(s[keep], y[keep]) for s, y in history]
        for i, problem in enumerate(at.tolist()):
            solved[problem] = self._solution(theta[i], problem, int(used[i]), converged=bool(done[i]))
        return [solved[i] for i in range(len(solved))]

    def evaluate(self, theta: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Objective (P,) and gradient (P, size) of the problems in rows, at theta (P, size)."""
        p, k, d = len(rows), self.k, self.d
        v = theta[:, : d * k].reshape(p, d, k)
        u = v * self.inverse[rows][:, :, None]  # (P, D, K), for unscaled features
        b = (theta[:, d * k :] - np.einsum("pd,pdk->pk", self.mean[rows], u)).reshape(-1)
        u = u.transpose(1, 0, 2).reshape(d, p * k)
        loss = np.zeros(p)
        g = np.zeros((d, p * k), np.float32)
        gb = np.zeros(p * k)
        for part, x in iterate_rows(self.x, STREAMED_ROWS if isinstance(self.x, RowFile) else ROWS):
            z = (x @ u + b).reshape(-1, p, k)
            if self.offset is not None:
                z += self.offset[part][:, None, :]
            residual = self._loss(z, part, rows, loss).reshape(-1, p * k)
            g += x.T @ residual
            gb += residual.sum(0, dtype=np.float64)
        g = g.reshape(d, p, k).transpose(1, 0, 2)  # (P, D, K)
        gb = gb.astype(np.float32).reshape(p, k)
        if self.offset is not None:
            gb[:] = 0  # where nothing is known the logits are the offset's alone
        g = (g - self.mean[rows][:, :, None] * gb[:, None, :]) * self.inverse[rows][:, :, None]
        total, ridge = self.total[rows], self.ridge[rows]
        f = loss / total + 0.5 * ridge * np.einsum("pdk,pdk->p", v, v)
        grad = np.concatenate([g.reshape(p, d * k), gb], 1) / total[:, None].astype(np.float32)
        grad[:, : d * k] += ridge[:, None] * theta[:, : d * k]
        return f, grad

    def _loss(self, z: np.ndarray, part: slice, rows: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Add the log loss of logits z (n, P, K) to loss (P,) and return its derivative by z, written over z."""
        w, y = self._weights(part, rows), self.y[part]  # (n, P), (n, K)
        if self.task == "multiclass":
            z -= z.max(2, keepdims=True)
            picked = np.einsum("npk,nk->np", z, y)
            np.exp(z, out=z)
            total = z.sum(2)
            loss += (w * (np.log(total) - picked)).sum(0, dtype=np.float64)
            z /= total[:, :, None]
            z -= y[:, None, :]
        else:
            known = self.known[part][:, None, :]
            loss += (((np.logaddexp(0, z) - z * y[:, None, :]) * known).sum(2) * w).sum(0, dtype=np.float64)
            z = (0.5 * (1 + np.tanh(0.5 * z)) - y[:, None, :]) * known
        z *= w[:, :, None]
        return z

    def _solution(self, theta: np.ndarray, i: int, iterations: int, *, converged: bool) -> Solution:
        d, k = self.d, self.k
        u = theta[: d * k].reshape(d, k) * self.inverse[i][:, None]
        return Solution(weight=u, bias=theta[d * k :] - self.mean[i] @ u, iterations=iterations, converged=converged)


def _lbfgs_directions(g: np.ndarray, history: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Compute L-BFGS directions (P, size) for gradients (P, size), each from the pairs of its own problem."""
    q = g.copy()
    alphas, rhos = [], []
    gamma = np.zeros(len(g))
    for s, y in reversed(history):
        sy = _row_dots(s, y)
        rho = np.where(sy > 0, 1 / np.where(sy > 0, sy, 1), 0)
        alpha = rho * _row_dots(s, q)
        q -= alpha[:, None].astype(np.float32) * y
        alphas.append(alpha)
        rhos.append(rho)
        gamma = np.where(gamma == 0, sy / np.maximum(_row_dots(y, y), 1e-30), gamma)  # of the newest pair there is
    q *= np.where(gamma > 0, gamma, 1)[:, None].astype(np.float32)
    for (s, y), alpha, rho in zip(history, reversed(alphas), reversed(rhos), strict=True):
        q += (alpha - rho * _row_dots(y, q))[:, None].astype(np.float32) * s
    return -q


def _row_dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Multiply two arrays (P, size) row by row into (P,)."""
    return np.einsum("ps,ps->p", a, b)
