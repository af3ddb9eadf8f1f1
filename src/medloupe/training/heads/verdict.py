"""Fit a head and judge it without its having seen the answers: on the official test split, else by cross-validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.data.labels import Roles
from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures
from medloupe.metrics.lines import FlagRule, cross_fit_rules, fit_rule, reached
from medloupe.metrics.tables import Judged
from medloupe.model.head import Head
from medloupe.training.heads.field import FieldFit
from medloupe.training.heads.fit import FittedHead
from medloupe.training.heads.learning_curve import learning_curve
from medloupe.training.heads.line_examples import LineExamples
from medloupe.training.heads.source_verdict import SourceVerdict, judge_sources
from medloupe.training.heads.taught import fit_taught
from medloupe.training.heads.tuned_fit import TunedFit


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The head to ship and how heads made the same way fared on what they had not seen.

    Attributes
    ----------
    fitted : FittedHead
        On all labelled records (rows `everything`).
    everything : np.ndarray
        int (n,), the labelled rows of the features.
    judged : Judged
        The predictions behind the headline, for rows `rows` of the features.
    rows : np.ndarray
        int (m,).
    rule : FlagRule
        When a label is flagged, and when an answer is too close to call.
    secondary : Judged or None
        Cross-validation over all records, where the headline is from a test split.
    leaky : Judged or None
        The test split judged by a head that also learned from the training images that leak into it, which is how
        published figures come about; None where nothing leaks.
    learning : list of dict
        The learning curve.
    judging : np.ndarray
        Rows whose out-of-fold predictions are in fitted; all labelled ones, or with a tuned network those it could
        learn from.
    tuned : TunedFit or None
        With tuned networks, what was chosen among.
    on_fitting : FittedHead or None
        With a test split, the head that answered it, fitted on the plan's fitting part.
    field : FieldFit or None
        What views taught the head, numbered by `everything`; None where there are none.
    by_source : SourceVerdict or None
        How heads fared on sources that they had not seen; None where none were told.
    """

    fitted: FittedHead
    everything: np.ndarray
    judged: Judged
    rows: np.ndarray
    rule: FlagRule
    secondary: Judged | None
    leaky: Judged | None
    learning: list[dict[str, Any]]
    judging: np.ndarray
    tuned: TunedFit | None = None
    on_fitting: FittedHead | None = None
    field: FieldFit | None = None
    by_source: SourceVerdict | None = None

    @property
    def targets(self) -> np.ndarray:
        """Truth (n, K) of the rows `judging`."""
        return (self.judged if self.secondary is None else self.secondary).targets

    @property
    def head(self) -> Head:
        """The head to ship."""
        return self.fitted.head

    @property
    def limits(self) -> np.ndarray:
        """Thresholds (K,) of the operating points; infinite where there is none."""
        return self.rule.lines


def judge(
    features: Features,
    plan: Plan,
    *,
    levels: tuple[int, ...],
    seed: int,
    sensitivity: float,
    views: FieldFeatures | None = None,
    sources: Sequence[str] | None = None,
) -> Verdict:
    """Judge by the plan, then fit on everything labelled.

    Parameters
    ----------
    features : Features
        Embeddings (N, D) and targets (N, K).
    plan : Plan
        Groups, and which rows judge.
    levels : tuple of int
        How D divides.
    seed : int
        Of folds, parts and bootstrap.
    sensitivity : float
        At which operating points are set, 0.5 to below 1.
    views : FieldFeatures, optional
        Field views of rows of the features, to learn from beside these.
    sources : sequence of str, optional
        Of each of the N rows, "" where it is not told: heads are then chosen by leaving sources out. The test split
        takes no part in the choice of the head that it judges, nor in the figures of sources.

    Raises
    ------
    DataError
        When the labels or groups are too few to cross-validate.
    """
    data = features.data
    everything = labelled_rows(data.targets)
    fitted, field = fit_taught(features, plan, everything, levels, seed, views, sources, repeats=None)
    choice = fitted.choice
    on_test, leaky, on_fitting = None, None, None
    if plan.test is not None:
        on_test, on_fitting = _fit_and_judge_on_test(
            features, plan, plan.fitting, levels, seed, sensitivity, views, sources
        )
        if len(plan.leaking):
            part = np.sort(np.concatenate([plan.fitting, plan.leaking]))
            leaky, _ = _fit_and_judge_on_test(features, plan, part, levels, seed, sensitivity, views, sources)
    judged = build_verdict(
        features,
        plan,
        fitted,
        everything,
        sensitivity,
        on_test=on_test,
        leaky=leaky,
        on_fitting=on_fitting,
        learning=learning_curve(features, plan, choice, levels=levels, seed=seed),
        field=field,
    )
    if sources is None:
        return judged
    by_source = judge_sources(features, plan, sources, levels=levels, seed=seed, views=views)
    return replace(judged, by_source=by_source)


