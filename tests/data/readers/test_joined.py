"""Cells of several labels: which sign joins them, lists, words for nothing, and one label that only looks like two."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.reading import read
from medloupe.errors import DataError
from tabled import labels, rows, said, tabled


def read_cells(tmp_path: Path, cells: list[str], column: str = "findings", n: int = 12):
    text = rows(f"file\t{column}", lambda i: f"{i}.png\t{cells[i % len(cells)]}", n)
    return read(tabled(tmp_path, text, "labels.tsv"))


@pytest.mark.parametrize("sign", [";", "; ", ",", ", ", "|", " | "])
@pytest.mark.parametrize("column", ["labels", "diagnosis"])
def test_parts_that_also_occur_alone_are_labels(tmp_path: Path, sign: str, column: str):
    data = read_cells(tmp_path, ["Effusion", f"Effusion{sign}Mass", "Mass", f"Nodule{sign}Effusion"], column)
    assert (data.task, data.labels) == ("multilabel", ("Effusion", "Mass", "Nodule"))
    assert labels(data)["1.png"] == {"Effusion": 1, "Mass": 1, "Nodule": 0}
    assert data.counts() == {"Effusion": 9, "Mass": 6, "Nodule": 3}
    assert f"joined by '{sign.strip()}'" in said(data)


@pytest.mark.parametrize("sign", ["/", "+", " & "])
def test_other_signs_join_only_where_every_part_occurs_alone(tmp_path: Path, sign: str):
    data = read_cells(tmp_path / "all", ["DR", f"DR{sign}AMD", "AMD", "drusen"], "diagnosis")
    assert data.labels == ("AMD", "DR", "drusen")
    data = read_cells(tmp_path / "some", ["DR", f"DR{sign}mild", "AMD", "drusen"], "diagnosis")
    assert f"DR{sign}mild" in data.labels


@pytest.mark.parametrize(
    "cells",
    [
        ["['effusion', 'mass']", "['mass']", "['nodule ', '']", "[]", "nan"],
        ['["effusion", "mass"]', '["mass"]', '["nodule"]', "[]", ""],
        ["[effusion, mass]", "[mass]", "[nodule]", "[]", ""],
        ["('effusion', 'mass')", "['mass']", "['nodule']", "[]", "nan"],
    ],
)
def test_lists(tmp_path: Path, cells: list[str]):
    data = read_cells(tmp_path, cells, "Labels", 10)
    assert (data.task, data.labels) == ("multilabel", ("effusion", "mass", "nodule"))
    assert labels(data)["0.png"] == {"effusion": 1, "mass": 1, "nodule": 0}
    assert labels(data)["3.png"] == {"effusion": 0, "mass": 0, "nodule": 0}
    assert labels(data)["4.png"] == {}
    assert "2 lists are empty: all labels are absent there" in said(data)


def test_an_empty_list_says_nothing_where_there_is_a_word_for_it(tmp_path: Path):
    data = read_cells(tmp_path, ["['effusion', 'mass']", "['normal']", "[]"], "Labels")
    assert data.labels == ("effusion", "mass")
    assert labels(data)["1.png"] == {"effusion": 0, "mass": 0}
    assert labels(data)["2.png"] == {}
    assert "'normal' (4 images) is not a label of its own" in said(data)
    assert "count as unlabelled" in said(data)


def test_normal_beside_another_label_is_a_label(tmp_path: Path):
    assert read_cells(tmp_path, ["normal", "normal;old", "mass", "mass;old"]).labels == ("mass", "normal", "old")


@pytest.mark.parametrize(
    "cells",
    [
        ["carcinoma, ductal", "carcinoma, lobular", "normal"],
        ["Pneumonia/Viral/COVID-19", "Pneumonia/Bacterial", "Pneumonia"],
        ["lung left", "lung right", "heart"],
    ],
)
def test_one_label_of_several_words_stays_one(tmp_path: Path, cells: list[str]):
    data = read_cells(tmp_path, cells, "diagnosis")
    assert (data.task, data.labels) == ("multiclass", tuple(sorted(cells)))


def test_what_may_be_several_labels_is_said(tmp_path: Path):
    data = read_cells(tmp_path, ["carcinoma, ductal", "carcinoma, lobular", "carcinoma"], "diagnosis")
    assert data.task == "multiclass"
    assert "read as one label a cell, also where it holds ','" in said(data)


def test_blanks_that_may_part_labels_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="'Effusion Mass' is one label or two") as error:
        read_cells(tmp_path, ["Effusion", "Effusion Mass", "Mass", "Nodule Effusion", "No Finding"], "labels")
    assert "'Effusion|Mass'" in error.value.hint


def test_no_finding_in_lists_and_spellings_inside_cells(tmp_path: Path):
    data = read_cells(tmp_path, ["Mass; edema", "mass", "Edema", "No finding"])
    assert data.labels == ("Edema", "mass") or data.labels == ("edema", "mass") or len(data.labels) == 2
    assert data.counts().keys() == set(data.labels)
    assert sum(data.counts().values()) == 12
    assert "Spellings of one label" in said(data)


def test_a_list_of_other_things_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no list of labels"):
        read_cells(tmp_path, ["[['a', 1], 'b']", "['a']"], "labels")
