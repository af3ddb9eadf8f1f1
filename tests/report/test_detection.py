"""The report of a detector: its words, its pictures, and what is left out where it is not known."""

from __future__ import annotations

import copy
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from box_report import cells, fractures
from medloupe.report import detection
from medloupe.report.charts import boxes, found
from medloupe.report.pages import render
from parsing import parsed, visible
from report_example import HOSTILE, binary, jpeg, metric

PIXEL = jpeg(np.zeros((2, 2)))


def example(
    *marks: tuple[list[float], float, bool], truths: tuple[tuple[list[float], bool], ...] = ()
) -> dict[str, Any]:
    return {
        "kind": "right",
        "file": "a.png",
        "image": PIXEL,
        "width": 400,
        "height": 300,
        "truths": [{"label": "crack", "box": box, "found": hit} for box, hit in truths],
        "marks": [{"label": "crack", "box": box, "score": score, "right": right} for box, score, right in marks],
    }


def rectangles(svg: str) -> dict[str, list[tuple[float, float, float, float]]]:
    made: dict[str, list[tuple[float, float, float, float]]] = {}
    for e in ElementTree.fromstring(svg).iter("rect"):
        x, y, w, h = (float(e.attrib[k]) for k in ("x", "y", "width", "height"))
        made.setdefault(e.attrib["class"].removeprefix("box "), []).append((x, y, x + w, y + h))
    return made


def test_the_verdict_says_what_is_found_and_at_what_price() -> None:
    text = visible(render(fractures()))
    row = fractures()["card"]["detection"]["figures"]["labels"]["fracture"]
    assert f"it finds {round(100 * row['sensitivity']['value'])} of 100 boxes of “fracture”" in text
    assert "Of 100 marks," in text
    for heading in ("What it marks", "Are small ones missed?", "Can its scores be believed?", "Patient by patient"):
        assert heading in text
    assert "Can it count?" not in text  # there is hardly more than one in a picture
    assert "linear on" not in text


def test_of_several_labels_each_is_told() -> None:
    text = visible(render(cells()))
    assert "averaged over 3 labels" in text
    assert "Can it count?" in text
    for name in ("red cell", "white cell", "platelet"):
        assert f"boxes of “{name}”" in text


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (None, "an unknown number of false marks"),
        (0.0, "hardly any false mark"),
        (0.026, "one false mark in 38 pictures"),
        (0.25, "one false mark in 4 pictures"),
        (0.68, "0.7 false marks a picture"),
        (1.0, "one false mark a picture"),
        (2.34, "2.3 false marks a picture"),
    ],
)
def test_false_marks_in_words(x: float | None, said: str) -> None:
    assert detection.rate(x) == said


def test_a_detector_that_could_not_be_judged_says_so() -> None:
    assert "too little data" in detection.verdict({"detection": {"figures": {"labels": {}, "pictures": 3}}})[0]
    assert "never marked" in detection.sentence("a", {"sensitivity": metric(0.0), "line": None})
    assert "cannot be judged" in detection.sentence("a", {"sensitivity": None})


def test_any_part_may_be_missing() -> None:
    whole = fractures()
    figures = whole["card"]["detection"]["figures"]
    for name in figures:
        report = copy.deepcopy(whole)
        report["card"]["detection"]["figures"][name] = None
        assert "None" not in visible(render(report)), name
    for name in figures["labels"]["fracture"]:
        report = copy.deepcopy(whole)
        report["card"]["detection"]["figures"]["labels"]["fracture"][name] = None
        assert not re.search(r"\bNone\b", visible(render(report))), name
    for part in (None, {}, {"curves": None, "pictures": None}, {"curves": {"fracture": None}, "pictures": [None, {}]}):
        assert "What it marks" not in visible(render({**whole, "detection": part}))


def test_hostile_words_stay_words() -> None:
    report = copy.deepcopy(fractures())
    row = report["card"]["detection"]["figures"]["labels"].pop("fracture")
    report["card"]["detection"]["figures"]["labels"][HOSTILE] = row
    report["detection"]["curves"][HOSTILE] = report["detection"]["curves"].pop("fracture")
    for shown in report["detection"]["pictures"]:
        shown["file"] = HOSTILE
        for entry in (*shown["truths"], *shown["marks"]):
            entry["label"] = HOSTILE
    page = render(report)
    assert HOSTILE not in page and HOSTILE in visible(page)
    assert parsed(page).scripts == 1


