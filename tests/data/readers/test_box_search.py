"""Boxes are found in whatever form they lie beside the pictures, and say the same in all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import box_trees
from box_trees import BOXES, TREES, pictures
from medloupe.data.reading import read
from medloupe.data.records import Box, Dataset
from medloupe.errors import DataError, QuestionError
from readers_cases import write


def by_name(data: Dataset) -> dict[str, tuple[Box, ...]]:
    return {record.id.rpartition("/")[2]: record.boxes for record in data.records}


def said(data: Dataset) -> str:
    return " ".join(data.notes)


def near(one: tuple[Box, ...], other: tuple[Box, ...]) -> bool:
    """The same boxes within a hundredth of a pixel, in any order."""
    key = lambda box: (box.label, box.x, box.y)  # noqa: E731 - one line, used twice
    pairs = list(zip(sorted(one, key=key), sorted(other, key=key), strict=True))
    return all(
        a.label == b.label and (a.x, a.y, a.width, a.height) == pytest.approx((b.x, b.y, b.width, b.height), abs=0.01)
        for a, b in pairs
    )


@pytest.mark.parametrize("kind", TREES)
class TestEveryForm:
    @pytest.fixture
    def root(self, kind: str, tmp_path: Path) -> Path:
        TREES[kind](tmp_path / "set")
        return tmp_path / "set"

    def test_says_the_same(self, root: Path):
        data = read(root)
        assert (data.task, sorted(data.labels)) == ("detection", ["RBC", "WBC"])
        found = by_name(data)
        assert found.keys() == BOXES.keys()
        assert all(near(found[name], boxes) for name, boxes in BOXES.items()), found

    def test_present_absent_and_not_annotated(self, root: Path):
        data = read(root)
        labels = {record.id.rpartition("/")[2]: dict(record.labels) for record in data.records}
        assert labels == {"a.png": {"RBC": 1, "WBC": 1}, "b.png": {"RBC": 1, "WBC": 0}, "c.png": {"RBC": 0, "WBC": 0}}
        assert [name.rpartition("/")[2] for name in data.skipped["not annotated"]] == ["d.png"]
        assert "1 images are known to show none" in said(data)
        assert "1 images have no box" in said(data) or "not annotated" in data.skipped

    def test_files_of_the_annotation_are_not_left_out(self, root: Path):
        assert not read(root).skipped.get("not an image")

    def test_is_deterministic(self, root: Path):
        first, second = read(root), read(root)
        assert (first.records, first.notes, first.skipped) == (second.records, second.notes, second.skipped)

    def test_classification_asks_whether_a_picture_has_any(self, root: Path):
        data = read(root, task="classification")
        assert (data.task, data.counts()["WBC"]) == ("multilabel", 1)

    def test_beside_classes_of_whole_pictures(self, kind: str, root: Path):
        """A table of classes goes first; boxes are kept, and learned where that is told."""
        folder = "JPEGImages" if kind == "Pascal VOC" else "images"
        rows = [f"{folder}/{name},{label}" for name, label in zip(box_trees.SIZES, "xyxy", strict=True)]
        write(root / "labels.csv", "\n".join(["file,diagnosis", *rows]))
        data = read(root)
        assert (data.task, data.labels) == ("multiclass", ("x", "y"))
        if kind != "masks":  # which are read only where boxes are wanted
            assert near(by_name(data)["a.png"], BOXES["a.png"])
            assert "--task detection" in said(data)
        told = read(root, task="detection")
        assert (told.task, told.asked["task"]) == ("detection", "detection")
        assert near(by_name(told)["a.png"], BOXES["a.png"])
        labels = {record.id.rpartition("/")[2]: dict(record.labels) for record in told.records}
        assert labels["c.png"] == {"RBC": 0, "WBC": 0}
        assert labels["d.png"] == {}


def test_a_normal_picture_is_a_negative(tmp_path: Path):
    box_trees.coco(tmp_path)
    rows = [
        f"images/{name},{label}" for name, label in zip(box_trees.SIZES, ("ill", "ill", "ill", "normal"), strict=True)
    ]
    write(tmp_path / "labels.csv", "\n".join(["file,label", *rows]))
    data = read(tmp_path, task="detection")
    assert {r.id: dict(r.labels) for r in data.records}["images/d.png"] == {"RBC": 0, "WBC": 0}
    assert "2 images are known to show none" in said(data)


def test_a_label_said_without_a_place_is_not_stated(tmp_path: Path):
    box_trees.coco(tmp_path)
    rows = ["images/a.png,RBC|WBC", "images/b.png,RBC|WBC", "images/c.png,No Finding", "images/d.png,RBC"]
    write(tmp_path / "labels.csv", "\n".join(["file,labels", *rows]))
    data = read(tmp_path, task="detection", labels="labels")
    labels = {r.id: dict(r.labels) for r in data.records}
    assert labels["images/b.png"] == {"RBC": 1}
    assert labels["images/d.png"] == {"WBC": 0}


def test_a_class_of_all_marked_pictures_names_no_kind(tmp_path: Path):
    pictures(tmp_path, "")
    write(tmp_path / "labels.csv", "file,label\na.png,fracture\nb.png,fracture\nc.png,no_box\nd.png,normal")
    write(tmp_path / "boxes.csv", "file,label,x,y,w,h\na.png,line,1,2,3,4\nb.png,fracture,1,2,3,4")
    data = read(tmp_path, task="detection")
    labels = {r.id: dict(r.labels) for r in data.records}
    assert labels["a.png"] == {"fracture": 0, "line": 1}
    assert labels["c.png"] == {}  # no box is no finding
    assert labels["d.png"] == {"fracture": 0, "line": 0}
    assert "says no more than that something is there" in said(data)


def test_detection_without_boxes(tmp_path: Path):
    for name in ("x/1.png", "y/2.png"):
        pictures(tmp_path, names={name: (20, 20)}, folder="")
    with pytest.raises(DataError, match="no boxes on them"):
        read(tmp_path, task="detection")
    with pytest.raises(DataError, match="--task 'boxes' is none of detection, classification, multilabel"):
        read(tmp_path, task="boxes")


def test_the_same_boxes_twice_are_read_once(tmp_path: Path):
    box_trees.coco(tmp_path)
    box_trees.voc(tmp_path / "voc")
    (tmp_path / "voc" / "Annotations").rename(tmp_path / "Annotations")
    import shutil

    shutil.rmtree(tmp_path / "voc")
    data = read(tmp_path)
    assert near(by_name(data)["a.png"], BOXES["a.png"])
    assert "holds the same boxes" in said(data)
    assert not data.skipped.get("not an image")


def test_other_boxes_for_the_same_pictures_are_asked_about(tmp_path: Path):
    box_trees.coco(tmp_path)
    write(tmp_path / "boxes.csv", "file,label,x,y,w,h\na.png,WBC,30,20,5,5\nb.png,RBC,1,1,30,30")
    with pytest.raises(QuestionError) as asked:
        read(tmp_path)
    assert set(asked.value.answers) == {"--table annotations/instances.json", "--table boxes.csv"}
    assert by_name(read(tmp_path, table="annotations/instances.json"))["b.png"] == BOXES["b.png"]
    assert by_name(read(tmp_path, table="boxes.csv"))["b.png"] == (Box("RBC", 1, 1, 30, 30),)


def test_annotations_of_other_pictures_are_joined(tmp_path: Path):
    pictures(tmp_path, "", {"a.png": (60, 40), "b.png": (50, 50)})
    write(tmp_path / "a.xml", box_trees.voc_text("a.png"))
    write(tmp_path / "boxes.csv", "file,label,x,y,w,h\nb.png,RBC,0,0,10,10")
    data = read(tmp_path)
    assert near(by_name(data)["a.png"], BOXES["a.png"])
    assert by_name(data)["b.png"] == BOXES["b.png"]


def test_broken_boxes_stop_nobody_who_learns_classes(tmp_path: Path):
    pictures(tmp_path, "ill", {"1.png": (20, 20), "2.png": (21, 20)})
    pictures(tmp_path, "well", {"3.png": (22, 20), "4.png": (23, 20)})
    write(tmp_path / "instances.json", '{"images": [], "annotations": [')
    data = read(tmp_path)
    assert (data.task, data.labels) == ("multiclass", ("ill", "well"))
    assert "Boxes are there, but are not read" in said(data)
    with pytest.raises(DataError, match=r"instances\.json, line 1"):
        read(tmp_path, task="detection")


def test_annotations_outside_the_folder(tmp_path: Path):
    pictures(tmp_path / "set")
    write(tmp_path / "apart.json", json.dumps(box_trees.coco_document("images/")))
    data = read(tmp_path / "set", table=tmp_path / "apart.json")
    assert near(by_name(data)["a.png"], BOXES["a.png"])
