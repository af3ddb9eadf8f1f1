"""What the readers promise: the contract of every reader, then each layout's own rules, then the real data."""

from __future__ import annotations

import builtins
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fresh import SAY, loaded
from medloupe.data.readers.base import parse_split
from medloupe.data.reading import READERS, read
from medloupe.data.records import Box, Dataset, Record
from medloupe.ecg.signal import Signal
from medloupe.errors import ColumnError, DataError, UnknownLayoutError
from readers_cases import CASES, ECG_CASES, dicom, mnist, picture, write

NAMES = [reader.name for reader in READERS]


def by_id(data: Dataset) -> dict[str, Record]:
    return {record.id: record for record in data.records}


def labels_of(data: Dataset) -> dict[str, dict[str, int]]:
    return {record.id: dict(record.labels) for record in data.records}


def said(data: Dataset) -> str:
    return " ".join(data.notes)


def table(root: Path, text: str, name: str = "labels.csv", images: str = "a.png b.png c.png") -> Path:
    for image in images.split():
        picture(root / image)
    write(root / name, text)
    return root


# The contract of every reader


def test_every_reader_has_a_case():
    assert sorted(NAMES) == sorted(CASES)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    @pytest.fixture
    def root(self, name: str, tmp_path: Path) -> Path:
        return CASES[name](tmp_path / "set")

    def test_is_read_by_its_own_reader(self, name: str, root: Path):
        data = read(root)
        assert data.reader == name
        assert len(data) > 0

    def test_ids_are_unique_and_sorted(self, root: Path):
        ids = [record.id for record in read(root).records]
        assert ids == sorted(set(ids))

    def test_is_deterministic(self, root: Path):
        first, second = read(root), read(root)
        assert labels_of(first) == labels_of(second)
        assert (first.labels, first.task, first.notes, first.skipped) == (
            second.labels,
            second.task,
            second.notes,
            second.skipped,
        )

    def test_targets_are_one_zero_or_missing(self, root: Path):
        data = read(root)
        assert data.targets.shape == (len(data), len(data.labels))
        assert all(value in (0, 1) or np.isnan(value) for value in data.targets.ravel())
        assert all(count > 0 for count in data.counts().values())

    def test_every_image_is_there(self, root: Path):
        for record in read(root).records:
            held = record.image if record.signal is None else record.signal
            assert (record.image is None) == (record.signal is not None)
            if isinstance(held, Path):
                assert held.is_file()
                assert held == root / record.id
            elif isinstance(held, Signal):
                assert held.samples.dtype == np.float32
                assert held.samples.shape[0] == len(held.leads)
            else:
                assert held is not None
                assert held.dtype == np.uint8

    def test_the_modality_is_that_of_the_records(self, name: str, root: Path):
        data = read(root)
        assert data.modality == ("ecg" if name in ECG_CASES else "image")
        assert all((record.signal is None) == (data.modality == "image") for record in data.records)
        assert set(data.clinical) <= {column for record in data.records for column in record.columns}

    def test_hidden_and_stray_files_are_counted(self, name: str, root: Path):
        skipped = read(root).skipped
        assert skipped["hidden"] == (".DS_Store", ".git/")
        assert skipped["not an ECG" if name in ECG_CASES else "not an image"] == ("notes.docx",)

    def test_name_splits_and_columns_are_plain(self, name: str, root: Path):
        data = read(root)
        assert data.name == ("breastmnist" if name == "medmnist" else "set")
        assert set(data.splits) <= {"", "train", "val", "test"}
        assert all(cell for record in data.records for cell in record.columns.values())


# Folders


def test_split_names():
    for word in ("Train", "Training", "train_val", "TRAIN"):
        assert parse_split(word) == "train"
    for word in ("valid", "validation", "val", "dev"):
        assert parse_split(word) == "val"
    assert parse_split("Testing") == "test"
    assert parse_split("tests_of_blood") is None


def test_folders_with_splits_above(tmp_path: Path):
    for path in ("Training/a/1.png", "Training/b/x/y/2.png", "valid/a/1.png", "Testing/b/1.jpg"):
        picture(tmp_path / path)
    data = read(tmp_path)
    assert data.task == "multiclass"
    assert data.labels == ("a", "b")
    assert {r.id: (r.split, *r.labels) for r in data.records} == {
        "Training/a/1.png": ("train", "a"),
        "Training/b/x/y/2.png": ("train", "b"),
        "valid/a/1.png": ("val", "a"),
        "Testing/b/1.jpg": ("test", "b"),
    }
    assert "valid is val" in said(data)


def test_folders_with_splits_below(tmp_path: Path):
    for path in ("a/train/1.png", "a/test/2.png", "b/train/3.png"):
        picture(tmp_path / path)
    assert {r.id: (r.split, *r.labels) for r in read(tmp_path).records} == {
        "a/train/1.png": ("train", "a"),
        "a/test/2.png": ("test", "a"),
        "b/train/3.png": ("train", "b"),
    }


def test_one_class_called_test_is_a_class(tmp_path: Path):
    picture(tmp_path / "control" / "1.png")
    picture(tmp_path / "test" / "1.png")
    data = read(tmp_path)
    assert data.labels == ("control", "test")
    assert data.splits == {"": 2}


def test_folders_wrapped_by_an_archive(tmp_path: Path):
    picture(tmp_path / "chest" / "chest" / "train" / "a" / "1.png")
    picture(tmp_path / "chest" / "chest" / "train" / "b" / "1.png")
    data = read(tmp_path)
    assert data.labels == ("a", "b")
    assert data.splits == {"train": 2}
    assert "chest/chest" in said(data)


def test_one_class_is_read(tmp_path: Path):
    picture(tmp_path / "cats" / "1.png")
    assert read(tmp_path).labels == ("cats",)


def test_labels_in_numeric_order(tmp_path: Path):
    for k in ("10", "9", "1"):
        picture(tmp_path / k / "x.png")
    assert read(tmp_path).labels == ("1", "9", "10")


