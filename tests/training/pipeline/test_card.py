"""The evaluation passport: all that docs/card.md promises, nothing else, and true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import generated
import medloupe
from generated import table, tissue
from medloupe.data.digests import seen_in_training
from medloupe.data.labels import positive_label
from medloupe.modelfile.card import read_card
from places import ROOT
from trained import Trained

DOCUMENTED = (ROOT / "docs" / "card.md").read_text("utf-8")


@pytest.fixture
def card(trained: Trained) -> dict[str, Any]:
    return read_card(trained.onnx)


def test_the_documented_keys_are_the_keys(card: dict[str, Any]) -> None:
    said = DOCUMENTED.splitlines()
    documented = {key for row in re.findall(r"^\| (`.*?) \|", DOCUMENTED, re.M) for key in re.findall(r"`(\w+)`", row)}
    written = set(card) - {"onnx"}
    sometimes = {k for k in documented for row in said if row.startswith(f"| `{k}` | only ")}
    assert documented - written == sometimes
    assert written - documented == set()
    assert sometimes == {
        "finetuning",
        "search",
        "few_images",
        "started_from",
        "precision",
        "stress",
        "adapted",
        "inputs",
        "detection",
        "measurements",
        "composed",
        "localisation",
        "crop",
        "erased",
        "robust",
    }


def test_the_card_is_plain_json(card: dict[str, Any]) -> None:
    assert json.loads(json.dumps(card, allow_nan=False)) == card


def test_it_says_what_it_was_trained_on(card: dict[str, Any], trained: Trained) -> None:
    assert card["format"] == 1
    assert (card["name"], card["version"], card["task"]) == ("spots", 1, "multiclass")
    assert card["labels"] == ["normal", "sick"]
    assert card["label_counts"] == {"normal": 16, "sick": 16}
    assert card["positive"] == "sick"
    facts = card["data"]
    assert (facts["name"], facts["records"], facts["labelled"], facts["reader"]) == ("data", 32, 32, "folders")
    assert facts["unreadable"] == []
    assert facts["patients"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", card["created"])
    assert card["backbone"]["name"] == "efficientnet-lite0"
    assert card["split"]["scheme"] == "cross-validation"
    assert "32 images" in card["split"]["sentence"]
    assert str(trained.data) not in json.dumps(card), "a card tells nothing of the disk it was made on"


def test_every_figure_has_its_interval(card: dict[str, Any]) -> None:
    def figures(value: Any, path: str = "") -> list[str]:
        if isinstance(value, dict):
            if "value" in value:
                assert set(value) == {"value", "low", "high"}, path
                if value["value"] is not None and value["low"] is not None:
                    assert value["low"] <= value["value"] <= value["high"], path
                return [path]
            return [f for k, v in value.items() for f in figures(v, f"{path}/{k}")]
        return [f for i, v in enumerate(value) for f in figures(v, f"{path}/{i}")] if isinstance(value, list) else []

    found = figures(card)
    assert {"/metrics/auc", "/metrics/balanced_accuracy", "/metrics/majority_accuracy", "/metrics/ece"} <= set(found)
    assert sum(f.startswith("/per_label") for f in found) >= 2 * 8


def test_training_images_are_recognised_by_content(card: dict[str, Any], trained: Trained) -> None:
    from medloupe.data.contents import digest_image

    inside = [digest_image(p.read_bytes()) for p in sorted(trained.data.rglob("*.png"))]
    outside = [digest_image(bytes([i])) for i in range(100)]
    assert seen_in_training(card, [*inside, *outside]).tolist() == [True] * 32 + [False] * 100


def test_the_fingerprint_is_of_images_and_labels_not_of_names(home: Path, tmp_path: Path) -> None:
    def fingerprint(root: Path) -> str:
        return medloupe.train(medloupe.read(root), name="a").card["data"]["fingerprint"]

    root = generated.folders(tmp_path / "one", 5)
    first = fingerprint(root)
    (root / "sick" / "000.png").rename(root / "sick" / "zzz.png")
    assert fingerprint(root) == first
    (root / "sick" / "zzz.png").rename(root / "normal" / "zzz.png")
    assert fingerprint(root) != first


def test_names_tell_which_class_is_looked_for() -> None:
    assert positive_label(("NORMAL", "PNEUMONIA"), "multiclass") == "PNEUMONIA"
    assert positive_label(("Monkey_Pox", "Others"), "multiclass") == "Monkey_Pox"
    assert positive_label(("benign", "malignant"), "multiclass") == "malignant"
    assert positive_label(("a", "b", "c"), "multiclass") is None
    assert positive_label(("a", "b"), "multilabel") is None


def test_without_patients_it_warns_and_with_them_it_counts(card: dict[str, Any], home: Path, tmp_path: Path) -> None:
    assert any("names no patients" in w["text"] for w in card["warnings"])
    rows = [{"file": "", "label": ("normal", "sick")[i % 2], "patient_id": f"p{i // 3}"} for i in range(30)]
    root = table(tmp_path / "ward", rows, [tissue(i, i % 2 == 1) for i in range(30)])
    told = medloupe.train(medloupe.read(root), name="ward").card
    assert told["data"]["patients"] == 10
    assert told["split"]["groups"] == 10
    assert not any("names no patients" in w["text"] for w in told["warnings"])


def test_figures_that_chance_explains_are_called_so(home: Path, tmp_path: Path) -> None:
    """The same kind of picture under both labels: nothing to learn, and the card must say it first."""
    rows = [{"file": "", "label": ("normal", "sick")[i % 2]} for i in range(40)]
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 255, (64, 64, 3), dtype=np.uint8) for _ in rows]
    root = table(tmp_path / "noise", rows, pictures)
    told = medloupe.train(medloupe.read(root), name="noise").card
    assert told["metrics"]["auc"]["low"] <= 0.5 <= told["metrics"]["auc"]["high"] + 0.1
    assert told["warnings"][0]["level"] == "serious"
    assert "Not shown to be better than guessing" in told["warnings"][0]["text"]


def test_unsafe_claims_are_not_made(card: dict[str, Any]) -> None:
    assert "not a medical device" in card["intended_use"]
    assert any("knows only: normal, sick" in text for text in card["limits"])
