import numpy as np
import pytest

from medloupe.metrics.matching import Detections, Truths, match_label
from medloupe.training.detect.calibrate import (
    HALF,
    calibrate_scores,
    draw_box_lines,
    fit_logistic,
    fit_score_calibration,
    fit_whole_picture,
)


def pictures(n, right_by, labels=1, seed=0):
    """Pictures with one true box each; a mark with raw score s is right with probability right_by(s)."""
    rng = np.random.default_rng(seed)
    said, true = [], []
    for _ in range(n):
        scores = rng.uniform(0.05, 0.95, 4)
        label = rng.integers(0, labels)
        right = rng.random(4) < right_by(scores)
        away = np.arange(4)[:, None] * 100.0
        place = np.array([[0, 0, 40, 40]]) + away
        boxes = np.where(right[:, None], place, place + 50)
        said.append(Detections(boxes=boxes.astype(np.float32), scores=scores, labels=np.full(4, label)))
        true.append(Truths(boxes=place.astype(np.float32), labels=np.full(4, label)))
    return said, true


def test_calibrated_scores_are_right_as_often_as_they_say():
    said, true = pictures(800, lambda s: s**2)
    fitted = fit_score_calibration(said, true, 1)
    fresh, truth = pictures(800, lambda s: s**2, seed=1)
    scores = np.concatenate([calibrate_scores(d.scores, d.labels, fitted) for d in fresh])
    hit = np.concatenate([(d.boxes == t.boxes).all(1) for d, t in zip(fresh, truth, strict=True)])
    for low in (0.1, 0.3, 0.5, 0.7):
        part = (scores >= low) & (scores < low + 0.2)
        assert hit[part].mean() == pytest.approx(scores[part].mean(), abs=0.07)
    raw = np.concatenate([d.scores for d in fresh])
    assert np.abs(raw - hit).mean() > np.abs(scores - hit).mean()


def test_a_label_with_few_boxes_takes_the_calibration_of_all():
    said, true = pictures(200, lambda s: s**2)
    rare = Detections(boxes=np.array([[0, 0, 9, 9]], np.float32), scores=np.array([0.4]), labels=np.array([1]))
    fitted = fit_score_calibration([*said, rare], [*true, Truths(boxes=rare.boxes, labels=rare.labels)], 2)
    np.testing.assert_allclose(fitted[:, 0], fitted[:, 1], atol=0.1)


def test_a_slope_is_never_negative():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 2, (400, 2))
    found = fit_logistic(x, rng.random(400) < 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, 1]))))
    assert found[0] > 1
    assert found[1] == 0
    np.testing.assert_array_equal(fit_logistic(x, np.zeros(400, bool)), [1, 1, 0])


def test_lines_hold_false_marks_and_counts():
    said, true = pictures(300, lambda s: s)
    matches = [match_label(said, true, 0, thresholds=HALF)]
    strict, loose = (draw_box_lines(matches, rate) for rate in (0.2, 100.0))
    above = [d.scores >= strict.mark[0] for d in said]
    wrong = sum((a & ~(d.boxes == t.boxes).all(1)).sum() for a, d, t in zip(above, said, true, strict=True))
    assert wrong <= 0.2 * 300
    assert strict.mark[0] > loose.mark[0]
    assert loose.count[0] == strict.count[0]


def rows_of(scores):
    out = np.zeros((len(scores), 3, 6), np.float32)
    out[:, 0, 4] = scores
    return out


def test_whole_pictures_are_judged_by_boxes_and_embedding_together():
    rng = np.random.default_rng(0)
    n = 240
    y = (rng.random(n) < 0.5).astype(np.float32)
    embeddings = rng.normal(0, 1, (n, 8)).astype(np.float32)
    embeddings[:, 0] += 1.5 * y
    scores = 1 / (1 + np.exp(-(2 * y - 1 + rng.normal(0, 1.5, n))))
    found = fit_whole_picture(embeddings, rows_of(scores), y[:, None], np.arange(n), (8,), 0)
    auc = [_auc(p, y) for p in (found.out_of_fold[:, 0], scores, embeddings[:, 0])]
    assert auc[0] > max(auc[1:])
    assert found.judged.all()
    assert found.gain[0] > 0


def test_a_label_on_every_picture_is_judged_by_its_boxes_alone():
    scores = np.linspace(0.1, 0.9, 40)
    found = fit_whole_picture(np.ones((40, 4), np.float32), rows_of(scores), np.ones((40, 1)), np.arange(40), (4,), 0)
    assert not found.judged.any()
    assert not found.head.weight.any()
    np.testing.assert_allclose(found.out_of_fold[:, 0], scores, rtol=1e-5)


def _auc(score, y):
    a, b = score[y == 1], score[y == 0]
    return (a[:, None] > b[None]).mean()
