"""Say in sentences, to a doctor, what a local fit came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medloupe.data.labels import positive_label
from medloupe.metrics import calibration
from medloupe.training.adapt.fit import LocalFit
from medloupe.training.adapt.recalibrate import KINDS

FEW = 20  # cases of a label below which its sensitivity is hardly known
_HALF_WIDTHS = (0.10, 0.05)  # of a sensitivity's interval, for which the cases needed are told


def describe_fit(fitting: LocalFit, entry: Mapping[str, Any]) -> list[str]:
    """Say what a doctor needs to know, a sentence or two each.

    Parameters
    ----------
    fitting : LocalFit
        What came of the cases.
    entry : mapping
        The card's entry `adapted`, but for these words.
    """
    out, n = entry["left_out"], entry["n"]
    first = f"Held against {n:,} cases of {entry['data']} ({entry['groups']:,} groups of patients and copies)."
    if out["seen"]:
        first += f" {out['seen']:,} more were left out: the model had seen them before."
    said = [first, _describe_calibration(fitting, entry)]
    shown = _shown_label(fitting)
    for row in entry["labels"]:
        if shown is not None and row["label"] != shown:
            continue
        if row["after"] is not None:
            said.append(f"{row['label']}: {_describe_operating_point(row)}")
        if row["note"]:
            said.append(row["note"])
    return said


def _describe_calibration(fitting: LocalFit, entry: Mapping[str, Any]) -> str:
    lost, kind = entry["figures"], fitting.calibration.kind
    old, new, apart = (lost[side]["log_loss"] for side in ("before", "after", "difference"))
    if kind == KINDS[0]:
        return (
            "Calibration holds here: no other percentages did better than chance explains (log loss"
            f" {old['value']:.3f}, calibration error {lost['before']['ece']['value']:.3f}). They stay as they are;"
            " only the operating points were set anew."
        )
    what = {
        KINDS[1]: "shifted to how common each label is here",
        KINDS[2]: "shifted to how common each label is here, and made "
        + ("less sure" if float(np.mean(fitting.calibration.scale)) < 1 else "surer"),
    }[kind]
    interval = "" if apart["low"] is None else f", {apart['low']:+.3f} to {apart['high']:+.3f}"
    sure = "" if apart["high"] is not None and apart["high"] < 0 else " That may still be chance."
    return (
        f"Calibration does not hold here: the percentages were {what}. On cases that took no part in it the log loss"
        f" went from {old['value']:.3f} to {new['value']:.3f} ({apart['value']:+.3f}{interval}).{sure} The order in"
        " which it ranks images "
        + ("stays." if len(fitting.model.labels) == 2 or fitting.before.task == "multilabel" else "hardly changes.")
    )


def _describe_operating_point(row: Mapping[str, Any]) -> str:
    point = row["after"]
    sensitivity, words = point["sensitivity"], point["words"]
    if sensitivity["low"] is not None:
        words = words.replace(
            " of 100 cases", f" of 100 cases ({100 * sensitivity['low']:.0f} to {100 * sensitivity['high']:.0f})", 1
        )
    ppv, npv = point["ppv"]["value"], point["npv"]["value"]
    if ppv is not None and npv is not None:
        words += f". Of 100 flagged here, {100 * ppv:.0f} have it; of 100 not flagged, {100 * (1 - npv):.0f}"
    return words + "."


def describe_shortage(fitting: LocalFit, row: Mapping[str, Any]) -> str:
    """Say of one label that its cases are too few, and how many would do; "" where they are enough.

    Parameters
    ----------
    fitting : LocalFit
        What came of the cases.
    row : mapping
        The label's, of `tabulate_labels`.
    """
    aim, name, cases = fitting.sensitivity, row["label"], row["groups"]
    needed = " and ".join(f"{calibration.cases_needed(aim, h):,} for ±{h:.2f}" for h in _HALF_WIDTHS)
    if row["after"] is None:
        return (
            f"{name}: {cases:,} independent {'case' if cases == 1 else 'cases'} here; its line stays where it was."
            f" A sensitivity near {aim:g} needs {needed}."
        )
    if cases < FEW:
        return (
            f"{name}: only {cases:,} independent cases here, so its sensitivity is hardly known. It needs about"
            f" {needed}."
        )
    return ""


def _shown_label(fitting: LocalFit) -> str | None:
    """Of two classes the one that is looked for; None where all are told."""
    card = fitting.model.card
    return card.get("positive") or positive_label(fitting.model.labels, fitting.before.task)
