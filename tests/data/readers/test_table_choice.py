"""Which tables are read: by split together, by patient or study joined, and none that would narrow a set of folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.reading import read
from medloupe.errors import DataError
from readers_cases import write
from tabled import TWELVE, labels, rows, said, tabled

BOTH = [f"{split}/{i}.png" for split in ("train", "test") for i in range(12)]


def test_a_table_for_each_split(tmp_path: Path):
    tabled(tmp_path, rows("image,label", lambda i: f"{i}.png,{'ab'[i % 2]}"), "train.csv", BOTH)
    write(tmp_path / "test.csv", rows("Image,Label", lambda i: f"{i}.png,{'ba'[i % 2]}"))
    data = read(tmp_path)
    assert data.splits == {"train": 12, "test": 12}
    assert labels(data)["train/0.png"] == {"a": 1}
    assert labels(data)["test/0.png"] == {"b": 1}
    assert not data.skipped
    assert "train.csv and test.csv are read as one table" in said(data)
    assert "train.csv is train, test.csv is test" in said(data)


def test_a_table_for_each_hospital(tmp_path: Path):
    tabled(tmp_path, rows("file,dx", lambda i: f"{i}.png,{'ab'[i % 2]}", 6), "east.csv")
    write(tmp_path / "west.csv", rows("file,dx,age", lambda i: f"{i + 6}.png,{'ab'[i % 2]},50", 6))
    data = read(tmp_path)
    assert len(data) == 12
    assert data.splits == {"": 12}
    assert data.records[-1].columns == {"age": "50"}


def test_a_form_to_fill_in_holds_no_labels(tmp_path: Path):
    images = [f"train/a{i}.png" for i in range(6)] + [f"test/b{i}.png" for i in range(8)]
    tabled(tmp_path, rows("id,label", lambda i: f"a{i},{'xy'[i % 2]}", 6), "train.csv", images)
    write(tmp_path / "sample_submission.csv", rows("id,label", lambda i: f"b{i},x", 8))
    data = read(tmp_path)
    assert data.counts() == {"x": 3, "y": 3}
    assert len(data.skipped["not in the table"]) == 8


def test_tables_that_speak_of_the_same_images_are_not_stacked(tmp_path: Path):
    tabled(tmp_path, rows("file,label", lambda i: f"{i}.png,{'ab'[i % 2]}"), "truth.csv")
    write(tmp_path / "also.csv", rows("file,label", lambda i: f"{i}.png,c", 4))
    data = read(tmp_path)
    assert data.labels == ("a", "b")
    assert data.skipped["a table that is not used"] == ("also.csv",)


def test_labels_by_patient_are_joined(tmp_path: Path):
    tabled(tmp_path, rows("file,patient_id", lambda i: f"{i}.png,P{i // 2}"), "images.csv")
    write(tmp_path / "patients.csv", rows("patient_id,diagnosis,age", lambda i: f"P{i},{'ab'[i % 2]},{50 + i}", 6))
    data = read(tmp_path)
    assert labels(data) == {f"{i}.png": {"ab"[i // 2 % 2]: 1} for i in range(12)}
    assert len({r.patient for r in data.records}) == 6
    assert data.records[0].columns == {"age": "50"}
    assert "Labels come from patients.csv, by 'patient_id' (12 of 12 rows)" in said(data)
    assert "a table that is not used" not in data.skipped
    assert labels(read(tmp_path, table="images.csv")) == labels(data)


def studies(root: Path) -> Path:
    """Images by study in folders of numbers, labels by study, split by image: as MIMIC-CXR's are, under other names."""
    images = [f"p{10 + i % 3}/p{100 + i // 2}/s{500 + i}/x{i:03}.png" for i in range(12)]
    tabled(
        root,
        rows("image_id,subject_id,study_id,view", lambda i: f"x{i:03},{100 + i // 2},{500 + i},PA"),
        "meta.csv",
        images,
    )
    write(root / "split.csv", rows("image_id,split", lambda i: f"x{i:03},{'train' if i < 8 else 'test'}"))
    write(
        root / "truth.csv",
        rows("subject_id,study_id,Edema,Mass", lambda i: f"{100 + i // 2},{500 + i},{i % 2}.0,{int(i < 4)}"),
    )
    return root


