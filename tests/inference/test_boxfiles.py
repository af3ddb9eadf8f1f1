"""Boxes as files that can be read again."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

import medloupe
from discs import write_discs
from medloupe.inference.boxfiles import PictureBoxes, write_boxes_csv, write_coco
from medloupe.model.boxes import FoundBox


def box(label: str, x: float, score: float = 0.9) -> FoundBox:
    return FoundBox(label=label, score=score, x=x, y=2.5, width=30.25, height=40.0)


def test_csv_is_read_again_as_a_data_set_has_it(tmp_path: Path) -> None:
    root = write_discs(tmp_path / "set", pictures=4)
    names = [f"images/{i:03}.png" for i in range(4)]
    made = [
        PictureBoxes(file=n, width=160, height=128, boxes=[box("disc", 5.125 + i), box("square", 60)])
        for i, n in enumerate(names)
    ]
    (root / "boxes.csv").write_text(write_boxes_csv(made), "utf-8")
    data = medloupe.read(root)
    found = {r.id: [(b.label, b.x, b.y, b.width, b.height) for b in r.boxes] for r in data.records}
    for i, name in enumerate(names):
        assert found[name] == [("disc", 5.125 + i, 2.5, 30.25, 40.0), ("square", 60.0, 2.5, 30.25, 40.0)]


def test_no_cell_is_a_formula() -> None:
    text = write_boxes_csv([PictureBoxes(file="=1+1.png", width=9, height=9, boxes=[box("@sum, a\nb", 1)])])
    _, row = csv.reader(io.StringIO(text))
    assert row[0] == "'=1+1.png" and row[1].startswith("'@") and "\n" not in row[1]


def test_coco_has_pictures_without_boxes_and_all_labels() -> None:
    made = [
        PictureBoxes(file="a.png", width=50, height=40, boxes=[box("cell", 1.5, 0.75)]),
        PictureBoxes(file="b.png", width=50, height=40, boxes=[]),
    ]
    said = json.loads(write_coco(made, ["other", "cell"], "made by a test"))
    assert [i["file_name"] for i in said["images"]] == ["a.png", "b.png"]
    (one,) = said["annotations"]
    assert one["bbox"] == [1.5, 2.5, 30.25, 40.0] and one["area"] == pytest.approx(1210) and one["score"] == 0.75
    assert one["category_id"] == 2 and one["image_id"] == 1
    assert said["categories"] == [{"id": 1, "name": "other"}, {"id": 2, "name": "cell"}]
