"""Late fusion: weights for clinical columns and notes, fitted on top of what the picture's head says.

The head's calibrated logits, each from a head that did not see the patient, are a fixed offset; the extras only add to
them. They are learned from copies of the rows with inputs dropped at random, so that any part of them may be missing.

Source: stacked generalisation, Wolpert, Neural Networks 5 (1992) 241-259; inputs dropped at random as by Neverova et
al., "ModDrop", IEEE TPAMI 38 (2016) 1692-1706.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from medloupe.inputs.clinical import Column
from medloupe.inputs.extras import Extras
from medloupe.inputs.projection import TextEncoder
from medloupe.metrics.calibration import row_losses
from medloupe.model.head import probabilities
from medloupe.training.fusion.candidates import Candidate, choose, error, one_after_another, to_try, without_one
from medloupe.training.fusion.encoded import Encoded
from medloupe.training.heads.solver import Problem, Solution, solve

DROPPED = 0.3  # how often a column is dropped from a copy
_FEW_COPIES = 20_000  # rows from which two copies do instead of four
_FLOOR = 1e-7  # of a probability, before its logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """What fusion found.

    weight: float32 (F + M, K), 0 for inputs that are left out. chosen: the candidate; its inputs are none where nothing
    helps. weights: float32 (R, folds, F + M, K), those that did not see a fold. gain: log loss a row that the extras
    save, and its standard error over groups.
    """

    weight: np.ndarray
    chosen: Candidate
    weights: np.ndarray
    gain: tuple[float, float]

    def added(self, x: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """float32 (R, N, K): what rows x (N, F + M), perhaps with inputs taken away, get added out of fold (R, N)."""
        return _applied(self.weights, x, folds)


def fuse(
    probability: np.ndarray,
    folds: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    encoded: Encoded,
    *,
    task: str,
    seed: int = 0,
) -> Fused:
    """Fit the extras' weights on top of the picture's out-of-fold probabilities.

    probability: float32 (R, N, K), calibrated. folds: int (R, N). targets: (N, K) of 1/0/NaN. groups: int (N,).
    In the first repeat, which the search runs on, the choice is made without the row's fold; in the others it is the
    overall one.
    """
    offset = logits_of(probability, task)
    x = encoded.x
    training = _Training(encoded, targets, offset[0], folds[0], task, seed)
    candidates = to_try(len(encoded.columns), encoded.notes.shape[1] > 0)
    searched, candidates = training.search(candidates)
    losses = np.stack([row_losses(offset[0] + z, targets, task) for z in searched])
    best = choose(losses, candidates, groups)
    chosen = candidates[best]
    per_fold = []
    numbers = np.unique(folds[0])
    for f in numbers:
        others = folds[0] != f
        per_fold.append(choose(losses[:, others], candidates, groups[others]))
    weights = np.zeros((len(folds), int(folds.max()) + 1, x.shape[1], targets.shape[1]), np.float32)
    jobs = [(folds[0] != f, candidates[c]) for f, c in zip(numbers, per_fold, strict=True)]
    for f, s in zip(numbers, training.solve(jobs), strict=True):
        weights[0, f] = s
    for r in range(1, len(folds)):
        again = _Training(encoded, targets, offset[r], folds[r], task, seed)
        for f, s in zip(numbers, again.solve([(folds[r] != f, chosen) for f in numbers]), strict=True):
            weights[r, f] = s
    none = next(i for i, c in enumerate(candidates) if not c.inputs)
    difference = losses[none] - losses[best]
    # as at prediction, where columns left out are not asked for: a row that states none of the others states nothing
    final = _Training(encoded.of_inputs(chosen.inputs), targets, offset[0], folds[0], task, seed)
    return Fused(
        weight=final.solve([(np.ones(len(targets), bool), chosen)])[0],
        chosen=chosen,
        weights=weights,
        gain=(float(difference.mean()), error(difference, groups)),
    )


def extras_of(fused: Fused, columns: tuple[Column, ...], notes: TextEncoder | None) -> Extras | None:
    """The runtime side of what was fitted, without the inputs left out; None where all are."""
    if not fused.chosen.inputs:
        return None
    kept = [j for j in range(len(columns)) if j in fused.chosen.inputs]
    has_notes = notes is not None and len(columns) in fused.chosen.inputs
    ends = np.cumsum([0, *(c.width for c in columns), notes.width if notes is not None else 0])
    parts = [np.arange(a, b) for a, b in pairwise(ends.tolist())]
    rows = np.concatenate([*(parts[j] for j in kept), *([parts[-1]] if has_notes else [])]).astype(int)
    return Extras(
        columns=tuple(columns[j] for j in kept),
        notes=notes if has_notes else None,
        weight=np.ascontiguousarray(fused.weight[rows].T, np.float32),
    )


def logits_of(probability: np.ndarray, task: str) -> np.ndarray:
    """Logits whose softmax (multiclass) or sigmoid (multilabel) the probabilities are."""
    p = np.clip(probability.astype(np.float64), _FLOOR, 1)
    if task == "multiclass":
        return np.log(p).astype(np.float32)
    return (np.log(p) - np.log(np.clip(1 - p, _FLOOR, 1))).astype(np.float32)


def added_to(probability: np.ndarray, added: np.ndarray, task: str) -> np.ndarray:
    """The probabilities after adding to their logits; where nothing is added, the same to the last bit."""
    p = probabilities(logits_of(probability, task) + added, task)
    return np.where(added.any(-1, keepdims=True), p, probability).astype(np.float32)


class _Training:
    """Rows and their copies with inputs dropped, and the fits on them."""

    def __init__(
        self, encoded: Encoded, targets: np.ndarray, offset: np.ndarray, fold: np.ndarray, task: str, seed: int
    ):
        rng = np.random.default_rng(seed)
        n, columns = encoded.stated.shape
        whole = np.ones((n, columns), bool)
        every, none = np.ones(n, bool), np.zeros(n, bool)
        copies = [(whole, every, 0.5)]
        both = columns > 0 and encoded.notes.shape[1] > 0
        if n >= _FEW_COPIES or not both:
            some = rng.random((n, columns)) > DROPPED
            copies.append((some, rng.random(n) > (DROPPED if both else 0), 0.5))
        else:
            copies.append((rng.random((n, columns)) > DROPPED, rng.random(n) > DROPPED, 0.25))
            copies += [(whole, none, 0.125), (~whole, every, 0.125)]
        self.rows = np.tile(np.arange(n), len(copies))
        self.share = np.repeat([share for *_, share in copies], n).astype(np.float32)
        self.dropped = np.concatenate([encoded.dropped(keep, notes) for keep, notes, _ in copies])
        self.encoded, self.fold, self.task, self.count = encoded, fold, task, n
        self.targets, self.offset = targets[self.rows], offset[self.rows]
        self.outputs = targets.shape[1]

    def solve(self, jobs: Sequence[tuple[np.ndarray, Candidate]]) -> list[np.ndarray]:
        """Weights float32 (F + M, K) for (rows as bool (N,), candidate)."""
        x = self.dropped
        problems, at = [], []
        for i, (rows, candidate) in enumerate(jobs):
            if not candidate.inputs:
                continue
            flat = np.zeros(x.shape[1], np.float32)
            weights = self.share * rows[self.rows]  # of a row's copies they sum to one
            problems.append(Problem(weights=weights, c=1.0, mean=flat, scale=self._scale(candidate)))
            at.append(i)
        found = [np.zeros((x.shape[1], self.outputs), np.float32) for _ in jobs]
        solved: list[Solution] = []
        if problems:
            solved = solve(x, self.targets, problems, task=self.task, offset=self.offset, tolerance=3e-3)
        for i, s in zip(at, solved, strict=True):
            found[i] = s.weight.astype(np.float32)
        return found

    def search(self, candidates: list[Candidate]) -> tuple[np.ndarray, list[Candidate]]:
        """Logits added (candidates, N, K) out of fold; and the candidates, with more that have fewer inputs."""
        added = self._out_of_fold(candidates)
        best = candidates[int(np.argmin([self._loss(z) for z in added]))]
        fewer = without_one(best)
        if fewer:
            more = self._out_of_fold(fewer)
            nested = one_after_another(best, [self._loss(z) for z in more])
            added = [*added, *more, *self._out_of_fold(nested)]
            candidates = [*candidates, *fewer, *nested]
        return np.stack(added), candidates

    def _loss(self, added: np.ndarray) -> float:
        n = self.count
        return float(row_losses(self.offset[:n] + added, self.targets[:n], self.task).mean())

    def _out_of_fold(self, candidates: Sequence[Candidate]) -> list[np.ndarray]:
        numbers = np.unique(self.fold)
        solved = iter(self.solve([(self.fold != f, c) for f in numbers for c in candidates]))
        x = self.dropped[: self.count]
        z = np.zeros((len(candidates), self.count, self.outputs), np.float32)
        for f in numbers:
            rows = np.flatnonzero(self.fold == f)
            for j in range(len(candidates)):
                z[j, rows] = x[rows] @ next(solved)
        return list(z)

    def _scale(self, candidate: Candidate) -> np.ndarray:
        """A feature scaled by 1 / sqrt(C) is penalised as with that C; one of no input taken is left out."""
        of = self.encoded.input_of
        notes = of == len(self.encoded.columns)
        strength = np.where(notes, candidate.notes, candidate.clinical)
        taken = np.isin(of, candidate.inputs) & (strength > 0)
        return np.where(taken, 1 / np.sqrt(np.where(taken, strength, 1)), np.inf).astype(np.float32)


def _applied(weights: np.ndarray, x: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """float32 (R, N, K) of weights (R, folds, D, K), each row by those of its fold."""
    added = np.zeros((*folds.shape, weights.shape[-1]), np.float32)
    for r, fold in enumerate(folds):
        for f in np.unique(fold):
            added[r, fold == f] = x[fold == f] @ weights[r, f]
    return added
