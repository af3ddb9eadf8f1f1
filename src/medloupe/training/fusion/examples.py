"""Pick a few judged records for the report: what the picture said, and how each input moved the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medloupe.embed.features import Features
from medloupe.training.fusion.ablation import JudgedInputs
from medloupe.training.fusion.choose import ChosenInputs
from medloupe.training.fusion.contributions import ALL, IMAGE

KINDS = ("towards the truth", "away from the truth", "typical")


def pick_influence_examples(features: Features, shown: JudgedInputs, inputs: ChosenInputs) -> list[dict[str, Any]]:
    """Pick the record moved furthest towards its true label, the one moved furthest away, and a typical one.

    Parameters
    ----------
    features : Features
        Of all readable records.
    shown : JudgedInputs
        How the judged records were answered.
    inputs : ChosenInputs
        What they state.

    Returns
    -------
    list of dict
        Each with file, kind, label (its true one), probability of it by the picture alone (`before`) and with the
        inputs (`after`), and for each input name, value, and the logits it adds by label. Of notes only their length is
        told.
    """
    data = features.data
    before, after = shown.systems[IMAGE][0], shown.systems[ALL][0]
    targets = data.targets[shown.rows]
    true = np.where(np.isnan(targets), 0, targets)
    label = np.where(true == 1, np.abs(after - before), -1).argmax(1)
    at = np.arange(len(true))
    known = (true[at, label] == 1) & (shown.effects != 0).any((1, 2))
    if not known.any():
        return []
    gained = np.where(known, after[at, label] - before[at, label], np.nan)
    size = np.abs(gained)
    picked = (int(np.nanargmax(gained)), int(np.nanargmin(gained)), int(np.nanargmin(abs(size - np.nanmedian(size)))))
    said = []
    for kind, i in zip(KINDS, picked, strict=True):
        if (gained[i] > 0) != (kind == KINDS[0]) and kind != KINDS[2]:
            continue  # none was moved that way
        row, k = int(shown.rows[i]), label[i]
        said.append(
            {
                "file": data.records[row].id,
                "kind": kind,
                "label": data.labels[k],
                "separate": data.task == "multilabel",
                "before": round(float(before[i, k]), 4),
                "after": round(float(after[i, k]), 4),
                "inputs": _describe_effects(shown, i, inputs, data.labels),
            }
        )
    return said


def _describe_effects(shown: JudgedInputs, i: int, inputs: ChosenInputs, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Describe each input of judged record i that adds anything."""
    row = int(shown.rows[i])
    return [
        {
            "name": name,
            "value": _show_value(inputs, row, name),
            "effects": {c: round(float(v), 4) for c, v in zip(labels, shown.effects[i, j], strict=True)},
        }
        for j, name in enumerate(shown.names)
        if shown.effects[i, j].any()
    ]


def _show_value(inputs: ChosenInputs, row: int, name: str) -> str:
    text = inputs.rows[row].get(name, "")
    if name == inputs.notes:
        return f"{len(text):,} letters" if text else "none"
    return text or "not stated"
