"""Made-up true boxes, and detections of them: some near, some astray, some missing."""

import numpy as np

from medloupe.metrics.matching import Detections, Truths


def make_boxes(seed, pictures=20, most=8, labels=2, side=400, ties=False, marks=12):
    """Return detections and truths of so many pictures; with ties, boxes and scores are rounded."""
    rng = np.random.default_rng(seed)
    said, true = [], []
    for _ in range(pictures):
        m, n = int(rng.integers(0, most + 1)), int(rng.integers(0, marks + 1))
        corner, size = rng.uniform(0, side * 0.7, (m, 2)), rng.uniform(6, side * 0.3, (m, 2))
        boxes, names = np.column_stack([corner, corner + size]), rng.integers(0, labels, m)
        of = rng.integers(0, max(m, 1), n)
        if m:
            drawn = boxes[of] + rng.normal(0, 8, (n, 4))
            called = np.where(rng.random(n) < 0.8, names[of], rng.integers(0, labels, n))
        else:
            corner = rng.uniform(0, side * 0.7, (n, 2))
            drawn = np.column_stack([corner, corner + rng.uniform(6, side * 0.3, (n, 2))])
            called = rng.integers(0, labels, n)
        drawn[:, 2:] = np.maximum(drawn[:, 2:], drawn[:, :2] + 1)
        scores = rng.random(n)
        if ties:
            boxes, drawn, scores = np.round(boxes), np.round(drawn), np.round(scores, 1)
        said.append(Detections(drawn.astype(np.float32), scores, called))
        true.append(Truths(boxes.astype(np.float32), names))
    return said, true


def boxes_of(*rows, label=0):
    """Return Truths of rows x0, y0, x1, y1 of one label."""
    return Truths(np.array(rows, np.float32).reshape(-1, 4), np.full(len(rows), label))


def marks_of(*rows, label=0):
    """Return Detections of rows x0, y0, x1, y1, score of one label."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Detections(table[:, :4].astype(np.float32), table[:, 4], np.full(len(rows), label))
