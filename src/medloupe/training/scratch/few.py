"""Measure how good classifiers are that learned from few images: subsets of growing size, and heads on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.errors import DataError
from medloupe.metrics.weighted import Metric, Ranking, average, bootstrap_intervals, widen_auc_interval
from medloupe.training.heads.fit import CS, Fitter, fit, scale_choices
from medloupe.training.heads.ranking import ranking_scores

SIZES = (10, 30, 100, 300)  # images a class
DRAWS = 5  # subsets of each size that heads are fitted on


def nested_subsets(
    rows: np.ndarray, targets: np.ndarray, groups: np.ndarray, sizes: Sequence[int], task: str, seed: int
) -> dict[int, np.ndarray]:
    """Draw a subset of each size, the smaller ones within the larger.

    A subset of size `n` has `n` images of each class, of as many different groups as there are; with several labels at
    once, `n` of each label and `n` of none. A class that has fewer gives all it has.

    Parameters
    ----------
    rows : np.ndarray
        int (n,) to draw from, of targets (N, K) and groups (N,).
    sizes : sequence of int
        Images a class.

    Returns
    -------
    dict of int to np.ndarray
        Rows by size.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(rows)
    seen: dict[int, int] = {}
    turn = np.empty(len(order), np.int64)  # which picture of its group each is
    for i, group in enumerate(groups[order].tolist()):
        turn[i] = seen[group] = seen.get(group, -1) + 1
    order = order[np.argsort(turn, kind="stable")]
    members = [order[targets[order, k] == 1] for k in range(targets.shape[1])]
    if task == "multilabel":
        members.append(order[(np.nan_to_num(targets[order]) == 0).all(1)])
    return {n: np.unique(np.concatenate([m[:n] for m in members])) for n in sizes}


def feasible_sizes(rows: np.ndarray, targets: np.ndarray) -> tuple[int, ...]:
    """Choose those of SIZES that at least half of the classes, and two of them where there are two, have in rows."""
    counts = np.sort((targets[rows] == 1).sum(0))[::-1]
    wanted = max(min(2, len(counts)), (len(counts) + 1) // 2)
    return tuple(n for n in SIZES if counts[wanted - 1] >= n)


def linear_scores(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, asked: np.ndarray, task: str, levels: tuple[int, ...], seed: int
) -> np.ndarray:
    """Score embeddings by a linear head on a subset.

    Its C is found by cross-validation inside the subset, or is a middle one where that is too small for it.

    Parameters
    ----------
    x, y, groups : np.ndarray
        The subset: float32 (n, D), (n, K) of 1, 0 and NaN, int (n,).
    asked : np.ndarray
        float32 (m, D).

    Returns
    -------
    np.ndarray
        Scores (m, K), which rank as the probabilities do.
    """
    try:
        head = fit(x, y, groups, task=task, levels=levels, seed=seed, repeats=1).head
        return ranking_scores(head.logits(asked), task)
    except DataError:
        (choice,) = scale_choices(CS[len(CS) // 2 :][:1], len(y), levels)
        solution = Fitter(x, y, task, levels).solve([(np.ones(len(y), bool), choice)])[0]
        return ranking_scores(asked @ solution.weight + solution.bias, task)


def mean_auc(scores: Sequence[np.ndarray], targets: np.ndarray, groups: np.ndarray, seed: int) -> Metric:
    """Average the macro AUC of one or several classifiers on the same rows, with its interval over groups.

    Parameters
    ----------
    scores : sequence of np.ndarray
        (n, K) of each.
    targets, groups : np.ndarray
        (n, K) of 1, 0 and NaN; int (n,).
    """
    each = [average([Ranking(s, t).auc for s, t in zip(one.T, targets.T, strict=True)]) for one in scores]
    found = bootstrap_intervals({"auc": average(each)}, groups, seed)["auc"]
    if targets.shape[1] == 2 and not np.isnan(targets).any() and (targets.sum(1) == 1).all():
        sides = (len(np.unique(groups[targets[:, 1] == value])) for value in (1, 0))
        found = widen_auc_interval(found, *sides)
    return found
