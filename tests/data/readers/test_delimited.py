"""Text tables as programs and people leave them: encodings, delimiters, and the line sep=."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.reading import read
from readers_cases import write
from tabled import rows, said, tabled


@pytest.mark.parametrize("line", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;", "sep=;;;"])
def test_excels_first_line_names_the_delimiter(tmp_path: Path, line: str):
    text = f"{line}\r\n" + rows("file;label", lambda i: f"{i}.png;{'ab'[i % 2]}").replace("\n", "\r\n")
    data = read(tabled(tmp_path, text))
    assert len(data) == 12
    assert "names its delimiter" in said(data)


def test_a_delimiter_is_not_taken_from_the_title(tmp_path: Path):
    text = "Ward 3, room 4, bed 5\n" + rows("file;label;remark", lambda i: f'{i}.png;{"ab"[i % 2]};"x; y"')
    data = read(tabled(tmp_path, text))
    assert data.labels == ("a", "b")
    assert data.records[0].columns == {"remark": "x; y"}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig", "cp1252"])
def test_encodings(tmp_path: Path, encoding: str):
    tabled(tmp_path, "")
    write(tmp_path / "labels.csv", rows("file,label", lambda i: f"{i}.png,{('gesund', 'Ödem')[i % 2]}"), encoding)
    assert read(tmp_path).labels == ("gesund", "Ödem")


def test_windows_signs_are_those_of_windows(tmp_path: Path):
    tabled(tmp_path, "")
    write(tmp_path / "labels.csv", rows("file,label", lambda i: f"{i}.png,{('a', '„b“')[i % 2]}"), "cp1252")
    assert read(tmp_path).labels == ("a", "„b“")


def test_commas_in_cells_do_not_make_a_comma_table(tmp_path: Path):
    text = rows("file;label", lambda i: f"{i}.png;{('a, b', 'c, d')[i % 2]}")
    assert read(tabled(tmp_path, text)).labels == ("a, b", "c, d")


def test_blank_columns_behind_the_last_are_nothing(tmp_path: Path):
    data = read(tabled(tmp_path, rows("file,label,,,", lambda i: f"{i}.png,{'ab'[i % 2]},,,")))
    assert data.records[0].columns == {}
