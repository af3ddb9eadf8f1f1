import numpy as np
import pytest

from medloupe.metrics.counting import agreement, count_marks, find_count_line, median_relative_error

ONES = np.ones((1, 4), np.float32)


def test_the_median_leaves_out_pictures_without_any():
    error = median_relative_error(np.array([5, 12, 3, 9]), np.array([10, 10, 4, 0]))
    assert error(ONES)[0] == pytest.approx(0.25)  # of .5, .2 and .25
    assert error(np.array([[1, 1, 0, 1]], np.float32))[0] == pytest.approx(0.35)
    assert error(np.array([[3, 1, 0, 0]], np.float32))[0] == pytest.approx(0.5)
    assert np.isnan(error(np.array([[0, 0, 0, 2]], np.float32))[0])
    assert np.isnan(median_relative_error(np.zeros(4), np.zeros(4))(ONES)[0])


def test_limits_of_agreement_are_those_of_bland_and_altman():
    counted, truth = np.array([5, 12, 3, 9]), np.array([4, 10, 4, 6])
    difference = counted - truth
    figures = {name: f(ONES)[0] for name, f in agreement(counted, truth).items()}
    assert figures["mean_difference"] == pytest.approx(difference.mean())
    assert figures["upper_limit"] == pytest.approx(difference.mean() + 1.96 * difference.std(ddof=1))
    assert figures["lower_limit"] == pytest.approx(difference.mean() - 1.96 * difference.std(ddof=1))


def test_a_draw_weighs_pictures_as_often_as_they_were_drawn():
    counted, truth, times = np.array([5, 12, 3, 9]), np.array([4, 10, 4, 6]), np.array([2, 0, 1, 3])
    again = np.repeat(counted - truth, times)
    for name, figure in agreement(counted, truth).items():
        sign = {"mean_difference": 0, "lower_limit": -1, "upper_limit": 1}[name]
        expected = again.mean() + sign * 1.96 * again.std(ddof=1)
        assert figure(times[None].astype(np.float32))[0] == pytest.approx(expected)


def test_marks_are_counted_from_the_line_of_their_picture():
    scores, picture = np.array([0.9, 0.7, 0.5, 0.2]), np.array([0, 1, 0, 1])
    assert count_marks(scores, picture, 3, 0.5).tolist() == [2, 1, 0]
    assert count_marks(scores, picture, 3, np.array([0.6, 0.1, 0])).tolist() == [1, 2, 0]


def test_the_line_counts_best():
    scores, picture = np.array([0.9, 0.8, 0.7, 0.6, 0.2, 0.1]), np.array([0, 0, 1, 1, 0, 1])
    every = np.ones(2, bool)
    assert find_count_line(scores, picture, np.array([2.0, 2.0]), every) == 0.6
    assert find_count_line(scores, picture, np.array([3.0, 3.0]), every) == 0.1
    assert find_count_line(scores, picture, np.array([0.0, 0.0]), every) == np.inf
    assert find_count_line(scores, picture, np.array([2.0, 0.0]), np.array([True, False])) == 0.8
    assert find_count_line(scores[:0], picture[:0], np.array([2.0, 2.0]), every) == np.inf
