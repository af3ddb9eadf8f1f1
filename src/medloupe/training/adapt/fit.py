"""Fit a model's calibration and operating points to local cases, and judge both on cases that neither has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from medloupe.embed.features import Features
from medloupe.inference.inputs import encode_stated_inputs
from medloupe.metrics.lines import MOST_PROBABLE, FlagRule, reached
from medloupe.metrics.tables import Judged
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.head import probabilities
from medloupe.training.adapt.recalibrate import (
    KINDS,
    REPEATS,
    Calibration,
    CalibrationCandidate,
    choose_calibration,
    cross_fit_calibrations,
    fit_calibration,
)

FEWEST_A_SIDE = 5  # groups with and without a label, for a line of its own


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalCases:
    """The labelled images that a model is fitted to.

    Attributes
    ----------
    rows : np.ndarray
        int (n,), of the features.
    targets : np.ndarray
        (n, K) of 1, 0 and NaN, in the order of the model's labels.
    groups : np.ndarray
        int (n,), of patients and copies.
    left_out : mapping of str to int
        How many images take no part, by reason.
    """

    rows: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalFit:
    """What the local cases are and what came of them, for the card.

    Attributes
    ----------
    model : Model
        As it came.
    features : Features
        Of all images at hand.
    rows : np.ndarray
        int (n,), the cases among them.
    before, after : Judged
        The same n images judged by the model as it came, and by calibrations and lines made without them.
    calibration : Calibration
        What ships.
    candidates : tuple of CalibrationCandidate
        What it was chosen from.
    lines : np.ndarray
        float64 (K,), thresholds that ship.
    ready : np.ndarray
        bool (K,), which labels had cases enough for a line of their own.
    rule : FlagRule
        That ships.
    sensitivity : float
        That the lines aim at.
    seed : int
        Of folds and bootstrap.
    findings : tuple of str
        What is seriously wrong with the local data.
    left_out : mapping of str to int
        How many images, by reason.
    """

    model: Model
    features: Features
    rows: np.ndarray
    before: Judged
    after: Judged
    calibration: Calibration
    candidates: tuple[CalibrationCandidate, ...]
    lines: np.ndarray
    ready: np.ndarray
    rule: FlagRule
    sensitivity: float
    seed: int
    findings: tuple[str, ...]
    left_out: Mapping[str, int]


def find_ready_labels(targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Find the labels that have cases enough for and against.

    Parameters
    ----------
    targets : np.ndarray
        (n, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (n,).

    Returns
    -------
    np.ndarray
        bool (K,).
    """
    sides = [[len(np.unique(groups[column == v])) for v in (1, 0)] for column in targets.T]
    return np.array([min(side) >= FEWEST_A_SIDE for side in sides])


def draw_thresholds(probabilities: np.ndarray, targets: np.ndarray, sensitivity: float) -> np.ndarray:
    """Draw for each label the highest threshold that new cases are expected to reach in the share `sensitivity`.

    With n cases, a new one lies under the j-th smallest in j of n + 1 times. Among few cases that is a lower line than
    the one that finds the share of these very cases. Source: the rank that conformal prediction takes, Vovk et al.,
    "Algorithmic learning in a random world" (2005).

    Parameters
    ----------
    probabilities : np.ndarray
        (N, K).
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    sensitivity : float
        From 0 to 1.

    Returns
    -------
    np.ndarray
        float64 (K,); NaN where a label has no case.
    """
    found = np.full(targets.shape[1], np.nan)
    for k, column in enumerate(targets.T):
        cases = np.sort(probabilities[column == 1, k])
        if len(cases):
            found[k] = cases[max(0, int((1 - sensitivity) * (len(cases) + 1) + 1e-9) - 1)]
    return found


def fit_to_cases(model: Model, features: Features, cases: LocalCases, *, sensitivity: float, seed: int) -> LocalFit:
    """Choose and fit the calibration, draw the lines, and judge both on cases they have not seen.

    Parameters
    ----------
    model : Model
        What is fitted.
    features : Features
        Of all images at hand, by its network.
    cases : LocalCases
        Those to fit to.
    sensitivity : float
        Share of the cases that each label's line is to find.
    seed : int
        Of the folds.

    Raises
    ------
    ValueError
        When the cases are too few for two folds.
    """
    beside = encode_stated_inputs(model, [features.data.records[i] for i in cases.rows])
    embeddings = features.embeddings[cases.rows]
    fitter = _LocalFitter(model, cases, model.head.logits(embeddings) + beside.logits, sensitivity, seed)
    before, after = fitter.judge_before(), fitter.judge_after()
    calibration = fitter.calibration
    shifted = np.asarray(beside.logits * calibration.scale, np.float32)
    changed = probabilities(calibration.fold_into(model.head).logits(embeddings) + shifted, fitter.task)
    rule = fitter.draw_rule(changed, np.arange(len(cases.rows)))
    return LocalFit(
        model=model,
        features=features,
        rows=cases.rows,
        before=before,
        after=after,
        calibration=calibration,
        candidates=fitter.candidates,
        lines=rule.lines.astype(np.float64),
        ready=fitter.ready,
        rule=rule,
        sensitivity=sensitivity,
        seed=seed,
        findings=(),
        left_out=cases.left_out,
    )


