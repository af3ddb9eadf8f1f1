import numpy as np
import pytest

from medloupe.metrics.matching import compute_iou
from medloupe.model.boxes import (
    Detector,
    best_scores,
    fit_boxes,
    name_boxes,
    suppress,
    unfit_boxes,
)


@pytest.mark.parametrize(("width", "height"), [(298, 224), (224, 298), (100, 100), (4000, 3000), (7, 1)])
def test_boxes_come_back_from_the_fitted_picture(width, height):
    rng = np.random.default_rng(0)
    a = np.sort(rng.uniform(0, 1, (50, 2, 2)), axis=1)
    boxes = np.concatenate([a[:, 0], a[:, 1]], 1) * [width, height, width, height]
    fitted = fit_boxes(boxes, width, height, 256)
    assert fitted.min() >= 0
    assert fitted.max() <= 256
    np.testing.assert_allclose(unfit_boxes(fitted, width, height, 256), boxes, atol=1e-3 * max(width, height))


def test_a_box_lies_on_the_pixels_that_fitting_moves():
    from medloupe.imaging.decode import fit

    pixels = np.zeros((150, 300, 3), np.uint8)
    pixels[40:100, 90:210] = 255
    x0, y0, x1, y1 = fit_boxes(np.array([[90, 40, 210, 100]]), 300, 150, 224)[0]
    rows, columns = np.nonzero(fit(pixels, 224)[..., 0] > 127)
    np.testing.assert_allclose([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], [x0, y0, x1, y1], atol=1)


def test_what_is_found_in_the_padding_is_left_out():
    found = np.zeros((4, 6), np.float32)
    found[0] = (10, 100, 40, 140, 0.9, 1)
    found[1] = (10, 0, 40, 30, 0.8, 0)  # above a picture of 200 x 100 that lies from 56 to 168 of 224
    named = name_boxes(found, ("a", "b"), 200, 100, 224)
    assert [(b.label, round(b.score, 3)) for b in named] == [("b", 0.9)]
    assert named[0].as_json().keys() == {"label", "score", "x", "y", "w", "h"}
    assert named[0].height == pytest.approx(40 * 100 / 112)


def greedy(boxes, labels, overlap):
    iou, kept = compute_iou(boxes, boxes), []
    for i in range(len(boxes)):
        if all(labels[i] != labels[j] or iou[i, j] <= overlap for j in kept):
            kept.append(i)
    return kept


def test_suppression_is_the_greedy_one():
    rng = np.random.default_rng(1)
    for _ in range(20):
        middles, sides = rng.uniform(0, 120, (60, 2)), rng.uniform(15, 40, (60, 2))
        boxes, labels = np.concatenate([middles, middles + sides], 1), rng.integers(0, 2, 60)
        assert np.flatnonzero(suppress(boxes, labels, 0.4)).tolist() == greedy(boxes, labels, 0.4)


def test_empty_boxes_overlap_nothing():
    empty = np.array([[5, 5, 5, 5], [5, 5, 5, 5]], float)
    assert (compute_iou(empty, empty) == 0).all()
    assert suppress(empty, np.zeros(2, int)).all()
    assert suppress(np.zeros((0, 4)), np.zeros(0, int)).shape == (0,)


def test_the_best_score_of_each_label_speaks_for_the_whole_picture():
    boxes = np.zeros((1, 5, 6), np.float32)
    boxes[0, :3, 4], boxes[0, :3, 5] = (0.9, 0.5, 0.7), (1, 1, 2)
    np.testing.assert_allclose(best_scores(boxes, 3), [[0, 0.9, 0.7]])
    added = Detector(network=b"", most=5, gain=np.array([1, 2, 0], np.float32)).logits(boxes)
    np.testing.assert_allclose(added, [[np.log(0.001 / 0.999), 2 * np.log(9), 0]], rtol=1e-5)