def test_folder_of_unknowns_is_unlabelled(tmp_path: Path):
    for name in ("a", "b", "unknown"):
        picture(tmp_path / name / "1.png")
    data = read(tmp_path)
    assert data.labels == ("a", "b")
    assert by_id(data)["unknown/1.png"].labels == {}
    assert "1 images are unlabelled" in said(data)


def test_masks_beside_images_are_left_out(tmp_path: Path):
    for path in ("a/x (1).png", "a/x (1)_mask.png", "a/x (1)_mask_1.png", "b/y_mask.png"):
        picture(tmp_path / path)
    data = read(tmp_path)
    assert set(by_id(data)) == {"a/x (1).png", "b/y_mask.png"}
    assert data.skipped["mask of another image"] == ("a/x (1)_mask.png", "a/x (1)_mask_1.png")


def test_loose_images_are_counted(tmp_path: Path):
    for path in ("a/1.png", "b/1.png", "loose.png"):
        picture(tmp_path / path)
    assert read(tmp_path).skipped["in no class folder"] == ("loose.png",)


def test_system_files(tmp_path: Path):
    for path in ("a/1.png", "b/1.png", "a/._1.png", "__MACOSX/a/1.png"):
        picture(tmp_path / path)
    write(tmp_path / "a" / "Thumbs.db", "x")
    data = read(tmp_path)
    assert set(by_id(data)) == {"a/1.png", "b/1.png"}
    assert data.skipped["hidden"] == ("__MACOSX/", "a/._1.png", "a/Thumbs.db")


def test_links_in_a_loop_end(tmp_path: Path):
    picture(tmp_path / "set" / "a" / "1.png")
    picture(tmp_path / "elsewhere" / "1.png")
    (tmp_path / "set" / "a" / "loop").symlink_to(tmp_path / "set", target_is_directory=True)
    (tmp_path / "set" / "b").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "set" / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    data = read(tmp_path / "set")
    assert set(by_id(data)) == {"a/1.png", "b/1.png"}
    assert data.skipped["broken link"] == ("a/gone.png",)


def test_patients_by_pattern_only_when_told(tmp_path: Path):
    for path in ("a/C1P2_x.png", "b/C1P2_y.png", "b/C3P4_y.png", "b/other.png"):
        picture(tmp_path / path)
    assert {r.patient for r in read(tmp_path).records} == {None}
    for pattern in (r"C\d+P\d+", r"(C\d+P\d+)_"):
        data = read(tmp_path, patient=pattern)
        assert [r.patient for r in data.records] == ["C1P2", "C1P2", "C3P4", None]
        assert "2 patients" in said(data)


@pytest.mark.parametrize(
    ("told", "expected"),
    [(r"Z\d+", "matches none"), (r"(a", "not a regular"), (r"(a)(b)", "2 groups"), ("who", "no table")],
)
def test_bad_patient_option(tmp_path: Path, told: str, expected: str):
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "1.png")
    with pytest.raises(DataError, match=expected):
        read(tmp_path, patient=told)


def test_columns_told_without_a_table(tmp_path: Path):
    picture(tmp_path / "a" / "1.png")
    with pytest.raises(DataError, match="no table"):
        read(tmp_path, labels="dx")


@pytest.mark.parametrize("paths", ["1.png 2.png", "images/1.png images/2.png", "train/1.png test/2.png"])
def test_nothing_says_what_images_show(tmp_path: Path, paths: str):
    for path in paths.split():
        picture(tmp_path / path)
    with pytest.raises(DataError, match="nothing says what they show") as error:
        read(tmp_path)
    assert "a folder for each class" in error.value.hint


# Tables


def test_table_wins_over_class_folders(tmp_path: Path):
    root = table(tmp_path, "file,label\na/1.png,x\nb/1.png,y", images="a/1.png b/1.png b/2.png")
    data = read(root)
    assert data.reader == "table"
    assert labels_of(data) == {"a/1.png": {"x": 1}, "b/1.png": {"y": 1}}
    assert data.skipped["not in the table"] == ("b/2.png",)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_dialects(tmp_path: Path, encoding: str, delimiter: str):
    text = "Image,Diagnosis,remark\r\na.png,Odème,x\r\nb.png,sain,é\r\n\r\n".replace(",", delimiter)
    table(tmp_path, "", images="a.png b.png")
    write(tmp_path / "labels.csv", text, encoding)
    data = read(tmp_path, image="Image")
    assert data.labels == ("Odème", "sain")
    assert by_id(data)["b.png"].columns == {"remark": "é"}
    assert ("Latin-1" in said(data)) == (encoding == "latin-1")


def test_usual_names_in_any_case(tmp_path: Path):
    root = table(tmp_path, "Image Index,DX,Patient ID,Set,Age\na.png,m,p1,Training,\nb.png,n,,valid,50\nc.png,n,p2,,3")
    data = read(root)
    assert {r.id: (*r.labels, r.patient, r.split, dict(r.columns)) for r in data.records} == {
        "a.png": ("m", "p1", "train", {}),
        "b.png": ("n", None, "val", {"Age": "50"}),
        "c.png": ("n", "p2", None, {"Age": "3"}),
    }
    assert "1 images have no split" in said(data)


def test_columns_can_be_told(tmp_path: Path):
    root = table(
        tmp_path, "label,file,pic,what,who,part\nq,b.png,a.png,x,1,train\nq,a.png,b.png,y,2,test", images="a.png b.png"
    )
    data = read(root, labels="what", image="pic", patient="WHO", split="part")
    assert {r.id: (*r.labels, r.patient, r.split) for r in data.records} == {
        "a.png": ("x", "1", "train"),
        "b.png": ("y", "2", "test"),
    }


