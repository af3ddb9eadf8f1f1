"""The word for how strong a model is: by the lower end, by how many, by what its card says against it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from medloupe.model.strength import judge_strength
from medloupe.starter.shipped import find_folders


def card(low: Any = 0.92, *, test: Any = 400, groups: Any = 350, labelled: Any = 2000, **more: Any) -> dict[str, Any]:
    split = {"test": test, "groups": groups}
    return {"metrics": {"auc": {"value": 0.95, "low": low}}, "split": split, "data": {"labelled": labelled}, **more}


@pytest.mark.parametrize(
    ("judged", "mark"),
    [
        (card(), "strong"),
        (card(0.9), "strong"),
        (card(0.899), "moderate"),
        (card(0.75), "moderate"),
        (card(0.749), "weak"),
        (card(test=299), "moderate"),
        (card(test=99), "weak"),
        (card(groups=99), "moderate"),
        (card(groups=29), "weak"),
        (card(test=None), "strong"),
        (card(test=None, labelled=250), "moderate"),
        (card(decision={"weak": True}), "weak"),
        (card(decision={"weak": False}), "strong"),
        (card(decision={"measured": {"flagged_without": {"value": 0.3}}}), "strong"),
        (card(decision={"measured": {"flagged_without": {"value": 0.31}}}), "moderate"),
        (card(decision={"measured": {"flagged_without": {"value": 0.51}}}), "weak"),
        (card(decision={"measured": {"flagged_without": {"value": None}}}), "strong"),
        (card(adapted={"figures": {"after": {"auc": {"low": 0.84}}}}), "moderate"),
        (card(adapted={"figures": {"after": {"auc": {"low": 0.86}}}}), "strong"),
    ],
)
def test_the_rule(judged: dict[str, Any], mark: str) -> None:
    assert judge_strength(judged).mark == mark


@pytest.mark.parametrize("low", [None, "0.9", float("nan"), True])
def test_what_was_not_judged_has_no_mark(low: Any) -> None:
    assert judge_strength(card(low)).mark == "unknown"


@pytest.mark.parametrize("broken", [{}, {"metrics": 3}, {"metrics": {"auc": []}}])
def test_a_card_of_another_hand(broken: dict[str, Any]) -> None:
    assert judge_strength(broken).mark == "unknown"
    assert judge_strength(card() | {"split": None, "data": "x"}).mark == "weak", "on how many is not known"


def test_no_more_groups_than_were_judged() -> None:
    judged = judge_strength(card(test=150, groups=1500))
    assert (judged.examples, judged.groups, judged.mark) == (150, 150, "moderate")


def test_the_shipped_check_ups() -> None:
    """Each mark follows from the card as it is, and none that misses too many is more than weak."""
    for folder in find_folders().values():
        found = json.loads((folder / "card.json").read_text("utf-8"))
        judged = judge_strength(found)
        low = found["metrics"]["map50" if found["task"] == "detection" else "auc"]["low"]
        assert judged.low == pytest.approx(low)
        assert judged.mark in ("strong", "moderate", "weak")
        assert not (found["decision"]["weak"] and judged.mark != "weak")
        assert not (judged.mark == "strong" and low < (0.8 if found["task"] == "detection" else 0.9))


def detector(*measurements: Any) -> dict[str, Any]:
    boxes = [{"label": "heart", "boxes": 600}]
    return {
        "task": "detection",
        "metrics": {"map50": {"value": 0.99, "low": 0.98}},
        "split": {"test": None, "groups": 200},
        "data": {"labelled": 200},
        "detection": {"per_label": boxes},
        "measurements": list(measurements),
    }


def measured(high: Any, plain: Any = 0.06) -> dict[str, Any]:
    return {"figures": {"mean_absolute_error": {"high": high}, "always_the_mean": {"value": plain}}}


@pytest.mark.parametrize(
    ("judged", "mark"),
    [
        (detector(), "strong"),
        (detector(measured(0.03)), "strong"),
        (detector(measured(0.031)), "moderate"),
        (detector(measured(0.03), measured(0.04)), "moderate"),
        (detector(measured(None)), "moderate"),
        (detector(measured(0.01, None)), "moderate"),
        (detector("x"), "moderate"),
        ({**detector(), "measurements": None}, "strong"),
    ],
)
def test_well_found_boxes_may_measure_badly(judged: dict[str, Any], mark: str) -> None:
    assert judge_strength(judged).mark == mark


def test_a_detector_that_never_saw_a_picture_without_is_not_strong() -> None:
    sought = {**detector(), "roles": {"labels": {"polyp": {"role": "sought", "danger": 1}}}}
    assert judge_strength(sought).mark == "moderate"
    assert judge_strength({**sought, "decision": {"measured": {"flagged_without": {"value": 0.1}}}}).mark == "strong"
    assert judge_strength({**sought, "roles": {"labels": "polyp"}}).mark == "strong"
