"""What is written is read back the same."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import box_trees
from box_trees import BOXES
from medloupe.data.reading import read
from medloupe.data.records import Box, Dataset, Split
from medloupe.data.writers.box_table import write_box_table, write_found_table
from medloupe.data.writers.coco import describe_coco, write_coco, write_coco_results
from readers_cases import write


def as_coco(data: Dataset, folder: Path) -> None:
    write_coco(data, folder)


def as_table(data: Dataset, folder: Path) -> None:
    write_box_table(data, folder / "boxes.csv")


def brought(root: Path, splits: bool) -> Dataset:
    """Two pictures with boxes, one without, and one of which only a part is stated."""
    box_trees.coco(root)
    rows = ["images/a.png,RBC|WBC", "images/b.png,RBC|WBC", "images/c.png,No Finding", "images/d.png,RBC"]
    write(root / "labels.csv", "\n".join(["file,labels", *rows]))
    data = read(root, task="detection", labels="labels")
    for name in ("labels.csv", "annotations/instances.json"):
        (root / name).unlink()
    told: tuple[Split | None, ...] = ("train", "val", "train", "test") if splits else (None,) * 4
    records = tuple(replace(r, split=split) for r, split in zip(data.records, told, strict=True))
    return replace(data, records=records)


@pytest.mark.parametrize("put", [as_coco, as_table])
@pytest.mark.parametrize("splits", [False, True])
def test_a_data_set_comes_back(tmp_path: Path, put: Callable[[Dataset, Path], None], splits: bool):
    data = brought(tmp_path, splits)
    assert [dict(r.labels) for r in data.records] == [
        {"RBC": 1, "WBC": 1},
        {"RBC": 1},
        {"RBC": 0, "WBC": 0},
        {"WBC": 0},
    ]
    put(data, tmp_path)
    back = read(tmp_path, task="detection")
    assert (back.task, back.labels) == (data.task, data.labels)
    keys = ("id", "boxes", "split")
    assert [[getattr(r, k) for k in keys] for r in back.records] == [
        [getattr(r, k) for k in keys] for r in data.records
    ]
    assert [dict(r.labels) for r in back.records] == [dict(r.labels) for r in data.records]


def test_odd_numbers_and_names_come_back(tmp_path: Path):
    box_trees.pictures(tmp_path, "", {'ä, "x".png': (60, 40)})
    odd = (Box("größe, 1", 0.1 + 0.2, 1 / 3, 7e-3, 11.000000001),)
    write(tmp_path / "boxes.csv", 'file,label,x,y,w,h\n"ä, ""x"".png",t,1,2,3,4')
    data = read(tmp_path)
    data = replace(data, labels=("größe, 1",), records=(replace(data.records[0], boxes=odd, labels={"größe, 1": 1}),))
    write_box_table(data, tmp_path / "boxes.csv")
    assert read(tmp_path).records[0].boxes == odd
    (tmp_path / "boxes.csv").unlink()
    write_coco(data, tmp_path)
    assert read(tmp_path).records[0].boxes == odd


def test_what_is_not_stated_is_no_negative(tmp_path: Path):
    data = brought(tmp_path, splits=False)
    data = replace(data, records=(*data.records[:3], replace(data.records[3], labels={})))
    held = describe_coco(data)
    assert [image["file_name"] for image in held["images"]] == ["images/a.png", "images/b.png", "images/c.png"]
    assert [m["bbox"] for m in held["annotations"] if m["iscrowd"]] == [[0, 0, 50, 50]]


def test_results_go_by_the_ids_of_the_images(tmp_path: Path):
    data = brought(tmp_path, splits=False)
    found = {"images/b.png": [(Box("WBC", 1.5, 2, 3, 4), 0.75)]}
    write_coco_results(data, found, tmp_path / "results.json")
    (result,) = json.loads((tmp_path / "results.json").read_text())
    held = describe_coco(data)
    assert next(i["file_name"] for i in held["images"] if i["id"] == result["image_id"]) == "images/b.png"
    assert next(c["name"] for c in held["categories"] if c["id"] == result["category_id"]) == "WBC"
    assert (result["bbox"], result["score"]) == ([1.5, 2, 3, 4], 0.75)
    write_found_table(data, found, tmp_path / "found.csv")
    rows = list(csv.DictReader((tmp_path / "found.csv").read_text().splitlines()))
    assert [(r["file"], r["label"], r["score"]) for r in rows] == [
        ("images/a.png", "", ""),
        ("images/b.png", "WBC", "0.75"),
        ("images/c.png", "", ""),
        ("images/d.png", "", ""),
    ]
    assert len(BOXES) == 3
