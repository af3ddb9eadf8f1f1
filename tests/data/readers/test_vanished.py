"""A class of which nothing is read is an error that names folder, format and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medloupe.data.readers.base import walk
from medloupe.data.reading import read
from medloupe.errors import DataError, UnknownLayoutError
from medloupe.imaging import heif
from originals_trees import picture
from readers_cases import dicom, write

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
TIFF = b"II*\0" + bytes(200)


def files(folder: Path, suffix: str, content: bytes, count: int = 8) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        (folder / f"IMG_{i:04}{suffix}").write_bytes(content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for label in ("benign", "naevus"):
        for i in range(8):
            picture(tmp_path / label / f"{label}{i}.jpg")
    return tmp_path


@pytest.mark.parametrize(
    ("suffix", "content", "words"),
    [
        (".HEIC", HEIC, r"HEIC photos.*medloupe\[heif\]"),
        (".img", bytes(range(256)), r"\.img files"),
        (".nef", TIFF, "raw photographs"),
        (".mp4", b"\0\0\0\x18ftypmp42" + bytes(50), "films"),
        (".nii.gz", b"\x1f\x8b" + bytes(50), "gzip"),
        (".zip", b"PK\x03\x04" + bytes(50), "packed archives"),
        ("", bytes(range(1, 200)), "without a suffix"),
    ],
)
def test_a_class_of_another_format(root: Path, suffix: str, content: bytes, words: str, monkeypatch):
    monkeypatch.setattr(heif, "can_read", lambda kind: False)
    files(root / "melanoma", suffix, content)
    with pytest.raises(DataError, match=r"The folder melanoma holds 8 files.*class melanoma would be missing") as error:
        read(root)
    assert re.search(words, str(error.value), re.DOTALL)
    assert "move the folder away" in error.value.hint


def test_a_class_below_splits(tmp_path: Path):
    for split in ("train", "test"):
        for i in range(4):
            picture(tmp_path / split / "normal" / f"{split}{i}.png")
            picture(tmp_path / split / "tumour" / f"{split}t{i}.png")
        files(tmp_path / split / "stroke", ".img", bytes(range(256)), 4)
    with pytest.raises(DataError, match="class stroke would be missing"):
        read(tmp_path)


def test_most_of_a_class(root: Path):
    picture(root / "melanoma" / "one.jpg")
    files(root / "melanoma", ".img", bytes(range(256)))
    with pytest.raises(DataError, match="only 1 pictures"):
        read(root)


def test_a_smaller_part_of_a_class_is_said(root: Path):
    files(root / "naevus", ".img", bytes(range(256)), 3)
    data = read(root)
    assert "3 of the 11 files of naevus" in " ".join(data.notes)


@pytest.mark.parametrize("name", ["notes.txt", "boxes.xml", "info.json", "thesis.pdf", "classes.xlsx"])
def test_texts_beside_pictures_are_no_class(root: Path, name: str):
    for k in range(3):
        write(root / "papers" / f"{k}{name}", "words")
    assert read(root).labels == ("benign", "naevus")


def test_a_photo_in_two_formats_is_not_lost(root: Path, monkeypatch):
    monkeypatch.setattr(heif, "can_read", lambda kind: False)
    for i in range(8):
        (root / "benign" / f"benign{i}.HEIC").write_bytes(HEIC)
    assert read(root).counts() == {"benign": 8, "naevus": 8}
    assert "HEIC" not in " ".join(read(root).notes)


def test_dicom_without_a_picture_is_no_class_of_pictures(tmp_path: Path):
    for label in ("a", "b", "c"):
        for i in range(3):
            path = dicom(tmp_path / label / f"{i}.dcm", PatientID=f"{label}{i}")
            if label == "c":
                path.write_bytes(b"\0" * 128 + b"DICM" + b"broken")
    with pytest.raises(DataError, match="class c would be missing"):
        read(tmp_path)


def test_a_folder_of_nothing_else_names_the_format(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(heif, "can_read", lambda kind: False)
    for label in "ab":
        files(tmp_path / label, ".heic", HEIC)
    with pytest.raises(UnknownLayoutError, match=r"16 \.heic.*HEIC photos") as error:
        read(tmp_path)
    assert "medloupe[heif]" in error.value.hint


# Told by their first bytes


@pytest.mark.parametrize("name", ["X.MR.HEAD.0001.{}.2021.01.05.IMA", "IM{}", "{}.img", "1.2.840.{}", "{}.dic"])
@pytest.mark.parametrize("preamble", [True, False])
def test_dicom_whatever_its_suffix(tmp_path: Path, name: str, preamble: bool):
    for i in range(6):
        path = dicom(tmp_path / "ab"[i % 2] / name.format(i), PatientID=f"P{i // 2}")
        if not preamble:
            path.write_bytes(path.read_bytes()[132:])
    data = read(tmp_path)
    assert (data.reader, data.counts()) == ("dicom", {"a": 3, "b": 3})
    assert {r.patient for r in data.records} == {"P0", "P1", "P2"}


@pytest.mark.parametrize("suffix", ["", ".jpe", ".jpg_large", ".PNG~"])
def test_pictures_whatever_their_suffix(tmp_path: Path, suffix: str):
    for i in range(6):
        path = picture(tmp_path / "ab"[i % 2] / f"{i}.png")
        path.rename(path.with_name(f"{i}{suffix}"))
    assert read(tmp_path).counts() == {"a": 3, "b": 3}


def test_a_directory_of_dicom_is_no_picture(tmp_path: Path):
    path = dicom(tmp_path / "a" / "1.dcm")
    (tmp_path / "DICOMDIR").write_bytes(path.read_bytes())
    assert walk(tmp_path).images == ("a/1.dcm",)
