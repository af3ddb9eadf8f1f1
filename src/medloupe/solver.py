"""Many penalised logistic regressions on one feature matrix, solved together.

Cross-validating a linear head means fitting it for every fold and penalty. Each such fit alone is bound by reading the
matrix from memory; all of them together are one matrix product an iteration, several times faster. Every problem keeps
its own scaling, its own L-BFGS history and its own step.

Source: Nocedal & Wright, Numerical Optimization, 2nd ed., algorithms 7.4 and 7.5 (L-BFGS); backtracking by Armijo's
condition. The objective is scikit-learn's: C * sum of losses + |w|^2 / 2, divided here by C * sum of weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MEMORY = 8  # pairs of steps and gradients remembered by each problem
COLUMNS = 320  # columns of the matrix product solved at once: bounds the memory, fills the cores
ROWS = 512  # of the feature matrix at a time: the logits of all rows and problems would outgrow the features
ARMIJO = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One regression.

    weights: float32 (N,), zero for the rows left out. penalty: C of scikit-learn (larger is freer).
    mean, scale: float32 (D,); features enter as (x - mean) / scale. A scale of infinity leaves a feature out.
    """

    weights: np.ndarray
    penalty: float
    mean: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """weight (D, K) and bias (K,) for unscaled features: logits are x @ weight + bias."""

    weight: np.ndarray
    bias: np.ndarray
    iterations: int
    converged: bool


