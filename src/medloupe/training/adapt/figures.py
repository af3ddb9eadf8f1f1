"""Measure how a model fares on local cases before it is fitted to them and after: percentages, lines, prevalence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from medloupe.metrics import calibration, tables, weighted
from medloupe.metrics.tables import Judged
from medloupe.metrics.weighted import Metric, Weighted
from medloupe.model.decision import Decision
from medloupe.training.adapt.fit import LocalFit

_MOST = 40  # labels whose calibration is judged one by one


def compare_figures(fitting: LocalFit) -> dict[str, Any]:
    """Compare a model before and after: the figures of both, and their paired differences (after - before).

    Returns
    -------
    dict
        By "before", "after" and "difference", then by figure: its value and 95 % interval, over the same draws of
        groups.
    """
    before, after, seed = fitting.before, fitting.after, fitting.seed
    measures = {
        "log_loss": calibration.log_loss,
        "brier": lambda p, y, task: weighted.brier(p, y),
        "ece": calibration.expected_calibration_error,
    }
    wanted: dict[str, Weighted] = {}
    for name, measure in measures.items():
        old, new = (weighted.average([measure(p, j.targets, j.task) for p in j.probabilities]) for j in (before, after))
        wanted |= {f"before {name}": old, f"after {name}": new, f"difference {name}": _difference(new, old)}
    found = weighted.bootstrap_intervals(wanted, before.groups, seed)
    said = {side: {name: found[f"{side} {name}"] for name in measures} for side in ("before", "after", "difference")}
    for side, judged in (("before", before), ("after", after)):
        headline = tables.headline(judged, seed)
        said[side] |= {name: headline[name] for name in ("auc", "balanced_accuracy")}
    return said


def _difference(new: Weighted, old: Weighted) -> Weighted:
    return lambda weights: new(weights) - old(weights)


def tabulate_labels(fitting: LocalFit) -> list[dict[str, Any]]:
    """Tabulate calibration and operating point before and after, a row a label that occurs here.

    Returns
    -------
    list of dict
        `after` is None where the cases are too few for a line of its own; then the old one stays.
    """
    targets = fitting.before.targets
    here = np.flatnonzero((targets == 1).any(0))
    sides = {
        "before": (_select_labels(fitting.before, here), _previous_limits(fitting)[here]),
        "after": (_select_labels(fitting.after, here), fitting.lines[here]),
    }
    points = {
        side: {row["label"]: row for row in tables.per_label(judged, limits, fitting.sensitivity, fitting.seed)}
        for side, (judged, limits) in sides.items()
    }
    rows = []
    for k in here.tolist():
        name = fitting.model.labels[k]
        cases = len(np.unique(fitting.before.groups[targets[:, k] == 1]))
        row: dict[str, Any] = {"label": name, "n": points["after"][name]["n"], "groups": cases}
        row["auc"] = points["before"][name]["auc"]
        row["slope"], row["intercept"] = (
            _measure_reliability(fitting, k, measure) if len(here) <= _MOST else None
            for measure in (calibration.slope, calibration.intercept)
        )
        row["before"] = points["before"][name]["operating_point"]
        row["after"] = points["after"][name]["operating_point"] if fitting.ready[k] else None
        rows.append(row)
    return rows


def _measure_reliability(fitting: LocalFit, k: int, measure: Any) -> dict[str, Metric]:
    """Slope or intercept of label k, before and after. Of the repeats after, the first: they differ little."""
    truth = fitting.before.targets[:, k]
    sides = (("before", fitting.before), ("after", fitting.after))
    wanted = {side: measure(judged.probabilities[0][:, k], truth) for side, judged in sides}
    return weighted.bootstrap_intervals(wanted, fitting.before.groups, fitting.seed)


def _select_labels(judged: Judged, labels: np.ndarray) -> Judged:
    """Keep some of the labels."""
    place = np.full(len(judged.labels), -1)
    place[labels] = np.arange(len(labels))
    return Judged(
        probabilities=judged.probabilities[:, :, labels],
        flags=judged.flags[:, :, labels],
        most_probable=place[judged.answers],
        unclear=judged.unclear,
        roles=replace(judged.roles, labels=tuple(judged.labels[k] for k in labels)),
        targets=judged.targets[:, labels],
        groups=judged.groups,
        labels=tuple(judged.labels[k] for k in labels),
        task=judged.task,
    )


def _previous_limits(fitting: LocalFit) -> np.ndarray:
    return Decision.from_card(fitting.model.card).rule.lines.astype(np.float64)


def measure_prevalence(fitting: LocalFit) -> dict[str, Any]:
    """Count each label's cases, and measure their share with its interval over groups."""
    targets, groups = fitting.before.targets, fitting.before.groups
    known = ~np.isnan(targets)
    labels = fitting.model.labels
    shares = weighted.bootstrap_intervals(
        {n: weighted.share(targets[:, k] == 1, known[:, k]) for k, n in enumerate(labels) if known[:, k].any()},
        groups,
        fitting.seed,
    )
    independent = len(np.unique(groups))
    return {
        name: {"n": int((targets[:, k] == 1).sum()), **weighted.widen_share_interval(shares[name], independent)}
        for k, name in enumerate(labels)
        if name in shares and (targets[:, k] == 1).any()
    }
