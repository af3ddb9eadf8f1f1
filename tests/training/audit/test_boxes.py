"""Faults of boxes are found, set right where they can be, and not invented."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from medloupe.data.records import Box, Dataset, Record
from medloupe.metrics.matching import compute_iou
from medloupe.training.audit.boxes import corners, find_box_faults, repair_boxes
from medloupe.training.audit.finding import Finding
from medloupe.training.audit.unmarked import find_unmarked

SIZE = (200, 100)


def build(*boxes: tuple[Box, ...], labels: tuple[str, ...] = ("x", "y")) -> tuple[Dataset, np.ndarray]:
    records = tuple(
        Record(id=f"{k}.png", image=np.zeros((2, 2), np.uint8), boxes=held, labels=stated(held, labels))
        for k, held in enumerate(boxes)
    )
    data = Dataset(name="d", root=Path(), records=records, labels=labels, task="detection", reader="t")
    return data, np.tile(np.array(SIZE, float), (len(records), 1))


def stated(boxes: tuple[Box, ...], labels: tuple[str, ...]) -> dict[str, int]:
    return {name: int(any(box.label == name for box in boxes)) for name in labels}


def kinds(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.kind: finding for finding in findings if finding.kind != "few_boxes"}


SOUND = tuple(tuple(Box("xy"[j % 2], 10 + 40 * j, 10 + k, 30, 40) for j in range(4)) for k in range(20))


def test_sound_boxes_have_no_findings():
    data, sizes = build(*SOUND)
    assert find_box_faults(data, sizes) == []
    repaired, faults = repair_boxes(data, sizes)
    assert repaired == data
    assert faults.total == 80


def test_overlaps():
    a = np.array([[0, 0, 10, 10], [0, 0, 0, 0]], float)
    b = np.array([[5, 0, 15, 10], [0, 0, 10, 10], [20, 20, 30, 30]], float)
    assert compute_iou(a, b).tolist() == [[pytest.approx(1 / 3), 1, 0], [0, 0, 0]]
    assert corners(()).shape == (0, 4)


def test_outside():
    data, sizes = build(
        *SOUND,
        (Box("x", 190, 90, 30, 30), Box("x", 250, 10, 10, 10), Box("y", 10, 10, 20, 20), Box("y", 199.5, 99, 1, 1.5)),
        (Box("x", -20, -20, 10, 10),),
    )
    found = kinds(find_box_faults(data, sizes))
    assert list(found) == ["boxes_outside"]
    finding = found["boxes_outside"]
    assert (finding.count, finding.level) == (3, "warning")
    assert finding.detail == "1 box in part, and cut there and 2 boxes wholly, and left out."
    assert finding.files == (("21.png",), ("20.png",)) or finding.files == (("20.png",), ("21.png",))
    repaired, _ = repair_boxes(data, sizes)
    assert repaired.records[20].boxes == (
        Box("x", 190, 90, 10, 10),
        Box("y", 10, 10, 20, 20),
        Box("y", 199.5, 99, 0.5, 1),
    )
    assert repaired.records[21].labels == {"y": 0}  # whether x is there is no longer stated


def test_many_outside_are_of_another_size():
    data, sizes = build(*[tuple(Box(b.label, 3 * b.x, b.y, 90, b.height) for b in boxes) for boxes in SOUND])
    finding = kinds(find_box_faults(data, sizes))["boxes_outside"]
    assert finding.level == "serious"
    assert "another size" in finding.advice


def test_empty_double_and_contradictory():
    more = (
        Box("x", 10, 10, 0, 5),
        Box("x", 50, 10, 40, 40),
        Box("x", 51, 10, 40, 40),
        Box("x", 120, 10, 40, 40),
        Box("y", 120, 11, 40, 40),
    )
    data, sizes = build(*SOUND, more)
    found = kinds(find_box_faults(data, sizes))
    assert {k: f.count for k, f in found.items()} == {"boxes_double": 1, "boxes_contradict": 1, "boxes_empty": 1}
    assert "1 box is empty" in found["boxes_empty"].title
    assert found["boxes_double"].files == (("20.png",),)
    repaired, _ = repair_boxes(data, sizes)
    assert repaired.records[20].boxes == (more[1], more[3], more[4])


def test_whole_pictures():
    data, sizes = build(*SOUND, (Box("x", 0, 0, 200, 100),))
    assert kinds(find_box_faults(data, sizes))["boxes_whole"].level == "notice"
    data, sizes = build(*[(Box("x", 0, 0, 200, 99),)] * 3)
    assert kinds(find_box_faults(data, sizes))["boxes_whole"].level == "warning"


def test_tiny():
    small = tuple(Box("y", 10 * k, 5, 4, 4) for k in range(10))
    data, sizes = build(*SOUND, small)
    finding = kinds(find_box_faults(data, sizes))["boxes_tiny"]
    assert finding.title == "11% of the boxes are smaller than 8 pixels at an input of 224 pixels"
    assert "By label: y 10" in finding.detail
    assert "At 416 pixels 95 %" in finding.detail  # 4 of 200 pixels are 8.3 there
    assert "boxes_tiny" not in kinds(find_box_faults(data, sizes, side=416))


def test_labels_of_few_boxes():
    data, sizes = build(*SOUND, (Box("z", 1, 1, 30, 30),), labels=("x", "y", "z"))
    assert [f.title for f in find_box_faults(data, sizes)] == ["z has only 1 box"]


def test_four_thousand_boxes_on_one_picture():
    rng = np.random.default_rng(0)
    many = tuple(Box("x", float(x), float(y), 3, 3) for x, y in rng.uniform(0, 3000, (4000, 2)))
    data, _ = build(many)
    began = time.process_time()
    repaired, faults = repair_boxes(data, np.array([[3003.0, 3003.0]]))
    assert len(repaired.records[0].boxes) + len(faults.double) == 4000
    assert time.process_time() - began < 10


def test_things_that_are_not_marked():
    data, _ = build(*SOUND)
    rows = np.array([0, 0, 3, 4, 5])
    boxes = np.array([[10, 10, 40, 50], [10, 60, 40, 90], [60, 70, 90, 95], [10, 70, 30, 90], [11, 15, 40, 55]], float)
    scores = np.array([0.99, 0.85, 0.95, 0.5, 0.9])
    (finding,) = find_unmarked(data, rows, boxes, scores, np.array([0, 1, 0, 0, 1]))
    assert (finding.kind, finding.count) == ("boxes_missing", 2)
    assert finding.files == (("3.png", "x at 60,70 (30×25), 95%"), ("0.png", "y at 10,60 (30×30), 85%"))
    assert find_unmarked(data, rows[:1], boxes[:1], scores[:1], np.array([0])) == []


def test_where_a_label_is_not_stated_nothing_is_forgotten():
    data, _ = build(*SOUND)
    free = Record(id="free.png", image=np.zeros((2, 2), np.uint8))
    data = Dataset(
        name="d", root=Path(), records=(free, *data.records), labels=data.labels, task="detection", reader="t"
    )
    one = np.array([[10.0, 10, 40, 50]])
    assert find_unmarked(data, np.array([0]), one, np.array([0.99]), np.array([0])) == []
