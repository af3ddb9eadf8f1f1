"""YOLO: names, folders, splits, outlines, and what is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from box_trees import SIZES, pictures, yolo_text
from medloupe.data.readers.annotations.yaml_subset import read_yaml
from medloupe.data.readers.annotations.yolo import pair_texts
from medloupe.data.reading import read
from medloupe.data.records import Box
from medloupe.errors import DataError
from readers_cases import write

NAMES = "names: [RBC, WBC]\n"


def build(root: Path, yaml: str = f"train: images\n{NAMES}", **texts: str) -> Path:
    pictures(root)
    for name, text in ({"a": yolo_text("a.png")} | texts).items():
        write(root / "labels" / f"{name}.txt", text)
    if yaml:
        write(root / "data.yaml", yaml)
    return root


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [RBC, 'W,BC']", ["RBC", "W,BC"]),
        ("names:\n- RBC\n- WBC # white", ["RBC", "WBC"]),
        ("names:\n  0: RBC\n  1: 'WBC'\n", {"0": "RBC", "1": "WBC"}),
        ("names: {0: RBC, 1: WBC}", {"0": "RBC", "1": "WBC"}),
        ("names: [RBC,\n  WBC,\n]\nnc: 2", ["RBC", "WBC"]),
        ('path: "x # y"\nnames: ["a"]', ["a"]),
    ],
)
def test_the_little_yaml(tmp_path: Path, text: str, names: object):
    assert read_yaml(write(tmp_path / "data.yaml", text))["names"] == names


def test_broken_yaml(tmp_path: Path):
    with pytest.raises(DataError, match=r"data\.yaml: the list of 'names' does not end"):
        read_yaml(write(tmp_path / "data.yaml", "names: [a,\n b"))
    with pytest.raises(DataError, match=r"data\.yaml, line 2: 'what is this' where `key: value`"):
        read_yaml(write(tmp_path / "data.yaml", "nc: 1\nwhat is this"))


def test_texts_belong_to_the_nearest_picture():
    assert pair_texts(
        ["images/train/a.jpg", "images/val/a.jpg", "x/b.jpg", "y/b.jpg", "c.jpg"],
        ["labels/train/a.txt", "y/b.txt", "deep/down/c.txt", "classes.txt"],
    ) == {"images/train/a.jpg": "labels/train/a.txt", "y/b.jpg": "y/b.txt", "c.jpg": "deep/down/c.txt"}


def test_splits_of_roboflow(tmp_path: Path):
    for split, name in (("train", "a.png"), ("valid", "b.png")):
        pictures(tmp_path, f"{split}/images", {name: SIZES[name]})
        write(tmp_path / split / "labels" / f"{name[0]}.txt", yolo_text(name))
    write(tmp_path / "data.yaml", f"train: ../train/images\nval: ../valid/images\ntest: ../test/images\n{NAMES}")
    data = read(tmp_path)
    assert {r.id: r.split for r in data.records} == {"train/images/a.png": "train", "valid/images/b.png": "val"}
    assert "'../test/images' for test, which holds no picture here" in " ".join(data.notes)


def test_splits_by_lists(tmp_path: Path):
    build(tmp_path, f"train: train.txt\nval: lists/val.txt\n{NAMES}", b=yolo_text("b.png"))
    write(tmp_path / "train.txt", "/home/me/images/a.png\n")
    write(tmp_path / "lists" / "val.txt", "./images/b.png\n")
    assert {r.id: r.split for r in read(tmp_path).records} == {"images/a.png": "train", "images/b.png": "val"}


def test_the_same_folder_for_train_and_val_is_no_split(tmp_path: Path):
    data = read(build(tmp_path, f"train: images\nval: images\n{NAMES}"))
    assert {r.split for r in data.records} == {None}
    assert "the same pictures for several splits" in " ".join(data.notes)


def test_names_without_a_yaml(tmp_path: Path):
    write(build(tmp_path, "") / "classes.txt", "RBC\nWBC\n")
    assert read(tmp_path).labels == ("RBC", "WBC")
    (tmp_path / "classes.txt").unlink()
    data = read(tmp_path)
    assert data.labels == ("0", "1")
    assert "called by their numbers" in " ".join(data.notes)


def test_outlines(tmp_path: Path):
    data = read(build(tmp_path, a="1 0.1 0.1 0.5 0.1 0.5 0.75\n0 0.5 0.5 0.2 0.2"))
    box = data.records[0].boxes[0]
    assert (box.label, box.x, box.y, box.width, box.height) == ("WBC", *map(pytest.approx, (6, 4, 24, 26)))
    assert "1 outlines" in " ".join(data.notes)


def test_poses(tmp_path: Path):
    data = read(build(tmp_path, f"kpt_shape: [1, 2]\ntrain: images\n{NAMES}", a="0 0.5 0.5 0.5 0.5 0.1 0.1"))
    assert data.records[0].boxes == (Box("RBC", 15, 10, 30, 20),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1", r"labels/b\.txt, line 2: 4 numbers, but class, x centre"),
        ("0 0.5 0.5 0.1 0.1 0.97", r"6 numbers.*A sixth number is a score"),
        ("0 25 30 10 10", r"b\.txt, line 1: 25 is no share of the picture; 0 to 1"),
        ("0 0.5 0.5 nan 0.1", r"b\.txt, line 1: 'nan' where a share"),
        ("2 0.5 0.5 0.1 0.1", r"b\.txt, line 1: class 2 is not declared; data\.yaml has 0 \(RBC\), 1 \(WBC\)"),
        ("0.5 0.5 0.5 0.1 0.1", r"'0\.5' where the number of a class"),
        ("RBC 0.5 0.5 0.1 0.1", r"'RBC' where the number of a class"),
        ("0 0.5 0.5 0.1 -0.1", r"-0\.1 is no share"),
    ],
)
def test_broken_texts(tmp_path: Path, text: str, said: str):
    with pytest.raises(DataError, match=said):
        read(build(tmp_path, b=text))


def test_two_descriptions(tmp_path: Path):
    write(build(tmp_path) / "old" / "data.yaml", "train: x\nnames: [WBC, RBC]")
    with pytest.raises(DataError, match="give the classes different names"):
        read(tmp_path)


def test_reports_beside_pictures_are_no_boxes(tmp_path: Path):
    for k, label in enumerate(("ill", "ill", "well", "well")):
        pictures(tmp_path, label, {f"{k}.png": (20 + k, 20)})
        write(tmp_path / label / f"{k}.txt", "Both lungs are clear.\n")
    data = read(tmp_path)
    assert (data.task, len(data.skipped["not an image"])) == ("multiclass", 4)
