"""How good a classifier is that learned from few images: subsets of growing size, and what heads on them reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.errors import DataError
from medloupe.metrics.weighted import Metric, Ranking, average, bootstrap_intervals, widen_auc_interval
from medloupe.training.heads.fit import PENALTIES, Choice, Fitter, fit, rankable

SIZES = (10, 30, 100, 300)  # images a class
DRAWS = 5  # subsets of each size that heads are fitted on


def nested(
    rows: np.ndarray, targets: np.ndarray, groups: np.ndarray, sizes: Sequence[int], task: str, seed: int
) -> dict[int, np.ndarray]:
    """Rows of a subset for each size, the smaller ones within the larger: `n` images of each class, of as many
    different groups as there are; with several labels at once, `n` of each label and `n` of none.

    rows: int (n,) to draw from, of targets (N, K) and groups (N,). A class that has fewer gives all it has.
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


def sizes_in(rows: np.ndarray, targets: np.ndarray) -> tuple[int, ...]:
    """Those of SIZES that at least half of the classes, and two of them where there are two, have in rows."""
    counts = np.sort((targets[rows] == 1).sum(0))[::-1]
    wanted = max(min(2, len(counts)), (len(counts) + 1) // 2)
    return tuple(n for n in SIZES if counts[wanted - 1] >= n)


def linear(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray, asked: np.ndarray, task: str, levels: tuple[int, ...], seed: int
) -> np.ndarray:
    """Scores (m, K) for embeddings `asked` (m, D) by a linear head on a subset: x (n, D), y (n, K), groups (n,).

    Its penalty is found by cross-validation inside the subset, or is a middle one where that is too small for it.
    """
    try:
        head = fit(x, y, groups, task=task, levels=levels, seed=seed, repeats=1).head
        return rankable(head.logits(asked), task)
    except DataError:
        choice = Choice(penalty=PENALTIES[len(PENALTIES) // 2] * 1000 / len(y), levels=tuple(range(len(levels))))
        solution = Fitter(x, y, task, levels).solve([(np.ones(len(y), bool), choice)])[0]
        return rankable(asked @ solution.weight + solution.bias, task)


def auc_of(scores: Sequence[np.ndarray], targets: np.ndarray, groups: np.ndarray, seed: int) -> Metric:
    """Mean macro AUC of one or several classifiers on the same rows, with its interval over groups.

    scores: (n, K) of each. targets: (n, K). groups: (n,).
    """
    each = [average([Ranking(s, t).auc for s, t in zip(one.T, targets.T, strict=True)]) for one in scores]
    found = bootstrap_intervals({"auc": average(each)}, groups, seed)["auc"]
    if targets.shape[1] == 2 and not np.isnan(targets).any() and (targets.sum(1) == 1).all():
        sides = (len(np.unique(groups[targets[:, 1] == value])) for value in (1, 0))
        found = widen_auc_interval(found, *sides)
    return found
