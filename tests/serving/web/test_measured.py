"""What was computed from boxes, in words of both languages."""

from __future__ import annotations

from medloupe.serving.web.headline import describe_state
from medloupe.serving.web.language import language
from medloupe.serving.web.measured import word_measurements

EN, FR = language("en"), language("fr")
CTR = {"name": "ctr", "value": 0.523, "low": 0.44, "high": 0.61}


def named(label: str) -> str:
    return {"heart": "cœur"}.get(label, label)


def test_a_value_stands_with_its_interval() -> None:
    (said,) = word_measurements({"measurements": [CTR]}, EN, str)
    assert "Cardiothoracic ratio" in said and "0.52" in said and "0.44 and 0.61" in said
    (said,) = word_measurements({"measurements": [CTR]}, FR, named)
    assert "0,52" in said and "0,44 et 0,61" in said


def test_what_is_missing_is_named_in_the_readers_language() -> None:
    lacking = {"name": "ctr", "value": None, "low": None, "high": None, "why": "not found: heart, left_lung"}
    (said,) = word_measurements({"measurements": [lacking]}, FR, named)
    assert "non mesuré" in said and "cœur" in said and "left_lung" in said


def test_a_measurement_of_ones_own_keeps_its_name_and_what_is_not_judged_is_said() -> None:
    (said,) = word_measurements({"measurements": [{"name": "ratio", "value": 1.5, "low": None, "high": None}]}, EN, str)
    assert said.startswith("Ratio: 1.50") and "not judged" in said
    assert word_measurements({}, EN, str) == ()
    assert word_measurements({"measurements": [CTR], "asked": {"cells": []}}, EN, str) == (), "of composed answers"


def test_it_is_the_headline_where_there_is_one() -> None:
    said = {"model": "heart", "version": 1, "state": "answered", "probabilities": {}, "boxes": [], "lines": {}}
    assert describe_state({**said, "measurements": [CTR]}, None, EN).text == "Cardiothoracic ratio 0.52 (0.44 to 0.61)"
    assert describe_state({**said, "measurements": [{**CTR, "value": None}]}, None, EN).text == "Nothing is marked"