@pytest.mark.parametrize("option", ["labels", "patient", "split", "image"])
def test_told_column_that_does_not_exist(tmp_path: Path, option: str):
    root = table(tmp_path, "file,label,patient_id,split\na.png,x,1,train\nb.png,y,2,test")
    with pytest.raises(ColumnError, match=r"labels\.csv has no column 'patient_ie'.*Did you mean 'patient_id'"):
        read(root, **{option: "patient_ie"})


def test_split_column_without_splits(tmp_path: Path):
    root = table(tmp_path, "file,label,fold\na.png,x,1\nb.png,y,2")
    with pytest.raises(DataError, match="train, val or test"):
        read(root, split="fold")
    data = read(root)
    assert data.splits == {"": 2}
    assert by_id(data)["a.png"].columns == {"fold": "1"}


def test_label_and_labels(tmp_path: Path):
    root = table(tmp_path, "file,label,labels\na.png,x,Mass|Edema\nb.png,y,No Finding\nc.png,y,")
    data = read(root)
    assert (data.task, data.labels) == ("multiclass", ("x", "y"))
    assert "'labels' holds several labels" in said(data)
    assert by_id(data)["a.png"].columns == {"labels": "Mass|Edema"}
    data = read(root, labels="labels")
    assert (data.task, data.labels) == ("multilabel", ("Edema", "Mass"))
    assert labels_of(data) == {"a.png": {"Edema": 1, "Mass": 1}, "b.png": {"Edema": 0, "Mass": 0}, "c.png": {}}
    assert "'No Finding' (1 images)" in said(data)
    assert np.isnan(data.targets[2]).all()


def test_pipes_make_a_column_multi_label(tmp_path: Path):
    data = read(table(tmp_path, "file,dx\na.png,Mass | Edema\nb.png,Mass"))
    assert data.task == "multilabel"
    assert data.targets.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    "cell", ["", "unknown", "ToDo", "unlabelled", "Unlabeled", "N/A", "na", "NaN", "none given", "?"]
)
def test_cells_that_state_nothing(tmp_path: Path, cell: str):
    data = read(table(tmp_path, f"file,label\na.png,x\nb.png,y\nc.png,{cell}"))
    assert data.labels == ("x", "y")
    assert by_id(data)["c.png"].labels == {}
    assert (
        f"1 images are unlabelled, as their label cell does not state a label ({cell.lower() or '(blank)'}: 1)"
        in said(data)
    )


@pytest.mark.parametrize("cell", ["none", "No Finding", "0"])
def test_cells_that_state_that_there_is_nothing(tmp_path: Path, cell: str):
    data = read(table(tmp_path, f"file,label\na.png,x\nb.png,{cell}"))
    assert by_id(data)["b.png"].labels == {cell: 1}


@pytest.mark.parametrize("told", [None, "Edema,Mass"])
def test_one_column_a_label(tmp_path: Path, told: str | None):
    root = table(
        tmp_path,
        "image,sex,Edema,Mass,stage\na.png,1,1,0.0,II\nb.png,0,Yes,,I\nc.png,1,false,-1,I\nd.png,1,,1,II",
        images="a.png b.png c.png d.png",
    )
    data = read(root, labels=told)
    assert (data.task, data.labels) == ("multilabel", ("Edema", "Mass"))
    assert labels_of(data) == {
        "a.png": {"Edema": 1, "Mass": 0},
        "b.png": {"Edema": 1},
        "c.png": {"Edema": 0},
        "d.png": {"Mass": 1},
    }
    assert by_id(data)["a.png"].columns == {"sex": "1", "stage": "II"}
    assert "3 cells are blank or uncertain" in said(data)


def test_a_finding_column_that_is_not_binary(tmp_path: Path):
    root = table(tmp_path, "file,Edema,Mass\na.png,1,0\nb.png,maybe,1")
    with pytest.raises(DataError, match=r"'Edema', row 2 holds 'maybe'"):
        read(root, labels="Edema,Mass")


def test_no_finding_as_a_column(tmp_path: Path):
    data = read(table(tmp_path, "file,No Finding,Edema,Mass\na.png,1,,\nb.png,,1,\nc.png,0,,1"))
    assert data.labels == ("Edema", "Mass")
    assert labels_of(data) == {"a.png": {"Edema": 0, "Mass": 0}, "b.png": {"Edema": 1}, "c.png": {"Mass": 1}}


def test_one_hot_columns_exclude_each_other(tmp_path: Path):
    images = [f"{i}.png" for i in range(10)]
    rows = [f"{i}.png,{int(i % 3 == 0)},{int(i % 3 == 1)},{int(i % 3 == 2)}" for i in range(10)]
    data = read(table(tmp_path, "image,MEL,NV,BCC\n" + "\n".join(rows), images=" ".join(images)))
    assert (data.task, data.labels) == ("multiclass", ("MEL", "NV", "BCC"))
    assert data.counts() == {"MEL": 4, "NV": 3, "BCC": 3}


def test_one_binary_column_told(tmp_path: Path):
    data = read(table(tmp_path, "file,melanoma\na.png,1\nb.png,0\nc.png,"), labels="melanoma")
    assert data.labels == ("melanoma", "no melanoma")
    assert labels_of(data) == {"a.png": {"melanoma": 1}, "b.png": {"no melanoma": 1}, "c.png": {}}


def test_grades_stay_grades(tmp_path: Path):
    assert read(table(tmp_path, "id_code,diagnosis\na,1\nb,0\nc,10")).labels == ("0", "1", "10")
    write(tmp_path / "labels.csv", "id_code,diagnosis\na,1.0\nb,0.0\nc,")
    assert read(tmp_path).labels == ("0", "1")


def test_image_ids_without_extension_and_other_folders(tmp_path: Path):
    root = table(tmp_path, "image_id,dx\nISIC_1,mel\nISIC_2,nv", "meta.csv", "part1/ISIC_1.jpg part2/ISIC_2.jpg")
    assert labels_of(read(root)) == {"part1/ISIC_1.jpg": {"mel": 1}, "part2/ISIC_2.jpg": {"nv": 1}}


