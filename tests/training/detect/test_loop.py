import numpy as np
import pytest

from medloupe.metrics.matching import compute_iou
from medloupe.training.detect.activations import CachedMaps

pytest.importorskip("torch")

SIZE, STRIDES, CHANNELS = 96, (4, 8, 16, 32), (6, 8, 10, 12)


def cached_rectangles(pictures=8, views=2):
    """Maps in which each rectangle of its label stands out of noise, and where they lie."""
    rng = np.random.default_rng(0)
    maps = [
        rng.normal(0, 0.1, (views, pictures, SIZE // s, SIZE // s, c)).astype(np.float16)
        for s, c in zip(STRIDES, CHANNELS, strict=True)
    ]
    boxes, labels = [], []
    for v in range(views):
        boxes.append([])
        labels.append([])
        for i in range(pictures):
            sides, corner = rng.integers(16, 33, (2, 2)), rng.integers(0, 12, (2, 2))
            start = corner + np.array([[0, 0], [48, 48]])  # one in each of two quarters, so that they do not touch
            boxes[v].append(np.column_stack([start, start + sides]).astype(np.float32))
            labels[v].append(np.array([0, 1]))
            for level, s in zip(maps, STRIDES, strict=True):
                for label, (x0, y0, x1, y1) in enumerate((boxes[v][i] / s).round().astype(int)):
                    level[v, i, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1), label] += 1
    return CachedMaps(
        maps=tuple(maps),
        boxes=boxes,
        labels=labels,
        sizes=np.full((pictures, 2), SIZE),
        size=SIZE,
        embeddings=np.zeros((pictures, 3), np.float32),
    )


@pytest.mark.parametrize("stride", [4, 8])
def test_a_head_learns_a_few_pictures_by_heart(stride):
    from medloupe.training.detect.loop import HeadRecipe, find_boxes, train_head

    cached = cached_rectangles()
    rows = np.arange(len(cached.sizes))
    head = train_head(cached, rows, 2, HeadRecipe(epochs=150, stride=stride), seed=0)
    for found, boxes, labels in zip(find_boxes(head, cached, rows, 20), cached.boxes[0], cached.labels[0], strict=True):
        assert set(found.labels[:2].tolist()) == {0, 1}, "the two best are one of each label"
        best = found.boxes[:2][np.argsort(found.labels[:2])]
        assert np.diag(compute_iou(best, boxes[np.argsort(labels)])).min() > 0.75


def test_every_view_is_learned_from_before_one_comes_again():
    from medloupe.training.detect.loop import order_views

    turns = order_views(50, 7, np.random.default_rng(0))
    assert (np.sort(turns, 1) == np.arange(7)).all()
    assert len({tuple(t) for t in turns.tolist()}) > 40
