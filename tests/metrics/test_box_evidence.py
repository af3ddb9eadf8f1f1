"""Detectors are held against each other on the same pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medloupe.metrics.box_evidence import BoxEvidence, match_box_evidence, read_judged
from medloupe.metrics.evidence import FILE, Evidence
from medloupe.metrics.gate import compare
from medloupe.metrics.matching import Detections, Truths


def evidence(found: float, seed: int = 0, n: int = 60) -> BoxEvidence:
    """Of n pictures with three boxes each, of which a share is found, with a false mark in half of the pictures."""
    truth, chance = np.random.default_rng(7), np.random.default_rng(seed)
    said, true = [], []
    for _ in range(n):
        corner = truth.uniform(0, 300, (3, 2))
        boxes = np.column_stack([corner, corner + 30]).astype(np.float32)
        labels = np.array([0, 0, 1])
        kept = chance.random(3) < found
        wrong = np.array([[400, 400, 420, 420]], np.float32)[: int(chance.random() < 0.5)]
        said.append(
            Detections(
                boxes=np.concatenate([boxes[kept], wrong]),
                scores=chance.uniform(0.3, 1, kept.sum() + len(wrong)).astype(np.float32),
                labels=np.concatenate([labels[kept], np.zeros(len(wrong), int)]),
            )
        )
        true.append(Truths(boxes, labels))
    return BoxEvidence(
        labels=("red", "white"),
        digests=np.arange(n, dtype=np.uint64),
        groups=np.arange(n),
        detections=said,
        truths=true,
    )


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = evidence(0.8)
    made = replace(
        made, detections=[*made.detections[:-1], Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))]
    )
    (tmp_path / FILE).write_bytes(made.as_bytes())
    back = read_judged(tmp_path)
    assert isinstance(back, BoxEvidence) and back.labels == made.labels
    for a, b in zip(made.detections, back.detections, strict=True):
        assert np.allclose(a.boxes, b.boxes) and np.allclose(a.scores, b.scores) and (a.labels == b.labels).all()
    for a, b in zip(made.truths, back.truths, strict=True):
        assert np.array_equal(a.boxes, b.boxes) and (a.labels == b.labels).all()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x93NUMPY"])
def test_damaged_files_are_none(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    assert read_judged(tmp_path) is None
    with pytest.raises(ValueError, match="damaged"):
        BoxEvidence.from_bytes(damage)


def test_a_worse_detector_is_refused_and_an_equal_one_passes() -> None:
    good, same, bad = evidence(0.9, 1), evidence(0.9, 1), evidence(0.5, 2)
    refused = compare(bad, good, name="cells", versions=(2, 1))
    assert not refused.passed and refused.map50 is not None and refused.auc is None
    assert refused.map50.difference < -0.2 and "average precision" in refused.words and "It is worse." in refused.words
    passed = compare(same, good, name="cells", versions=(2, 1))
    assert passed.passed and passed.map50 is not None and passed.map50.difference == 0
    assert passed.records == passed.groups == 60
    assert compare(good, bad, name="cells", versions=(2, 1)).passed


def test_what_cannot_be_compared_says_why() -> None:
    good = evidence(0.9)
    other = replace(good, labels=("red", "blue"))
    assert "same question" in compare(good, other, name="cells", versions=(2, 1)).why_not
    few = good.take(np.arange(10), good.groups[:10], good.labels)
    assert "30 are needed" in compare(few, good, name="cells", versions=(2, 1)).why_not
    labels = Evidence(
        labels=("red", "white"),
        task="multilabel",
        digests=good.digests,
        groups=good.groups,
        targets=np.ones((60, 2), np.float32),
        probabilities=np.ones((1, 60, 2), np.float32),
        announced=np.ones((60, 2), np.float32),
    )
    assert "same question" in compare(labels, good, name="cells", versions=(2, 1)).why_not


def test_only_pictures_with_the_same_true_boxes_count_in_any_order_of_labels() -> None:
    one = evidence(0.9)
    turned = one.take(np.arange(60)[::-1], one.groups[::-1], ("white", "red"))
    moved = Truths(turned.truths[0].boxes + 5, turned.truths[0].labels)
    other = replace(turned, truths=[moved, *turned.truths[1:]])
    both = match_box_evidence(one, other)
    assert both is not None
    a, b = both
    assert len(a.digests) == 59 and (a.digests == b.digests).all() and a.labels == b.labels == one.labels
    for x, y in zip(a.detections, b.detections, strict=True):
        assert np.array_equal(x.boxes, y.boxes) and (x.labels == y.labels).all()