def test_paths_of_another_machine(tmp_path: Path):
    root = table(
        tmp_path,
        "Path,label\nCheXpert-v1.0/train/p1/s1/v.png,x\n/home/nobody/set/train/p2/s1/v.png,y\nC:\\set\\train\\p3\\w.dcm,y",
        images="train/p1/s1/v.png train/p2/s1/v.png train/p3/w.png",
    )
    assert labels_of(read(root)) == {
        "train/p1/s1/v.png": {"x": 1},
        "train/p2/s1/v.png": {"y": 1},
        "train/p3/w.png": {"y": 1},
    }


def test_a_name_is_not_carried_into_another_split(tmp_path: Path):
    root = table(
        tmp_path,
        "file,label\ntrain/a/1.png,a\ntest/b/1.png,b\ntrain/b/2.png,b",
        images="train/a/1.png train/b/1.png train/b/2.png",
    )
    data = read(root)
    assert set(by_id(data)) == {"train/a/1.png", "train/b/2.png"}
    assert data.skipped["named in the table but missing"] == ("test/b/1.png",)
    assert data.skipped["not in the table"] == ("train/b/1.png",)


def test_one_file_is_not_claimed_twice(tmp_path: Path):
    root = table(tmp_path, "file,label\na.png,x\nold/a.png,y\nb.png,y", images="a.png b.png")
    data = read(root)
    assert labels_of(data) == {"a.png": {"x": 1}, "b.png": {"y": 1}}
    assert data.skipped["named in the table but missing"] == ("old/a.png",)


def test_a_name_that_several_files_have(tmp_path: Path):
    data = read(table(tmp_path, "file,label\n1.png,x\n2.png,y", images="p/1.png q/1.png p/2.png"))
    assert set(by_id(data)) == {"p/2.png"}
    assert data.skipped["named in the table, but several files have that name"] == ("1.png",)


def test_missing_files_are_listed(tmp_path: Path):
    data = read(table(tmp_path, "file,label\na.png,x\nb.png,y\nz.png,zebra", images="a.png b.png"))
    assert data.skipped["named in the table but missing"] == ("z.png",)
    assert data.labels == ("x", "y")


def test_all_files_missing(tmp_path: Path):
    root = table(tmp_path, "file,label\nx1.png,x\nx2.png,y", images="a.png b.png")
    with pytest.raises(
        DataError, match=r"None of the 2 images .*\(2 named in the table but missing.*x1\.png, x2\.png"
    ) as error:
        read(root)
    assert str(tmp_path) in error.value.message
    assert "--table" in error.value.hint


def test_paths_out_of_the_folder(tmp_path: Path):
    secret = picture(tmp_path / "secret.png")
    picture(tmp_path / "set" / "sub" / "secret2.png")
    root = tmp_path / "set"
    names = ["../secret.png", str(secret), "sub/../../secret.png", "..\\secret.png", str(root / "b.png"), "a.png"]
    table(root, "file,label\n" + "\n".join(f"{name},x" for name in names), images="a.png b.png secret.png")
    data = read(root)
    assert set(by_id(data)) == {"a.png", "b.png"}
    assert set(data.skipped["outside the data folder"]) == set(names[:4])


def test_table_in_a_subfolder_names_files_beside_it(tmp_path: Path):
    root = table(
        tmp_path, "file,label\n../images/a.png,x\n../images/b.png,y", "meta/labels.csv", "images/a.png images/b.png"
    )
    assert set(by_id(read(root))) == {"images/a.png", "images/b.png"}


@pytest.mark.parametrize("written", ["a.png", "images/a.png"])
def test_table_apart_from_the_images(tmp_path: Path, written: str):
    picture(tmp_path / "images" / "a.png")
    truth = write(tmp_path / "elsewhere" / "truth.csv", f"file,label\n{written},x")
    data = read(tmp_path / "images", table=truth)
    assert labels_of(data) == {"a.png": {"x": 1}}
    assert data.root == tmp_path / "images"


def test_table_given_itself(tmp_path: Path):
    root = table(tmp_path, "file,label\na.png,x\nb.png,y", "mine.csv")
    table(tmp_path, "file,label\na.png,q\nb.png,r\nc.png,r")
    data = read(root / "mine.csv")
    assert data.labels == ("x", "y")
    assert data.root == tmp_path
    assert data.skipped["a table that is not used"] == ("labels.csv",)


def test_of_several_tables_the_one_that_names_most_images(tmp_path: Path):
    root = table(tmp_path, "file,label\na.png,x\nb.png,y\nc.png,y", "truth.csv")
    write(root / "abc.csv", "file,label\nz.png,x\na.png,y")
    write(root / "hospitals.csv", "name,type\nA,Hospital\nB,Clinic")
    data = read(root)
    assert len(data) == 3
    assert data.skipped["a table that is not used"] == ("abc.csv", "hospitals.csv")


def test_table_told_by_its_name_in_the_folder(tmp_path: Path):
    root = table(tmp_path, "file,label\na.png,x\nb.png,y\nc.png,y")
    write(root / "second.csv", "file,label\na.png,q")
    assert read(root, table="second.csv").labels == ("q",)
    with pytest.raises(DataError, match="is a file"):
        read(root / "labels.csv", table="second.csv")
    with pytest.raises(DataError, match="no table"):
        read(root, table=root / "a.png")


def test_a_broken_table_beside(tmp_path: Path):
    root = table(tmp_path, "file,label\na/1.png,x\nb/1.png,y", images="a/1.png b/1.png")
    write(root / "empty.csv", "")
    assert read(root).reader == "table"
    (root / "labels.csv").unlink()
    with pytest.raises(DataError, match=r"empty\.csv holds no rows.*move it away"):
        read(root)


