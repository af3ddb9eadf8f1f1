import numpy as np
import pytest

from made_boxes import boxes_of, marks_of
from medloupe.errors import DataError
from medloupe.metrics.matching import (
    EVERY,
    AreaRange,
    Detections,
    Truths,
    check_boxes,
    compute_iou,
    match_boxes,
    match_label,
)

ONE_SIZE = np.zeros((1, 2), bool)


def test_iou_is_intersection_over_union():
    a = np.array([[0, 0, 10, 10]])
    assert compute_iou(a, [[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]]).tolist() == [[1.0, 50 / 150, 0.0]]


def test_iou_of_boxes_of_no_size_is_zero():
    assert compute_iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]).tolist() == [[0.0]]
    assert compute_iou(np.zeros((0, 4)), np.zeros((3, 4))).shape == (0, 3)


def test_the_surest_takes_the_box_and_the_next_one_the_second_best():
    ious = np.array([[0.9, 0.6], [0.8, 0.55], [0.7, 0.9]])
    assert match_boxes(ious, np.array([0.5]), ONE_SIZE)[0, 0].tolist() == [0, 1, -1]


def test_a_higher_threshold_leaves_a_mark_without_box():
    ious = np.array([[0.6, 0.0]])
    assert match_boxes(ious, np.array([0.5, 0.75]), ONE_SIZE)[0, :, 0].tolist() == [0, -1]


def test_boxes_that_do_not_count_are_taken_last():
    ignored = np.array([[False, True]])
    found = match_boxes(np.array([[0.6, 0.9], [0.6, 0.9]]), np.array([0.5]), ignored)
    assert found[0, 0].tolist() == [0, 1]


def test_marks_of_other_sizes_count_neither_way():
    small, large = AreaRange(name="small", high=20.0**2), AreaRange(name="large", low=20.0**2)
    said = [marks_of((0, 0, 10, 10, 0.9), (50, 50, 90, 90, 0.8), (100, 0, 110, 10, 0.7))]
    found = match_label(said, [boxes_of((0, 0, 10, 10))], 0, (EVERY, small, large))
    assert found.hit[:, 0].tolist() == [[True, False, False], [True, False, False], [False, False, False]]
    assert found.ignored[:, 0].tolist() == [[False, False, False], [False, True, False], [True, False, True]]
    assert found.truths[:, 0].tolist() == [1, 1, 0]


def test_relative_sizes_are_shares_of_the_picture():
    half = AreaRange(name="half", low=0.5**2, relative=True)
    found = match_label([marks_of()], [boxes_of((0, 0, 60, 60))], 0, (half,), np.array([[100, 100]]))
    assert found.truths.tolist() == [[1.0]]
    assert match_label([marks_of()], [boxes_of((0, 0, 60, 60))], 0, (half,), np.array([[200, 200]])).truths.sum() == 0


def test_marks_stand_by_falling_score_over_all_pictures():
    said = [marks_of((0, 0, 9, 9, 0.2), (0, 0, 9, 9, 0.8)), marks_of((0, 0, 9, 9, 0.5))]
    found = match_label(said, [boxes_of((0, 0, 9, 9)), boxes_of()], 0)
    assert found.scores.tolist() == [0.8, 0.5, 0.2]
    assert found.picture.tolist() == [0, 1, 0]
    assert found.hit[0, 0].tolist() == [True, False, False]  # a box is found once


@pytest.mark.parametrize(
    ("said", "true", "fault"),
    [
        ([marks_of((5, 0, 1, 9, 0.5))], [boxes_of()], "no rectangle"),
        ([marks_of((0, 0, np.nan, 9, 0.5))], [boxes_of()], "no rectangle"),
        ([marks_of((0, 0, 9, 9, np.nan))], [boxes_of()], "scores"),
        ([marks_of()], [boxes_of((0, 0, 9, 9), label=7)], "label outside 0 to 1"),
        ([marks_of()], [], "of the pictures|1 pictures"),
        ([Detections(np.zeros((2, 4)), np.zeros(2), np.zeros(1, int))], [boxes_of()], "2 boxes and 1 labels"),
        ([marks_of()], [Truths(np.zeros((1, 4)), np.zeros(0, int))], "1 boxes and 0 labels"),
    ],
)
def test_what_cannot_be_judged_is_refused(said, true, fault):
    with pytest.raises(DataError, match=fault):
        check_boxes(said, true, 2)
