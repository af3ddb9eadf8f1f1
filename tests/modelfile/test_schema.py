"""What of a card is checked before anyone relies on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import tiny
import tinyecg
from medloupe.modelfile import schema
from medloupe.modelfile.card import read_card
from medloupe.starter import shipped
from oddcards import odd_cards
from places import GOLDEN, ROOT
from trained import Trained

PUBLISHED = ROOT / "docs" / "card.schema.json"


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


def validated(card: dict[str, Any]) -> None:
    """Against what is published, by somebody else's program."""
    jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text("utf-8"))).validate(card)
    assert schema.card_fault(card) == ""


def test_the_published_schema_is_that_of_the_code() -> None:
    published = json.loads(PUBLISHED.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(published)
    again = "python -m medloupe.modelfile.schema > docs/card.schema.json"
    assert published == schema.json_schema(), f"make it anew: {again}"


@pytest.mark.parametrize("name", shipped.list_shipped())
def test_shipped_cards_fit_the_schema(name: str) -> None:
    validated(json.loads(json.dumps(dict(shipped.load_shipped(name).card))))


def test_whatever_stands_in_any_place_is_judged_not_stumbled_over() -> None:
    card = read_card(GOLDEN / "tiny-v1.onnx")
    card["backbone"] |= {"modality": "image"}
    for where, odd in odd_cards(card):
        assert isinstance(schema.card_fault(odd), str), where


def test_old_cards_fit_the_schema() -> None:
    validated(read_card(GOLDEN / "tiny-v1.onnx"))


def test_a_new_card_fits_the_schema(trained: Trained) -> None:
    card = read_card(trained.onnx)
    validated(card)
    unknown = set(card) - set(schema.ModelCard.model_fields) - {"onnx"}
    assert not unknown, "describe what is written"


def test_keys_that_are_not_known_are_kept(tmp_path: Path) -> None:
    model = tiny.model(tmp_path, organs={"seen": ["lung"]}, ordered=True)
    model.save(tmp_path / "m.onnx")
    card = read_card(tmp_path / "m.onnx")
    assert (card["organs"], card["ordered"]) == ({"seen": ["lung"]}, True)
    validated(card)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "has no proper name"),
        ({"name": "a\nb"}, "has no proper name"),
        ({"task": "regression"}, "has the task 'regression', neither multiclass nor multilabel nor detection"),
        ({"labels": []}, "must list 1 to 10,000 labels, each a text that is not empty"),
        ({"labels": ["a", 1]}, "must list 1 to 10,000 labels, each a text that is not empty"),
        ({"labels": ["a", "b", "a"]}, "names the label 'a' twice"),
        ({"version": 1.5}, "has a version that is no whole number"),
        ({"version": True}, "has a version that is no whole number"),
        ({"backbone": "lite0"}, "does not describe its backbone"),
        ({"decision": {"weights": {"normal": 10**400}}}, "has weights of its decision that are no numbers"),
        ({"per_label": [{"label": "other", "operating_point": {}}]}, "has a row in per_label without a known label"),
        ({"per_label": [{"label": "normal"}]}, "has a row in per_label without a known label or an operating point"),
        (
            {"per_label": [{"label": "normal", "operating_point": {"threshold": True}}]},
            "has an operating point of 'normal' that is no number",
        ),
        ({"top_shown": 0}, "has a 'top_shown' that is no whole number"),
        ({"licence": 5}, "has a 'licence' that is no text"),
        ({"audit": []}, "has a 'audit' that is no object"),
        ({"warnings": ["small"]}, "has 'warnings' that are no list of objects with a level and a text"),
    ],
)
def test_what_is_wrong_is_said_in_words(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    model = tiny.model(tmp_path)
    assert schema.card_fault({**model.card, "backbone": model.backbone.as_json(), **change}).startswith(says)


def test_all_that_is_missing_is_named() -> None:
    assert schema.card_fault({"name": 5, "labels": []}) == "has no task, backbone"
    assert schema.card_fault([]) == "is not an object"


@pytest.mark.parametrize("name", ["../lite0", "C:lite0", "lite0.onnx"])
def test_a_backbone_is_named_and_no_path(tmp_path: Path, name: str) -> None:
    model = tiny.model(tmp_path)
    entry = {**model.backbone.as_json(), "name": name}
    assert schema.card_fault({**model.card, "backbone": entry}) == "names a path as its backbone"


@pytest.mark.parametrize(
    ("applies", "sound"),
    [
        ([{"question": "age", "values": ["child"], "choices": ["child", "adult"]}], True),
        ([{"question": "purpose", "values": ["grade"]}, {"question": "view", "values": ["frontal", "lateral"]}], True),
        (None, True),
        ([], True),
        ({"question": "age", "values": ["child"]}, False),
        ([{"question": "age", "values": []}], False),
        ([{"question": "age"}], False),
        ([{"question": "Age?", "values": ["child"]}], False),
        ([{"question": "age", "values": ["a, b"]}], False),
        ([{"question": "age", "values": [" "]}], False),
        ([{"question": "age", "values": ["child"], "choices": "child"}], False),
        ([{"question": "age", "values": [str(i) for i in range(13)]}], False),
    ],
)
def test_whom_it_is_for_is_said_as_questions_with_choices(tmp_path: Path, applies: Any, sound: bool) -> None:
    card = {**tiny.model(tmp_path).card, "backbone": tiny.backbone(tmp_path).as_json(), "applies": applies}
    wrong = "has an 'applies' that is no list of questions, each with the choices that it is for"
    assert schema.card_fault(card) == ("" if sound else wrong)