def labelled_rows(targets: np.ndarray) -> np.ndarray:
    """Find the rows of targets (N, K) where at least one label is stated."""
    return np.flatnonzero(~np.isnan(targets).all(1))


def build_verdict(
    features: Features,
    plan: Plan,
    fitted: FittedHead,
    judging: np.ndarray,
    sensitivity: float,
    *,
    on_test: Judged | None,
    learning: list[dict[str, Any]],
    leaky: Judged | None = None,
    on_fitting: FittedHead | None = None,
    tuned: TunedFit | None = None,
    field: FieldFit | None = None,
) -> Verdict:
    """Set the operating points of a fitted head, and cross-fit its out-of-fold predictions.

    Parameters
    ----------
    judging : np.ndarray
        int (n,), the rows whose out-of-fold predictions are in fitted.
    on_test : Judged or None
        The test split's predictions, which then make the headline; cross-validation stands second.
    field : FieldFit or None
        What views taught the head; lines are then drawn by direct pictures and views together.
    """
    data, y = features.data, features.data.targets[judging]
    groups = plan.groups[judging]
    across_folds = cross_fit(fitted, y, groups, data.roles, data.task, sensitivity, field)
    drawn = LineExamples.gather(fitted.out_of_fold[0], y, groups, field)
    headline, rows = across_folds, judging
    if on_test is not None:
        assert plan.test is not None
        headline, rows = on_test, plan.test
    return Verdict(
        fitted=fitted,
        everything=labelled_rows(data.targets),
        judged=headline,
        rows=rows,
        rule=fit_rule(drawn.p, drawn.y, drawn.groups, data.roles, data.task, sensitivity=sensitivity),
        secondary=across_folds if on_test is not None else None,
        leaky=leaky,
        learning=learning,
        judging=judging,
        tuned=tuned,
        on_fitting=on_fitting,
        field=field,
    )


def cross_fit(
    fitted: FittedHead,
    y: np.ndarray,
    groups: np.ndarray,
    roles: Roles,
    task: str,
    sensitivity: float,
    field: FieldFit | None = None,
) -> Judged:
    """Announce out-of-fold predictions, each fold by the rule that the others give.

    Parameters
    ----------
    fitted : FittedHead
        With probabilities (R, N, K) out of fold.
    y : np.ndarray
        float32 (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,).
    roles : Roles
        Of the K labels.
    task : str
        "multiclass" or "multilabel".
    sensitivity : float
        At which thresholds are set.
    field : FieldFit, optional
        Whose views draw the rules too.
    """
    drawn = [LineExamples.gather(p, y, groups, field) for p in fitted.out_of_fold]
    rows = drawn[0].rows
    p = np.stack([d.p for d in drawn])
    folds = fitted.folds[:, rows]
    flags, unclear = cross_fit_rules(p, drawn[0].y, drawn[0].groups, folds, roles, task, sensitivity)
    flags, unclear = flags[:, : len(y)], unclear[:, : len(y)]
    return Judged(
        probabilities=fitted.out_of_fold,
        flags=flags,
        targets=y,
        groups=groups,
        labels=roles.labels,
        task=task,
        roles=roles,
        unclear=unclear,
    )


def _fit_and_judge_on_test(
    features: Features,
    plan: Plan,
    part: np.ndarray,
    levels: tuple[int, ...],
    seed: int,
    sensitivity: float,
    views: FieldFeatures | None = None,
    sources: Sequence[str] | None = None,
) -> tuple[Judged, FittedHead]:
    """Judge the test split by a head searched, calibrated and fitted on the rows `part` alone."""
    assert plan.test is not None
    y, groups = features.data.targets[part], plan.groups[part]
    trained, field = fit_taught(features, plan, part, levels, seed, views, sources)
    p = trained.head.probabilities(features.embeddings[plan.test])
    drawn = LineExamples.gather(trained.out_of_fold[0], y, groups, field)
    return judge_on_test(features, plan, p, drawn.p, drawn.y, drawn.groups, sensitivity), trained


def judge_on_test(
    features: Features,
    plan: Plan,
    p: np.ndarray,
    out_of_fold: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    sensitivity: float,
) -> Judged:
    """Announce the test split's probabilities by rules from out-of-fold ones.

    Parameters
    ----------
    p : np.ndarray
        Probabilities (M, K) of the rows plan.test.
    out_of_fold : np.ndarray
        Probabilities (n, K) from which the rule comes.
    y : np.ndarray
        Their truth (n, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (n,), theirs.
    sensitivity : float
        At which thresholds are set.
    """
    assert plan.test is not None
    data, targets = features.data, features.data.targets
    rule = fit_rule(out_of_fold, y, groups, data.roles, data.task, sensitivity=sensitivity)
    return Judged(
        probabilities=p[None],
        flags=reached(rule, p)[None],
        unclear=rule.unclear(p)[None],
        targets=targets[plan.test],
        groups=plan.groups[plan.test],
        labels=data.labels,
        task=data.task,
        roles=data.roles,
    )
