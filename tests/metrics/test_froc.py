import numpy as np
import pytest

from made_boxes import boxes_of, make_boxes, marks_of
from medloupe.metrics.froc import RATES, find_line, froc_curve, sensitivity_at
from medloupe.metrics.matching import match_label

AT = np.array([0.5])
EVERY_PICTURE = np.ones(4, bool)


@pytest.fixture
def four():
    """Two true boxes found at .9 and .3, false marks at .8, .5, .5 and .1, over four pictures."""
    far = (50, 50, 60, 60)
    said = [
        marks_of((0, 0, 9, 9, 0.9), (*far, 0.8)),
        marks_of((0, 0, 9, 9, 0.3), (*far, 0.5)),
        marks_of((*far, 0.5), (*far, 0.1)),
        marks_of(),
    ]
    return match_label(said, [boxes_of((0, 0, 9, 9)), boxes_of((0, 0, 9, 9)), boxes_of(), boxes_of()], 0, thresholds=AT)


def test_sensitivity_by_false_marks_a_picture(four):
    at = dict(zip(RATES, sensitivity_at(four, np.ones((1, 4), np.float32))[0], strict=True))
    assert at == {1 / 8: 0.5, 1 / 4: 0.5, 1 / 2: 0.5, 1.0: 1.0, 2.0: 1.0, 4.0: 1.0, 8.0: 1.0}


def test_marks_of_equal_score_cannot_be_parted(four):
    assert sensitivity_at(four, np.ones((1, 4), np.float32), (0.5,))[0, 0] == 0.5
    scores, wrong, found = froc_curve(four)
    assert scores.tolist() == [0.9, 0.8, 0.5, 0.3, 0.1]
    assert wrong.tolist() == [0, 0.25, 0.75, 0.75, 1.0]
    assert found.tolist() == [0.5, 0.5, 0.5, 1.0, 1.0]


def test_the_line_finds_most_with_so_few_false_marks(four):
    assert find_line(four, 0.75, EVERY_PICTURE) == 0.3
    assert find_line(four, 9, EVERY_PICTURE) == 0.3  # what lies below would only add false marks
    assert find_line(four, 0.5, EVERY_PICTURE) == 0.9
    assert find_line(four, 0, EVERY_PICTURE) == 0.9
    assert find_line(four, 9, np.array([False, True, False, False])) == 0.3


def test_finding_one_more_is_not_worth_any_number_of_false_marks():
    said = [marks_of((0, 0, 9, 9, 0.9))] * 9 + [marks_of((0, 0, 9, 9, 0.1), *[(50, 50, 60, 60, 0.5)] * 90)]
    found = match_label(said, [boxes_of((0, 0, 9, 9))] * 10, 0, thresholds=AT)
    assert find_line(found, 10, np.ones(10, bool)) == 0.9


def test_no_line_where_the_surest_mark_is_one_too_many():
    wrong = match_label([marks_of((0, 0, 9, 9, 0.9))], [boxes_of()], 0, thresholds=AT)
    assert find_line(wrong, 0.5, np.ones(1, bool)) == np.inf
    assert np.isnan(sensitivity_at(wrong, np.ones((1, 1), np.float32))).all()


def test_a_draw_is_the_figure_of_the_pictures_drawn():
    said, true = make_boxes(3, pictures=30)
    times = np.random.default_rng(0).integers(0, 3, 30)
    drawn = np.repeat(np.arange(30), times)
    weighted = sensitivity_at(match_label(said, true, 0, thresholds=AT), times[None].astype(np.float32))
    again = match_label([said[i] for i in drawn], [true[i] for i in drawn], 0, thresholds=AT)
    np.testing.assert_allclose(weighted, sensitivity_at(again, np.ones((1, len(drawn)), np.float32)))
