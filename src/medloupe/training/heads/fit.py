"""Linear heads: choose by grouped cross-validation, calibrate out of fold, fit on all, fold into one matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medloupe.data.split import fold_count, folds
from medloupe.errors import DataError
from medloupe.metrics.weighted import Ranking
from medloupe.model.head import Head, probabilities
from medloupe.training.heads.solver import Problem, Solution, solve
from medloupe.training.heads.temperature import calibrate_across_folds, fit_temperature

CS = (1e-4, 4e-4, 1.6e-3, 6.4e-3, 2.5e-2)  # C of scikit-learn on standardised features, for 1,000 records
FOLDS = 5
REPEATS = 3
LARGE_GROUP = 100  # records in the usual group, from which they are evened
LARGE_SET = 20_000  # records from which one repeat does: repeating evens out chance, of which little is left


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadChoice:
    """What the search decides. penalty: C. levels: which levels of the backbone's embedding take part. share: with a
    tuned network, how much of the way from the untuned weights to the tuned ones."""

    c: float
    levels: tuple[int, ...]
    alpha: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHead:
    """A head and what cross-validation says of it.

    head: for embeddings, calibrated. choice: what the search chose, of candidates: (choice, AUC out of fold).
    temperature: float32 (K,), equal for all labels in a multi-class set; already in the head.
    folds: int (R, N), fold of each row in each repeat. out_of_fold: float32 (R, N, K) calibrated probabilities, each
    row predicted by heads fitted without its group. In the first repeat, which the search runs on, the choice among
    candidates is made without the row's fold; in the others it is the overall one. The temperature is always the other
    folds'.
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
) -> FittedHead:
    """Search, judge and fit a head.

    embeddings: float32 (N, D). targets: float32 (N, K) of 1/0/NaN. groups: int (N,). levels: how D divides
    (BackboneCard.levels). The result depends on the arguments alone. Raises DataError when the labels or groups
    are too few for even two folds.
    """
    count = fold_count(targets, groups, FOLDS)
    if not count:
        raise DataError(
            "The data cannot be cross-validated: no label is both present and absent in at least two groups"
            " (patients, or images that are not copies of each other).",
            "Bring at least two patients with and two without; ten a label give a first impression.",
        )
    repeats = repeats or (REPEATS if len(targets) <= LARGE_SET else 1)
    fold = np.stack([folds(targets, groups, count, seed + r) for r in range(repeats)])
    fitter = Fitter(embeddings, targets, task, levels, balanced_sample_weights(targets, groups, task))
    every = tuple(range(len(levels)))
    choices = [HeadChoice(c=c * 1000 / len(targets), levels=every) for c in CS]
    searched, scores, choices = search_levels(
        lambda asked: fitter.out_of_fold(fold[0], asked), choices, targets, task, levels
    )
    best = best_index(scores, choices)
    chosen = choices[best]

    logits = [
        _select_across_folds(searched, fold[0], targets, choices, task),
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


def search_levels(
    ask: Callable[[Sequence[HeadChoice]], np.ndarray],
    choices: list[HeadChoice],
    targets: np.ndarray,
    task: str,
    levels: tuple[int, ...],
) -> tuple[np.ndarray, np.ndarray, list[HeadChoice]]:
    """Logits out of fold (C, N, K), their macro AUC (C,), and what they were made by: all choices, and the best of them
    with fewer levels. What tells classes apart may be the shape, the texture or both, so each end of the levels is left
    out, and both are. ask: gives the logits of choices."""
    searched = ask(choices)
    scores = macro_aucs(searched, targets, task)
    every = tuple(range(len(levels)))
    parts = {every[1:], every[:-1], every[1:-1]} if len(levels) > 1 else set()
    best = choices[best_index(scores, choices)]
    fewer = [replace(best, levels=part) for part in sorted(parts) if part]
    if fewer:
        more = ask(fewer)
        searched = np.concatenate([searched, more])
        scores = np.concatenate([scores, macro_aucs(more, targets, task)])
    return searched, scores, choices + fewer


def refit(
    embeddings: np.ndarray,
    targets: np.ndarray,
    rows: Sequence[np.ndarray],
    choice: HeadChoice,
    *,
    task: str,
    levels: tuple[int, ...],
    weights: np.ndarray | None = None,
) -> list[Solution]:
    """Heads with the choice made, each fitted on its rows alone; uncalibrated. weights: as for Fitter."""
    fitter = Fitter(embeddings, targets, task, levels, weights)
    masks = []
    for r in rows:
        mask = np.zeros(len(targets), bool)
        mask[r] = True
        masks.append((mask, choice))
    return fitter.solve(masks)


def build_head(solution: Solution, temperature: np.ndarray, task: str) -> Head:
    """One matrix: scaling is already in the solution, the temperature divides it."""
    return Head(
        weight=np.ascontiguousarray((solution.weight / temperature).T, np.float32),
        bias=np.asarray(solution.bias / temperature, np.float32),
        task="multilabel" if task == "multilabel" else "multiclass",
    )


def balanced_sample_weights(targets: np.ndarray, groups: np.ndarray, task: str) -> np.ndarray | None:
    """Weights float32 (N,) under which a recording with thousands of beats of a class does not outvote all others.

    A row weighs the less, by the square root, the more of its class there are, in its group and in all. None, and all
    rows weigh the same, unless groups hold very many records each. targets: (N, K) of 1/0/NaN. groups: int (N,).
    """
    if task != "multiclass" or len(targets) <= LARGE_SET or len(targets) < LARGE_GROUP * len(np.unique(groups)):
        return None
    targets = np.nan_to_num(targets)
    both = np.unique(groups, return_inverse=True)[1] * targets.shape[1] + targets.argmax(1)
    _, inverse, count = np.unique(both, return_inverse=True, return_counts=True)
    weights = (count[inverse] * targets.sum(0)[targets.argmax(1)]) ** -0.5
    return np.asarray(weights / weights.mean(), np.float32)


class Fitter:
    """Fits heads on one feature matrix.

    embeddings: float32 (N, D). targets: (N, K) of 1/0/NaN. levels: as for fit. weights: float32 (N,) of the rows, or
    None; how common a class is in the answers stays what it is in the rows (King & Zeng, Political Analysis 9 (2001)
    137-163: only the constants differ).
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        targets: np.ndarray,
        task: str,
        levels: tuple[int, ...],
        weights: np.ndarray | None = None,
    ):
        self.x, self.y, self.task, self.weights = embeddings, targets, task, weights
        self.level_of = np.repeat(np.arange(len(levels)), levels)  # (D,)

    def out_of_fold(self, fold: np.ndarray, choices: Sequence[HeadChoice]) -> np.ndarray:
        """Logits (choices, N, K), every row by the head that did not see its fold."""
        numbers = np.unique(fold)
        solutions = self.solve([(fold != f, c) for f in numbers for c in choices])
        z = np.empty((len(choices), *self.y.shape), np.float32)
        for i, f in enumerate(numbers):
            rows = np.flatnonzero(fold == f)
            for j in range(len(choices)):
                s = solutions[i * len(choices) + j]
                z[j, rows] = self.x[rows] @ s.weight + s.bias
        return z

    def solve(self, problems: Sequence[tuple[np.ndarray, HeadChoice]]) -> list[Solution]:
        """Solutions for (rows to fit on as bool (N,), choice); features scaled on those rows alone."""
        scalers: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}
        full = []
        for mask, choice in problems:
            key = np.packbits(mask).tobytes()
            if key not in scalers:
                scalers[key] = mean_and_scale(self.x, mask)
            mean, scale = scalers[key]
            scale = np.where(np.isin(self.level_of, choice.levels), scale, np.inf).astype(np.float32)
            rows = mask.astype(np.float32) if self.weights is None else mask * self.weights
            full.append(Problem(weights=rows, c=choice.c, mean=mean, scale=scale))
        solved = solve(self.x, self.y, full, task=self.task)
        if self.weights is None:
            return solved
        return [self._as_common(s, p.weights) for s, p in zip(solved, full, strict=True)]

    def _as_common(self, solution: Solution, weights: np.ndarray) -> Solution:
        """With the constants that classes as common as in the rows would have given."""
        y = np.nan_to_num(self.y)
        true, weighed = ((w @ y) / w.sum() for w in ((weights > 0).astype(np.float32), weights))
        there = true > 0
        shift = np.log(np.where(there, true, 1)) - np.log(np.where(there, weighed, 1))
        return replace(solution, bias=(solution.bias + shift).astype(solution.bias.dtype))


def mean_and_scale(x: np.ndarray, mask: np.ndarray, chunk: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation float32 (D,) of the rows in mask; constant features get an infinite scale."""
    n, total, squares = int(mask.sum()), np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for start in range(0, len(x), chunk):  # in pieces: a copy of all would double the memory
        part = x[start : start + chunk][mask[start : start + chunk]]
        total += part.sum(0, dtype=np.float64)
        squares += np.einsum("nd,nd->d", part, part, dtype=np.float64)
    mean = total / n
    deviation = np.sqrt(np.maximum(squares / n - mean**2, 0))
    scale = np.where(deviation > 1e-6, deviation, np.inf)
    return mean.astype(np.float32), scale.astype(np.float32)


def macro_aucs(searched: np.ndarray, targets: np.ndarray, task: str) -> np.ndarray:
    """Macro AUC (choices,) of logits (choices, N, K)."""
    return np.array([macro_auc(ranking_scores(z, task), targets) for z in searched])


def macro_auc(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean AUC over the labels that are both present and absent; scores and targets (N, K)."""
    ones = np.ones((1, len(scores)), np.float32)
    each = np.array([Ranking(s, t).auc(ones)[0] for s, t in zip(scores.T, targets.T, strict=True)])
    return float(each[np.isfinite(each)].mean()) if np.isfinite(each).any() else 0.5


def ranking_scores(logits: np.ndarray, task: str) -> np.ndarray:
    """Scores (N, K) that rank like the probabilities do, without their ties near 0 and 1."""
    if task == "multilabel":
        return logits
    if logits.shape[1] == 2:
        return np.column_stack([logits[:, 0] - logits[:, 1], logits[:, 1] - logits[:, 0]])
    return np.log(np.maximum(probabilities(logits.astype(np.float64), task), 1e-300))


def best_index(scores: np.ndarray, choices: Sequence[HeadChoice]) -> int:
    """The best score; among those as good to the fourth digit, the strongest penalty."""
    near = np.flatnonzero(scores >= scores.max() - 2e-4)
    return min(near.tolist(), key=lambda i: (choices[i].c, -len(choices[i].levels)))


def _select_across_folds(
    searched: np.ndarray, fold: np.ndarray, targets: np.ndarray, choices: Sequence[HeadChoice], task: str
) -> np.ndarray:
    """For each fold the logits (N, K) of the choice that is best on the other folds."""
    z = np.empty(searched.shape[1:], np.float32)
    for f in np.unique(fold):
        others = fold != f
        scores = np.array([macro_auc(ranking_scores(s[others], task), targets[others]) for s in searched])
        z[fold == f] = searched[best_index(scores, choices)][fold == f]
    return z
