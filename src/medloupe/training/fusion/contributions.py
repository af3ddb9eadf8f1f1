"""Compare the AUC of picture, table and notes, alone and together, with paired differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric, Ranking

IMAGE, TABLE, NOTES, ALL, NOTHING = "image", "table", "notes", "all", "everything removed"
WITH_TABLE, WITH_NOTES = "image+table", "image+notes"
_TRIVIAL = ((NOTHING, TABLE), (NOTHING, NOTES))
Systems = Mapping[str, np.ndarray]  # probabilities float32 (R, N, K) by name


def compare_contributions(
    systems: Systems, targets: np.ndarray, groups: np.ndarray, task: str, seed: int = 0
) -> list[dict[str, Any]]:
    """Compare the macro AUC of systems that read different inputs.

    Parameters
    ----------
    systems : mapping of str to np.ndarray
        Probabilities float32 (R, N, K) by name.
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,).
    task : str
        "multiclass" or "multilabel".
    seed : int
        Of the bootstrap, whose draws all share, so that differences are paired.

    Returns
    -------
    list of dict
        A row a system, in their order: name, macro AUC, and its paired differences to the image, the table and the
        notes alone.
    """
    drawn = _draw_aucs(systems, targets, groups, seed)
    binary = task == "multiclass" and targets.shape[1] == 2
    sides = [len(np.unique(groups[targets[:, -1] == side])) for side in (1, 0)]
    rows = []
    for name, values in drawn.items():
        auc = weighted.summarise(values)
        row: dict[str, Any] = {"name": name, "auc": weighted.widen_auc_interval(auc, *sides) if binary else auc}
        for against, key in ((IMAGE, "over_image"), (TABLE, "over_table"), (NOTES, "over_notes")):
            apart = against in drawn and name not in (IMAGE, TABLE, NOTES) and (name, against) not in _TRIVIAL
            row[key] = weighted.summarise(values - drawn[against]) if apart else None
        rows.append(row)
    return rows


def _draw_aucs(systems: Systems, targets: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Compute the macro AUC (1 + B,) of each system, averaged over its repeats: as it is, then of each draw."""
    columns = range(targets.shape[1])
    judges = {
        name: [weighted.average([Ranking(p[:, k], targets[:, k]).auc for k in columns]) for p in probability]
        for name, probability in systems.items()
    }
    values: dict[str, list[np.ndarray]] = {name: [] for name in systems}
    with np.errstate(invalid="ignore", divide="ignore"):
        for weights in weighted.bootstrap_weights(groups, seed):
            for name, repeats in judges.items():
                values[name].append(np.mean([judge(weights) for judge in repeats], axis=0))
    return {name: np.concatenate(v) for name, v in values.items()}


def word_contributions(rows: Sequence[Mapping[str, Any]], used: Sequence[str], unused: Sequence[str], noun: str) -> str:
    """Put the table into a sentence or two.

    Parameters
    ----------
    rows : sequence of mapping
        Of `compare_contributions`.
    used, unused : sequence of str
        Names of the inputs the model has, and of those that add nothing.
    noun : str
        What a picture or recording is called.
    """
    by_name = {row["name"]: row for row in rows}
    more = _list_names(unused)
    if not used:
        return (
            f"{more[:1].upper()}{more[1:]} {'adds' if len(unused) == 1 else 'add'} nothing to the {noun} that is more"
            f" than noise; the model reads the {noun} alone."
        )
    whole, image = by_name[ALL], by_name[IMAGE]
    said = f"With {_list_names(used)} the AUC is {_format_auc(whole)}; the {noun} alone reaches {_format_auc(image)}"
    said += _word_gain(whole["over_image"])
    for key, what in (("over_table", "table"), ("over_notes", "notes")):
        over: Metric | None = whole[key]
        if over is not None and over["low"] is not None and over["high"] is not None:
            clear = "" if over["low"] > 0 or over["high"] < 0 else ", which may be noise"
            said += (
                f" Over the {what} alone it is {over['value']:+.3f} ({over['low']:+.3f} to {over['high']:+.3f}){clear}."
            )
    if unused:
        said += f" {more[:1].upper()}{more[1:]} {'adds' if len(unused) == 1 else 'add'} nothing beyond that, and"
        said += f" {'is' if len(unused) == 1 else 'are'} not asked for."
    return said.replace("-0.", "−0.").replace("(-", "(−")


def _word_gain(gained: Metric) -> str:
    """End the sentence by how much the inputs add, and whether that may be noise."""
    low, high = gained["low"], gained["high"]
    value = gained["value"] or 0.0
    if low is None or high is None:
        return "."
    if low > 0:
        return f". That is {value:.3f} more (95% interval {low:.3f} to {high:.3f})."
    if high < 0:
        return f". That is {-value:.3f} less (95% interval {-high:.3f} to {-low:.3f}): do without these inputs."
    return (
        f". The difference, {value:+.3f} (95% interval {low:+.3f} to {high:+.3f}), may be noise: the percentages"
        " fit better, but the ranking of patients is not shown to be better."
    )


def _format_auc(row: Mapping[str, Any]) -> str:
    auc = row["auc"]
    if auc["value"] is None:
        return "not known"
    return f"{auc['value']:.3f}" + (f" ({auc['low']:.3f} to {auc['high']:.3f})" if auc["low"] is not None else "")


def _list_names(names: Sequence[str]) -> str:
    shown = [n.replace("_", " ") for n in names]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " and " + shown[-1] if shown else ""
