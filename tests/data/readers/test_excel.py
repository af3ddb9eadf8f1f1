"""Excel workbooks: the first sheet is read and said; what cannot be read is told by its name."""

from __future__ import annotations

import builtins
from pathlib import Path

import pytest

from medloupe.data.reading import read
from medloupe.errors import DataError
from readers_cases import picture, write
from tabled import TWELVE, labels, said, tabled

openpyxl = pytest.importorskip("openpyxl", reason="Excel tables need openpyxl")


def workbook(root: Path, *titles: str) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Truth"
    for title in titles:
        sheet.append([title])
    sheet.append(["file", "grade", "age"])
    for k, image in enumerate(TWELVE):
        picture(root / image, k)
        sheet.append([image, k % 3, 50.5])
    book.create_sheet("Legend").append(["0 is none"])
    book.save(root / "labels.xlsx")
    return root


@pytest.mark.parametrize("titles", [(), ("Export of the clinic",)])
def test_the_first_sheet_is_read_and_said(tmp_path: Path, titles: tuple[str, ...]):
    data = read(workbook(tmp_path, *titles))
    assert data.labels == ("0", "1", "2")
    assert labels(data)["4.png"] == {"1": 1}
    assert data.records[0].columns == {"age": "50.5"}
    assert "its sheet 'Truth' was read; not read: Legend" in said(data)


def test_given_itself_or_told(tmp_path: Path):
    root = workbook(tmp_path)
    assert len(read(root / "labels.xlsx")) == len(read(root, table="labels.xlsx")) == 12


def test_a_broken_workbook_is_called_excel(tmp_path: Path):
    tabled(tmp_path, "")
    (tmp_path / "labels.csv").unlink()
    (tmp_path / "labels.xlsx").write_bytes(b"PK\x03\x04" + bytes(60))
    with pytest.raises(DataError, match=r"labels\.xlsx is not a readable Excel file") as error:
        read(tmp_path)
    assert "Save it as CSV" in error.value.hint


def test_a_broken_workbook_beside_classes_stops_nobody(tmp_path: Path):
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "b" / "2.png")
    write(tmp_path / "metadata.xlsx", "x")
    assert read(tmp_path).labels == ("a", "b")


def test_without_openpyxl_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = builtins.__import__

    def without(name: str, *args: object, **more: object) -> object:
        if name.startswith("openpyxl"):
            raise ImportError(name)
        return real(name, *args, **more)  # pyright: ignore[reportArgumentType]

    workbook(tmp_path)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match="Excel file") as error:
        read(tmp_path)
    assert "pip install 'medloupe[excel]'" in error.value.hint


@pytest.mark.parametrize(("name", "hint"), [("labels.xls", "Save it as CSV"), ("labels.csv.gz", "Unpack it")])
def test_tables_in_other_forms_are_named(tmp_path: Path, name: str, hint: str):
    tabled(tmp_path, "x", name)
    with pytest.raises(DataError, match=name) as error:
        read(tmp_path)
    assert hint in error.value.hint


def test_a_packed_table_is_not_passed_over_for_folders(tmp_path: Path):
    tabled(tmp_path, "x", "chexpert.csv.gz", images=["p10/1.png", "p11/2.png"])
    with pytest.raises(DataError, match="packed table"):
        read(tmp_path)


def test_an_open_workbooks_lock_is_no_table(tmp_path: Path):
    root = workbook(tmp_path)
    write(root / "~$labels.xlsx", "lock")
    assert read(root).skipped == {"hidden": ("~$labels.xlsx",)}
