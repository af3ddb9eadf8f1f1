"""Tables of entries: their own, and those that a setting brings."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from medloupe.errors import MedloupeError
from medloupe.utils.tables import VARIABLE, Table


@dataclass(frozen=True)
class Entry:
    name: str


@pytest.fixture
def brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that adds to the table `rows`, and to no other."""
    name = f"brought_{tmp_path.name.replace('-', '_')}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("")
    source = "class Entry:\n    name = 'third'\nENTRY = Entry()\n"
    (tmp_path / name / "rows.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_without_the_setting_nothing_is_imported(brought: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    table = Table("rows", Entry("first"), Entry("second"))
    assert table.names == ("first", "second")
    assert table.added == ()
    assert table.find("third") is None
    assert brought not in sys.modules
    with pytest.raises(MedloupeError, match="'third'; there are first, second"):
        _ = table["third"]


def test_entries_are_taken_up_as_the_setting_says(brought: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table, other = Table("rows", Entry("first")), Table("columns", Entry("first"))
    monkeypatch.setenv(VARIABLE, f" {brought} ,")
    assert table.names == ("first", "third")
    assert table["third"] is table.added[0]
    assert other.names == ("first",), "the package has no module of that name"
    monkeypatch.delenv(VARIABLE)
    assert table.names == ("first",)


def test_what_cannot_be_taken_up_is_told(brought: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, brought)
    with pytest.raises(MedloupeError, match="adds 'third', which medloupe has"):
        _ = Table("rows", Entry("third")).names
    monkeypatch.setenv(VARIABLE, "no_such_package_anywhere")
    with pytest.raises(MedloupeError, match="'no_such_package_anywhere', which cannot be imported"):
        _ = Table("rows", Entry("first")).names
