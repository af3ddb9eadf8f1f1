"""Fit linear heads: choose by grouped cross-validation, calibrate out of fold, fit on all rows, make one matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medloupe.data.split import assign_folds, count_folds
from medloupe.errors import DataError
from medloupe.model.head import Head
from medloupe.training.heads.ranking import macro_aucs
from medloupe.training.heads.row_weights import LARGE_SET, balanced_sample_weights
from medloupe.training.heads.solver import Problem, Solution
from medloupe.training.heads.sources import SourceParts
from medloupe.training.heads.streaming import measure_scales, predict_streamed, solve_problems
from medloupe.training.heads.temperature import calibrate_across_folds, fit_temperature
from medloupe.utils.rowfile import RowFile, stream_large

CS = (1e-4, 4e-4, 1.6e-3, 6.4e-3, 2.5e-2)  # inverse regularisation, standardised features, for 1,000 records
FOLDS = 5
REPEATS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadChoice:
    """What the search for a head decides.

    Attributes
    ----------
    c : float
        Inverse regularisation strength, scikit-learn's C: the larger, the freer.
    levels : tuple of int
        Which levels of the backbone's embedding take part, as places in BackboneCard.levels.
    alpha : float
        With a tuned network, how much of the way from the untuned weights (0) to the tuned ones (1).
    """

    c: float
    levels: tuple[int, ...]
    alpha: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHead:
    """A head and what cross-validation says of it.

    Attributes
    ----------
    head : Head
        For embeddings, calibrated.
    choice : HeadChoice
        What the search chose.
    candidates : tuple of (HeadChoice, float)
        Among which it chose, each with its macro AUC out of fold.
    temperature : np.ndarray
        float32 (K,), equal for all labels in a multi-class set; already in the head.
    folds : np.ndarray
        int (R, N), the fold of each row in each repeat.
    out_of_fold : np.ndarray
        Calibrated probabilities float32 (R, N, K), each row predicted by heads fitted without its group. In the first
        repeat, which the search runs on, the choice among candidates is made without the row's fold; in the others it
        is the overall one. The temperature is always the other folds'.
    """

    head: Head
    choice: HeadChoice
    candidates: tuple[tuple[HeadChoice, float], ...]
    temperature: np.ndarray
    folds: np.ndarray
    out_of_fold: np.ndarray


def fit(
    embeddings: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    *,
    task: str,
    levels: tuple[int, ...],
    seed: int = 0,
    repeats: int | None = None,
    sources: SourceParts | None = None,
) -> FittedHead:
    """Search, judge and fit a head; the result depends on the arguments alone.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D).
    targets : np.ndarray
        float32 (N, K) of 1, 0 and NaN (not stated).
    groups : np.ndarray
        int (N,): records of one group (patient, copies) never stand in two folds.
    task : str
        "multiclass" or "multilabel".
    levels : tuple of int
        How D divides (BackboneCard.levels).
    seed : int
        Of the folds.
    repeats : int or None
        Of the cross-validation; None: REPEATS, or 1 for sets above LARGE_SET.
    sources : SourceParts, optional
        Where the choice among candidates is to go by sources left out: what does best on these is taken if it does
        better there than what the folds choose, by more than noise. The folds calibrate and predict as ever.

    Returns
    -------
    FittedHead
        The head to ship, and its out-of-fold predictions.

    Raises
    ------
    DataError
        When the labels or groups are too few for even two folds.
    """
    count = count_folds(targets, groups, FOLDS)
    if not count:
        raise DataError(
            "The data cannot be cross-validated: no label is both present and absent in at least two groups"
            " (patients, or images that are not copies of each other).",
            "Bring at least two patients with and two without; ten a label give a first impression.",
        )
    repeats = repeats or (REPEATS if len(targets) <= LARGE_SET else 1)
    fold = np.stack([assign_folds(targets, groups, count, seed + r) for r in range(repeats)])
    fitter = Fitter(embeddings, targets, task, levels, balanced_sample_weights(targets, groups, task))
    choices = scale_choices(CS, len(targets), levels)

    searched, scores, choices = search_levels(
        lambda asked: fitter.out_of_fold(fold[0], asked), choices, lambda z: macro_aucs(z, targets, task), levels
    )
    choose = _ByFolds(searched, targets, choices, task).choose
    if sources is not None:
        apart = fitter.predict_apart(sources.part, sources.taught, choices)
        scores = sources.score(apart, targets, task)
        choose = _BySources(choose, apart, sources, targets, groups, choices, task).choose
    best = choose()
    chosen = choices[best]

    logits = [
        _select_across_folds(searched, fold[0], choose),
        *(fitter.out_of_fold(fold[r], [chosen])[0] for r in range(1, repeats)),
    ]
    out_of_fold = np.stack([calibrate_across_folds(z, targets, f, task) for z, f in zip(logits, fold, strict=True)])
    temperature = fit_temperature(searched[best], targets, task)
    solution = fitter.solve([(np.ones(len(targets), bool), chosen)])[0]
    return FittedHead(
        head=build_head(solution, temperature, task),
        choice=chosen,
        candidates=tuple(zip(choices, scores.tolist(), strict=True)),
        temperature=temperature,
        folds=fold,
        out_of_fold=out_of_fold.astype(np.float32),
    )


def scale_choices(cs: Sequence[float], rows: int, levels: tuple[int, ...], alpha: float = 0.0) -> list[HeadChoice]:
    """Make choices with all levels, of strengths for 1,000 records, for so many rows."""
    every = tuple(range(len(levels)))
    return [HeadChoice(c=c * 1000 / rows, levels=every, alpha=alpha) for c in cs]


def search_levels(
    ask: Callable[[Sequence[HeadChoice]], np.ndarray],
    choices: list[HeadChoice],
    score: Callable[[np.ndarray], np.ndarray],
    levels: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, list[HeadChoice]]:
    """Score choices out of fold, then the best of them with fewer levels.

    What tells classes apart may be the shape, the texture or both, so each end of the levels is left out, and both are.

    Parameters
    ----------
    ask : callable
        Gives the logits out of fold float32 (C, N, K) of C choices.
    choices : list of HeadChoice
        With all levels.
    score : callable
        Gives what is compared (C,) of logits (C, N, K), such as their macro AUC.
    levels : tuple of int
        How the embedding divides.

    Returns
    -------
    tuple of (np.ndarray, np.ndarray, list of HeadChoice)
        Logits (C, N, K), their scores (C,), and what they were made by: the choices given and those with fewer
        levels.
    """
    searched = ask(choices)
    scores = score(searched)
    every = tuple(range(len(levels)))
    parts = {every[1:], every[:-1], every[1:-1]} if len(levels) > 1 else set()
    best = choices[best_index(scores, choices)]
    fewer = [replace(best, levels=part) for part in sorted(parts) if part]
    if fewer:
        more = ask(fewer)
        searched = np.concatenate([searched, more])
        scores = np.concatenate([scores, score(more)])
    return searched, scores, choices + fewer


def build_head(solution: Solution, temperature: np.ndarray, task: str) -> Head:
    """Make one matrix of a solution, which holds the scaling already, and the temperature (K,) that divides it."""
    return Head(
        weight=np.ascontiguousarray((solution.weight / temperature).T, np.float32),
        bias=np.asarray(solution.bias / temperature, np.float32),
        task="multilabel" if task == "multilabel" else "multiclass",
    )


class Fitter:
    """Many heads on one feature matrix.

    Parameters
    ----------
    embeddings : np.ndarray
        float32 (N, D).
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    task : str
        "multiclass" or "multilabel".
    levels : tuple of int
        How D divides, as for fit.
    weights : np.ndarray or None
        float32 (N,) of the rows. How common a class is in the answers stays what it is in the rows (King & Zeng,
        Political Analysis 9 (2001) 137-163: only the constants differ).
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        targets: np.ndarray,
        task: str,
        levels: tuple[int, ...],
        weights: np.ndarray | None = None,
    ):
        self.x, self.y, self.task, self.weights = stream_large(embeddings), targets, task, weights
        self.level_of = np.repeat(np.arange(len(levels)), levels)  # (D,)

    def out_of_fold(self, fold: np.ndarray, choices: Sequence[HeadChoice]) -> np.ndarray:
        """Predict logits float32 (choices, N, K), every row by the head that did not see its fold: int (N,)."""
        numbers = np.unique(fold)
        return self.predict_apart(np.searchsorted(numbers, fold), [fold != f for f in numbers], choices)

    def predict_apart(
        self, part: np.ndarray, taught: Sequence[np.ndarray], choices: Sequence[HeadChoice]
    ) -> np.ndarray:
        """Predict logits float32 (choices, N, K), every row by the head of its part.

        Parameters
        ----------
        part : np.ndarray
            int (N,), the part of each row; of rows with -1, which are in none, the logits say nothing.
        taught : sequence of np.ndarray
            bool (N,) for each part, the rows that its heads are fitted on.
        choices : sequence of HeadChoice
            By which.
        """
        solutions = self.solve([(mask, c) for mask in taught for c in choices])
        if isinstance(self.x, RowFile):
            each = len(choices)
            by_part = [solutions[i * each : (i + 1) * each] for i in range(len(taught))]
            return predict_streamed(self.x, np.maximum(part, 0), by_part)
        z = np.zeros((len(choices), *self.y.shape), np.float32)
        for i in range(len(taught)):
            rows = np.flatnonzero(part == i)
            for j in range(len(choices)):
                s = solutions[i * len(choices) + j]
                z[j, rows] = self.x[rows] @ s.weight + s.bias
        return z

    def solve(self, problems: Sequence[tuple[np.ndarray, HeadChoice]]) -> list[Solution]:
        """Solve problems of (rows to fit on as bool (N,), choice); features are scaled on those rows alone."""
        keys = [np.packbits(mask).tobytes() for mask, _ in problems]
        masks = dict(zip(keys, (mask for mask, _ in problems), strict=True))
        scalers = dict(zip(masks, measure_scales(self.x, list(masks.values())), strict=True))
        full = []
        for key, (mask, choice) in zip(keys, problems, strict=True):
            mean, scale = scalers[key]
            scale = np.where(np.isin(self.level_of, choice.levels), scale, np.inf).astype(np.float32)
            rows = mask.astype(np.float32) if self.weights is None else mask * self.weights
            full.append(Problem(weights=rows, c=choice.c, mean=mean, scale=scale))
        solved = solve_problems(self.x, self.y, full, task=self.task)
        if self.weights is None:
            return solved
        return [self._restore_base_rates(s, p.weights) for s, p in zip(solved, full, strict=True)]

    def _restore_base_rates(self, solution: Solution, weights: np.ndarray) -> Solution:
        """Set the constants that classes as common as in the rows would have given."""
        y = np.nan_to_num(self.y)
        true, weighed = ((w @ y) / w.sum() for w in ((weights > 0).astype(np.float32), weights))
        there = true > 0
        shift = np.log(np.where(there, true, 1)) - np.log(np.where(there, weighed, 1))
        return replace(solution, bias=(solution.bias + shift).astype(solution.bias.dtype))


