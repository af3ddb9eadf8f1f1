"""Fit a head and judge it without its having seen the answers: on the official test split, else by cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.data.split import Plan, folds
from medloupe.embed.features import Features
from medloupe.metrics import tables
from medloupe.metrics.tables import Judged
from medloupe.metrics.weighted import Metric, Ranking, average, bootstrap_intervals
from medloupe.model.head import Head, probabilities
from medloupe.training.heads.fit import Choice, Fitted, fit, folded, refit
from medloupe.training.heads.solver import Solution

_SIZES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1)  # shares of the training part on the learning curve
_SMALLEST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The head to ship and how heads made the same way fared on what they had not seen.

    fitted: on all labelled records (rows `everything`). judged: the predictions behind the headline, for rows `rows`
    of the features. limits: thresholds (K,) of the operating points. strength: of the correction for common classes,
    or None with several labels at once. secondary: cross-validation over all records,
    where the headline is from a test split. leaky: the test split judged by a head that also learned from the training
    images that leak into it, which is how published figures come about; None where nothing leaks. judging: rows whose
    out-of-fold predictions are in fitted; all labelled ones, or with a tuned network those it could learn from.
    on_fitting: with a test split, the head that answered it, fitted on the plan's fitting part.
    """

    fitted: Fitted
    everything: np.ndarray
    judged: Judged
    rows: np.ndarray
    limits: np.ndarray
    strength: float | None
    secondary: Judged | None
    leaky: Judged | None
    learning: list[dict[str, Any]]
    judging: np.ndarray
    tuned: TunedFit | None = None
    on_fitting: Fitted | None = None

    @property
    def head(self) -> Head:
        return self.fitted.head


def judge(features: Features, plan: Plan, *, levels: tuple[int, ...], seed: int, sensitivity: float) -> Verdict:
    """Judge by the plan, then fit on everything labelled."""
    data = features.data
    targets = data.targets
    everything = np.flatnonzero(~np.isnan(targets).all(1))
    x, y, groups = features.embeddings, targets[everything], plan.groups[everything]
    whole = len(everything) == len(x)
    fitted = fit(x if whole else x[everything], y, groups, task=data.task, levels=levels, seed=seed)
    limits = tables.thresholds(fitted.out_of_fold[0], y, sensitivity)
    crossed_over = crossed(fitted, y, groups, data.labels, data.task, sensitivity)
    judged, rows, secondary, leaky, on_fitting = crossed_over, everything, None, None, None
    if plan.test is not None:
        judged, on_fitting = _on_test(features, plan, plan.fitting, levels, seed, sensitivity)
        rows, secondary = plan.test, crossed_over
        if len(plan.leaking):
            part = np.sort(np.concatenate([plan.fitting, plan.leaking]))
            leaky, _ = _on_test(features, plan, part, levels, seed, sensitivity)
    learning = _learning_curve(features, plan, fitted.choice, levels=levels, seed=seed)
    return Verdict(
        fitted=fitted,
        everything=everything,
        judged=judged,
        rows=rows,
        limits=limits,
        strength=tables.best_strength(fitted.out_of_fold[0], y) if data.task == "multiclass" else None,
        secondary=secondary,
        leaky=leaky,
        learning=learning,
        judging=everything,
        on_fitting=on_fitting,
    )


def crossed(
    fitted: Fitted, y: np.ndarray, groups: np.ndarray, labels: tuple[str, ...], task: str, sensitivity: float
) -> Judged:
    """The out-of-fold predictions, each fold announced by the rules that the others give."""
    answers = np.zeros(fitted.out_of_fold.shape[:2], np.int64)
    if task == "multiclass":
        answers = tables.cross_fit_answers(fitted.out_of_fold, y, fitted.folds)
    return Judged(
        probabilities=fitted.out_of_fold,
        answers=answers,
        flags=tables.cross_fit_flags(fitted.out_of_fold, y, fitted.folds, sensitivity),
        targets=y,
        groups=groups,
        labels=labels,
        task=task,
    )


def _on_test(
    features: Features, plan: Plan, part: np.ndarray, levels: tuple[int, ...], seed: int, sensitivity: float
) -> tuple[Judged, Fitted]:
    """The test split's predictions by a head searched, calibrated and fitted on the rows `part` alone."""
    assert plan.test is not None
    data, targets = features.data, features.data.targets
    y = targets[part]
    trained = fit(features.embeddings[part], y, plan.groups[part], task=data.task, levels=levels, seed=seed, repeats=1)
    p = trained.head.probabilities(features.embeddings[plan.test])
    return answered(features, plan, p, trained.out_of_fold[0], y, sensitivity), trained


