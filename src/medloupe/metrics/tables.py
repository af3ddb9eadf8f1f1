"""Compute the figures of a card from predictions and truth: metrics, operating points, per-label table, confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.data.labels import Roles
from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric, Ranking, Weighted

SENSITIVITY = 0.9  # of the operating points, unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Predictions made without having seen the truth, for N records, K labels and R repeats.

    Attributes
    ----------
    probabilities
        float32 (R, N, K), R repeats of cross-validation, or one run on a test split.
    flags
        bool (R, N, K), whether the label is flagged; of labels that are not sought, whether it reaches its threshold.
    targets
        (N, K) of 1/0/NaN.
    groups
        int (N,).
    roles
        Of the labels.
    unclear
        bool (R, N), whether the answer is too close to call; None where that was not asked.
    most_probable
        int (R, N), the most probable class where some are left out here (-1 stands for those); None: as the
        probabilities say.
    """

    probabilities: np.ndarray
    flags: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    labels: tuple[str, ...]
    task: str
    roles: Roles
    unclear: np.ndarray | None = None
    most_probable: np.ndarray | None = None

    @property
    def close(self) -> np.ndarray:
        """Which answers are too close to call, bool (R, N); none where that was not asked."""
        return np.zeros(self.flags.shape[:2], bool) if self.unclear is None else self.unclear

    @property
    def answers(self) -> np.ndarray:
        """The most probable class, int (R, N)."""
        return self.probabilities.argmax(2) if self.most_probable is None else self.most_probable

    def called(self, repeat: int, k: int) -> np.ndarray:
        """Tell where label k is said, bool (N,): the most probable class (multiclass), or flagged (multilabel)."""
        return self.flags[repeat, :, k] if self.task == "multilabel" else self.answers[repeat] == k

    def rows(self, rows: np.ndarray) -> Judged:
        """Take some of the rows."""
        return Judged(
            probabilities=self.probabilities[:, rows],
            flags=self.flags[:, rows],
            targets=self.targets[rows],
            groups=self.groups[rows],
            labels=self.labels,
            task=self.task,
            roles=self.roles,
            unclear=None if self.unclear is None else self.unclear[:, rows],
            most_probable=None if self.most_probable is None else self.most_probable[:, rows],
        )

    @property
    def repeats(self) -> range:
        """Numbers of the repeats."""
        return range(len(self.probabilities))


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
            add("ece", weighted.calibration_error(p.max(1), hit, np.arange(len(p))))
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
        threshold = float(limits[k]) if np.isfinite(limits[k]) else None
        rows.append(
            {
                "label": name,
                "n": int(truth.sum()),
                "role": judged.roles.of(name),
                **values,
                "operating_point": {
                    "threshold": threshold,
                    "target_sensitivity": sensitivity,
                    **point,
                    "counts": count_states(judged, k),
                    "words": describe_point(point["sensitivity"]["value"], point["specificity"]["value"]),
                },
            }
        )
    return rows


def count_states(judged: Judged, k: int) -> dict[str, Any] | None:
    """Count what is said of 100 with label k and of 100 without: flagged, unclear, not flagged; None if not sought.

    An answer is unclear where nothing at all is flagged; `n` and `groups` say on how many that rests.
    """
    if judged.roles.of(judged.labels[k]) != "sought":
        return None
    found: dict[str, Any] = {}
    for key, value in (("with", 1), ("without", 0)):
        rows = judged.targets[:, k] == value
        if not rows.any():
            found[key] = None
            continue
        flagged, unclear = float(judged.flags[:, rows, k].mean()), float(judged.close[:, rows].mean())
        parts = split_hundred((flagged, unclear, 1 - flagged - unclear))
        found[key] = dict(zip(("flagged", "unclear", "not_flagged"), parts, strict=True))
        found[key] |= {"n": int(rows.sum()), "groups": len(np.unique(judged.groups[rows]))}
    return found


def split_hundred(shares: Sequence[float]) -> list[int]:
    """Write shares that add up to 1 as whole numbers of 100 that add up to 100: those cut most are rounded up."""
    exact = np.maximum(np.asarray(shares, float), 0) * 100
    whole = np.floor(exact + 1e-9).astype(int)
    for k in np.argsort(-(exact - whole), kind="stable")[: 100 - int(whole.sum())]:
        whole[k] += 1
    return whole.tolist()


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
