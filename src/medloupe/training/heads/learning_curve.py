"""Measure how good heads are that learned from growing parts of the training data."""

from __future__ import annotations

from typing import Any

import numpy as np

from medloupe.data.split import Plan, assign_folds
from medloupe.embed.features import Features
from medloupe.metrics.weighted import Ranking, average, bootstrap_intervals
from medloupe.model.head import probabilities
from medloupe.training.heads.fit import HeadChoice, build_head
from medloupe.training.heads.refit import refit

_SIZES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # shares of the training part on the learning curve
_SMALLEST = 20  # records in a part
_FOLDS = 5  # where there is no test split


def learning_curve(
    features: Features, plan: Plan, choice: HeadChoice, *, levels: tuple[int, ...], seed: int
) -> list[dict[str, Any]]:
    """Judge heads fitted on growing parts of the training groups, as the headline is judged.

    Parameters
    ----------
    features : Features
        Embeddings (N, D) and targets (N, K).
    plan : Plan
        Parts are drawn from plan.fitting by group; plan.test judges them, or else each of five folds in turn.
    choice : HeadChoice
        Made on all of plan.fitting; its C grows as the data shrink.
    levels : tuple of int
        How D divides.
    seed : int
        Of the parts, the folds and the bootstrap.

    Returns
    -------
    list of dict
        {"n": mean number of records, "auc": Metric} from the smallest part to all.
    """
    y, task = features.data.targets, features.data.task
    turns = _turns(plan, y, seed)
    most = min(len(part) for part, _ in turns)
    sizes = [s for s in _SIZES if s * most >= _SMALLEST] or [1]
    parts = _draw_parts(plan.groups, [part for part, _ in turns], sizes, seed)
    judged_rows = np.concatenate([rows for _, rows in turns])
    at = {row: i for i, row in enumerate(judged_rows)}
    curve = []
    for members in zip(*parts, strict=True):  # of one size, a part for each turn
        n = float(np.mean([len(part) for part in members]))
        # a part of 1/s of the records gets the strength that suits its size
        scaled = HeadChoice(c=choice.c * len(plan.fitting) / n, levels=choice.levels)
        solutions = refit(features.embeddings, y, members, scaled, task=task, levels=levels)
        scores = np.zeros((len(judged_rows), y.shape[1]), np.float32)
        for (_, rows), solution in zip(turns, solutions, strict=True):
            head = build_head(solution, np.ones(y.shape[1], np.float32), task)
            scores[[at[r] for r in rows]] = probabilities(head.logits(features.embeddings[rows]), task)
        each = [Ranking(s, t).auc for s, t in zip(scores.T, y[judged_rows].T, strict=True)]
        curve.append(
            {"n": round(n), "auc": bootstrap_intervals({"auc": average(each)}, plan.groups[judged_rows], seed)["auc"]}
        )
    return curve


def _turns(plan: Plan, targets: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pair rows to learn from with rows that judge them: the test split, or each fold in turn."""
    if plan.test is not None:
        return [(plan.fitting, plan.test)]
    fold = assign_folds(targets[plan.fitting], plan.groups[plan.fitting], _FOLDS, seed)
    return [(plan.fitting[fold != f], plan.fitting[fold == f]) for f in np.unique(fold)]


def _draw_parts(groups: np.ndarray, wholes: list[np.ndarray], sizes: list[float], seed: int) -> list[list[np.ndarray]]:
    """Draw for each whole (rows) a part of its groups for each size, the smaller within the larger."""
    rng = np.random.default_rng(seed)
    parts = []
    for whole in wholes:
        order = rng.permutation(np.unique(groups[whole]))
        drawn = [order[: max(2, round(share * len(order)))] for share in sizes]
        parts.append([whole[np.isin(groups[whole], chosen)] for chosen in drawn])
    return parts