def test_a_table_that_has_nothing_to_do_with_the_images(tmp_path: Path):
    root = table(tmp_path, "file,label\nz.png,x\ny.png,y", images="a/1.png b/1.png")
    data = read(root)
    assert (data.reader, data.labels) == ("folders", ("a", "b"))
    assert data.skipped["a table that is not used"] == ("labels.csv",)


def test_patients_from_a_table_and_labels_from_folders(tmp_path: Path):
    root = table(tmp_path, "file,patient_id,remark\na/1.png,p1,x y\nb/1.png,p2,z", "meta.csv", "a/1.png b/1.png")
    data = read(root)
    assert {r.id: (*r.labels, r.patient) for r in data.records} == {"a/1.png": ("a", "p1"), "b/1.png": ("b", "p2")}
    assert "labels are the folders' names" in said(data)


def test_splits_of_folders_when_the_table_has_none(tmp_path: Path):
    root = table(tmp_path, "file,label\ntrain/x/1.png,x\ntest/y/1.png,y", images="train/x/1.png test/y/1.png")
    assert {r.id: r.split for r in read(root).records} == {"train/x/1.png": "train", "test/y/1.png": "test"}


def test_a_table_without_labels(tmp_path: Path):
    root = table(tmp_path, "file,remark\na.png,one\nb.png,two")
    with pytest.raises(DataError, match="no label column") as error:
        read(root / "labels.csv")
    assert "--labels" in error.value.hint
    assert read(root, labels="remark").labels == ("one", "two")


def test_a_table_that_states_no_label(tmp_path: Path):
    with pytest.raises(DataError, match="states no label"):
        read(table(tmp_path, "file,label\na.png,unknown\nb.png,"))


def test_an_image_in_two_rows(tmp_path: Path):
    data = read(table(tmp_path, "file,label\na.png,x\na.png,x\nb.png,x\nb.png,y\nc.png,\nc.png,y"))
    assert labels_of(data) == {"a.png": {"x": 1}, "b.png": {}, "c.png": {"y": 1}}
    assert "1 of them have different labels there and count as unlabelled: b.png" in said(data)


def test_study_arms_are_no_patients(tmp_path: Path):
    images = [f"{i}.png" for i in range(20)]
    rows = "\n".join(f"{i}.png,{'xy'[i % 2]},{'AB'[i % 2]}" for i in range(20))
    data = read(table(tmp_path, f"file,label,group\n{rows}", images=" ".join(images)))
    assert {r.patient for r in data.records} == {None}
    assert {r.patient for r in read(tmp_path, patient="group").records} == {"A", "B"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file,label\na.png,x,extra", "line 2: 3 cells, but the header has 2"),
        ("file,label,label\na.png,x,y", "'label' more than once"),
        ("file,label\n", "holds no rows"),
        ("", "holds no rows"),
    ],
)
def test_broken_tables(tmp_path: Path, text: str, expected: str):
    with pytest.raises(DataError, match=expected):
        read(table(tmp_path, text) / "labels.csv")


def test_short_rows_quotes_and_row_numbers(tmp_path: Path):
    data = read(table(tmp_path, ',file,label,notes\n0,a.png,"x, y","two\nlines"\n1,b.png,z\n2,c.png,z,,,'))
    assert data.labels == ("x, y", "z")
    assert by_id(data)["a.png"].columns == {"notes": "two\nlines"}


def test_parquet(tmp_path: Path):
    pa = pytest.importorskip("pyarrow", reason="Parquet tables need pyarrow")
    import pyarrow.parquet as pq

    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / name)
    content = {"file": ["a.png", "b.png", "c.png"], "grade": [1.0, None, 0.0], "patient": [1, 1, 2], "raw": [b"x"] * 3}
    pq.write_table(pa.table(content), tmp_path / "labels.parquet")
    data = read(tmp_path)
    assert labels_of(data) == {"a.png": {"1": 1}, "b.png": {}, "c.png": {"0": 1}}
    assert [r.patient for r in data.records] == ["1", "1", "2"]
    assert {tuple(r.columns) for r in data.records} == {()}
    write(tmp_path / "labels.parquet", "no parquet")
    with pytest.raises(DataError, match="not a readable Parquet"):
        read(tmp_path)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without_pyarrow(name: str, *args: object, **more: object) -> object:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **more)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(DataError, match=r"pip install 'medloupe\[parquet\]'"):
        read(table(tmp_path, "x", "labels.parquet"))


# Boxes


def test_boxes_beside_one_class_make_a_detection_set(tmp_path: Path):
    root = table(tmp_path, "file,label,split\na.png,smear,train\nb.png,smear,val\nc.png,smear,test")
    write(
        root / "boxes.csv",
        "file,label,x,y,w,h\na.png,WBC,1.5,2,3,4\na.png,RBC,0,0,1,1\nb.png,RBC,5,6,7,8\nz.png,RBC,1,1,1,1",
    )
    data = read(root)
    assert (data.task, data.labels) == ("detection", ("RBC", "WBC"))
    assert labels_of(data) == {"a.png": {"RBC": 1, "WBC": 1}, "b.png": {"RBC": 1, "WBC": 0}, "c.png": {}}
    assert by_id(data)["a.png"].boxes[0] == Box("WBC", 1.5, 2, 3, 4)
    assert "1 images have no box" in said(data)
    assert "1 boxes name files that are not here, such as z.png" in said(data)
    assert not data.skipped


def test_boxes_beside_several_classes(tmp_path: Path):
    root = table(tmp_path, "file,label\na.png,x\nb.png,y")
    write(root / "boxes.csv", "file,label,xmin,ymin,xmax,ymax\na.png,mass,1,2,4,6")
    data = read(root)
    assert (data.task, data.labels) == ("multiclass", ("x", "y"))
    assert by_id(data)["a.png"].boxes == (Box("mass", 1, 2, 3, 4),)
    assert by_id(data)["b.png"].boxes == ()


