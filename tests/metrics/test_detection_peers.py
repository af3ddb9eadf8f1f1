"""The judge of other people's detectors, and the clock that they train by (benchmarks/detection_peers.py)."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

from places import ROOT

sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "benchmarks" / "peers")]

detection_peers = pytest.importorskip("detection_peers")
detect_data = pytest.importorskip("detect_data")


@pytest.fixture
def data(tmp_path: Path) -> detect_data.Boxes:
    """Two pictures to learn from, three of the test part, of which one has no box; one box has no size."""
    tables = {
        "labels.csv": [("file", "split"), ("a", "train"), ("b", "val"), ("c", "test"), ("d", "test"), ("e", "test")],
        "boxes.csv": [
            ("file", "label", "x", "y", "w", "h"),
            ("a", "WBC", 1, 2, 3, 4),
            ("b", "RBC", 0, 0, 9, 9),
            ("c", "RBC", 10, 20, 30, 40),
            ("c", "WBC", 50, 60, 20, 20),
            ("d", "RBC", 5, 5, 50, 50),
            ("d", "RBC", 5, 5, 0, 50),
        ],
    }
    for name, rows in tables.items():
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return detect_data.boxes(tmp_path)


def test_only_the_test_part_is_asked_about(data: detect_data.Boxes) -> None:
    assert (data.learned, data.asked, data.labels) == (["a", "b"], ["c", "d", "e"], ["RBC", "WBC"])
    assert data.of["d"] == [(0, 5.0, 5.0, 50.0, 50.0)]


def test_what_is_all_right_has_an_average_precision_of_one(data: detect_data.Boxes) -> None:
    pytest.importorskip("faster_coco_eval")
    found = {name: [[data.labels[k], *box, 0.9] for k, *box in data.of.get(name, [])] for name in data.asked}
    figures, each = detection_peers.judge(found, data)
    assert figures.split(" | ")[0].startswith("1.000") and each == ["RBC 1.000", "WBC 1.000"]
    found["c"] = [[{"RBC": "WBC", "WBC": "RBC"}[str(label)], *rest] for label, *rest in found["c"]]
    assert detection_peers.judge(found, data)[1] == ["RBC 0.252", "WBC 0.000"]


def test_the_clock_counts_the_processor() -> None:
    clock = detect_data.Clock(minutes=1e-4)
    while clock.left():
        sum(range(10_000))
    assert 1e-4 <= clock.spent() < 1e-1
