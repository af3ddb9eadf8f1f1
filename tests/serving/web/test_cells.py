"""A composed answer in words and drawings: the most dangerous first, with what is estimated and how far it goes."""

import json

import pytest

from medloupe.serving.web.boxes import word_tiling
from medloupe.serving.web.cells import draw_cells, view_cells
from medloupe.serving.web.headline import describe_state
from medloupe.serving.web.language import language


def cell(i, state, label, sick):
    p = {"sick": sick, "healthy": 1 - sick}
    return {
        "x": 10.0 * i,
        "y": 5.0,
        "w": 8.0,
        "h": 8.0,
        "score": 0.9,
        "state": state,
        "label": label,
        "probabilities": p,
    }


def answer(state="flagged", why="cells", flagged=2):
    cells = [
        cell(0, "clear", "healthy", 0.02),
        cell(1, "flagged", "sick", 0.7),
        cell(2, "refused", "", 0.99),
        cell(3, "flagged", "sick", 0.9),
        cell(4, "unclear", "healthy", 0.3),
    ][: 3 + flagged]
    none = {"mean": 0.123, "at_most": 1}
    estimate = {"label": "sick", "flagged": flagged, "of": 4, "flagged_if_none": none, "count": None, "share": None}
    boxes = [{"label": "RBC", "score": 0.9, "x": 1, "y": 1, "w": 8, "h": 8}]
    return {
        "model": "field",
        "version": 1,
        "state": state,
        "why": {"code": why, "text": ""},
        "prediction": "healthy",
        "flagged": ["sick"] if state == "flagged" else [],
        "probabilities": {"sick": 0.5, "healthy": 0.5},
        "boxes": [*boxes, {**boxes[0], "label": "WBC", "x": 60}, {**boxes[0], "label": "WBC", "score": 0.2}],
        "lines": {"RBC": 0.5, "WBC": 0.5},
        "picture": {"width": 100, "height": 50, "notes": []},
        "measurements": [{"name": "sick per field", "value": 2.46, "low": 1, "high": 23.4}],
        "asked": {
            "what": "RBC",
            "checkup": "malaria@3",
            "found": 5,
            "asked": 5,
            "judged": 4,
            "refused": 1,
            "unusual": 1,
            "unclear": 1,
            "labels": {"sick": 2, "healthy": 2},
            "estimates": [estimate],
            "cells": cells,
        },
    }


def plain(name):
    return name


@pytest.mark.parametrize("code", ["en", "fr"])
def test_what_is_flagged_comes_first_and_each_state_looks_its_own(code):
    lang = language(code)
    view = draw_cells(answer(), None, lang, plain)
    states = ["flagged", "unclear", "clear", "refused"]
    titles = [lang.t(f"cells.{s}") for s in states]
    assert [label.title.split(":")[0].strip() for label in view.labels[:4]] == [t.split(":")[0].strip() for t in titles]
    assert [label.total for label in view.labels] == [2, 1, 1, 1, 1], "the last one was not asked about"
    assert [label.shown for label in view.labels] == [True] * 4 + [False]
    assert len({(label.colour, label.glyph) for label in view.labels}) == 5
    assert [row.score for row in view.rows[:2]] == [lang.percent(0.9), lang.percent(0.7)]
    assert view.rows[-1].score == "", "what was not judged has no percentage"
    rows = [row for kind in json.loads(view.data) for row in kind["rows"]]
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6] and rows[4][1] is None
    assert rows[0][2:] == [30.0, 5.0, 8.0, 8.0]


@pytest.mark.parametrize(("code", "number"), [("en", "2.5"), ("fr", "2,5")])
def test_the_estimate_stands_with_its_interval_and_its_caution(code, number):
    lang = language(code)
    view = view_cells(answer(), lang, plain)
    text = " ".join(view.told)
    assert f"{number} (" in text and "23" in text, "about 2.5, 1 to 23"
    assert lang.t("cells.upper", n=1) in text and lang.t("cells.not_judged", n=1) in text
    assert view.cautions == (lang.t("cells.unjudged", checkup="malaria@3", what="RBC"),)
    none = view_cells(answer("clear", "", 0), lang, plain)
    assert lang.t("cells.one_field") in none.cautions
    assert view_cells({"boxes": []}, lang, plain) is None


@pytest.mark.parametrize(
    ("state", "why", "flagged", "key"),
    [
        ("unclear", "few_cells", 2, "cells.says_neither"),
        ("unclear", "no_cells", 0, "cells.nothing_asked"),
        ("refused", "cells_refused", 0, "cells.refused_why"),
        ("refused", "cells_unusual", 0, "cells.unusual_why"),
    ],
)
def test_why_nothing_certain_is_said_is_told(state, why, flagged, key):
    for code in ("en", "fr"):
        lang = language(code)
        told = describe_state(answer(state, why, flagged), None, lang)
        assert lang.t(key, n=1, of=5, checkup="malaria@3") in told.lines
        assert told.text and "{" not in told.text


def test_flags_are_told_beside_those_that_mistakes_would_make():
    told = describe_state(answer(), None, language("en"))
    assert told.text == "Flagged: sick"
    assert told.lines == (
        "2 of 4 RBC judged are flagged as sick. If none had it, about 0.1 would be flagged by mistake, up to 1.",
    )


@pytest.mark.parametrize("code", ["tiles", "shrunk", "whole", "unsure", "learned", "learned_short", "learned_unsure"])
def test_how_a_large_picture_was_looked_at_is_told_in_both_languages(code):
    tiling = {
        "code": code,
        "text": "x",
        "larger": 5.0,
        "tiles": 30,
        "side": 298,
        "shrunk": 2.0,
        "foreign": 2,
        "left_out": 0,
    }
    english, french = (word_tiling({"tiling": tiling}, language(c))[0] for c in ("en", "fr"))
    assert ("5" in english) == (code != "learned") and "2 of the tiles" in english and english != french
    assert word_tiling({"tiling": {**tiling, "code": "newer"}}, language("fr")) == ("x",)
    assert word_tiling({}, language("en")) == ()
