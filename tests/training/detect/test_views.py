import numpy as np
import pytest

from medloupe.imaging.decode import decode_picture
from medloupe.training.detect.views import plain_view, random_boxed_view
from medloupe.training.tune.views import Symmetry


def picture_with_mark():
    pixels = np.full((120, 200, 3), 30, np.uint8)
    pixels[20:60, 110:180] = 250
    return decode_picture(pixels), np.array([[110, 20, 180, 60]], np.float32)


def marked(pixels):
    rows, columns = np.nonzero(pixels.astype(int).sum(2) > 3 * 120)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize("allowed", [(False, False), (True, False), (True, True)])
def test_boxes_move_with_what_they_mark(allowed):
    picture, box = picture_with_mark()
    symmetry = Symmetry(mirror=allowed[0], turn=allowed[1])
    shapes = set()
    for seed in range(40):
        view = random_boxed_view(picture, box, np.zeros(1, int), 224, symmetry, np.random.default_rng(seed))
        assert view.pixels.shape == (224, 224, 3)
        if len(view.boxes):
            np.testing.assert_allclose(view.boxes[0], marked(view.pixels), atol=2.5)
            width, height = view.boxes[0, 2:] - view.boxes[0, :2]
            shapes.add(bool(width > height))
    assert shapes == ({True, False} if allowed[1] else {True})


def test_a_box_of_which_too_little_is_seen_is_none():
    picture, _ = picture_with_mark()
    boxes = np.array([[110, 20, 180, 60], [-100, 0, 10, 50], [50, 50, 50, 90]], np.float32)
    view = plain_view(picture, boxes, np.array([0, 1, 2]), 224)
    assert view.labels.tolist() == [0]
