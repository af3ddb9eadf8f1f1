"""COCO: several files, outlines, crowds, and what is broken."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from box_trees import BOXES, SIZES, coco_document, pictures
from medloupe.data.readers.annotations.rle import box_of_runs
from medloupe.data.reading import read
from medloupe.data.records import Box
from medloupe.errors import DataError, QuestionError
from readers_cases import write


def document(**changes: Any) -> dict[str, Any]:
    return coco_document() | changes


def mark(**changes: Any) -> dict[str, Any]:
    return {"id": 7, "image_id": 0, "category_id": 1, "bbox": [1, 2, 3, 4]} | changes


def read_marks(root: Path, *marks: dict[str, Any]) -> tuple[Box, ...]:
    pictures(root)
    write(root / "x.json", json.dumps(document(annotations=list(marks))))
    return next(r.boxes for r in read(root).records if r.id == "images/a.png")


def test_a_file_for_each_split(tmp_path: Path):
    for split, names in (("train", ("a.png", "b.png")), ("valid", ("c.png",))):
        pictures(tmp_path, split, {name: SIZES[name] for name in names})
        whole = coco_document(first=0)
        images = [image for image in whole["images"] if image["file_name"] in names]
        kept = {image["id"] for image in images}
        marks = [m for m in whole["annotations"] if m["image_id"] in kept]
        categories = [{"id": 9, "name": "cells", "supercategory": "none"}, *whole["categories"]]
        held = {"images": images, "annotations": marks, "categories": categories}
        write(tmp_path / split / "_annotations.coco.json", json.dumps(held))
    data = read(tmp_path)
    assert {r.id: (r.split, len(r.boxes)) for r in data.records} == {
        "train/a.png": ("train", 2),
        "train/b.png": ("train", 1),
        "valid/c.png": ("val", 0),
    }
    assert data.labels == ("RBC", "WBC")
    assert "No box is of cells" in " ".join(data.notes)


def test_splits_by_the_names_of_files(tmp_path: Path):
    pictures(tmp_path)
    whole = coco_document()
    for split, k in (("train2017", 0), ("val2017", 1)):
        images = [image for image in whole["images"] if (image["id"] > 0) == k]
        marks = [m for m in whole["annotations"] if (m["image_id"] > 0) == k]
        held = whole | {"images": images, "annotations": marks}
        write(tmp_path / "annotations" / f"instances_{split}.json", json.dumps(held))
    assert {r.id: r.split for r in read(tmp_path).records} == {
        "images/a.png": "train",
        "images/b.png": "val",
        "images/c.png": "val",
    }


def test_outlines_are_read_as_boxes(tmp_path: Path):
    boxes = read_marks(
        tmp_path,
        mark(bbox=None, segmentation=[[10, 5, 30, 5, 30, 15], [10, 5, 20, 25, 12, 6]]),
        mark(id=8, bbox=[], segmentation={"counts": [40 * 10 + 5, 10, 30, 10, 2400 - 455], "size": [40, 60]}),
    )
    assert boxes == (Box("RBC", 10, 5, 20, 20), Box("RBC", 10, 5, 2, 10))


# Written by pycocotools 2.0.10 (mask.encode), with its own boxes (mask.toBbox).
COMPRESSED = (
    (
        "i8P1800000000000000002N000000000000000000000000000000000000O100000000000000000000000000000000000000000>BQ2",
        [40, 60],
        (7, 1, 51, 34),
    ),
    (
        "j74Q100000000000WO1<OD174IL74IL74IL74IL74IL74IL74IL74IL74IL74IL74IL74IL72KN52KN52KN52KN52KN52?000000000000000000"
        "0000000a8",
        [37, 53],
        (6, 3, 39, 29),
    ),
)


@pytest.mark.parametrize(("counts", "size", "box"), COMPRESSED)
def test_compressed_runs(counts: str, size: list[int], box: tuple[float, ...]):
    assert box_of_runs(counts, size, "x") == box


def test_compressed_runs_that_end_early():
    counts, size, _ = COMPRESSED[0]
    for broken in (counts[:-1], counts[:20], counts + "0", "\x00" * 9, "z" * 50):
        with pytest.raises(DataError, match="does not fill its picture"):
            box_of_runs(broken, size, "x")


def test_crowds_are_no_boxes(tmp_path: Path):
    pictures(tmp_path)
    marks = [mark(iscrowd=1), mark(id=8, category_id=2), mark(id=9, image_id=1)]
    write(tmp_path / "x.json", json.dumps(document(annotations=marks)))
    data = read(tmp_path)
    labels = {r.id: dict(r.labels) for r in data.records}
    assert labels["images/a.png"] == {"WBC": 1}  # RBC are there, in the crowd: not stated
    assert "1 regions of many objects" in " ".join(data.notes)


def test_other_documents_are_none(tmp_path: Path):
    pictures(tmp_path)
    write(tmp_path / "x.json", json.dumps(document()))
    write(tmp_path / "results.json", json.dumps([mark(score=0.9)]))
    write(tmp_path / "info.json", '{"annotations": "by a doctor"}')
    data = read(tmp_path)
    assert sum(len(r.boxes) for r in data.records) == 3
    assert data.skipped["not an image"] == ("info.json", "results.json")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"annotations": [mark(category_id=7)]}, r"x\.json, annotation 7: category_id 7 is not declared.*1 \(RBC\)"),
        ({"annotations": [mark(bbox=[1, 2, 3])]}, r"annotation 7: bbox is .*four numbers"),
        ({"annotations": [mark(bbox=[1, 2, float("nan"), 4])]}, r"annotation 7: 'nan' where a number of bbox"),
        ({"annotations": [mark(bbox=[1, 2, "x", 4])]}, r"'x' where a number of bbox"),
        ({"annotations": [mark(bbox=[1, 2, -3, 4])]}, r"-3 × 4.*cannot be negative"),
        ({"annotations": [mark(image_id=99)]}, r"none of the 1 annotations names an image"),
        ({"categories": []}, r"declares no categories"),
        ({"images": [{"id": 1}], "annotations": [mark()]}, r"images\[0\]: `id` and `file_name`"),
        (
            {"images": [{"id": 0, "file_name": "a.png"}, {"id": 0, "file_name": "b.png"}]},
            r"a\.png and b\.png have the same id 0",
        ),
        (
            {"annotations": [mark(bbox=None, segmentation={"counts": [5, 5], "size": [40, 60]})]},
            r"annotation 7: a run-length encoded region does not fill its picture",
        ),
        (
            {"annotations": [mark(id=k, bbox=[30, 20, 50 + k, 38]) for k in range(6)]},
            r"bbox are corners \(x0, y0, x1, y1\)",
        ),
    ],
)
def test_broken_documents(tmp_path: Path, changes: dict[str, Any], said: str):
    pictures(tmp_path)
    write(tmp_path / "x.json", json.dumps(document(**changes)))
    with pytest.raises(DataError, match=said):
        read(tmp_path)


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_cut_short(tmp_path: Path, share: float):
    pictures(tmp_path)
    text = json.dumps(document(images=[*document()["images"]]), indent=1)
    text = text.replace('"images"', '"annotations_of": 0, "annotations": [], "images"', 1)
    write(tmp_path / "x.json", text[: int(share * len(text))])
    with pytest.raises(DataError, match=r"x\.json, line \d+, column \d+: this is no JSON \(.*"):
        read(tmp_path)


def test_two_files_that_differ(tmp_path: Path):
    pictures(tmp_path)
    write(tmp_path / "one.json", json.dumps(document()))
    write(tmp_path / "two.json", json.dumps(document(annotations=[mark(bbox=[50, 30, 5, 5])])))
    with pytest.raises(QuestionError, match=r"draw other boxes on images/a\.png \(2 and 1\)") as asked:
        read(tmp_path)
    assert asked.value.answers == ("--table one.json", "--table two.json")
    assert len(read(tmp_path, table="two.json").records[0].boxes) == 1


def test_a_large_document_takes_little_more_than_its_size(tmp_path: Path):
    """Outlines, which are most of a document, never lie in memory together."""
    pictures(tmp_path)
    outline = [round(v, 2) for v in np.random.default_rng(0).uniform(0, 39, 400).tolist()]
    marks = [mark(id=k, image_id=k % 3, segmentation=[outline], bbox=[1, 2, 3 + k % 7, 4]) for k in range(3000)]
    text = json.dumps(document(annotations=marks))
    write(tmp_path / "x.json", text)
    tracemalloc.start()
    data = read(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(len(r.boxes) for r in data.records) == 3000
    assert len(BOXES) == 3
    assert peak < 3 * len(text)
