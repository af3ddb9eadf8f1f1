"""From a model and local cases to a calibration and operating points, judged on cases that neither has seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.embed.features import Features
from medloupe.inference.inputs import encode_stated_inputs
from medloupe.metrics.tables import Judged
from medloupe.model.bundle import Model
from medloupe.model.head import probabilities
from medloupe.model.rules import Rules
from medloupe.training.adapt.recalibrate import KINDS, REPEATS, Calibration, Candidate, choose, crossfitted, fit

FEWEST_A_SIDE = 5  # groups with and without a label, for a line of its own


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitting:
    """What the local cases are and what came of them, for the card (adaptedcard.py).

    rows: of the features, int (n,). before, after: the same n images judged by the model as it came, and by
    calibrations and lines made without them. lines: float64 (K,) thresholds that ship. ready: bool (K,), which labels
    had cases enough for a line of their own. weights: (K,) of the announcing rule (rules.py); None with several labels
    at once. findings: what is seriously wrong with the local data. left_out: how many images, by reason.
    """

    model: Model
    features: Features
    rows: np.ndarray
    before: Judged
    after: Judged
    calibration: Calibration
    candidates: tuple[Candidate, ...]
    lines: np.ndarray
    ready: np.ndarray
    weights: np.ndarray | None
    sensitivity: float
    seed: int
    findings: tuple[str, ...]
    left_out: Mapping[str, int]


def ready_labels(targets: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """bool (K,): which labels have cases enough for and against."""
    sides = [[len(np.unique(groups[column == v])) for v in (1, 0)] for column in targets.T]
    return np.array([min(side) >= FEWEST_A_SIDE for side in sides])


def reaching(probabilities: np.ndarray, targets: np.ndarray, sensitivity: float) -> np.ndarray:
    """For each label the highest threshold (K,) that new cases are expected to reach in the share `sensitivity`.

    probabilities, targets: (N, K). With n cases, a new one lies under the j-th smallest in j of n + 1 times (the rank
    that conformal prediction takes: Vovk et al., "Algorithmic learning in a random world", 2005). Among few cases that
    is a lower line than the one that finds the share of these very cases. NaN where a label has no case.
    """
    found = np.full(targets.shape[1], np.nan)
    for k, column in enumerate(targets.T):
        cases = np.sort(probabilities[column == 1, k])
        if len(cases):
            found[k] = cases[max(0, int((1 - sensitivity) * (len(cases) + 1) + 1e-9) - 1)]
    return found


def fitted(
    model: Model,
    features: Features,
    rows: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    sensitivity: float,
    seed: int,
    left_out: Mapping[str, int],
) -> Fitting:
    """Choose and fit the calibration, draw the lines, and judge both on cases they have not seen.

    rows: int (n,) of the features; targets: (n, K) of 1/0/NaN, groups: int (n,), of these rows.
    """
    task, rules = model.card["task"], Rules.from_card(model.card)
    beside = encode_stated_inputs(model, [features.data.records[i] for i in rows])
    logits = model.head.logits(features.embeddings[rows]) + beside.logits
    kind, candidates = choose(logits, targets, groups, task=task, seed=seed)
    calibration = fit(logits, targets, groups, task=task, kind=kind)
    strength = float((model.card.get("decision") or {}).get("strength") or 0)
    as_is = probabilities(logits, task)
    common: dict[str, Any] = {"targets": targets, "groups": groups, "labels": model.labels, "task": task}
    before = Judged(
        probabilities=as_is[None],
        answers=(as_is * rules.weights).argmax(1)[None],
        flags=(as_is >= rules.limits)[None],
        **common,
    )
    ready = ready_labels(targets, groups)

    def lines(p: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Of labels with cases enough drawn anew; the others' where their probabilities have gone."""
        moved = _moved(rules.limits, as_is[rows], p)
        return np.where(ready, reaching(p, targets[rows], sensitivity), moved).astype(np.float32)

    p = np.empty((REPEATS, *logits.shape), np.float32)
    flags, answers = np.zeros(p.shape, bool), np.zeros(p.shape[:2], np.int64)
    for part in crossfitted(logits, targets, groups, task=task, seed=seed):
        # Where nothing is changed at the end, no fold's calibration is either: then there is no fit to be judged.
        made = part.calibration if kind != KINDS[0] else calibration
        theirs = probabilities(made.logits(logits[part.others]), task).astype(np.float32)
        own = probabilities(made.logits(logits[part.own]), task).astype(np.float32)
        limits = lines(theirs, part.others)
        p[part.repeat, part.own] = own
        flags[part.repeat, part.own] = own >= np.where(np.isnan(limits), np.inf, limits)
        answers[part.repeat, part.own] = (own * made.weights(rules.weights, strength)).argmax(1)
    moved = np.asarray(beside.logits * calibration.scale, np.float32)
    changed = probabilities(calibration.folded(model.head).logits(features.embeddings[rows]) + moved, task)
    return Fitting(
        model=model,
        features=features,
        rows=rows,
        before=before,
        after=Judged(probabilities=p, answers=answers, flags=flags, **common),
        calibration=calibration,
        candidates=candidates,
        lines=lines(changed, np.arange(len(rows))).astype(np.float64),
        ready=ready,
        weights=calibration.weights(rules.weights, strength) if task == "multiclass" else None,
        sensitivity=sensitivity,
        seed=seed,
        findings=(),
        left_out=left_out,
    )


def _moved(limits: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The old lines (K,) where the new probabilities (n, K) have gone: by as much as each label's logit moved here."""

    def logit(p: np.ndarray) -> np.ndarray:
        q = np.clip(p.astype(np.float64), 1e-7, 1 - 1e-7)
        return np.log(q) - np.log1p(-q)

    by = np.median(logit(after) - logit(before), axis=0)
    return np.where(by == 0, limits, 1 / (1 + np.exp(-(logit(limits) + by))))
