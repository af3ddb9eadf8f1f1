import numpy as np
import pytest

from medloupe.metrics.pointing import GRID, LabelHeatMaps, cover, hits, judge_places, word_places

CORNERS = [(0.1, 0.1, 0.3, 0.3), (0.7, 0.1, 0.9, 0.3), (0.1, 0.7, 0.3, 0.9), (0.7, 0.7, 0.9, 0.9)]


def places(boxes, heats, groups=None, called=None, seen=1.0):
    n = len(boxes)
    return LabelHeatMaps(
        maps=np.stack(heats).astype(np.float32),
        seen=np.full(n, seen, np.float32),
        boxes=[np.array([b]) for b in boxes],
        groups=np.arange(n) if groups is None else np.asarray(groups),
        called=np.ones(n, bool) if called is None else np.asarray(called),
    )


def heat(x, y, wide=0.06):
    at = (np.arange(GRID) + 0.5) / GRID
    return np.exp(-((at[None] - x) ** 2 + (at[:, None] - y) ** 2) / wide**2)


def test_cover_measures_parts_of_places_and_joins_boxes():
    assert cover(np.array([[0, 0, 1, 1]])).mean() == pytest.approx(1)
    assert cover(np.array([[0.25, 0.5, 0.75, 0.6]])).mean() == pytest.approx(0.05)
    assert cover(np.array([[0.5, 0.5, 0.5 + 1e-3, 0.5 + 1e-3]])).mean() == pytest.approx(1e-6)
    assert cover(np.array([[0, 0, 0.5, 1], [0, 0, 0.5, 1]])).mean() == pytest.approx(0.5)
    assert cover(np.array([[0, 0, 0.5, 0.25]]))[5, 5] == 1  # rows are from the top, columns from the left
    assert cover(np.array([[0, 0, 0.5, 0.25]]))[40, 5] == 0


def test_a_point_hits_any_of_the_boxes():
    two = np.array([[0, 0, 0.1, 0.1], [0.5, 0.5, 1, 1]])
    assert hits(two, 0.7, 0.6)
    assert not hits(two, 0.3, 0.6)


def test_maps_that_follow_the_boxes_do_better_than_any_fixed_place():
    boxes = [CORNERS[i % 4] for i in range(40)]
    made = judge_places(places(boxes, [heat((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in boxes]))
    assert made["pointing"]["value"] == 1
    assert made["energy"]["value"] > 0.9
    assert made["iou"]["value"] > 0.6
    assert made["baselines"]["middle"]["pointing"]["value"] == 0
    assert made["baselines"]["middle"]["energy"]["value"] == pytest.approx(0.04)
    assert made["baselines"]["usual_place"]["pointing"]["value"] < 0.5
    assert made["gain"]["pointing"]["low"] > 0
    assert "does better than" in word_places("sick", made)


def test_one_map_for_all_is_no_better_than_the_average_map():
    boxes = [CORNERS[0]] * 20
    made = judge_places(places(boxes, [heat(0.2, 0.2)] * 20))
    assert made["pointing"]["value"] == made["baselines"]["average_map"]["pointing"]["value"] == 1
    assert made["gain"]["pointing"]["value"] == 0
    assert "not shown" in word_places("sick", made)


def test_maps_beside_the_boxes_do_worse():
    boxes = [CORNERS[0]] * 20
    made = judge_places(places(boxes, [heat(0.8, 0.8)] * 20))
    assert made["pointing"]["value"] == 0
    assert made["pointing"]["high"] > 0.1  # twenty pictures do not show that it never does
    assert "does worse than the place where such boxes usually lie" in word_places("sick", made)


def test_what_lies_in_the_padding_is_no_heat_in_the_box():
    box = [CORNERS[0]] * 4
    whole, half = (judge_places(places(box, [heat(0.2, 0.2)] * 4, seen=s))["energy"]["value"] for s in (1.0, 0.5))
    assert half == pytest.approx(whole / 2)


def test_a_map_without_anything_points_nowhere():
    made = judge_places(places([(0, 0, 1, 1)] * 4, [np.zeros((GRID, GRID))] * 4))
    assert made["pointing"]["value"] == 0
    assert made["energy"]["value"] == 0


def test_fixed_places_come_from_other_patients():
    boxes = [CORNERS[0]] * 10 + [CORNERS[3]] * 10
    made = judge_places(places(boxes, [heat(0.5, 0.5)] * 20, groups=[0] * 10 + [1] * 10))
    assert made["baselines"]["usual_place"]["pointing"]["value"] == 0  # the other patient's box lies elsewhere
    one = judge_places(places(boxes, [heat(0.5, 0.5)] * 20, groups=[0] * 20))
    assert set(one["baselines"]) == {"middle"}
    assert not one["held_out"]
    assert one["threshold"] == pytest.approx(0.5)
    word_places("sick", one)


def test_pictures_in_which_it_was_the_answer_are_told_apart():
    boxes = [CORNERS[0]] * 20
    heats = [heat(0.2, 0.2)] * 10 + [heat(0.8, 0.8)] * 10
    made = judge_places(places(boxes, heats, called=[True] * 10 + [False] * 10))
    assert made["called"]["n"] == 10
    assert made["called"]["pointing"]["value"] == 1
    none = judge_places(places(boxes, heats, called=[False] * 20))
    assert none["called"]["pointing"]["value"] is None
