"""Examples of how inputs moved an answer."""

from __future__ import annotations

import numpy as np

from medloupe.training.fusion.ablation import JudgedInputs
from medloupe.training.fusion.choose import ChosenInputs
from medloupe.training.fusion.contributions import ALL, IMAGE
from medloupe.training.fusion.examples import pick_influence_examples
from weighed import patients

FOUND = patients(6, missing=0)
INPUTS = ChosenInputs(
    columns=("age",), notes="notes", mask=(), rows=FOUND.rows, left_out=(), stating=(), probes=(), findings=(), said=()
)


def shown(effects: np.ndarray) -> JudgedInputs:
    before = np.full((1, 6, 2), 0.5, np.float32)
    z = effects.sum(1)
    after = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return JudgedInputs(
        rows=np.arange(6),
        systems={IMAGE: before, ALL: after[None].astype(np.float32)},
        names=("age", "notes"),
        effects=effects,
    )


def toward_truth(strength: list[float]) -> np.ndarray:
    true = FOUND.targets.argmax(1)
    effects = np.zeros((6, 2, 2), np.float32)
    effects[np.arange(6), 0, true] = strength
    return effects


def test_the_furthest_and_a_typical_one() -> None:
    found = pick_influence_examples(FOUND.features(), shown(toward_truth([2, -1, 0.5, 0.1, -3, 0.4])), INPUTS)
    assert [int(m["file"]) for m in found][:2] == [0, 4]
    first = found[0]
    assert first["inputs"][0]["name"] == "age" and first["inputs"][0]["value"] == FOUND.rows[0]["age"]
    assert [e["name"] for e in first["inputs"]] == ["age"], "an input that adds nothing is not listed"
    assert first["before"] == 0.5 < first["after"] == round(float(1 / (1 + np.exp(-2))), 4)


def test_a_direction_in_which_none_was_moved_is_not_shown() -> None:
    found = pick_influence_examples(FOUND.features(), shown(toward_truth([2, 1, 0.5, 0.1, 3, 0.4])), INPUTS)
    assert [m["kind"] for m in found] == ["towards the truth", "typical"]
    assert pick_influence_examples(FOUND.features(), shown(np.zeros((6, 2, 2), np.float32)), INPUTS) == []


def test_notes_are_told_by_their_length() -> None:
    effects = toward_truth([1.0] * 6)
    effects[:, 1] = effects[:, 0]
    entry = pick_influence_examples(FOUND.features(), shown(effects), INPUTS)[0]["inputs"][1]
    assert entry["value"] == f"{len(FOUND.rows[0]['notes'])} letters"
