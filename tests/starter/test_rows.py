"""How the rows of scripts/starters.py are read: several folders as one, and what an open check-up must leave out."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import generated
from places import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import terms
from kind_sights import Sights
from starter import Starter
from starters import STARTERS


def a_set(root: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    """A folder with labels.csv: label, patient and source of each picture."""
    root.mkdir(parents=True)
    with (root / "labels.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("file", "label", "patient_id", "source"))
        for i, (label, patient, source) in enumerate(rows):
            generated.save(root / f"{i}.png", generated.tissue(i, label == "sick"))
            out.writerow((f"{i}.png", label, patient, source))
    return root


def a_row(**fields: object) -> Starter:
    told = {"name": "a", "data": "here", "title": "A", "about": "a picture", "kind": "k", "weaknesses": (), **fields}
    return Starter(**told)  # type: ignore[arg-type]


def test_several_folders_are_one_set_in_which_a_patient_is_one_patient(tmp_path: Path) -> None:
    a_set(tmp_path / "here", [("sick", "p1", "x"), ("well", "p2", "x")])
    a_set(tmp_path / "there", [("well", "p1", "x"), ("sick", "p3", "x"), ("well", "p3", "x")])
    one = a_row(also=("there",), parted_by=("device", {"here": "old", "there": "new"}))
    data = one.read(tmp_path)
    assert [r.id for r in data.records] == ["here/0.png", "here/1.png", "there/0.png", "there/1.png", "there/2.png"]
    assert [r.patient for r in data.records] == ["p1", "p2", "p1", "p3", "p3"]
    assert [r.columns["device"] for r in data.records] == ["old", "old", "new", "new", "new"]
    assert data.counts() == {"sick": 2, "well": 3}
    assert any("2 from here, 3 from there" in note for note in data.notes)
    assert all(r.image is not None and r.image.is_file() for r in data.records if isinstance(r.image, Path))


def test_folders_with_other_labels_are_not_read_as_one(tmp_path: Path) -> None:
    a_set(tmp_path / "here", [("sick", "p1", "x"), ("well", "p2", "x")])
    a_set(tmp_path / "there", [("sick", "p3", "x"), ("dead", "p4", "x")])
    with pytest.raises(SystemExit, match="do not ask the same question"):
        a_row(also=("there",)).read(tmp_path)


def test_an_open_check_up_leaves_out_the_part_that_is_not_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_set(tmp_path / "here", [("sick", "p1", "free"), ("well", "p2", "free"), ("well", "", "bound")])
    monkeypatch.setitem(terms.NOT_OPEN, "here", ("source", frozenset({"bound"})))
    assert len(a_row().read(tmp_path)) == 2
    assert len(a_row(terms="research").read(tmp_path)) == 3


def test_what_may_not_be_shared_teaches_no_open_check_up() -> None:
    for one in STARTERS:
        if one.terms == "open":
            assert set(one.folders) <= terms.OPEN, one.name


def test_sights_of_several_sets_keep_their_rows_and_groups_apart() -> None:
    def sights(n: int, start: float) -> Sights:
        plain = np.full((n, 2), start) + np.arange(n)[:, None]
        at = np.arange(0, n, 2)
        return Sights(plain=plain, groups=np.arange(n).astype(str), rows=at, changed={"blur": plain[at] + 0.5})

    joined = Sights.join([sights(3, 0), sights(4, 10)])
    assert len(joined.plain) == 7 and len(set(joined.groups)) == 7
    assert np.array_equal(joined.changed["blur"], joined.plain[joined.rows] + 0.5)
