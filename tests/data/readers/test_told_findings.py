"""Findings that are told to be several stay so, whatever the rows look like; what cannot be findings is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import generated
from medloupe.data.reading import read
from medloupe.errors import DataError


def write(root: Path, rows: list[dict[str, str]]) -> Path:
    return generated.table(root, rows, [np.full((8, 8, 3), k, np.uint8) for k in range(len(rows))])


def test_exactly_one_in_every_row_is_a_coincidence(tmp_path: Path) -> None:
    root = write(tmp_path, [{"file": "", "a": str(k % 2), "b": str(1 - k % 2)} for k in range(12)])
    assert read(root, labels="a,b").task == "multiclass"
    told = read(root, labels="a,b", task="multilabel")
    assert (told.task, told.labels) == ("multilabel", ("a", "b"))
    assert told.records[0].labels == {"a": 0, "b": 1}


def test_one_column_is_one_finding_and_no_pair_of_classes(tmp_path: Path) -> None:
    root = write(tmp_path, [{"file": "", "edema": mark} for mark in ("1", "0", "", "1", "0", "0")])
    told = read(root, labels="edema", task="multilabel")
    assert (told.task, told.labels) == ("multilabel", ("edema",))
    assert [r.labels for r in told.records] == [
        {"edema": 1},
        {"edema": 0},
        {},
        {"edema": 1},
        {"edema": 0},
        {"edema": 0},
    ]


def test_cells_of_one_label_each_may_hold_several(tmp_path: Path) -> None:
    root = write(tmp_path, [{"file": "", "label": name} for name in ("edema", "mass", "edema", "mass")])
    told = read(root, labels="label", task="multilabel")
    assert (told.task, told.labels) == ("multilabel", ("edema", "mass"))
    assert told.records[0].labels == {"edema": 1, "mass": 0}


def test_a_folder_for_each_class_says_nothing_of_the_other_findings(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which of several findings"):
        read(generated.folders(tmp_path, 4), task="multilabel")
    with pytest.raises(DataError, match="none of detection, classification, multilabel"):
        read(tmp_path, task="several")