def answered(
    features: Features,
    plan: Plan,
    p: np.ndarray,
    out_of_fold: np.ndarray,
    y: np.ndarray,
    sensitivity: float,
) -> Judged:
    """The test split with its probabilities p (N, K), by rules from out-of-fold ones (n, K) with their truth y."""
    assert plan.test is not None
    data, targets = features.data, features.data.targets
    p = p[None]
    limits = tables.thresholds(out_of_fold, y, sensitivity)
    weights = np.ones(y.shape[1])
    if data.task == "multiclass":
        weights = tables.class_weights(y, tables.best_strength(out_of_fold, y))
    return Judged(
        probabilities=p,
        answers=(p * weights).argmax(2),
        flags=p >= np.where(np.isnan(limits), np.inf, limits),
        targets=targets[plan.test],
        groups=plan.groups[plan.test],
        labels=data.labels,
        task=data.task,
    )


def _learning_curve(
    features: Features, plan: Plan, choice: Choice, *, levels: tuple[int, ...], seed: int
) -> list[dict[str, Any]]:
    """AUC, judged as the headline is, of heads fitted on growing parts of the training groups."""
    data, y = features.data, features.data.targets
    task, rng = data.task, np.random.default_rng(seed)
    if plan.test is None:
        fold = folds(y[plan.fitting], plan.groups[plan.fitting], 5, seed)
        turns = [(plan.fitting[fold != f], plan.fitting[fold == f]) for f in np.unique(fold)]
    else:
        turns = [(plan.fitting, plan.test)]
    most = min(len(part) for part, _ in turns)
    sizes = [s for s in _SIZES if s * most >= _SMALLEST] or [1]
    parts, where = [], []
    for turn, (part, _) in enumerate(turns):
        numbers = np.unique(plan.groups[part])
        order = rng.permutation(numbers)
        for j, share in enumerate(sizes):
            chosen = order[: max(2, round(share * len(order)))]
            parts.append(part[np.isin(plan.groups[part], chosen)])
            where.append((turn, j))
    judged_rows = np.concatenate([rows for _, rows in turns])
    at = {row: i for i, row in enumerate(judged_rows)}
    scores = np.zeros((len(sizes), len(judged_rows), y.shape[1]), np.float32)
    # a part of 1/s of the records gets the penalty that suits its size: C grows as its data shrink
    by_size: dict[int, list[int]] = {}
    for i, (_, j) in enumerate(where):
        by_size.setdefault(j, []).append(i)
    for j, members in by_size.items():
        n = float(np.mean([len(parts[i]) for i in members]))
        scaled = Choice(penalty=choice.penalty * len(plan.fitting) / n, levels=choice.levels)
        solutions = refit(features.embeddings, y, [parts[i] for i in members], scaled, task=task, levels=levels)
        for i, solution in zip(members, solutions, strict=True):
            rows = turns[where[i][0]][1]
            head = folded(solution, np.ones(y.shape[1], np.float32), task)
            p = probabilities(head.logits(features.embeddings[rows]), task)
            scores[j, [at[r] for r in rows]] = p
    curve = []
    for j in range(len(sizes)):
        each = [Ranking(s, t).auc for s, t in zip(scores[j].T, y[judged_rows].T, strict=True)]
        n = round(float(np.mean([len(parts[i]) for i in by_size[j]])))
        auc = bootstrap_intervals({"auc": average(each)}, plan.groups[judged_rows], seed)["auc"]
        curve.append({"n": n, "auc": auc})
    return curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way among those compared. share: of the way from the untuned network (0) to the tuned one (1). penalty,
    levels: of its head. auc: out of fold, with its interval. difference: to the linear head on the untuned network,
    paired over groups, with an interval that holds for all candidates at once; itself None."""

    share: float
    penalty: float
    levels: tuple[int, ...]
    auc: Metric
    difference: Metric | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedFit:
    """fitted: as head.fit gives it, for rows tuned.fitting; its head is for embeddings of the final network at `share`.
    on_fitting: the same head, uncalibrated, fitted on tuned.fitting alone. candidates: the best of each share.
    worthwhile: whether tuning beats the linear head by more than noise (the 95 % interval lies above 0)."""

    fitted: Fitted
    share: float
    on_fitting: Solution
    candidates: tuple[Candidate, ...]
    worthwhile: bool
