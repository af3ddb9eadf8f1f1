"""Judge tuned networks as heads are judged."""

from __future__ import annotations

from dataclasses import replace

from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.training.heads.fit import HeadChoice, build_head
from medloupe.training.heads.learning_curve import learning_curve
from medloupe.training.heads.line_examples import LineExamples
from medloupe.training.heads.verdict import Verdict, build_verdict, judge, judge_on_test, labelled_rows
from medloupe.training.tune.heads import fit_tuned
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
    """Judge as heads.verdict.judge does, with tuned networks.

    The test split is answered by the network that ships, which saw none of it; only its head is fitted once more, on
    everything labelled.

    Parameters
    ----------
    features : Features
        Of the untuned network.
    tuned : TunedNetworks
        Tuned on these features and this plan.
    levels : tuple of int
        How an embedding divides.
    sensitivity : float
        At which operating points are set, 0.5 to below 1.
    may_stay : bool
        Whether the untuned network may win; then it is judged as `judge` does.
    """
    data, targets = features.data, features.data.targets
    everything = labelled_rows(targets)
    found = fit_tuned(
        tuned, targets, plan.groups, everything, task=data.task, levels=levels, seed=seed, may_stay=may_stay
    )
    if found.alpha == 0:
        linear = judge(features, plan, levels=levels, seed=seed, sensitivity=sensitivity, views=tuned.views)
        return replace(linear, tuned=found)
    fitted, on_test = found.fitted, None
    if plan.test is not None:
        head = build_head(found.on_fitting, fitted.temperature, data.task)
        p = head.probabilities(tuned.embeddings(None, found.alpha)[plan.test])
        y, groups = targets[tuned.fitting], plan.groups[tuned.fitting]
        drawn = LineExamples.gather(fitted.out_of_fold[0], y, groups, found.field)
        on_test = judge_on_test(features, plan, p, drawn.p, drawn.y, drawn.groups, sensitivity)
    best = max((c for c in found.candidates if c.alpha == 0), key=lambda c: c.auc["value"] or 0)
    untuned = HeadChoice(c=best.c, levels=best.levels)
    return build_verdict(
        features,
        plan,
        fitted,
        tuned.fitting,
        sensitivity,
        on_test=on_test,
        on_fitting=fitted if plan.test is not None else None,
        learning=learning_curve(features, plan, untuned, levels=levels, seed=seed),
        tuned=found,
        field=found.field,
    )
