import json

import numpy as np
import pytest

from made_boxes import boxes_of, make_boxes, marks_of
from medloupe.metrics.detection import judge_detections
from medloupe.metrics.detection_curves import choose_pictures, detection_curves, find_hits

SQUARE, FAR = (0, 0, 40, 40), (100, 100, 140, 140)


def test_curves_agree_with_the_figures():
    said, true = make_boxes(7, pictures=40, labels=2)
    groups = np.arange(40) // 2
    figures = judge_detections(said, true, ["a", "b"], groups, np.full((40, 2), 400))
    curves = detection_curves(said, true, ["a", "b"], groups)
    json.dumps(curves, allow_nan=False)
    for name in ("a", "b"):
        row, drawn = figures["labels"][name], curves[name]
        wrong, found = np.array(drawn["froc"]["false_marks"]), np.array(drawn["froc"]["sensitivity"])
        assert found[wrong <= 1].max() == pytest.approx(row["froc"][3]["value"], abs=1e-3)
        assert sum(b["n"] for b in drawn["sizes"]) == row["n"]
        at_line = sum(b["n"] * b["found"] for b in drawn["sizes"]) / row["n"]
        assert at_line == pytest.approx(row["sensitivity"]["value"], abs=1e-6)
        counted = np.array(drawn["count"]["counted"]) - np.array(drawn["count"]["true"])
        assert counted.mean() == pytest.approx(row["count"]["mean_difference"]["value"], abs=1e-6)
        assert np.diff(drawn["pr"]["precision"]).max(initial=0) <= 0


def test_a_label_without_truth_has_no_curves():
    assert detection_curves([marks_of((*SQUARE, 0.9))], [boxes_of()], ["a"], np.zeros(1, int)) == {}


def test_without_any_mark_nothing_is_found():
    curves = detection_curves([marks_of()] * 2, [boxes_of(SQUARE)] * 2, ["a"], np.arange(2))["a"]
    json.dumps(curves, allow_nan=False)
    assert curves["sizes"][0]["found"] == 0
    assert curves["calibration"] == []


def test_a_box_is_hit_once_and_only_by_its_label():
    said = marks_of((*SQUARE, 0.5), (*SQUARE, 0.9), (*FAR, 0.8))
    right, found = find_hits(said, boxes_of(SQUARE, (200, 0, 240, 40)))
    assert right.tolist() == [False, True, False]
    assert found.tolist() == [True, False]
    assert not find_hits(said, boxes_of(SQUARE, label=1))[0].any()


def test_pictures_are_chosen_by_what_they_show():
    said = [
        marks_of((*SQUARE, 0.9)),  # right
        marks_of((*FAR, 0.8)),  # a false mark, nothing to be found
        marks_of((*SQUARE, 0.2)),  # below the line: missed
        marks_of(),  # missed, of the same patient as the one before
        marks_of((*FAR, 0.95), (*SQUARE, 0.9)),  # a surer false mark
    ]
    true = [boxes_of(SQUARE), boxes_of(), boxes_of(SQUARE), boxes_of(SQUARE), boxes_of(SQUARE)]
    chosen = choose_pictures(said, true, ["a"], {"a": 0.5}, np.array([0, 1, 2, 2, 3]))
    assert [(c["kind"], c["index"]) for c in chosen] == [("missed", 2), ("false", 4), ("false", 1), ("right", 0)]
    assert chosen[1]["marks"][0] == {"label": "a", "box": list(FAR), "score": 0.95, "right": False}
    assert chosen[0]["truths"] == [{"label": "a", "box": list(SQUARE), "found": False}]
    assert chosen[0]["marks"] == []


def test_a_label_without_a_line_is_never_marked():
    chosen = choose_pictures([marks_of((*FAR, 0.9))], [boxes_of(SQUARE)], ["a"], {"a": None}, np.zeros(1, int))
    assert [(c["kind"], c["marks"]) for c in chosen] == [("missed", [])]
