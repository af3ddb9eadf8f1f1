"""Measurements from boxes."""

import pytest

from medloupe.errors import DataError
from medloupe.model.boxes import FoundBox
from medloupe.model.decision import Decision
from medloupe.model.measurements import Measurement, parse_measurement

CTR = "ctr = width(heart) / width(left_lung + right_lung)"
LINES = {"heart": 0.5, "left_lung": 0.5, "right_lung": 0.5}


def box(label, x, y, w, h, score=0.9):
    return FoundBox(label=label, score=score, x=x, y=y, width=w, height=h)


CHEST = (box("heart", 90, 100, 60, 40), box("left_lung", 130, 20, 70, 100), box("right_lung", 20, 22, 80, 95))


def test_the_ratio_is_that_of_widths_spanned():
    measured = parse_measurement(CTR).measure(CHEST, LINES)
    assert measured.value == pytest.approx(60 / 180)
    assert measured.low is None
    assert measured.as_json() == {"name": "ctr", "value": measured.value, "low": None, "high": None}


def test_an_interval_comes_from_the_errors_in_the_card():
    entry = {"name": "ctr", "formula": CTR, "below": 0.02, "above": 0.03}
    measured = Measurement.from_json(entry).measure(CHEST, LINES)
    assert measured.low == pytest.approx(60 / 180 - 0.02)
    assert measured.high == pytest.approx(60 / 180 + 0.03)


def test_what_is_not_found_is_said():
    measured = parse_measurement(CTR).measure(CHEST[:2], LINES)
    assert measured.value is None
    assert "right_lung" in measured.as_json()["why"]
    unsure = (*CHEST[:2], box("right_lung", 20, 22, 80, 95, score=0.2))  # below its line
    assert parse_measurement(CTR).measure(unsure, LINES).value is None


def test_the_surest_box_of_a_label_counts():
    more = (*CHEST, box("heart", 0, 0, 200, 10, score=0.6))
    assert parse_measurement(CTR).measure(more, LINES).value == pytest.approx(60 / 180)


def test_heights_and_areas():
    boxes = (box("disc", 0, 0, 10, 20), box("cup", 0, 0, 5, 10))
    lines = {"disc": 0.0, "cup": 0.0}
    assert parse_measurement("cdr = height(cup) / height(disc)").measure(boxes, lines).value == pytest.approx(0.5)
    assert parse_measurement("a=area(cup)/area(disc)").measure(boxes, lines).value == pytest.approx(0.25)


@pytest.mark.parametrize(
    "text", ["", "ctr", "ctr = width(heart)", "= width(a)/width(b)", "x = depth(a)/width(b)", "x = width()/width(b)"]
)
def test_what_is_no_measurement_is_refused(text):
    with pytest.raises(DataError):
        parse_measurement(text)


def test_written_and_read_it_is_the_same():
    made = parse_measurement(CTR)
    assert parse_measurement(str(made)) == made == Measurement.from_json(made.as_json())


def test_a_decision_knows_the_measurements_of_its_card():
    card = {"task": "detection", "labels": list(LINES), "measurements": [{"name": "ctr", "formula": CTR}]}
    assert [m.name for m in Decision.from_card(card).measurements] == ["ctr"]
