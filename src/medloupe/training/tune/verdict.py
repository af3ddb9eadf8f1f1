"""Judge tuned networks as heads are judged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.metrics import tables
from medloupe.training.heads.fit import HeadChoice, build_head
from medloupe.training.heads.verdict import Verdict, _learning_curve, cross_fit, judge, judge_on_test

if TYPE_CHECKING:
    from medloupe.training.tune.run import TunedNetworks


def judge_tuned(
    features: Features,
    plan: Plan,
    tuned: TunedNetworks,
    *,
    levels: tuple[int, ...],
    seed: int,
    sensitivity: float,
    may_stay: bool,
) -> Verdict:
    """As judge, with tuned networks. may_stay: whether the untuned one may win; then it is judged as `judge` does.

    The test split is answered by the network that ships, which saw none of it; only its head is fitted once more, on
    everything labelled.
    """
    from medloupe.training.tune import heads

    data, targets = features.data, features.data.targets
    everything = np.flatnonzero(~np.isnan(targets).all(1))
    found = heads.fit_tuned(
        tuned, targets, plan.groups, everything, task=data.task, levels=levels, seed=seed, may_stay=may_stay
    )
    if found.alpha == 0:
        return replace(judge(features, plan, levels=levels, seed=seed, sensitivity=sensitivity), tuned=found)
    rows = tuned.fitting
    y, fitted = targets[rows], found.fitted
    limits = tables.thresholds(fitted.out_of_fold[0], y, sensitivity)
    crossed_over = cross_fit(fitted, y, plan.groups[rows], data.labels, data.task, sensitivity)
    judged, judged_rows, secondary = crossed_over, rows, None
    if plan.test is not None:
        head = build_head(found.on_fitting, fitted.temperature, data.task)
        embeddings = tuned.embeddings(None, found.alpha)
        p = head.probabilities(embeddings[plan.test])
        judged = judge_on_test(features, plan, p, fitted.out_of_fold[0], y, sensitivity)
        judged_rows, secondary = plan.test, crossed_over
    best = max((c for c in found.candidates if c.alpha == 0), key=lambda c: c.auc["value"] or 0)
    linear = HeadChoice(c=best.c, levels=best.levels)
    return Verdict(
        fitted=fitted,
        everything=everything,
        judged=judged,
        rows=judged_rows,
        limits=limits,
        strength=tables.best_strength(fitted.out_of_fold[0], y) if data.task == "multiclass" else None,
        secondary=secondary,
        leaky=None,
        learning=_learning_curve(features, plan, linear, levels=levels, seed=seed),
        judging=rows,
        tuned=found,
        on_fitting=fitted if plan.test is not None else None,
    )
