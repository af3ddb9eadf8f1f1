"""What of a card is checked before anyone relies on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tiny
import tinyecg
from medloupe.modelfile import schema


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ({"decision": [1]}, "'decision'"),
        ({"decision": {"weights": {"normal": "x"}}}, "weights"),
        ({"decision": {"weights": {"normal": float("nan")}}}, "weights"),
        ({"metrics": [1]}, "'metrics'"),
        ({"data": "x"}, "'data'"),
        ({"top_shown": "5"}, "'top_shown'"),
        ({"limits": 5}, "'limits'"),
        ({"limits": [5]}, "'limits'"),
    ],
)
def test_a_card_that_no_server_could_use_is_refused(tmp_path: Path, card: dict[str, Any], says: str) -> None:
    model = tiny.model(tmp_path)
    sound = {**model.card, "backbone": model.backbone.as_json()}
    assert schema.card_fault(sound) == ""
    assert says in schema.card_fault({**sound, **card})


@pytest.mark.parametrize(
    ("backbone", "says"),
    [
        ({"modality": "sound"}, "neither image nor ecg"),
        ({"leads": []}, "'leads'"),
        ({"leads": ["I", "I"]}, "twice"),
        ({"leads": ["I", 2]}, "'leads'"),
        ({"leads": [str(i) for i in range(65)]}, "1 to 64"),
        ({"rate": 0}, "'rate'"),
        ({"rate": 10**6}, "'rate'"),
        ({"rate": True}, "'rate'"),
        ({"before": -1}, "'before'"),
        ({"before": 100}, "'before'"),
        ({"before": None}, "'before'"),
        ({"places": [2, 8]}, "more than one row"),
        ({"places": 5}, "'places'"),
        ({"cut": [1, 2, 3]}, "'cut'"),
        ({"input_size": 0}, "'input_size'"),
    ],
)
def test_what_a_backbone_of_ecgs_says_is_checked(tmp_path: Path, backbone: dict[str, Any], says: str) -> None:
    card = tinyecg.model(tmp_path).card
    assert schema.card_fault(card) == ""
    assert says in schema.card_fault({**card, "backbone": {**card["backbone"], **backbone}})


def test_a_picture_needs_its_cut(tmp_path: Path) -> None:
    model = tiny.model(tmp_path)
    entry = model.backbone.as_json()
    assert "modality" not in entry, "cards of pictures stay as they always were"
    del entry["cut"]
    assert "'cut'" in schema.card_fault({**model.card, "backbone": entry})
