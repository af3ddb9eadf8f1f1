import numpy as np
import pytest

from made_boxes import boxes_of, make_boxes, marks_of
from medloupe.metrics.average_precision import average_precisions, name_reference, reference_precisions
from medloupe.metrics.detection import SIZES
from medloupe.metrics.matching import EVERY, Truths, match_label

RANGES = (EVERY, *SIZES)
BOUNDS = [(r.low, r.high) for r in RANGES]


def own(said, true, labels, weights=None):
    weights = np.ones((1, len(true)), np.float32) if weights is None else weights
    return np.stack([average_precisions(match_label(said, true, k, RANGES), weights) for k in range(labels)], 1)


@pytest.mark.parametrize("seed", range(12))
def test_it_is_what_the_library_says(seed):
    said, true = make_boxes(seed, labels=3, ties=seed % 2 == 0)
    if seed % 3 == 0:  # a label without truth
        true = [Truths(t.boxes[t.labels != 2], t.labels[t.labels != 2]) for t in true]
    reference = reference_precisions(said, true, 3, BOUNDS)
    assert np.isnan(reference[2]).all() == (seed % 3 == 0)
    assert np.isfinite(reference[:2, 0]).all()
    np.testing.assert_allclose(own(said, true, 3)[0], reference, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_a_draw_is_what_the_library_says_of_the_pictures_drawn(seed):
    said, true = make_boxes(seed, labels=2)
    times = np.random.default_rng(seed).integers(0, 3, len(true))
    drawn = np.repeat(np.arange(len(true)), times)
    reference = reference_precisions([said[i] for i in drawn], [true[i] for i in drawn], 2, BOUNDS)
    np.testing.assert_allclose(own(said, true, 2, times[None].astype(np.float32))[0], reference, atol=1e-6)


def test_a_picture_may_have_more_boxes_than_cocos_hundred():
    rows = [(10 * i, 10 * j, 10 * i + 8, 10 * j + 8) for i in range(20) for j in range(20)]
    said, true = [marks_of(*[(*r, 0.5) for r in rows])], [boxes_of(*rows)]
    assert own(said, true, 1)[0, 0, 0].tolist() == pytest.approx([1.0] * 10)
    assert reference_precisions(said, true, 1, BOUNDS)[0, 0].tolist() == pytest.approx([1.0] * 10)


def test_no_mark_is_nothing_found_and_no_truth_is_undefined():
    true = [boxes_of((0, 0, 9, 9)), boxes_of()]
    nothing = [marks_of(), marks_of()]
    for made in (own(nothing, true, 2)[0], reference_precisions(nothing, true, 2, BOUNDS)):
        assert (made[0, :2] == 0).all()
        assert np.isnan(made[0, 2:]).all()
        assert np.isnan(made[1]).all()
    assert np.isnan(reference_precisions([marks_of((0, 0, 9, 9, 0.5))], [boxes_of()], 1, BOUNDS)).all()


def test_a_replicate_without_the_label_is_undefined():
    said, true = [marks_of((0, 0, 9, 9, 0.5)), marks_of()], [boxes_of((0, 0, 9, 9)), boxes_of()]
    made = own(said, true, 1, np.array([[1, 1], [0, 2]], np.float32))
    assert made[0, 0, 0, 0] == pytest.approx(1.0)
    assert np.isnan(made[1, 0]).all()


def test_the_library_is_named():
    assert (name_reference() or "").startswith("faster-coco-eval ")
