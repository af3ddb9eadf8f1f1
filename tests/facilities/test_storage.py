"""Lists in the home folder: replaced as wholes, removed, never half written, kept by the back-up."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from madeplaces import healthsites, master
from medloupe.errors import StorageError, UnknownError
from medloupe.facilities.reading import ReadList, Told, read_facilities
from medloupe.facilities.storage import FacilityStore
from places import ROOT


def lists(tmp_path: Path) -> tuple[list[ReadList], list[ReadList]]:
    one, _ = read_facilities(healthsites(tmp_path / "a.csv"), Told())
    two, _ = read_facilities(master(tmp_path / "who.csv"), Told(source="WHO/KEMRI"))
    return one, two


def test_lists_are_joined_replaced_and_removed(tmp_path: Path) -> None:
    one, two = lists(tmp_path)
    store = FacilityStore(tmp_path / "home")
    assert store.load().lists == () and not store.path.exists()
    store.add(one)
    both = store.add(two)
    assert (both.count, both.joined, len(both.places)) == (6, 1, 7)
    read = store.load()
    assert [i.id for i in read.lists] == ["healthsites", "who-kwtrp"]
    assert list(read.places) == list(both.places) and list(read.groups) == list(both.groups)
    assert read.near(-0.5, 36).places[0].lists[0].licence, "the licence goes with the place"
    assert store.add(two).count == 6, "again is in its place"
    assert store.remove("healthsites").count == 5
    assert [i.id for i in store.load().lists] == ["who-kwtrp"]
    with pytest.raises(UnknownError, match="who-kwtrp"):
        store.remove("who-kwtrb")


def test_what_is_damaged_is_said(tmp_path: Path) -> None:
    one, _ = lists(tmp_path)
    store = FacilityStore(tmp_path / "home")
    store.add(one)
    whole = store.path.read_bytes()
    told = json.loads(gzip.decompress(whole))
    broken = [whole[:-9], whole[: len(whole) // 2], b"", b"x" * 100, whole[:40] + b"\0" * 9 + whole[49:]]
    broken += [gzip.compress(json.dumps({**told, **change}).encode()) for change in ({"format": 9}, {"list": []})]
    broken += [gzip.compress(b"[]"), gzip.compress(b"{}")]
    for data in broken:
        store.path.write_bytes(data)
        with pytest.raises(StorageError, match="damaged"):
            store.load()


def test_a_full_or_closed_folder_leaves_the_list_before(tmp_path: Path) -> None:
    one, two = lists(tmp_path)
    store = FacilityStore(tmp_path / "home")
    store.add(one)
    before = store.path.read_bytes()
    blocked = FacilityStore(tmp_path / "file")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        blocked.add(two)
    assert store.path.read_bytes() == before
    assert [p.name for p in store.folder.iterdir() if p.name != ".lock"] == ["places.json.gz"]


def test_the_back_up_has_them(tmp_path: Path) -> None:
    from medloupe.store.models import Store

    one, _ = lists(tmp_path)
    home = tmp_path / "home"
    _ = Store(home).engine
    FacilityStore(home).add(one)
    program = [sys.executable, str(ROOT / "deploy" / "backup.py")]
    for command, folder in (("save", home), ("restore", tmp_path / "again")):
        subprocess.run(
            [*program, command, str(tmp_path / "copy")],
            env={**os.environ, "MEDLOUPE_HOME": str(folder), "MEDLOUPE_DATABASE": ""},
            check=True,
        )
    assert FacilityStore(tmp_path / "again").load().count == 5
