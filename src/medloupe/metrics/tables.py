"""Compute the figures of a card from predictions and truth: metrics, operating points, per-label table, confusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric, Ranking, Weighted

SENSITIVITY = 0.9  # of the operating points, unless told otherwise
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of the correction for how common a class is
_WORTHWHILE = 0.01  # gain in balanced accuracy for which a stronger correction is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Predictions made without having seen the truth, for N records, K labels and R repeats.

    Attributes
    ----------
    probabilities
        float32 (R, N, K), R repeats of cross-validation, or one run on a test split.
    flags
        bool (R, N, K), whether the label is at or above its operating point.
    answers
        int (R, N), the class announced (see `class_weights`; not used with several labels at once).
    targets
        (N, K) of 1/0/NaN.
    groups
        int (N,).
    """

    probabilities: np.ndarray
    flags: np.ndarray
    answers: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    labels: tuple[str, ...]
    task: str

    def called(self, repeat: int, k: int) -> np.ndarray:
        """Tell where label k is announced, bool (N,): the class answered (multiclass), or flagged (multilabel)."""
        return self.flags[repeat, :, k] if self.task == "multilabel" else self.answers[repeat] == k

    def rows(self, rows: np.ndarray) -> Judged:
        """Take some of the rows."""
        return Judged(
            probabilities=self.probabilities[:, rows],
            flags=self.flags[:, rows],
            answers=self.answers[:, rows],
            targets=self.targets[rows],
            groups=self.groups[rows],
            labels=self.labels,
            task=self.task,
        )

    @property
    def repeats(self) -> range:
        """Numbers of the repeats."""
        return range(len(self.probabilities))


def thresholds(probabilities: np.ndarray, targets: np.ndarray, sensitivity: float) -> np.ndarray:
    """Find for each label the highest threshold (K,) that still finds the share `sensitivity` of its cases.

    NaN for a label without cases.
    """
    found = np.full(targets.shape[1], np.nan)
    for k in range(targets.shape[1]):
        cases = np.sort(probabilities[targets[:, k] == 1, k])
        if len(cases):
            found[k] = cases[int((1 - sensitivity) * len(cases) + 1e-9)]
    return found


def class_weights(targets: np.ndarray, strength: float) -> np.ndarray:
    """Weigh classes (K,): what their probabilities are multiplied by before the largest is announced.

    Calibrated probabilities lean towards common classes, rightly; announcing only the most probable would hardly ever
    name a rare one.

    Parameters
    ----------
    targets
        (N, K) of 1/0/NaN.
    strength
        0 announces the most probable class; 1 the one whose probability exceeds its share of the training data most,
        which is best for the balanced accuracy where the calibration is exact.
    """
    shares = np.nanmean(targets, axis=0)
    weights = np.where(shares > 0, shares, 1) ** -strength  # a class without cases is not favoured for its rarity
    return weights / weights.sum()


