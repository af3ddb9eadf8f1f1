"""Names that several files have are told apart by another cell of their row, or refused; never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.reading import read
from medloupe.errors import DataError
from tabled import labels, rows, said, tabled

SITES = [f"site {s}/{i}.png" for s in "AB" for i in range(6)]


def _row(i: int) -> str:
    site, number = "AB"[i // 6], i % 6
    return f"Site_{site},{number}.png,{'xy'[(i + i // 6) % 2]}"


def test_a_column_names_the_folder_of_each_file(tmp_path: Path):
    tabled(tmp_path, rows("hospital,image,label", _row), images=SITES)
    data = read(tmp_path)
    assert labels(data) == {f"site {'AB'[i // 6]}/{i % 6}.png": {"xy"[(i + i // 6) % 2]: 1} for i in range(12)}
    assert "column 'hospital' says in whose folder each lies" in said(data)


def test_the_label_may_be_the_folder(tmp_path: Path):
    images = [f"{c}/{i}.png" for c in ("benign", "malignant") for i in range(6)]
    tabled(tmp_path, rows("file,label,age", lambda i: f"{i % 6},{images[i].split('/')[0]},{40 + i}"), images=images)
    data = read(tmp_path)
    assert {record.id: record.columns["age"] for record in data.records} == {
        image: str(40 + i) for i, image in enumerate(images)
    }


def test_without_such_a_column_no_folder_stands_for_the_label(tmp_path: Path):
    tabled(tmp_path, rows("image,label", lambda i: f"{i % 6}.png,{'xy'[i % 2]}"), images=SITES)
    with pytest.raises(DataError, match="several files have that name") as refused:
        read(tmp_path)
    assert "Write the folder before the name" in refused.value.hint


def test_a_table_speaks_of_the_files_below_its_own_folder(tmp_path: Path):
    images = [f"{part}/images/{i}.png" for part in ("train", "test") for i in range(6)]
    for part, order in (("train", "ab"), ("test", "ba")):
        text = rows("image,label", lambda i, order=order: f"{i}.png,{order[i % 2]}", 6)
        tabled(tmp_path, text, f"{part}/labels.csv", images)
    data = read(tmp_path)
    assert labels(data)["train/images/0.png"] == {"a": 1}
    assert labels(data)["test/images/0.png"] == {"b": 1}
    assert data.splits == {"train": 6, "test": 6}
    assert "test/labels.csv and train/labels.csv are read as one table" in said(data)