class _LocalFitter:
    """The calibration of some cases, by their logits (n, K), and the two judgements of it."""

    def __init__(self, model: Model, cases: LocalCases, logits: np.ndarray, sensitivity: float, seed: int):
        self.task: str = model.card["task"]
        self.labels, self.decision = model.labels, Decision.from_card(model.card)
        self.targets, self.groups, self.logits = cases.targets, cases.groups, logits
        self.sensitivity, self.seed = sensitivity, seed
        given = (logits, cases.targets, cases.groups)
        self.kind, self.candidates = choose_calibration(*given, task=self.task, seed=seed)
        self.calibration = fit_calibration(*given, task=self.task, kind=self.kind)
        self.ready = find_ready_labels(cases.targets, cases.groups)
        self.as_is = probabilities(logits, self.task)

    def judge_before(self) -> Judged:
        """Judge the model as it came."""
        rule = self.decision.rule
        return self._judged(self.as_is[None], reached(rule, self.as_is)[None], rule.unclear(self.as_is)[None])

    def judge_after(self) -> Judged:
        """Judge calibrations and lines that were made without the fold that they are judged on."""
        p = np.empty((REPEATS, *self.logits.shape), np.float32)
        flags, unclear = np.zeros(p.shape, bool), np.zeros(p.shape[:2], bool)
        for part in cross_fit_calibrations(self.logits, self.targets, self.groups, task=self.task, seed=self.seed):
            # Where nothing is changed at the end, no fold's calibration is either: then there is no fit to be judged.
            made = part.calibration if self.kind != KINDS[0] else self.calibration
            theirs = probabilities(made.apply(self.logits[part.others]), self.task).astype(np.float32)
            own = probabilities(made.apply(self.logits[part.own]), self.task).astype(np.float32)
            rule = self.draw_rule(theirs, part.others)
            p[part.repeat, part.own] = own
            flags[part.repeat, part.own] = reached(rule, own)
            unclear[part.repeat, part.own] = rule.unclear(own)
        return self._judged(p, flags, unclear)

    def draw_rule(self, p: np.ndarray, rows: np.ndarray) -> FlagRule:
        """Draw the rule by probabilities p of some rows.

        Lines of labels with cases enough are drawn anew; the others, and where the interval of unclear answers begins,
        go where their probabilities have gone. No line of a finding lies above the point where it is the most probable.
        """
        rule, before = self.decision.rule, self.as_is[rows]
        moved = _move_thresholds(rule.lines, before, p)
        drawn = draw_thresholds(p, self.targets[rows], self.sensitivity)
        lines = np.where(self.ready & ~np.isnan(drawn), drawn, moved)
        if self.task == "multiclass":
            lines = np.where(rule.sought, np.minimum(lines, MOST_PROBABLE), lines)
        unclear = rule.unclear_from
        if unclear is not None:
            old, new = (rule.finding(x)[:, None] for x in (before, p))
            unclear = float(_move_thresholds(np.array([unclear]), old, new)[0])
        return replace(rule, lines=lines.astype(np.float32), unclear_from=unclear)

    def _judged(self, p: np.ndarray, flags: np.ndarray, unclear: np.ndarray) -> Judged:
        return Judged(
            probabilities=p,
            flags=flags,
            unclear=unclear,
            targets=self.targets,
            groups=self.groups,
            labels=self.labels,
            task=self.task,
            roles=self.decision.roles,
        )


def _move_thresholds(limits: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Move the old lines (K,) to where the new probabilities (n, K) have gone: by as much as each label's logit did."""

    def logit(p: np.ndarray) -> np.ndarray:
        q = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
        return np.log(q) - np.log1p(-q)

    by = np.median(logit(after) - logit(before), axis=0)
    return np.where(by == 0, limits, 1 / (1 + np.exp(-(logit(limits) + by))))