def test_truth_and_marks_are_told_apart_by_more_than_colour() -> None:
    shown = boxes.picture(
        "k",
        example(
            ([10, 10, 100, 100], 0.9, True),
            ([200, 50, 300, 200], 0.8, False),
            truths=(([12, 12, 98, 98], True), ([300, 220, 380, 290], False)),
        ),
        named=True,
    )
    assert shown is not None
    found_ = rectangles(shown)
    assert {k: len(v) for k, v in found_.items()} == {"casing": 4, "truth": 1, "missed": 1, "right": 1, "wrong": 1}
    assert shown.count('class="box wrong"') == 2  # the box, and the cross at its corner
    assert "1 of 2 true boxes found, 1 false mark." in shown
    style = render(fractures())
    for kind in ("truth", "missed"):
        assert re.search(rf"\.box\.{kind} {{[^}}]*stroke-dasharray", style)
    assert all(words in visible(style) for _, words in boxes.KEYS)


def test_words_cover_neither_boxes_nor_each_other() -> None:
    marks = [
        ([40.0 * i, 30.0 * j, 40.0 * i + 30, 30.0 * j + 20], 0.5, (i + j) % 2 == 0) for i in range(9) for j in range(9)
    ]
    for sample in (example(*marks), example(*marks[::7])):
        shown = boxes.picture("k", sample, named=True)
        assert shown is not None
        solid = [r for kind, rs in rectangles(shown).items() if kind != "casing" for r in rs]
        spots = []
        for e in ElementTree.fromstring(shown).iter("text"):
            x, y, long = float(e.attrib["x"]), float(e.attrib["y"]), 5.6 * len("".join(e.itertext()))
            spots.append((x, y - 8, x + long, y))
        for k, a in enumerate(spots):
            for b in solid + spots[:k]:
                assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]), (a, b)
    assert spots  # where there is room, there are words


def test_boxes_stay_within_the_picture() -> None:
    shown = boxes.picture("k", example(([-50, -50, 900, 900], 0.5, True), ([10, 10, 5, 5], 0.5, True)), named=False)
    assert shown is not None
    for rs in rectangles(shown).values():
        assert all(0 <= x0 <= x1 <= 340 and 0 <= y0 <= y1 <= 255 for x0, y0, x1, y1 in rs)


@pytest.mark.parametrize(
    "change", [{"image": "https://example.org/a.png"}, {"width": 0}, {"height": None}, {"image": None}]
)
def test_pictures_that_cannot_be_shown_are_left_out(change: dict[str, Any]) -> None:
    assert boxes.picture("k", {**example(), **change}, named=False) is None
    odd = {**example(), "truths": [None, {"box": "x"}, {"box": [1, 2, 3]}], "marks": "x"}
    assert boxes.picture("k", odd, named=False) is not None


def test_counts_are_drawn_with_their_limits() -> None:
    figures = {"mean_difference": metric(-0.2), "lower_limit": metric(-3.4), "upper_limit": metric(3.0)}
    drawn = found.agreement("k", "cell", [(10, 9), (10, 9), (4, 6), (0, 0)], figures)
    assert "2 pictures: -1 at 9.5" in drawn
    assert "Mean difference −0.2, limits of agreement −3.4 to +3.0." in drawn


def test_where_heat_maps_point_is_shown_where_it_was_judged() -> None:
    report = copy.deepcopy(binary())
    assert "Does its heat map point" not in visible(render(report))
    row = {
        "label": "PNEUMONIA",
        "n": 31,
        "boxes": 31,
        "pointing": metric(0.6, 0.1),
        "baselines": {"middle": {"pointing": metric(0.3, 0.1)}, "usual_place": {"pointing": None}},
    }
    report["card"]["localisation"] = {"labels": [row], "words": ["It points well."], "basis": ["Judged on 31 images."]}
    text = visible(render(report))
    for words in ("Does its heat map point at the right place?", "It points well.", "always the middle", "60%"):
        assert words in text
    assert "where boxes usually lie" not in text
    report["card"]["localisation"] = {"labels": [None, {}]}
    assert "Does its heat map point" not in visible(render(report))
