"""Where a table's header is: in its first line, below titles, repeated further down, or nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from medloupe.data.reading import read
from medloupe.errors import QuestionError
from tabled import labels, rows, said, tabled


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [
        ("l.csv", "", lambda i: f"{i}.png,{i % 2}"),
        ("l.csv", "", lambda i: f"{i}.png,{('well', 'ill')[i % 2]}"),
        ("l.csv", "", lambda i: f"{i};{('well', 'ill')[i % 2]}"),
        ("l.tsv", "", lambda i: f"{i}.png\t{i % 2}"),
        ("l.csv", "", lambda i: f"{i},x/{i}.png,{i % 2}"),
        ("l.csv", "", lambda i: f"{i},{i % 2}"),
        ("l.csv", "0,1", lambda i: f"{i}.png,{i % 2}"),
        ("l.csv", ",0,1", lambda i: f"{i},{i}.png,{i % 2}"),
    ],
)
def test_a_table_without_column_names_is_file_and_label(tmp_path: Path, name: str, head: str, row):
    data = read(tabled(tmp_path, rows(head, row), name))
    assert len(data) == 12
    assert data.labels in (("0", "1"), ("ill", "well"))
    assert sum(data.counts().values()) == 12
    assert "are read as file, label" in said(data)


def test_names_without_suffix_are_data_where_the_files_are_there(tmp_path: Path):
    images = [f"scans/case-{'abcdefghijkl'[i]}{i % 3}.png" for i in range(12)]
    text = rows("", lambda i: f"case-{'abcdefghijkl'[i]}{i % 3},P{i // 2 % 2}x{'uv'[i % 2]}")
    data = read(tabled(tmp_path, text, images=images))
    assert len(data) == 12
    assert "no header line" in said(data)


def test_a_split_is_known_without_a_header(tmp_path: Path):
    data = read(tabled(tmp_path, rows("", lambda i: f"{i}.png,{'ab'[i % 2]},{'train' if i < 8 else 'test'}")))
    assert data.splits == {"train": 8, "test": 4}
    assert data.labels == ("a", "b")


def test_two_columns_without_names_are_asked_for(tmp_path: Path):
    root = tabled(tmp_path, rows("", lambda i: f"{i}.png,{'ab'[i % 2]},P{i // 2}"))
    with pytest.raises(QuestionError, match="has no header line") as error:
        read(root)
    assert "--labels 'column 2'" in error.value.answers
    assert read(root, labels="column 2", patient="column 3").labels == ("a", "b")


@pytest.mark.parametrize(
    "head", ["file,label", "file,0", "1,label", "image2,a1", "file,normal", ",label", "file,Edema\n0.png,"]
)
def test_a_header_stays_a_header(tmp_path: Path, head: str):
    value = {"file,normal": lambda i: str(i % 2)}.get(head, lambda i: "ab"[i % 2])
    text = rows(head, lambda i: f"{i}.png,{value(i)}")
    data = read(tabled(tmp_path, text), labels="label" if "label" in head else head.split("\n")[0].split(",")[1])
    assert "header" not in said(data)


@pytest.mark.parametrize("titles", ["Export of 2021-01-05,,\n,,\n", "Export, ward 3\n\n", "Export;;;;\n"])
def test_titles_above_the_header_are_passed_over(tmp_path: Path, titles: str):
    sign = ";" if ";" in titles or "ward" in titles else ","
    text = titles + rows("file,label,reader", lambda i: f"{i}.png,{'ab'[i % 2]},R1").replace(",", sign)
    data = read(tabled(tmp_path, text))
    assert len(data) == 12
    assert data.labels == ("a", "b")
    assert "The first line of labels.csv is no header (Export" in said(data)


def test_a_header_repeated_below_is_no_row(tmp_path: Path):
    text = rows("file,label", lambda i: "file,label" if i == 5 else f"{i}.png,{'ab'[i % 2]}")
    data = read(tabled(tmp_path, text))
    assert len(data) == 11
    assert data.skipped == {"not in the table": ("5.png",)}
    assert "repeated in 1 lines" in said(data)


def test_an_index_of_file_names_is_a_column(tmp_path: Path):
    data = read(tabled(tmp_path, rows(",label", lambda i: f"{i}.png,{'ab'[i % 2]}")))
    assert len(labels(data)) == 12
    assert data.labels == ("a", "b")