def best_strength(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Find the least of STRENGTHS whose balanced accuracy on (N, K) is within a hundredth of the best.

    Of very many records, as the beats of recordings, a patient has thousands, and false alarms would outnumber cases:
    there the macro F1 counts as much as the balanced accuracy.
    """
    truth = targets.argmax(1)
    classes = np.unique(truth)
    scores = []
    for strength in STRENGTHS:
        answer = (probabilities * class_weights(targets, strength)).argmax(1)
        hits = np.array([((answer == k) & (truth == k)).sum() for k in classes])
        cases, called = (np.array([(x == k).sum() for k in classes]) for x in (truth, answer))
        score = float((hits / cases).mean())
        if len(targets) > weighted.MANY:
            score = (score + float((2 * hits / (cases + called)).mean())) / 2
        scores.append(score)
    return next(s for s, r in zip(STRENGTHS, scores, strict=True) if r >= max(scores) - _WORTHWHILE)


def cross_fit_answers(probabilities: np.ndarray, targets: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Announce each fold with the class weights that the other folds give.

    Parameters
    ----------
    probabilities
        (R, N, K).
    targets
        (N, K) of 1/0/NaN.
    folds
        int (R, N).

    Returns
    -------
    np.ndarray
        int (R, N), the class.
    """
    answers = np.zeros(probabilities.shape[:2], np.int64)
    for r, fold in enumerate(folds):
        for f in np.unique(fold):
            own = fold == f
            weights = class_weights(targets[~own], best_strength(probabilities[r, ~own], targets[~own]))
            answers[r, own] = (probabilities[r, own] * weights).argmax(1)
    return answers


def cross_fit_flags(
    probabilities: np.ndarray, targets: np.ndarray, folds: np.ndarray, sensitivity: float
) -> np.ndarray:
    """Flag each fold at the thresholds that the other folds give.

    Parameters
    ----------
    probabilities
        (R, N, K).
    targets
        (N, K) of 1/0/NaN.
    folds
        int (R, N).
    sensitivity
        That the thresholds aim at, 0 to 1.

    Returns
    -------
    np.ndarray
        bool (R, N, K).
    """
    flags = np.zeros(probabilities.shape, bool)
    for r, fold in enumerate(folds):
        for f in np.unique(fold):
            own = fold == f
            limit = thresholds(probabilities[r, ~own], targets[~own], sensitivity)
            flags[r, own] = probabilities[r, own] >= np.where(np.isnan(limit), np.inf, limit)
    return flags


def headline(judged: Judged, seed: int = 0) -> dict[str, Metric]:
    """Compute the metrics of the whole, each averaged over the repeats, with 95 % intervals over groups."""
    overall: dict[str, list[Weighted]] = {}

    def add(name: str, metric: Weighted) -> None:
        overall.setdefault(name, []).append(metric)

    truth = judged.targets == 1
    known = np.asarray(~np.isnan(judged.targets))
    judgeable = np.asarray(known.any(1))
    labels = [k for k in range(len(judged.labels)) if (truth[:, k]).any() and (known[:, k] & ~truth[:, k]).any()]
    for r in judged.repeats:
        p = judged.probabilities[r]
        rankings = [Ranking(p[:, k], judged.targets[:, k]) for k in labels]
        add("auc", weighted.average([x.auc for x in rankings]))
        add("average_precision", weighted.average([x.average_precision for x in rankings]))
        called = {k: judged.called(r, k) for k in labels}
        add("macro_f1", weighted.average([weighted.f1(called[k] & known[:, k], truth[:, k]) for k in labels]))
        found = {k: weighted.share(called[k], truth[:, k]) for k in labels}
        if judged.task == "multiclass":
            hit = truth[np.arange(len(p)), judged.answers[r]]
            add("balanced_accuracy", weighted.average(list(found.values())))
            add("accuracy", weighted.share(hit, judgeable))
            top = p.argmax(1)
            right = truth[np.arange(len(p)), top]
            add("accuracy_most_probable", weighted.share(right, judgeable))
            recalls = [weighted.share(top == k, truth[:, k]) for k in labels]
            add("balanced_accuracy_most_probable", weighted.average(recalls))
            add("ece", weighted.calibration_error(p.max(1), right, np.arange(len(p))))
        else:
            spared = [weighted.share(~called[k], known[:, k] & ~truth[:, k]) for k in labels]
            add("balanced_accuracy", weighted.average([*found.values(), *spared]))
            add("accuracy", weighted.average([weighted.share(called[k] == truth[:, k], known[:, k]) for k in labels]))
            row, k_of = np.nonzero(known)
            add("ece", weighted.calibration_error(p[row, k_of], truth[row, k_of], row))
        add("brier", weighted.brier(p, judged.targets))
    if judged.task == "multiclass":
        commonest = int(truth.sum(0).argmax())
        add("majority_accuracy", weighted.share(truth[:, commonest], judgeable))
    else:
        often = [truth[:, k].sum() * 2 > known[:, k].sum() for k in labels]
        add(
            "majority_accuracy",
            weighted.average(
                [weighted.share(truth[:, k] == o, known[:, k]) for k, o in zip(labels, often, strict=True)]
            ),
        )
    values = weighted.bootstrap_intervals({n: weighted.average(m) for n, m in overall.items()}, judged.groups, seed)
    if len(judged.labels) == 2 and judged.task == "multiclass":
        values["auc"] = weighted.widen_auc_interval(values["auc"], *_count_groups(judged, 1))
    for name in [n for n in values if n.startswith(("accuracy", "balanced_accuracy"))]:
        values[name] = weighted.widen_share_interval(values[name], len(np.unique(judged.groups)))
    return values


def target_sensitivity(card: Mapping[str, Any]) -> float:
    """Read the sensitivity that a card's operating points aim at."""
    aims = (row["operating_point"].get("target_sensitivity") for row in card.get("per_label") or ())
    return float(next((aim for aim in aims if aim is not None), SENSITIVITY))


def per_label(judged: Judged, limits: np.ndarray, sensitivity: float, seed: int = 0) -> list[dict[str, Any]]:
    """Make one row a label: ranking, how it fares when announced, and its operating point.

    limits: thresholds (K,), NaN where there is none. sensitivity: that they aim at.
    """
    rows = []
    for k, name in enumerate(judged.labels):
        truth = judged.targets[:, k] == 1
        known = np.asarray(~np.isnan(judged.targets[:, k]))
        negative = known & ~truth
        wanted: dict[str, list[Weighted]] = {}
        for r in judged.repeats:
            ranking = Ranking(judged.probabilities[r][:, k], judged.targets[:, k])
            measures: dict[str, Weighted] = {"auc": ranking.auc, "average_precision": ranking.average_precision}
            for prefix, call in (("", judged.called(r, k) & known), ("point_", judged.flags[r, :, k] & known)):
                measures[prefix + "sensitivity"] = weighted.share(call, truth)
                measures[prefix + "specificity"] = weighted.share(~call, negative)
                measures[prefix + "ppv"] = weighted.share(truth, call)
                measures[prefix + "npv"] = weighted.share(negative, known & ~call)
            for measure, metric in measures.items():
                wanted.setdefault(measure, []).append(metric)
        values = weighted.bootstrap_intervals({n: weighted.average(m) for n, m in wanted.items()}, judged.groups, seed)
        positives, negatives = _count_groups(judged, k)
        values["auc"] = weighted.widen_auc_interval(values["auc"], positives, negatives)
        for prefix, call in (("", judged.called(0, k)), ("point_", judged.flags[0, :, k])):
            called, passed = (len(np.unique(judged.groups[known & c])) for c in (call, ~call))
            sizes = {"sensitivity": positives, "specificity": negatives, "ppv": called, "npv": passed}
            for measure, n in sizes.items():
                values[prefix + measure] = weighted.widen_share_interval(values[prefix + measure], n)
        point = {m: values.pop("point_" + m) for m in ("sensitivity", "specificity", "ppv", "npv")}
        threshold = None if np.isnan(limits[k]) else float(limits[k])
        rows.append(
            {
                "label": name,
                "n": int(truth.sum()),
                **values,
                "operating_point": {
                    "threshold": threshold,
                    "target_sensitivity": sensitivity,
                    **point,
                    "words": describe_point(point["sensitivity"]["value"], point["specificity"]["value"]),
                },
            }
        )
    return rows


def describe_point(sensitivity: float | None, specificity: float | None) -> str:
    """Say an operating point in words: "finds 95 of 100 cases; 1 in 8 without it is flagged"."""
    if sensitivity is None or specificity is None:
        return "cannot be judged on this data"
    flagged = 1 - specificity
    if flagged < 0.005:
        wrong = "fewer than 1 in 200 without it are flagged"
    elif flagged <= 0.35:
        wrong = f"1 in {round(1 / flagged)} without it is flagged"
    else:
        wrong = f"{round(flagged * 100)} of 100 without it are flagged"
    return f"finds {round(sensitivity * 100)} of 100 cases; {wrong}"


def confusion(judged: Judged) -> dict[str, Any] | None:
    """Count truth (rows) by answer (columns), averaged over the repeats; None for several labels at once."""
    if judged.task != "multiclass":
        return None
    k = len(judged.labels)
    truth = judged.targets.argmax(1)
    counts = np.zeros((k, k))
    for r in judged.repeats:
        np.add.at(counts, (truth, judged.answers[r]), 1)
    return {"labels": list(judged.labels), "matrix": np.rint(counts / len(judged.repeats)).astype(int).tolist()}


def _count_groups(judged: Judged, k: int) -> tuple[int, int]:
    """Independent groups with and without label k."""
    column = judged.targets[:, k]
    return len(np.unique(judged.groups[column == 1])), len(np.unique(judged.groups[column == 0]))
