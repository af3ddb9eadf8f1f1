"""Fuse late: fit weights for clinical columns and notes on top of what the picture's head says.

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
from medloupe.training.fusion.candidates import (
    FusionCandidate,
    choose_candidate,
    leave_one_out,
    leave_out_in_turn,
    list_candidates,
    standard_error,
)
from medloupe.training.fusion.encoding import EncodedInputs
from medloupe.training.heads.solver import Problem, Solution, solve

DROPPED = 0.3  # how often a column is dropped from a copy
_FEW_COPIES = 20_000  # rows from which two copies do instead of four
_FLOOR = 1e-7  # of a probability, before its logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class FusedWeights:
    """What fusion found.

    Attributes
    ----------
    weight : np.ndarray
        float32 (F + M, K), 0 for inputs that are left out.
    chosen : FusionCandidate
        Its inputs are none where nothing helps.
    weights : np.ndarray
        float32 (R, folds, F + M, K), those that did not see a fold.
    gain : tuple of float
        Log loss a row that the extras save, and its standard error over groups.
    """

    weight: np.ndarray
    chosen: FusionCandidate
    weights: np.ndarray
    gain: tuple[float, float]

    def added_logits(self, x: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Compute what is added to the logits out of fold.

        Parameters
        ----------
        x : np.ndarray
            float32 (N, F + M), perhaps with inputs taken away.
        folds : np.ndarray
            int (R, N).

        Returns
        -------
        np.ndarray
            float32 (R, N, K).
        """
        return _apply_by_fold(self.weights, x, folds)


def fuse(
    probability: np.ndarray,
    folds: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    encoded: EncodedInputs,
    *,
    task: str,
    seed: int = 0,
) -> FusedWeights:
    """Fit the extras' weights on top of the picture's out-of-fold probabilities.

    In the first repeat, which the search runs on, the choice is made without the row's fold; in the others it is the
    overall one.

    Parameters
    ----------
    probability : np.ndarray
        float32 (R, N, K), calibrated.
    folds : np.ndarray
        int (R, N).
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,).
    encoded : EncodedInputs
        Of the same rows.
    task : str
        "multiclass" or "multilabel".
    seed : int
        Of the inputs dropped from copies.
    """
    offset = invert_probabilities(probability, task)
    training = _FusionFits(encoded, targets, offset[0], folds[0], task, seed)
    searched, candidates = training.search(list_candidates(len(encoded.columns), encoded.notes.shape[1] > 0))
    losses = np.stack([row_losses(offset[0] + z, targets, task) for z in searched])
    best = choose_candidate(losses, candidates, groups)
    chosen = candidates[best]
    numbers = np.unique(folds[0])
    weights = np.zeros((len(folds), int(folds.max()) + 1, encoded.x.shape[1], targets.shape[1]), np.float32)
    jobs = [
        (others, candidates[choose_candidate(losses[:, others], candidates, groups[others])])
        for others in (folds[0] != f for f in numbers)
    ]
    for f, s in zip(numbers, training.solve(jobs), strict=True):
        weights[0, f] = s
    for r in range(1, len(folds)):
        again = _FusionFits(encoded, targets, offset[r], folds[r], task, seed)
        for f, s in zip(numbers, again.solve([(folds[r] != f, chosen) for f in numbers]), strict=True):
            weights[r, f] = s
    none = next(i for i, c in enumerate(candidates) if not c.inputs)
    difference = losses[none] - losses[best]
    # as at prediction, where columns left out are not asked for: a row that states none of the others states nothing
    final = _FusionFits(encoded.restrict_to(chosen.inputs), targets, offset[0], folds[0], task, seed)
    return FusedWeights(
        weight=final.solve([(np.ones(len(targets), bool), chosen)])[0],
        chosen=chosen,
        weights=weights,
        gain=(float(difference.mean()), standard_error(difference, groups)),
    )


def build_extras(fused: FusedWeights, columns: tuple[Column, ...], notes: TextEncoder | None) -> Extras | None:
    """Build what the model reads beside the picture, without the inputs left out.

    Parameters
    ----------
    fused : FusedWeights
        What was fitted.
    columns, notes
        What the inputs were encoded by.

    Returns
    -------
    Extras or None
        None where all inputs are left out.
    """
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


