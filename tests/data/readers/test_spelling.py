"""Rows whose file is there under another spelling: found where that is sure, never two rows for one file."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from medloupe.data.readers.locate import CLAIMED, UNCLEAR
from medloupe.data.reading import read
from medloupe.errors import DataError
from tabled import labels, rows, said, tabled


@pytest.mark.parametrize(
    ("column", "written", "there", "why"),
    [
        ("file", "Jürgen_{i}.png", unicodedata.normalize("NFD", "Jürgen_{i}.png"), "accents: 12"),
        ("file", unicodedata.normalize("NFD", "Jürgen_{i}.png"), "Jürgen_{i}.png", "accents: 12"),
        ("file", "scan{i}.JPG", "SCAN{i}.jpg", "upper and lower case: 12"),
        ("file", "a/Scan {i}.png", "A/scan {i}.png", "upper and lower case: 12"),
        ("id", "{i}", "{i:05}.png", "leading zeros: 12"),
        ("file", "case_{i}.png", "case_{i:03}.png", "leading zeros: 12"),
        ("id", "{i}.0", "{i:03}.png", "leading zeros: 12"),
        ("url", "https://bucket.example/x/scan%20{i}.png?sig=abc", "scan {i}.png", "a web address: 12"),
        ("file", "gs://bucket/set/scan{i}.png", "set/scan{i}.png", ""),
        ("file", "scan%20{i}.png", "scan {i}.png", "a web address: 12"),
        ("file", "scan {i}.png", "scan_{i}.png", "blanks and underscores: 12"),
    ],
)
def test_found_in_another_spelling(tmp_path: Path, column: str, written: str, there: str, why: str):
    images = [there.format(i=i) for i in range(12)]
    data = read(
        tabled(tmp_path, rows(f"{column},label", lambda i: f"{written.format(i=i)},{'ab'[i % 2]}"), images=images)
    )
    assert labels(data) == {image: {"ab"[i % 2]: 1} for i, image in enumerate(images)}
    assert why in said(data)
    assert ("names are spelled otherwise" in said(data)) == bool(why)


@pytest.mark.parametrize("written", ["{i}.png", "folder\\{i}.png", "C:\\data\\{i}.PNG", "{i}", "{i}.jpg"])
def test_what_is_no_other_spelling_is_not_called_one(tmp_path: Path, written: str):
    data = read(tabled(tmp_path, rows("file,label", lambda i: f"{written.format(i=i)},{'ab'[i % 2]}")))
    assert len(data) == 12
    assert "spelled otherwise" not in said(data)


def test_two_files_that_differ_in_case_are_not_guessed_between(tmp_path: Path):
    data = read(
        tabled(tmp_path, "file,label\nImg_1.png,a\nimg_2.png,b", images=["IMG_1.png", "img_1.png", "img_2.png"])
    )
    assert labels(data) == {"img_2.png": {"b": 1}}
    assert data.skipped[UNCLEAR] == ("Img_1.png",)


def test_two_rows_do_not_get_one_file(tmp_path: Path):
    text = "file,label\nIMG_1.png,a\nImg_1.png,b\n01.png,a\n001.png,b\nx.png,a"
    data = read(tabled(tmp_path, text, images=["img_1.png", "1.png", "x.png"]))
    assert labels(data) == {"x.png": {"a": 1}}
    assert data.skipped[CLAIMED] == ("001.png", "01.png", "IMG_1.png", "Img_1.png")


def test_a_file_named_exactly_is_not_given_to_another_row(tmp_path: Path):
    data = read(tabled(tmp_path, "file,label\n1.png,a\n01.png,b\n2.png,b", images=["1.png", "2.png"]))
    assert labels(data) == {"1.png": {"a": 1}, "2.png": {"b": 1}}
    assert data.skipped["named in the table but missing"] == ("01.png",)


def test_numbers_of_other_columns_are_not_taken_for_files(tmp_path: Path):
    images = [f"{i:05}.png" for i in range(12)]
    root = tabled(tmp_path, rows("place,grade", lambda i: f"ward {i},{i % 4}"), images=images)
    with pytest.raises(DataError, match="nothing says"):
        read(root)


def test_a_name_is_not_carried_into_another_split_by_its_spelling(tmp_path: Path):
    data = read(tabled(tmp_path, "file,label\ntest/A.png,a\ntrain/b.png,b", images=["train/a.png", "train/b.png"]))
    assert labels(data) == {"train/b.png": {"b": 1}}
