"""Data sets in the store: each arrival once, each file once, changes undone, versions that stay as they were."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

import generated
import medloupe
from medloupe.errors import StoreError, UnknownError
from medloupe.store.database import open_engine
from medloupe.store.dataset_nouns import DatasetClass, NewItem, StoredDataset
from medloupe.store.datasets import Datasets

CLASSES = (DatasetClass(name="sick", role="sought"), DatasetClass(name="normal", role="normal"))


@pytest.fixture
def engine(database: str, home: Path) -> Engine:
    home.mkdir(parents=True, exist_ok=True)
    return open_engine(home)


@pytest.fixture
def sets(engine: Engine, home: Path) -> Datasets:
    return Datasets(engine, home)


@pytest.fixture
def spots(sets: Datasets) -> StoredDataset:
    return sets.create("spots", title="Spots", kind="smear", classes=CLASSES, by="ada")


def picture(i: int, tmp_path: Path, sick: bool = False) -> bytes:
    return generated.save(tmp_path / "made" / f"{i}-{sick}.png", generated.tissue(i, sick)).read_bytes()


def brought(i: int, tmp_path: Path, label: str = "normal", patient: str | None = None) -> NewItem:
    data = picture(i, tmp_path, label == "sick")
    return NewItem(key=f"{label}-{i}", data=data, file=f"{label}/{i}.png", label=label, patient=patient)


def test_an_arrival_is_taken_in_once(sets: Datasets, spots: StoredDataset, tmp_path: Path) -> None:
    first = sets.add(spots.id, [brought(i, tmp_path) for i in range(3)], by="ada", batch="a")
    again = sets.add(spots.id, [brought(i, tmp_path) for i in range(4)], by="ada", batch="a")
    assert [item.id for item in again[:3]] == [item.id for item in first]
    assert sets.count(spots.id) == {"sick": 0, "normal": 4, "": 0}
    (change,) = sets.changes("spots")
    assert (change.action, change.by, change.detail) == ("add", "ada", {"batch": "a", "count": 4})
    assert sets.path(first[0]).read_bytes() == picture(0, tmp_path)
    assert sets.item(spots.id, first[0].id).origin["by"] == "ada"


def test_many_bring_the_same_at_once(sets: Datasets, spots: StoredDataset, tmp_path: Path) -> None:
    new = [brought(i, tmp_path) for i in range(8)]
    faults: list[Exception] = []

    def bring() -> None:
        try:
            for item in new:
                sets.add(spots.id, [item], batch="b")
        except Exception as e:
            faults.append(e)

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(sets.items(spots.id)) == 8


def test_a_class_that_is_not_there_is_refused(sets: Datasets, spots: StoredDataset, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no class 'odd'"):
        sets.add(spots.id, [NewItem(key="x", data=picture(0, tmp_path), file="x.png", label="odd")])
    with pytest.raises(UnknownError):
        sets.add("0" * 32, [brought(0, tmp_path)])
    with pytest.raises(StoreError, match="already"):
        sets.create("spots")
    assert sets.items(spots.id) == []


@pytest.mark.parametrize("name", ["", "a/b", ".hidden", "=cmd", "a,b", " x", "x" * 101])
def test_names_that_cannot_be_of_classes(sets: Datasets, name: str) -> None:
    with pytest.raises(StoreError, match="cannot name a class"):
        sets.create("other", classes=(DatasetClass(name=name),))


def test_what_was_changed_is_taken_back(sets: Datasets, spots: StoredDataset, tmp_path: Path) -> None:
    items = sets.add(spots.id, [brought(i, tmp_path) for i in range(4)], batch="a")
    ids = [item.id for item in items]
    out = sets.leave_out(spots.id, ids[:1], by="bea", why="copies")
    relabelled = sets.relabel(spots.id, ids[1:2], "sick")
    assert sets.count(spots.id) == {"sick": 1, "normal": 2, "": 0}
    with pytest.raises(StoreError, match="Nothing would change"):
        sets.leave_out(spots.id, ids[:1])
    undone = sets.undo(spots.id, out.number, by="ada")
    assert undone.detail == {"undoes": out.number, "action": "leave_out"}
    assert sets.count(spots.id) == {"sick": 1, "normal": 3, "": 0}
    with pytest.raises(StoreError, match="cannot be undone"):
        sets.undo(spots.id, out.number)
    sets.relabel(spots.id, ids[1:2], None)
    with pytest.raises(StoreError, match="changed again"):
        sets.undo(spots.id, relabelled.number)
    sets.undo(spots.id, 1)  # the pictures themselves
    assert sets.items(spots.id) == [] and len(sets.items(spots.id, left_out=True)) == 4
    assert [c.action for c in sets.changes(spots.id)] == ["undo", "relabel", "undo", "relabel", "leave_out", "add"]


def test_joined_are_of_one_patient(sets: Datasets, spots: StoredDataset, tmp_path: Path) -> None:
    new = [brought(0, tmp_path, patient="p1"), brought(1, tmp_path, patient="p2"), brought(2, tmp_path)]
    new += [brought(3, tmp_path, patient="p2"), brought(4, tmp_path), brought(5, tmp_path)]
    ids = [item.id for item in sets.add(spots.id, new)]
    change = sets.join(spots.id, [[ids[0], ids[1]], [ids[1], ids[2]], [ids[4], ids[5]]], why="near copies")
    of = {item.id: item.patient for item in sets.items(spots.id)}
    assert [of[i] for i in ids[:4]] == ["p1"] * 4, "a patient whose pictures were together stays together"
    assert of[ids[4]] == of[ids[5]] and str(of[ids[4]]).startswith("joined-")
    sets.undo(spots.id, change.number)
    assert [item.patient for item in (sets.item(spots.id, i) for i in ids)] == ["p1", "p2", None, "p2", None, None]


def test_classes_change_while_they_are_free(sets: Datasets, spots: StoredDataset, tmp_path: Path) -> None:
    sets.add(spots.id, [brought(0, tmp_path)])
    with pytest.raises(StoreError, match="'normal'"):
        sets.set_classes(spots.id, CLASSES[:1])
    changed = sets.set_classes(spots.id, (*CLASSES, DatasetClass(name="unsure", role="harmless")), ordered=True)
    assert changed.labels == ("sick", "normal", "unsure") and changed.ordered
    (last, _) = sets.changes(spots.id)
    sets.undo(spots.id, last.number)
    assert sets.get("spots").classes == CLASSES


def test_two_who_change_classes_at_once(sets: Datasets, spots: StoredDataset) -> None:
    def add(name: str) -> None:
        sets.edit_classes(spots.id, lambda now: [*now, DatasetClass(name=name)])

    threads = [threading.Thread(target=add, args=(f"class {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sets.get(spots.id).labels) == sorted(["sick", "normal", *(f"class {n}" for n in range(6))])


def test_a_version_stays_as_it_was(sets: Datasets, spots: StoredDataset, home: Path, tmp_path: Path) -> None:
    new = [brought(i, tmp_path, label, patient=f"p{i // 2}") for label in ("sick", "normal") for i in range(6)]
    items = sets.add(spots.id, new)
    first = sets.freeze(spots.id, by="ada")
    assert sets.freeze(spots.id) == first, "the same content is one version"
    table = sets.version_folder(spots.id, 1)
    read = medloupe.read(table)
    assert read.counts() == {"normal": 6, "sick": 6}
    assert sorted({r.patient for r in read.records if r.patient}) == ["p0", "p1", "p2"]
    sets.relabel(spots.id, [items[0].id], "normal")
    second = sets.freeze(spots.id)
    assert (first.number, second.number) == (1, 2)
    assert sum(item.label == "sick" for item in sets.version_items(spots.id, 1)) == 6
    assert sum(item.label == "sick" for item in sets.version_items("spots", 2)) == 5
    assert [v.number for v in sets.versions("spots")] == [2, 1]
    with pytest.raises(UnknownError):
        sets.version_items("spots", 3)


def test_files_of_nobody_are_swept_away_in_time(sets: Datasets, spots: StoredDataset, tmp_path: Path) -> None:
    import os

    (item,) = sets.add(spots.id, [brought(0, tmp_path)])
    for name in ("a" * 64, "b" * 64):
        sets.blobs.path(name).parent.mkdir(parents=True, exist_ok=True)
        sets.blobs.path(name).write_bytes(b"left by a kill")
    os.utime(sets.blobs.path("a" * 64), (0, 0))
    os.utime(sets.path(item), (0, 0))
    assert sets.sweep() == 1
    assert sets.blobs.path("b" * 64).exists() and sets.path(item).exists()