def invert_probabilities(probability: np.ndarray, task: str) -> np.ndarray:
    """Invert probabilities to logits, float32, whose softmax (multiclass) or sigmoid (multilabel) they are."""
    p = np.clip(probability.astype(np.float64), _FLOOR, 1)
    if task == "multiclass":
        return np.log(p).astype(np.float32)
    return (np.log(p) - np.log(np.clip(1 - p, _FLOOR, 1))).astype(np.float32)


def add_to_logits(probability: np.ndarray, added: np.ndarray, task: str) -> np.ndarray:
    """Add to the logits of probabilities; where nothing is added, they stay the same to the last bit.

    Parameters
    ----------
    probability, added : np.ndarray
        float32 (…, K).
    task : str
        "multiclass" or "multilabel".

    Returns
    -------
    np.ndarray
        float32 (…, K), probabilities.
    """
    p = probabilities(invert_probabilities(probability, task) + added, task)
    return np.where(added.any(-1, keepdims=True), p, probability).astype(np.float32)


class _FusionFits:
    """Rows and their copies with inputs dropped, and the fits on them."""

    def __init__(
        self, encoded: EncodedInputs, targets: np.ndarray, offset: np.ndarray, fold: np.ndarray, task: str, seed: int
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
        self.dropped = np.concatenate([encoded.drop(keep, notes) for keep, notes, _ in copies])
        self.encoded, self.fold, self.task, self.count = encoded, fold, task, n
        self.targets, self.offset = targets[self.rows], offset[self.rows]
        self.outputs = targets.shape[1]

    def solve(self, jobs: Sequence[tuple[np.ndarray, FusionCandidate]]) -> list[np.ndarray]:
        """Fit weights float32 (F + M, K) for each (rows as bool (N,), candidate)."""
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

    def search(self, candidates: list[FusionCandidate]) -> tuple[np.ndarray, list[FusionCandidate]]:
        """Search: logits added (candidates, N, K) out of fold; and the candidates, with more that have fewer inputs."""
        added = self._out_of_fold(candidates)
        best = candidates[int(np.argmin([self._loss(z) for z in added]))]
        fewer = leave_one_out(best)
        if fewer:
            more = self._out_of_fold(fewer)
            nested = leave_out_in_turn(best, [self._loss(z) for z in more])
            added = [*added, *more, *self._out_of_fold(nested)]
            candidates = [*candidates, *fewer, *nested]
        return np.stack(added), candidates

    def _loss(self, added: np.ndarray) -> float:
        n = self.count
        return float(row_losses(self.offset[:n] + added, self.targets[:n], self.task).mean())

    def _out_of_fold(self, candidates: Sequence[FusionCandidate]) -> list[np.ndarray]:
        numbers = np.unique(self.fold)
        solved = iter(self.solve([(self.fold != f, c) for f in numbers for c in candidates]))
        x = self.dropped[: self.count]
        z = np.zeros((len(candidates), self.count, self.outputs), np.float32)
        for f in numbers:
            rows = np.flatnonzero(self.fold == f)
            for j in range(len(candidates)):
                z[j, rows] = x[rows] @ next(solved)
        return list(z)

    def _scale(self, candidate: FusionCandidate) -> np.ndarray:
        """Scale a feature by 1 / sqrt(C), so that it is penalised as with that C; leave out one of no input taken."""
        of = self.encoded.input_of
        notes = of == len(self.encoded.columns)
        strength = np.where(notes, candidate.notes, candidate.clinical)
        taken = np.isin(of, candidate.inputs) & (strength > 0)
        return np.where(taken, 1 / np.sqrt(np.where(taken, strength, 1)), np.inf).astype(np.float32)


def _apply_by_fold(weights: np.ndarray, x: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Apply weights (R, folds, D, K), each row by those of its fold: float32 (R, N, K)."""
    added = np.zeros((*folds.shape, weights.shape[-1]), np.float32)
    for r, fold in enumerate(folds):
        for f in np.unique(fold):
            added[r, fold == f] = x[fold == f] @ weights[r, f]
    return added
