"""What pictures without boxes are, where it is told and where not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medloupe.data.reading import read
from medloupe.data.records import Dataset
from medloupe.errors import DataError


def write(root: Path) -> Path:
    """a and b have boxes; c is listed without any; d is not mentioned."""
    root.mkdir()
    for name in "abcd":
        Image.fromarray(np.full((60, 80, 3), 90, np.uint8)).save(root / f"{name}.png")
    pictures = [{"id": i, "file_name": f"{n}.png", "width": 80, "height": 60} for i, n in enumerate("abc", 1)]
    marks = [{"id": i, "image_id": i, "category_id": 1, "bbox": [10, 10, 20, 20]} for i in (1, 2)]
    entry = {"images": pictures, "annotations": marks, "categories": [{"id": 1, "name": "cyst"}]}
    (root / "instances.json").write_text(json.dumps(entry))
    return root


def known(data: Dataset) -> dict[str, int | None]:
    return {record.id[0]: record.labels.get("cyst") for record in data.records}


def test_unless_told_a_picture_is_a_negative_where_the_annotation_lists_it(tmp_path: Path) -> None:
    data = read(write(tmp_path / "d"))
    assert known(data) == {"a": 1, "b": 1, "c": 0}
    assert data.skipped["not annotated"] == ("d.png",)


def test_told_negative_all_of_them_are(tmp_path: Path) -> None:
    data = read(write(tmp_path / "d"), unboxed="negative")
    assert known(data) == {"a": 1, "b": 1, "c": 0, "d": 0}
    assert any("2 images are told to show none" in note for note in data.notes)
    assert data.asked["unboxed"] == "negative"


def test_told_unknown_a_list_without_boxes_says_nothing(tmp_path: Path) -> None:
    data = read(write(tmp_path / "d"), unboxed="unknown")
    assert known(data) == {"a": 1, "b": 1}
    assert set(data.skipped["not annotated"]) == {"c.png", "d.png"}


def test_told_to_leave_them_out_only_pictures_with_boxes_stay(tmp_path: Path) -> None:
    data = read(write(tmp_path / "d"), unboxed="leave-out")
    assert known(data) == {"a": 1, "b": 1}
    assert "c.png" in data.skipped["no box, left out as told"]


def test_a_picture_said_to_show_it_is_no_negative_whatever_is_told(tmp_path: Path) -> None:
    root = write(tmp_path / "d")
    (root / "labels.csv").write_text("file,label\na.png,cyst\nb.png,cyst\nc.png,normal\nd.png,cyst\n")
    data = read(root, task="detection", unboxed="negative")
    assert known(data) == {"a": 1, "b": 1, "c": 0, "d": None}
    assert any("said to show one of these, such as d.png" in note for note in data.notes)
    assert known(read(root, task="detection", unboxed="unknown"))["c"] == 0  # its class says so


def test_it_is_refused_where_no_boxes_are_learned(tmp_path: Path) -> None:
    root = write(tmp_path / "d")
    with pytest.raises(DataError, match=r"none of negative, unknown, leave-out"):
        read(root, unboxed="negativ")
    (root / "labels.csv").write_text("file,label\na.png,cyst\nb.png,cyst\nc.png,normal\nd.png,normal\n")
    with pytest.raises(DataError) as caught:
        read(root, unboxed="negative")
    assert "--task detection" in caught.value.hint
    (root / "instances.json").unlink()
    with pytest.raises(DataError, match="has no boxes"):
        read(root, unboxed="negative")