def test_labels_by_study_and_a_split_apart(tmp_path: Path):
    data = read(studies(tmp_path))
    assert (data.task, data.labels) == ("multilabel", ("Edema", "Mass"))
    assert data.splits == {"train": 8, "test": 4}
    assert len({r.patient for r in data.records}) == 6
    assert "Labels come from truth.csv, by 'study_id'" in said(data)
    assert "Splits come from split.csv, by 'image_id'" in said(data)


def test_labels_by_study_without_a_table_of_images(tmp_path: Path):
    root = studies(tmp_path)
    (root / "meta.csv").unlink()
    (root / "split.csv").unlink()
    data = read(root)
    assert data.labels == ("Edema", "Mass")
    assert labels(data)["p10/p100/s500/x000.png"] == {"Edema": 0, "Mass": 1}
    assert len({r.patient for r in data.records}) == 6
    assert "names no images: each image has the labels of the row whose 'study_id'" in said(data)


def test_folders_are_not_learned_where_another_table_has_the_labels(tmp_path: Path):
    root = studies(tmp_path)
    write(root / "truth.csv", rows("study_id,diagnosis", lambda i: f"{500 + i // 2},{'ab'[i % 2]}"))
    with pytest.raises(DataError, match=r"No table that names the images has labels; truth\.csv has, by 'study_id'"):
        read(root)


@pytest.mark.parametrize(
    "place", ["P{p:03}/scan{k}.png", "scans/P{p:03}_{k}.png", "x/{p}/scan{k}.png", "P{p:03}-{k}.png"]
)
def test_a_table_by_patient_is_spread_over_the_patients_images(tmp_path: Path, place: str):
    images = [place.format(p=p, k=k) for p in range(6) for k in range(2)]
    data = read(
        tabled(tmp_path, rows("patient_id,diagnosis", lambda i: f"P{i:03},{'ab'[i % 2]}", 6), "patients.csv", images)
    )
    assert labels(data) == {image: {"ab"[k // 2 % 2]: 1} for k, image in enumerate(images)}
    assert len({r.patient for r in data.records}) == 6


@pytest.mark.parametrize("text", ["class_id,label\n0,a\n1,b", "study_id,diagnosis\n7,x\n8,y", "name,type\nA,Clinic"])
def test_other_tables_leave_class_folders_alone(tmp_path: Path, text: str):
    data = read(tabled(tmp_path, text, images=[f"{'ab'[k % 2]}/{image}" for k, image in enumerate(TWELVE)]))
    assert (data.reader, data.labels) == ("folders", ("a", "b"))


@pytest.mark.parametrize("sign", [",", " ", "\t"])
def test_a_text_that_names_the_images_is_named(tmp_path: Path, sign: str):
    root = tabled(tmp_path, rows("", lambda i: f"{i}.png{sign}{i % 2}"), "labels.txt")
    with pytest.raises(DataError, match=r"labels\.txt names the images") as error:
        read(root)
    assert "Rename it" in error.value.hint


def test_a_text_of_other_things_is_not(tmp_path: Path):
    with pytest.raises(DataError, match="nothing says what they show"):
        read(tabled(tmp_path, "These pictures, and others, were taken\nin a clinic.", "about.txt"))


def test_a_table_without_labels_does_not_narrow_class_folders(tmp_path: Path):
    images = [f"{c}/{c}-{i}.png" for c in "ab" for i in range(6)]
    tabled(tmp_path, rows("FILE NAME,FORMAT", lambda i: f"a-{i},PNG", 6), "a.csv", images)
    write(tmp_path / "b.csv", rows("FILE NAME,FORMAT", lambda i: f"b-{i},PNG", 6))
    assert read(tmp_path).counts() == {"a": 6, "b": 6}