def best_index(scores: np.ndarray, choices: Sequence[HeadChoice]) -> int:
    """Find the best score's place; among those as good to the fourth digit, the strongest regularisation's."""
    near = np.flatnonzero(scores >= scores.max() - 2e-4)
    return min(near.tolist(), key=lambda i: (choices[i].c, -len(choices[i].levels)))


class _ByFolds:
    """Chooses what does best out of fold."""

    def __init__(self, searched: np.ndarray, targets: np.ndarray, choices: Sequence[HeadChoice], task: str):
        self._searched, self._targets, self._choices, self._task = searched, targets, choices, task

    def choose(self, rows: np.ndarray | None = None) -> int:
        """Choose by some rows, bool (N,), or by all: the place of the choice."""
        z, y = (self._searched, self._targets)
        z, y = (z, y) if rows is None else (z[:, rows], y[rows])
        return best_index(macro_aucs(z, y, self._task), self._choices)


class _BySources:
    """Chooses what does best on sources left out, where that is better there than what the folds choose."""

    def __init__(
        self,
        by_folds: Callable[..., int],
        apart: np.ndarray,
        sources: SourceParts,
        targets: np.ndarray,
        groups: np.ndarray,
        choices: Sequence[HeadChoice],
        task: str,
    ):
        self._by_folds, self._apart, self._sources = by_folds, apart, sources
        self._targets, self._groups, self._choices, self._task = targets, groups, choices, task

    def choose(self, rows: np.ndarray | None = None) -> int:
        """Choose by some rows, bool (N,), or by all: the place of the choice."""
        usual = self._by_folds(rows)
        best = best_index(self._sources.score(self._apart, self._targets, self._task, rows), self._choices)
        both = self._apart[[usual, best]]
        surely = self._sources.surely_gains(both, self._targets, self._groups, self._task, rows)
        return best if surely else usual


def _select_across_folds(searched: np.ndarray, fold: np.ndarray, choose: Callable[[np.ndarray], int]) -> np.ndarray:
    """Take for each fold the logits (N, K) of what is chosen by the others: choose gives a place by rows, bool (N,)."""
    z = np.empty(searched.shape[1:], np.float32)
    for f in np.unique(fold):
        z[fold == f] = searched[choose(fold != f)][fold == f]
    return z