@pytest.mark.parametrize("given", ["", "boxes.csv"])
def test_boxes_alone(tmp_path: Path, given: str):
    root = table(tmp_path, "file,label,x,y,w,h\na.png,tumour,1,2,3,4", "boxes.csv", "a.png b.png")
    data = read(root / given)
    assert (data.task, data.labels) == ("detection", ("tumour",))
    assert labels_of(data) == {"a.png": {"tumour": 1}}
    assert data.skipped["not annotated"] == ("b.png",)


def test_boxes_and_labels_in_one_table(tmp_path: Path):
    text = "patientId,x,y,width,height,Target\na,1,2,3,4,1\na,5,6,7,8,1\nb,,,,,0\nc,,,,,0"
    data = read(table(tmp_path, text))
    assert (data.task, data.labels) == ("multiclass", ("0", "1"))
    assert labels_of(data) == {"a.png": {"1": 1}, "b.png": {"0": 1}, "c.png": {"0": 1}}
    assert len(by_id(data)["a.png"].boxes) == 2
    assert by_id(data)["a.png"].patient == "a"


def test_a_row_for_each_box_of_several_kinds(tmp_path: Path):
    text = (
        "image_id,class_name,x_min,y_min,x_max,y_max\na,Mass,1,2,4,5\na,Edema,1,2,3,4\nb,No finding,,,,\nc,Mass,0,0,1,1"
    )
    data = read(table(tmp_path, text))
    assert (data.task, data.labels) == ("multilabel", ("Edema", "Mass"))
    assert data.targets.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert [len(r.boxes) for r in data.records] == [2, 0, 1]


def test_boxes_that_are_no_numbers(tmp_path: Path):
    root = table(tmp_path, "file,label,x,y,w,h\na.png,t,1,2,3,inf", "boxes.csv")
    with pytest.raises(DataError, match=r"row 1 \(a\.png\).*'inf'"):
        read(root)


# MedMNIST


@pytest.mark.parametrize("shape", [(), (1,)])
def test_medmnist(tmp_path: Path, shape: tuple[int, ...]):
    data = read(mnist(tmp_path / "breastmnist_64.npz", shape))
    assert data.labels == ("malignant", "normal, benign")
    assert data.splits == {"train": 4, "val": 2, "test": 2}
    record = by_id(data)["train/00001"]
    assert record.labels == {"normal, benign": 1}
    assert isinstance(record.image, np.ndarray)
    assert record.image.tolist() == [[9, 10, 11], [12, 13, 14], [15, 16, 17]]
    assert record.image.base is not None


def test_medmnist_views_share_one_array(tmp_path: Path):
    records = [r for r in read(mnist(tmp_path / "x.npz")).records if r.split == "train"]
    bases = [r.image.base for r in records if isinstance(r.image, np.ndarray)]
    assert len(bases) == 4
    assert all(np.shares_memory(bases[0], base) for base in bases)


def test_medmnist_several_labels_and_unknown_names(tmp_path: Path):
    data = read(mnist(tmp_path / "mine.npz", several=3))
    assert (data.task, data.labels) == ("multilabel", ("0", "1", "2"))
    assert by_id(data)["val/00001"].labels == {"0": 1, "1": 0, "2": 1}
    assert "does not say what its labels" in said(data)


def test_medmnist_folder_with_several(tmp_path: Path):
    mnist(tmp_path / "a.npz")
    mnist(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"several data sets: a\.npz, b\.npz.*Name one"):
        read(tmp_path)


def _lying(path: Path) -> None:
    """A header that claims far more than is there."""
    with zipfile.ZipFile(path, "w") as archive:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999, 99999, 9), }"
        header += b" " * (118 - len(header) - 1) + b"\n"
        archive.writestr("train_images.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"abc")


def _pickled(path: Path) -> None:
    np.savez(path, train_images=np.array([{"a": 1}], dtype=object), train_labels=np.zeros(1))


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda p: p.write_bytes(b"PK no zip"), "not a readable"),
        (lambda p: p.write_bytes(b""), "not a readable"),
        (_lying, r"claims \d+ bytes"),
        (_pickled, "pickled objects"),
        (lambda p: np.savez(p, X=np.zeros((2, 9)), fs=np.array(360)), r"holds X, fs.*for ECGs X, y and fs"),
        (lambda p: np.savez(p, pictures=np.zeros(2)), "not a MedMNIST file: it holds pictures"),
        (lambda p: mnist(p, train_images=np.zeros((4, 3, 3))), "train_images is float64"),
        (lambda p: mnist(p, train_images=np.zeros((4, 3, 3, 5), np.uint8)), r"Volumes \(MedMNIST3D\)"),
        (lambda p: mnist(p, train_labels=np.zeros(3, int)), r"train_labels has shape \(3,\) for 4 images"),
        (lambda p: mnist(p, train_labels=np.array([0.5, 1, 0, 1])), "other values"),
        (lambda p: mnist(p, train_labels=np.array([-1, 1, 0, 1])), "other values"),
        (lambda p: mnist(p, train_labels=np.eye(4, dtype=int)), "different shapes"),
    ],
)
def test_broken_npz(tmp_path: Path, build: Callable[[Path], object], expected: str):
    build(tmp_path / "x.npz")
    with pytest.raises(DataError, match=expected):
        read(tmp_path / "x.npz")


def test_medmnist_has_no_columns(tmp_path: Path):
    with pytest.raises(DataError, match="--labels"):
        read(mnist(tmp_path / "x.npz"), labels="dx")


# DICOM


def test_dicom_class_folders(tmp_path: Path):
    data = read(CASES["dicom"](tmp_path / "set"))
    assert data.labels == ("CHEST", "HAND")
    assert [r.patient for r in data.records] == ["p0", "p1", "p0", "p1"]
    assert data.records[0].columns == {"sex": "F", "age": "45"}
    assert "Doe" not in repr(data)


