"""Measurements judged on pictures not learned from: their errors, beside that of always saying the mean."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.data.records import Record
from medloupe.metrics.matching import Detections, Truths
from medloupe.training.detect.measure import judge_measurements, read_wanted

LABELS = ("heart", "left_lung", "right_lung")
LINES = dict.fromkeys(LABELS, 0.5)


def boxes(heart: float) -> np.ndarray:
    """A heart of that width between lungs that are 100 wide together."""
    return np.array([[50, 0, 50 + heart, 10], [70, 0, 100, 10], [0, 0, 30, 10]], np.float32)


def test_the_error_of_always_saying_the_mean_stands_beside() -> None:
    widths = np.linspace(30, 70, 40)
    off = np.where(np.arange(40) % 2, 3.0, -3.0)
    said = [Detections(boxes(w + d), np.full(3, 0.9), np.arange(3)) for w, d in zip(widths, off, strict=True)]
    truths = [Truths(boxes(w), np.arange(3)) for w in widths]
    records = [Record(id=str(i)) for i in range(40)]
    groups = np.arange(40) // 2
    (entry,) = judge_measurements(read_wanted((), LABELS), said, truths, records, LABELS, groups, LINES, 0)
    figures = entry["figures"]
    assert figures["mean_absolute_error"]["value"] == pytest.approx(0.03, abs=1e-6)
    ratios = widths / 100
    plain = [abs(r - ratios[groups != g].mean()) for r, g in zip(ratios, groups, strict=True)]
    assert figures["always_the_mean"]["value"] == pytest.approx(np.mean(plain), abs=1e-6)
    assert "off by 0.030 on average" in entry["words"] and "saying the mean" in entry["words"]


def test_of_one_group_the_mean_is_its_own() -> None:
    said = [Detections(boxes(40), np.full(3, 0.9), np.arange(3))] * 3
    truths = [Truths(boxes(w), np.arange(3)) for w in (30, 40, 50)]
    records = [Record(id=str(i)) for i in range(3)]
    (entry,) = judge_measurements(read_wanted((), LABELS), said, truths, records, LABELS, np.zeros(3, int), LINES, 0)
    assert entry["figures"]["always_the_mean"]["value"] == pytest.approx(0.2 / 3, abs=1e-6)
    assert entry["below"] is None, "too few for an interval"
