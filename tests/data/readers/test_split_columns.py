"""The split: a column of words, or yes/no columns such as is_valid; never a label."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.reading import read
from medloupe.errors import DataError
from tabled import rows, said, tabled


@pytest.mark.parametrize(
    ("head", "cells", "splits"),
    [
        ("is_valid", lambda i: str(i >= 8), {"train": 8, "val": 4}),
        ("isTest", lambda i: str(int(i >= 8)), {"train": 8, "test": 4}),
        ("is_train", lambda i: str(int(i < 8)), {"train": 8, "test": 4}),
        ("in_training_set", lambda i: "yes" if i < 8 else "no", {"train": 8, "test": 4}),
        ("test_set", lambda i: str(int(i >= 8)), {"train": 8, "test": 4}),
        ("is_train,is_test", lambda i: f"{int(i < 6)},{int(i >= 9)}", {"train": 6, "val": 3, "test": 3}),
        ("is_valid,is_test", lambda i: f"{int(i in (6, 7))},{int(i >= 8)}", {"train": 6, "val": 2, "test": 4}),
    ],
)
@pytest.mark.parametrize("labelled", ["label", "effusion,mass"])
def test_yes_no_columns(tmp_path: Path, head: str, cells, splits: dict[str, int], labelled: str):
    truth = "ab" if labelled == "label" else ("0,1", "1,0")
    data = read(tabled(tmp_path, rows(f"fname,{labelled},{head}", lambda i: f"{i}.png,{truth[i % 2]},{cells(i)}")))
    assert data.splits == splits
    assert data.labels in (("a", "b"), ("effusion", "mass"))
    assert not data.records[0].columns
    assert "Splits: rows where" in said(data)


def test_of_a_folder_and_a_column_the_column_counts(tmp_path: Path):
    text = rows("fname,label,is_valid", lambda i: f"train/{i}.png,{'ab'[i % 2]},{i >= 8}")
    assert read(tabled(tmp_path, text, images=[f"train/{i}.png" for i in range(12)])).splits == {"train": 8, "val": 4}


def test_told(tmp_path: Path):
    root = tabled(tmp_path, rows("file,label,test,part", lambda i: f"{i}.png,{'ab'[i % 2]},{int(i >= 8)},{i % 2}"))
    assert read(root).splits == {"": 12}
    assert read(root, split="test").splits == {"train": 8, "test": 4}
    with pytest.raises(DataError, match="train, val or test"):
        read(root, split="part")


def test_a_result_called_test_is_no_split(tmp_path: Path):
    data = read(tabled(tmp_path, rows("file,label,test,valid", lambda i: f"{i}.png,{'ab'[i % 2]},{i % 2},1")))
    assert data.splits == {"": 12}


@pytest.mark.parametrize("name", ["fold", "kfold", "strat_fold"])
def test_numbers_of_folds_are_said_and_not_used(tmp_path: Path, name: str):
    data = read(tabled(tmp_path, rows(f"file,label,{name}", lambda i: f"{i}.png,{'ab'[i % 2]},{i % 5}")))
    assert data.splits == {"": 12}
    assert f"'{name}' holds numbers, which tell no test part" in said(data)


def test_blank_cells_have_no_split(tmp_path: Path):
    text = rows("file,label,is_test", lambda i: f"{i}.png,{'ab'[i % 2]},{'' if i == 3 else int(i >= 8)}")
    assert read(tabled(tmp_path, text)).splits == {"": 1, "train": 7, "test": 4}