def solve(
    features: np.ndarray,
    targets: np.ndarray,
    problems: Sequence[Problem],
    *,
    task: str,
    tolerance: float = 1e-2,
    iterations: int = 150,
) -> list[Solution]:
    """Solve all problems.

    features: float32 (N, D). targets: float32 (N, K): one-hot rows (multiclass) or 1/0/NaN (multilabel), where NaN
    carries no loss. tolerance: of the gradient's largest entry relative to the first one.
    """
    k = targets.shape[1]
    at_once = max(1, COLUMNS // k)
    solutions: list[Solution] = []
    for start in range(0, len(problems), at_once):
        solutions += _Batch(features, targets, problems[start : start + at_once], task).run(tolerance, iterations)
    return solutions


class _Batch:
    """The problems solved at once. Parameters are float32 (P, (D + 1) K): scaled weights, then biases."""

    def __init__(self, features: np.ndarray, targets: np.ndarray, problems: Sequence[Problem], task: str):
        self.x = features
        self.known = ~np.isnan(targets)
        self.y = np.where(self.known, targets, 0).astype(np.float32)
        self.task = task
        self.n, self.d = features.shape
        self.k = targets.shape[1]
        self.w = np.stack([p.weights for p in problems]).astype(np.float32)  # (P, N)
        if task == "multiclass":
            self.w *= self.known.any(1)  # an unlabelled row carries no loss
        self.total = np.maximum(self.w.sum(1), 1e-12)
        self.ridge = np.array([1 / (p.penalty * t) for p, t in zip(problems, self.total, strict=True)], np.float32)
        self.inverse = np.stack([1 / p.scale for p in problems]).astype(np.float32)  # (P, D)
        self.mean = np.stack([p.mean for p in problems]).astype(np.float32)

    def run(self, tolerance: float, iterations: int) -> list[Solution]:
        p, size = len(self.w), (self.d + 1) * self.k
        theta = np.zeros((p, size), np.float32)
        active = np.arange(p)
        f, g = self.evaluate(theta, active)
        first = np.maximum(np.abs(g).max(1), 1e-12)
        steps: list[np.ndarray] = []  # newest last; (P, size)
        yields: list[np.ndarray] = []
        used = np.zeros(p, np.int64)
        done = np.zeros(p, bool)
        direction = -g
        step = np.minimum(1.0, 1.0 / np.maximum(np.abs(g).sum(1), 1e-12)).astype(np.float32)
        slope = np.einsum("ps,ps->p", g, direction)
        for _ in range(iterations):
            a = active
            trial = theta[a] + step[a, None] * direction[a]
            f_new, g_new = self.evaluate(trial, a)
            ok = f_new <= f[a] + ARMIJO * step[a] * slope[a] + 1e-7 * np.abs(f[a])
            step[a[~ok]] *= 0.4
            done[a[~ok & (step[a] < 1e-6)]] = True  # no descent left at this precision
            hit = a[ok]
            if len(hit):
                s = np.zeros_like(theta)
                y = np.zeros_like(theta)
                s[hit] = trial[ok] - theta[hit]
                y[hit] = g_new[ok] - g[hit]
                curvature = np.einsum("ps,ps->p", s, y)
                s[curvature <= 1e-10] = 0
                y[curvature <= 1e-10] = 0
                steps.append(s)
                yields.append(y)
                del steps[:-MEMORY], yields[:-MEMORY]
                small = f[hit] - f_new[ok] <= 1e-4 * tolerance * np.maximum(np.abs(f_new[ok]), 1e-3)
                theta[hit], f[hit], g[hit] = trial[ok], f_new[ok], g_new[ok]
                used[hit] += 1
                flat = np.abs(g[hit]).max(1) <= tolerance * first[hit]
                done[hit[flat | small]] = True
                step[hit] = 1.0
                direction[hit] = self._direction(g, steps, yields, hit)
                slope[hit] = np.einsum("ps,ps->p", g[hit], direction[hit])
                uphill = hit[slope[hit] >= 0]
                direction[uphill] = -g[uphill]
                slope[uphill] = -np.einsum("ps,ps->p", g[uphill], g[uphill])
            active = np.flatnonzero(~done)
            if not len(active):
                break
        return [self._solution(theta[i], i, int(used[i]), bool(done[i])) for i in range(p)]

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
        for start in range(0, self.n, ROWS):
            part = slice(start, start + ROWS)
            x = self.x[part]
            z = (x @ u + b).reshape(-1, p, k)
            residual = self._loss(z, part, rows, loss).reshape(-1, p * k)
            g += x.T @ residual
            gb += residual.sum(0, dtype=np.float64)
        g = g.reshape(d, p, k).transpose(1, 0, 2)  # (P, D, K)
        gb = gb.astype(np.float32).reshape(p, k)
        g = (g - self.mean[rows][:, :, None] * gb[:, None, :]) * self.inverse[rows][:, :, None]
        total, ridge = self.total[rows], self.ridge[rows]
        f = loss / total + 0.5 * ridge * np.einsum("pdk,pdk->p", v, v)
        grad = np.concatenate([g.reshape(p, d * k), gb], 1) / total[:, None].astype(np.float32)
        grad[:, : d * k] += ridge[:, None] * theta[:, : d * k]
        return f, grad

    def _loss(self, z: np.ndarray, part: slice, rows: np.ndarray, loss: np.ndarray) -> np.ndarray:
        """Adds the log loss of logits z (n, P, K) to loss (P,) and returns its derivative by z, written over z."""
        w, y = self.w[rows, part].T, self.y[part]  # (n, P), (n, K)
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

    def _direction(
        self, g: np.ndarray, steps: list[np.ndarray], yields: list[np.ndarray], rows: np.ndarray
    ) -> np.ndarray:
        """L-BFGS directions of the problems in rows; a remembered pair of zeros has no effect."""
        q = g[rows].copy()
        alphas, rhos = [], []
        for s, y in zip(reversed(steps), reversed(yields), strict=True):
            sy = np.einsum("ps,ps->p", s[rows], y[rows])
            rho = np.where(sy > 0, 1 / np.where(sy > 0, sy, 1), 0)
            alpha = rho * np.einsum("ps,ps->p", s[rows], q)
            q -= alpha[:, None] * y[rows]
            alphas.append(alpha)
            rhos.append(rho)
        gamma = np.ones(len(rows), np.float32)
        unset = np.ones(len(rows), bool)
        for s, y in zip(reversed(steps), reversed(yields), strict=True):
            yy = np.einsum("ps,ps->p", y[rows], y[rows])
            take = unset & (yy > 0)
            gamma[take] = (np.einsum("ps,ps->p", s[rows], y[rows])[take] / yy[take]).astype(np.float32)
            unset &= ~take
        q *= gamma[:, None]
        for s, y, alpha, rho in zip(steps, yields, reversed(alphas), reversed(rhos), strict=True):
            beta = rho * np.einsum("ps,ps->p", y[rows], q)
            q += (alpha - beta)[:, None] * s[rows]
        return -q

    def _solution(self, theta: np.ndarray, i: int, iterations: int, converged: bool) -> Solution:
        d, k = self.d, self.k
        u = theta[: d * k].reshape(d, k) * self.inverse[i][:, None]
        return Solution(
            weight=u, bias=theta[d * k :] - self.mean[i] @ u, iterations=iterations, converged=converged
        )
