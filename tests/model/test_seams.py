"""What several tiles see is told once, whole where a tile has it whole."""

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.model.seams import find_cut, join_tiles
from medloupe.model.tiling import LearnedSizes, lay_tiles

SIDE = np.array([100.0, 100.0])
EDGE = 2.0


def learned(longest: float, aspect: float) -> LearnedSizes:
    return LearnedSizes(size=100, longer_side=(100.0, 100.0), sides={}, longest=longest, aspect=aspect)


def split(boxes: np.ndarray, corners: np.ndarray, width: int, height: int, spans: np.ndarray):
    """See boxes (n, 6) through tiles: what is cut off is seen in part, if a third of it is."""
    parts, cut = [], []
    for corner in corners:
        seen = boxes.copy()
        seen[:, :2], seen[:, 2:4] = np.maximum(seen[:, :2], corner), np.minimum(seen[:, 2:4], corner + spans)
        shown = np.clip(seen[:, 2:4] - seen[:, :2], 0, None).prod(1)
        seen = seen[shown >= 0.35 * (boxes[:, 2:4] - boxes[:, :2]).prod(1)]
        parts.append(seen)
        cut.append(find_cut(seen, corner, spans, width, height, EDGE))
    return parts, cut


def test_a_box_cut_by_a_seam_loses_to_the_whole_one_however_sure_it_is() -> None:
    corners = np.array([[0.0, 0.0], [60.0, 0.0]])
    half, whole = np.array([[80, 10, 100, 40, 0.95, 0]]), np.array([[80, 10, 110, 40, 0.4, 0]], float)
    cut = [find_cut(b, c, SIDE, 160, 100, EDGE) for b, c in zip((half, whole), corners, strict=True)]
    assert [c.tolist() for c in cut] == [[True], [False]]
    assert join_tiles([half, whole], cut, corners, SIDE).tolist() == whole.tolist()


def test_edges_of_the_picture_cut_nothing() -> None:
    box = np.array([[0, 0, 30, 30, 0.9, 0], [70, 70, 100, 100, 0.9, 0]], float)
    assert find_cut(box, np.array([0.0, 0.0]), SIDE, 100, 100, EDGE).tolist() == [False, False]
    assert find_cut(box, np.array([0.0, 0.0]), SIDE, 101, 100, EDGE).tolist() == [False, True]


def test_halves_of_what_no_tile_has_whole_are_put_together() -> None:
    corners = np.array([[0.0, 0.0], [60.0, 0.0]])
    boxes = [np.array([[40, 20, 100, 50, 0.7, 0]], float), np.array([[60, 21, 140, 50, 0.8, 0]], float)]
    cut = [find_cut(b, c, SIDE, 160, 100, EDGE) for b, c in zip(boxes, corners, strict=True)]
    assert join_tiles(boxes, cut, corners, SIDE).tolist() == [[40, 20, 140, 50, 0.8, 0]]


def test_boxes_of_other_labels_and_neighbours_within_a_tile_stay() -> None:
    corners = np.array([[0.0, 0.0], [60.0, 0.0]])
    one = np.array([[62, 10, 90, 40, 0.9, 0], [62, 10, 90, 40, 0.8, 1]], float)
    other = np.array([[63, 10, 91, 40, 0.7, 0], [64, 40, 92, 70, 0.6, 0]], float)
    cut = [np.zeros(2, bool), np.zeros(2, bool)]
    joined = join_tiles([one, other], cut, corners, SIDE)
    assert joined[:, 4].tolist() == [0.9, 0.8, 0.6]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), zoom=st.floats(1.5, 5), aspect=st.floats(0.8, 1.25))
def test_every_thing_is_told_exactly_once(seed: int, zoom: float, aspect: float) -> None:
    rng = np.random.default_rng(seed)
    width, height = 400, 300
    grid = lay_tiles(width, height, zoom, learned(32.0, aspect))
    least = 0.3 * grid.side  # they fit into what tiles share
    cells = [
        (x, y)
        for x in np.arange(0, width - 1.3 * least, 1.3 * least)
        for y in np.arange(0, height - 1.3 * least, 1.3 * least)
    ]
    at = np.array(cells) + rng.uniform(0, 0.2 * least, (len(cells), 2))
    boxes = np.column_stack(
        [at, at + rng.uniform(0.6, 1.0, at.shape) * least, rng.uniform(0.1, 1, (len(at), 2)).round()]
    )
    boxes[:, 4] = rng.uniform(0.1, 1, len(boxes))
    parts, cut = split(boxes, grid.corners, width, height, grid.spans)
    joined = join_tiles(parts, cut, grid.corners, grid.spans)
    assert np.array_equal(joined, boxes[np.argsort(-boxes[:, 4], kind="stable")])


def test_nothing_and_very_many_boxes() -> None:
    corners = np.array([[0.0, 0.0], [60.0, 0.0]])
    nothing = [np.zeros((0, 6))] * 2
    assert join_tiles(nothing, [np.zeros(0, bool)] * 2, corners, SIDE).shape == (0, 6)
    assert join_tiles([], [], np.zeros((0, 2)), SIDE).shape == (0, 6)
    grid = lay_tiles(4096, 4096, 10, learned(25.0, 1.25))
    rng = np.random.default_rng(0)
    at = rng.uniform(0, 4080, (4000, 2))
    boxes = np.column_stack([at, at + 12, rng.uniform(0, 1, 4000), np.zeros(4000)])
    parts, cut = split(boxes, grid.corners, 4096, 4096, grid.spans)
    began = time.process_time()
    joined = join_tiles(parts, cut, grid.corners, grid.spans)
    assert time.process_time() - began < 5
    assert 3900 <= len(joined) <= 4000, "some of them lie over each other by chance"
