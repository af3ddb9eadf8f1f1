import json
import time

import numpy as np
import pytest

from made_boxes import boxes_of, make_boxes, marks_of
from medloupe.errors import DataError
from medloupe.metrics import detection
from medloupe.metrics.average_precision import reference_precisions
from medloupe.metrics.detection import judge_detections

SQUARE = (0, 0, 40, 40)
FAR = (100, 100, 140, 140)


def judge(said, true, labels=("a",), groups=None, **more):
    groups = np.arange(len(true)) if groups is None else groups
    return judge_detections(said, true, labels, groups, np.full((len(true), 2), 400), **more)


def figures(x):
    """All figures inside, with where they stand."""
    if isinstance(x, dict):
        if set(x) == {"value", "low", "high"}:
            yield x
        else:
            for v in x.values():
                yield from figures(v)
    elif isinstance(x, list):
        for v in x:
            yield from figures(v)


def test_all_figures_lie_in_their_intervals_and_can_be_written():
    said, true = make_boxes(1, pictures=40, labels=2)
    made = judge(said, true, ("a", "b"), np.arange(40) // 2)
    json.dumps(made, allow_nan=False)
    found = list(figures(made))
    assert len(found) > 60
    for f in found:
        if f["low"] is not None:
            assert f["low"] <= f["value"] <= f["high"]
    assert made["groups"] == 20
    assert made["boxes"] == sum(len(t.labels) for t in true)


def test_the_library_says_the_figures():
    said, true = make_boxes(2, pictures=30, labels=2)
    made = judge(said, true, ("a", "b"))
    reference = reference_precisions(said, true, 2, [(0, 1e9)])[:, 0]
    assert made["map50"]["value"] == pytest.approx(reference[:, 0].mean(), abs=1e-6)
    assert made["map"]["value"] == pytest.approx(reference.mean(), abs=1e-6)
    assert made["labels"]["b"]["ap"]["value"] == pytest.approx(reference[1].mean(), abs=1e-6)
    assert made["judge"].startswith("faster-coco-eval")


def test_without_the_library_the_figures_are_the_same(monkeypatch):
    said, true = make_boxes(2, pictures=30, labels=2)
    told = judge(said, true, ("a", "b"))
    monkeypatch.setattr(detection, "name_reference", lambda: None)
    alone = judge(said, true, ("a", "b"))
    assert alone["judge"] is None
    for a, b in zip(figures(told), figures(alone), strict=True):
        for key in ("value", "low", "high"):
            assert (a[key] is None) == (b[key] is None)
            assert a[key] is None or a[key] == pytest.approx(b[key], abs=1e-5)


def test_a_label_without_truth_is_undefined_and_left_out_of_the_mean():
    said, true = [marks_of((*SQUARE, 0.9))] * 12, [boxes_of(SQUARE)] * 12
    made = judge(said, true, ("there", "nowhere"))
    assert made["map50"]["value"] == pytest.approx(1.0)
    row = made["labels"]["nowhere"]
    assert row["n"] == 0
    assert row["count"] is None
    for name in ("ap50", "ap", "cpm", "sensitivity"):
        assert row[name] == {"value": None, "low": None, "high": None}
    assert row["patients"]["sensitivity"]["value"] is None
    assert row["patients"]["specificity"]["value"] == 1.0


def test_patients_are_found_by_any_box_in_any_picture():
    # patient 0: two pictures, found in one; patient 1: missed; patient 2: healthy and called; patient 3: healthy
    said = [marks_of((*SQUARE, 0.9)), marks_of(), marks_of(), marks_of((*FAR, 0.8)), marks_of()]
    true = [boxes_of(SQUARE), boxes_of(SQUARE), boxes_of(SQUARE), boxes_of(), boxes_of()]
    row = judge(said, true, groups=np.array([0, 0, 1, 2, 3]), lines={"a": 0.5})["labels"]["a"]
    assert row["patients"]["with"] == 2
    assert row["patients"]["without"] == 2
    assert row["patients"]["sensitivity"]["value"] == 0.5
    assert row["patients"]["specificity"]["value"] == 0.5
    assert row["sensitivity"]["value"] == pytest.approx(1 / 3)
    assert row["precision"]["value"] == 0.5
    assert row["false_marks"]["value"] == pytest.approx(1 / 5)


def test_a_given_line_is_kept_and_none_is_drawn_from_a_pictures_own_group():
    said, true = make_boxes(4, pictures=60, labels=1)
    given = judge(said, true, lines={"a": 0.4}, count_lines={"a": 0.3})["labels"]["a"]
    assert given["line"] == 0.4
    assert given["count"]["line"] == 0.3
    own = judge(said, true, false_marks=0.5)["labels"]["a"]
    assert own["held_out"]
    assert own["false_marks"]["value"] == pytest.approx(0.5, abs=0.2)
    few = judge(said[:6], true[:6])["labels"]["a"]
    assert not few["held_out"]


def test_a_wide_interval_over_patients_where_pictures_repeat_each_other():
    said, true = make_boxes(5, pictures=12, labels=1)
    copies = np.repeat(np.arange(12), 10)
    many = judge([said[i] for i in copies], [true[i] for i in copies], groups=copies)["map50"]
    parted = judge([said[i] for i in copies], [true[i] for i in copies])["map50"]
    assert many["value"] == pytest.approx(parted["value"])
    assert many["high"] - many["low"] > 2 * (parted["high"] - parted["low"])


def test_scores_that_say_how_often_they_are_right_have_no_calibration_error():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 1, 4000)
    right = rng.random(4000) < p
    said = [marks_of((*(SQUARE if r else FAR), s)) for s, r in zip(p, right, strict=True)]
    true = [boxes_of(SQUARE)] * 4000
    made = judge(said, true, groups=np.arange(4000) // 100)
    assert made["ece"]["value"] < 0.03
    sure = [marks_of((*(SQUARE if r else FAR), 0.99)) for r in right]
    assert judge(sure, true, groups=np.arange(4000) // 100)["ece"]["value"] == pytest.approx(0.99 - p.mean(), abs=0.03)


def test_sizes_by_pixels_and_by_share_of_the_picture():
    said, true = [marks_of((*SQUARE, 0.9))] * 10, [boxes_of(SQUARE)] * 10  # 40 of 400 pixels
    made = judge(said, true)
    assert [r["n"] for r in made["sizes"]] == [0, 10, 0]
    assert [r["n"] for r in made["relative_sizes"]] == [0, 10, 0]
    assert [r["ap50"]["value"] for r in made["sizes"]] == [None, pytest.approx(1.0), None]
    tiny = judge_detections(said, true, ["a"], np.arange(10), np.full((10, 2), 50))
    assert [r["n"] for r in tiny["relative_sizes"]] == [0, 0, 10]


def test_counts_of_a_perfect_detector():
    said, true = [marks_of((*SQUARE, 0.9), (*FAR, 0.8))] * 12, [boxes_of(SQUARE, FAR)] * 12
    count = judge(said, true)["count"]["a"]
    assert count["median_error"]["value"] == 0
    assert count["lower_limit"]["value"] == count["upper_limit"]["value"] == 0


def test_another_overlap_may_be_asked_for():
    said, true = [marks_of((0, 0, 40, 16, 0.9))] * 10, [boxes_of(SQUARE)] * 10  # IoU .4
    assert judge(said, true)["labels"]["a"]["cpm"]["value"] == 0
    loose = judge(said, true, overlap=0.3)
    assert loose["labels"]["a"]["cpm"]["value"] == 1
    assert loose["map50"]["value"] == 0


def test_empty_pictures_and_no_marks_at_all():
    made = judge([marks_of()] * 3, [boxes_of()] * 3)
    json.dumps(made, allow_nan=False)
    assert made["map50"]["value"] is None
    assert made["cpm"]["value"] is None
    assert made["ece"]["value"] is None


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(DataError, match="pictures"):
        judge([marks_of()], [boxes_of()] * 2)


@pytest.mark.slow
def test_thirty_thousand_boxes_take_seconds():
    said, true = make_boxes(0, pictures=300, most=30, labels=3, marks=200)
    assert sum(len(d.scores) for d in said) > 25_000
    started = time.process_time()
    judge(said, true, ("a", "b", "c"))
    assert time.process_time() - started < 30