@pytest.mark.parametrize(("age", "expected"), [("006M", "0.5"), ("010D", "0.0274"), ("000Y", "0"), ("2Y", "2")])
@pytest.mark.filterwarnings("ignore:Invalid value for VR AS")
def test_dicom_age_in_years(tmp_path: Path, age: str, expected: str):
    dicom(tmp_path / "a" / "1.dcm", PatientAge=age)
    assert read(tmp_path).records[0].columns["age"] == expected


def test_dicom_label_by_tag(tmp_path: Path):
    dicom(tmp_path / "IM1", BodyPartExamined="CHEST", PatientID="1", Modality="DX", ViewPosition="PA")
    dicom(tmp_path / "IM2", BodyPartExamined="HAND", PatientID="2", Modality="CT")
    dicom(tmp_path / "IM3", PatientID="2", Modality="CT")
    data = read(tmp_path, labels="BodyPartExamined")
    assert labels_of(data) == {"IM1": {"CHEST": 1}, "IM2": {"HAND": 1}, "IM3": {}}
    assert by_id(data)["IM1"].columns == {"view": "PA", "modality": "DX"}
    assert "1 images are unlabelled" in said(data)
    with pytest.raises(DataError, match="--labels Modality"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"No file in .* has the tag StudyDescription"):
        read(tmp_path, labels="StudyDescription")
    with pytest.raises(DataError, match="identifies a person"):
        read(tmp_path, labels="PatientName")


def test_dicom_with_a_table(tmp_path: Path):
    dicom(tmp_path / "x" / "1.dcm", SOPInstanceUID="1.2.3.1", PatientID="tag", PatientSex="M")
    dicom(tmp_path / "x" / "2.dcm", SOPInstanceUID="1.2.3.2", PatientID="tag")
    write(tmp_path / "labels.csv", "SOPInstanceUID,label,patient,Sex\n1.2.3.1,x,table,F\n1.2.3.2,y,,")
    for path in (tmp_path, tmp_path / "labels.csv"):
        data = read(path)
        assert data.reader == "dicom"
        assert labels_of(data) == {"x/1.dcm": {"x": 1}, "x/2.dcm": {"y": 1}}
        assert [r.patient for r in data.records] == ["table", "tag"]
        assert data.records[0].columns == {"Sex": "F"}
    write(tmp_path / "labels.csv", "id,label\n1,x\n2,y")
    assert labels_of(read(tmp_path)) == {"x/1.dcm": {"x": 1}, "x/2.dcm": {"y": 1}}


def test_dicom_patient_by_tag(tmp_path: Path):
    dicom(tmp_path / "a" / "1.dcm", StudyInstanceUID="1.2.9", PatientID="1")
    assert read(tmp_path, patient="StudyInstanceUID").records[0].patient == "1.2.9"
    with pytest.raises(DataError, match="names a column"):
        read(tmp_path, patient="Nonsense")


def test_broken_dicom_is_counted(tmp_path: Path):
    dicom(tmp_path / "a" / "1.dcm")
    write(tmp_path / "a" / "2.dcm", "no dicom")
    write(tmp_path / "a" / "README", "text")
    data = read(tmp_path)
    assert set(by_id(data)) == {"a/1.dcm"}
    assert data.skipped["unreadable DICOM"] == ("a/2.dcm",)
    (tmp_path / "a" / "1.dcm").unlink()
    with pytest.raises(DataError, match="None of the 1 DICOM files"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["dicom", "medmnist"])
def test_damaged_files_give_errors_of_our_own(name: str, tmp_path: Path):
    root = CASES[name](tmp_path / "set")
    file = next(p for p in sorted(root.rglob("*")) if p.suffix in (".dcm", ".npz"))
    whole = file.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole[: random.integers(1, len(whole) + 1)])
        for at in random.integers(0, len(damaged), 3):
            damaged[at] = random.integers(256)
        file.write_bytes(damaged)
        try:
            data = read(file if name == "medmnist" else root)
        except DataError:
            continue
        assert len(data) > 0


def test_real_dicom_files(tmp_path: Path):
    from pydicom.data import get_testdata_file

    for name, folder in (("CT_small.dcm", "ct"), ("MR_small.dcm", "mr")):
        source = get_testdata_file(name, download=False)
        assert isinstance(source, str)
        place = tmp_path / folder / Path(name).stem  # as exported, without an extension
        place.parent.mkdir()
        place.write_bytes(Path(source).read_bytes())
    data = read(tmp_path)
    assert labels_of(data) == {"ct/CT_small": {"ct": 1}, "mr/MR_small": {"mr": 1}}
    assert [r.patient for r in data.records] == ["1CT1", "4MR1"]
    assert [r.columns["modality"] for r in data.records] == ["CT", "MR"]


# Where the data comes from


def test_origin(tmp_path: Path):
    root = table(tmp_path, "file,label\na.png,x\nb.png,y")
    write(root / "LICENSE", "MIT License\n\nCopyright")
    assert read(root).origin == {"licence": "MIT License"}
    write(root / "dataset_description.json", '{"Name": "x", "License": "CC0", "DatasetDOI": "10.1/x"}')
    assert read(root).origin == {"licence": "CC0", "citation": "10.1/x"}
    write(
        root / "SOURCE.md",
        "# Set\n- repository: https://x.org/y\n- original dataset: NIH\n- licence file in the repository: GPL\n"
        "- LICENCE of the dataset: CC BY 4.0\n- **Paper**: Doe 2020",
    )
    assert read(root).origin == {"licence": "CC BY 4.0", "citation": "Doe 2020", "source": "NIH; https://x.org/y"}


def test_origin_of_one_file_among_several(tmp_path: Path):
    mnist(tmp_path / "b.npz")
    write(tmp_path / "SOURCE.md", "# A\n- paper: of A\n# B (28)\n- paper: of B\n")
    assert read(tmp_path / "b.npz").origin == {"citation": "of B"}


