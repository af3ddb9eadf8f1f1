"""What a page says and draws of boxes."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from medloupe.serving.engine.checkup import CheckUp
from medloupe.serving.engine.figures import FoundFigures, read_found
from medloupe.serving.web.boxes import best_box, view_boxes, word_finding, word_found
from medloupe.serving.web.boxshapes import SHAPES, draw_path
from medloupe.serving.web.headline import describe_state
from medloupe.serving.web.language import language
from medloupe.serving.web.summary import label_namer
from medloupe.starter.shipped import load_shipped

EN, FR = language("en"), language("fr")


def answer(*boxes: tuple[str, float], state: str = "answered", **more: Any) -> dict[str, Any]:
    return {
        "model": "cells",
        "version": 1,
        "state": state,
        "prediction": "red",
        "flagged": [],
        "probabilities": {"red": 0.9, "white": 0.2},
        "boxes": [
            {"label": n, "score": s, "x": 10.0 * i, "y": 5.0, "w": 8.0, "h": 6.0} for i, (n, s) in enumerate(boxes)
        ],
        "lines": {"red": 0.5, "white": 0.8},
        "counts": {"red": 3, "white": 0},
        "picture": {"width": 100, "height": 80, "notes": []},
        **more,
    }


def test_marked_ones_are_drawn_apart_from_those_below() -> None:
    said = answer(("red", 0.9), ("white", 0.79), ("red", 0.5), ("red", 0.4))
    view = view_boxes(said, None, EN, label_namer(said, EN))
    assert view is not None and (view.width, view.height) == (100, 80)
    red, white = view.labels
    assert (red.total, red.unsure, white.total, white.unsure) == (2, 1, 0, 1)
    assert len(red.marked.split("\n")) == 2 and len(red.below.split("\n")) == 1 and white.marked == ""
    assert [row.number for row in view.rows] == ["1", "3"], "numbers stay when lines move"
    assert [len(kind["rows"]) for kind in json.loads(view.data)] == [3, 1]
    assert "2 boxes" in view.about and red.line == 50.0 and red.line_text == "0.5"


def test_headlines_speak_of_boxes_not_of_the_whole_picture() -> None:
    found = describe_state(answer(("red", 0.9), ("red", 0.6), ("white", 0.7)), None, EN)
    assert found.text == "Found: 2 red" and found.lines == ()
    assert describe_state(answer(("red", 0.4)), None, EN).text == "Nothing is marked"
    clear = describe_state(answer(state="clear"), None, EN)
    assert "no all-clear" in clear.text and not any("most probable" in line for line in clear.lines)
    up = describe_state(answer(("red", 0.7), state="flagged", flagged=["red"]), None, EN)
    assert "red 70%" in up.text, "the score of the box, not 90% of the whole picture"


def test_a_shipped_check_up_that_counts_says_how_many() -> None:
    """Its labels in the plural; what is counted goes before what is marked, as it is nearer to the truth."""
    checkup = CheckUp.of(load_shipped("blood_cells"))
    said = answer(("RBC", 0.9), lines={"RBC": 0.5}, counts={"RBC": 12, "WBC": 1, "Platelets": 0})
    said |= {"model": "blood_cells", "version": None}
    assert describe_state(said, checkup, EN).text == "Counted: 12 red cells and 1 white cell"
    assert describe_state(said, checkup, FR).text == "Compté\u00a0: 12 globules rouges et 1 globule blanc"


def test_what_is_remembered_beside_another_answer_says_the_same() -> None:
    short = {"marked": {"red": 2, "white": 0}, "surest": {"red": 0.7}, "state": "answered", "probabilities": {}}
    assert word_found(short, EN, str) == "2 red" and best_box(short, "red") == 0.7 and best_box(short, "white") is None
    assert describe_state(short, None, EN).text == "Found: 2 red"


@pytest.mark.parametrize(
    ("sensitivity", "false", "words"),
    [
        (0.88, 0.25, "one false mark in 4 pictures"),
        (0.88, 1.0, "with 1.0 false marks a picture"),
        (0.88, 0.0, "without a false mark"),
        (None, 1.0, "not judged"),
    ],
)
def test_how_well_it_is_found(sensitivity: float | None, false: float, words: str) -> None:
    row = {
        "label": "red",
        "line": 0.4,
        "boxes": 50,
        "sensitivity": {"value": sensitivity},
        "false_marks": {"value": false},
    }
    found = read_found({"detection": {"per_label": [row]}, "split": {"test": 53}})["red"]
    assert words in word_finding("Red", found, EN)
    assert word_finding("Red", found, FR)


def test_odd_cards_say_nothing() -> None:
    for odd in ({}, {"detection": []}, {"detection": {"per_label": [3, {}]}}, {"detection": {"per_label": "x"}}):
        assert all(isinstance(f, FoundFigures) for f in read_found(odd).values())


@pytest.mark.parametrize("place", range(len(SHAPES)))
def test_each_shape_stays_within_its_box_and_differs(place: int) -> None:
    path = draw_path([(10.0, 20.0, 40.0, 30.0)], place)
    assert path.startswith("M") and "\n" not in path
    assert len({draw_path([(10.0, 20.0, 40.0, 30.0)], k) for k in range(len(SHAPES))}) == len(SHAPES)
    x = y = 0.0
    for command, numbers in re.findall(r"([MhvlaZz])([^MhvlaZz]*)", path):
        given = [float(n) for n in re.findall(r"-?[\d.]+", numbers)]
        if command == "M":
            x, y = given
        elif command == "h":
            x += given[0]
        elif command == "v":
            y += given[0]
        elif command in "la":
            x, y = x + given[-2], y + given[-1]
        assert 9.9 <= x <= 50.1 and 19.9 <= y <= 50.1