# Paths that are no data set


def test_path_that_does_not_exist(tmp_path: Path):
    (tmp_path / "chest_xray").mkdir()
    with pytest.raises(DataError, match=r"does not exist\. Did you mean 'chest_xray'"):
        read(tmp_path / "chest_xrays")
    picture(tmp_path / "chest_xray" / "a" / "1.png")
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "chest_xray", table=tmp_path / "no.csv")


def test_paths_that_are_no_data_set(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnknownLayoutError, match="is empty"):
        read(tmp_path / "empty")
    write(tmp_path / "texts" / "a.docx", "x")
    write(tmp_path / "texts" / "b.csv", "name,type\na,b")
    with pytest.raises(UnknownLayoutError, match=r"no images \(1 \.csv, 1 \.docx\)"):
        read(tmp_path / "texts")
    with pytest.raises(DataError, match="holds no image files"):
        read(tmp_path / "texts" / "b.csv")
    with pytest.raises(UnknownLayoutError, match="one image"):
        read(picture(tmp_path / "x.png"))
    with pytest.raises(UnknownLayoutError, match="packed archive"):
        read(write(tmp_path / "x.zip", "x"))


def test_importing_readers_imports_nothing_heavy():
    code = f"{SAY}import medloupe.data.reading"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded(out.stdout, ["pydicom", "pyarrow", "pandas", "torch", "PIL", "sklearn"]) == []


# The real data sets

REAL = {
    "blood_cells": ("detection", {"Platelets": 161, "RBC": 281, "WBC": 285}, 0, {"test": 53, "train": 163, "val": 75}),
    "brain_boxes": ("detection", {"tumor": 880}, 95, {"train": 694, "val": 186}),
    "brain_mri": (
        "multiclass",
        {"glioma": 508, "meningioma": 515, "notumor": 626, "pituitary": 550},
        0,
        {"test": 409, "train": 1790},
    ),
    "breakhis_tiny": ("multiclass", {"benign": 20, "malignant": 20}, 28, {"": 40}),
    "breast_ultrasound": ("multiclass", {"benign": 349, "malignant": 168, "normal": 106}, 0, {"": 623}),
    "cats_dogs": ("multiclass", {"cats": 300, "dogs": 300}, 0, {"test": 306, "train": 294}),
    "chest_findings": ("multiclass", {"No_findings": 400, "Pneumonia": 400}, 548, {"test": 121, "train": 679}),
    "chest_pneumonia": ("multiclass", {"NORMAL": 633, "PNEUMONIA": 1667}, 1569, {"test": 348, "train": 1952}),
    "contradictions": (
        "multiclass",
        {"actinic keratosis": 95, "melanoma": 211, "nevus": 162, "seborrheic keratosis": 78},
        0,
        {"test": 29, "train": 517},
    ),
    "covid_cxr": ("multiclass", {"COVID-19": 336, "No Finding": 10, "other_pneumonia": 66}, 279, {"": 483}),
    "fundus": (
        "multiclass",
        {"0_no_dr": 1267, "1_mild": 237, "2_moderate": 417, "3_severe": 68, "4_proliferative": 13},
        1544,
        {"": 2002},
    ),
    "malaria": ("multiclass", {"Parasitized": 1533, "Uninfected": 1566}, 158, {"train": 2550, "val": 549}),
    "malaria_colour_tiny": ("multiclass", {"Parasitized": 17, "Uninfected": 15}, 25, {"": 32}),
    "monkeypox": ("multiclass", {"Monkey_Pox": 81, "Others": 100}, 126, {"test": 13, "train": 168}),
    "oct_tiny": ("multiclass", {"CNV": 8, "DME": 8, "DRUSEN": 8, "NORMAL": 8}, 25, {"": 32}),
    "skin": (
        "multiclass",
        {"akiec": 65, "bcc": 102, "bkl": 220, "df": 23, "mel": 223, "nv": 1340, "vasc": 28},
        1873,
        {"": 2001},
    ),
    "medmnist/breastmnist.npz": (
        "multiclass",
        {"malignant": 210, "normal, benign": 570},
        0,
        {"train": 546, "val": 78, "test": 156},
    ),
    "medmnist/pneumoniamnist.npz": (
        "multiclass",
        {"normal": 757, "pneumonia": 4273},
        0,
        {"train": 3882, "val": 524, "test": 624},
    ),
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_real_sets(name: str, real_sets: Path):
    data = read(real_sets / name)
    task, counts, patients, splits = REAL[name]
    assert (data.task, data.counts(), dict(data.splits)) == (task, counts, splits)
    assert len({r.patient for r in data.records} - {None}) == patients
    assert data.origin["licence"]
    assert "named in the table but missing" not in data.skipped


@pytest.mark.realdata
def test_real_details(real_sets: Path):
    covid = read(real_sets / "covid_cxr")
    assert sum(not r.labels for r in covid.records) == 71
    assert sum(len(r.boxes) for r in covid.records) == 966
    boxes = read(real_sets / "brain_boxes")
    assert len(boxes) == 880
    assert len(boxes.skipped["not in the table"]) == 13
    findings = read(real_sets / "chest_findings", labels="labels")
    assert findings.task == "multilabel"
    assert len(findings.labels) == 14
    assert (findings.targets.sum(axis=1) == 0).sum() == 400
    cells = read(real_sets / "malaria" / "train", patient=r"C\d+P\d+")
    assert cells.reader == "folders"
    assert cells.labels == ("Parasitized", "Uninfected")
    assert sum(r.patient is not None for r in cells.records) > 2000


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("facilities", "no images"),
        ("facilities/hospitals_africa.csv", "no image"),
        ("medmnist", "several data sets"),
    ],
)
def test_real_sets_that_hold_no_images(name: str, expected: str, real_sets: Path):
    with pytest.raises(DataError, match=expected):
        read(real_sets / name)
