"""Several findings a picture in both databases: old stores keep what they have, erasing leaves no finding behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from medloupe.erasure.eraser import Eraser
from medloupe.errors import StoreError
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from medloupe.store.review_queue import ReviewQueue
from oldschema import make_old

AT = "2026-01-01T00:00:00+00:00"
CLASSES = [{"name": "clear", "role": "normal"}, {"name": "spots", "role": "sought"}]


def fill_old(home: Path) -> str:
    """A data set of one class a picture with a version, as the schema before findings had it; the version's digest."""
    said = [
        {"digest": f"{n}" * 64, "file": f"{n}.png", "label": label, "patient": "P", "site": None, "split": None}
        for n, label in enumerate(("clear", "spots", None))
    ]
    held = [[f"{n}" * 32, *item.values(), None] for n, item in enumerate(said)]
    told = {"classes": CLASSES, "ordered": False, "kind": "", "items": held}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    with make_old(home, "0016").begin() as connection:

        def add(table: str, **values: Any) -> int:
            of = sa.Table(table, sa.MetaData(), autoload_with=connection)
            return connection.execute(of.insert().values(**values)).inserted_primary_key[0]

        common = {"created": AT, "created_by": "ada", "classes": CLASSES, "ordered": False, "kind": ""}
        add("datasets", id="d" * 32, name="old", title="Old", task="multiclass", changes=1, **common)
        version = add("dataset_versions", dataset_id="d" * 32, number=1, digest=digest, job=None, **common)
        for n, item in enumerate(said):
            more = {"bytes": 1, "origin": {"source": "files"}, "left_out": False, "added": 1}
            add("dataset_items", id=f"{n}" * 32, dataset_id="d" * 32, key=f"k{n}", boxes=None, **item, **more)
            add("dataset_version_items", version_id=version, item_id=f"{n}" * 32, erased=None, boxes=None, **item)
    return digest


def test_an_old_store_keeps_what_it_has(database: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    digest = fill_old(home)
    sets = Datasets(Store(home).engine, home)
    assert sets.engine.dialect.name == database
    assert [(i.file, i.label, i.labels, i.told) for i in sets.items("old")] == [
        ("0.png", "clear", None, "clear"),
        ("1.png", "spots", None, "spots"),
        ("2.png", None, None, None),
    ]
    assert [i.label for i in sets.version_items("old", 1)] == ["clear", "spots", None]
    assert sets.count("old") == {"clear": 1, "spots": 1, "": 1}
    version = sets.freeze("old")
    assert (version.number, version.digest) == (1, digest), "the same content is still the same version"
    sets.relabel("old", ["2" * 32], "spots")
    assert sets.freeze("old").number == 2


def test_none_of_them_is_told_apart_from_not_told(database: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = Store(home)
    sets = Datasets(store.engine, home)
    classes = [DatasetClass(name=name) for name in ("edema", "effusion")]
    id = sets.create("chest", task="multilabel", classes=classes).id
    told: list[dict[str, int] | None] = [{"effusion": 1, "edema": 1}, {"edema": 0, "effusion": 0}, None, {"edema": 0}]
    new = [NewItem(key=f"{n}", data=b"%d" % n, file=f"{n}", labels=labels) for n, labels in enumerate(told)]
    items = sets.add(id, new)
    assert [item.labels for item in items] == told
    assert [item.found for item in items] == [("edema", "effusion"), (), (), ()]
    assert sets.count(id) == {"edema": 1, "effusion": 1, "": 1} and sets.count_items(id) == 4
    first = sets.freeze(id)
    sets.tell_findings(id, [items[2].id], [])
    second = sets.freeze(id)
    assert (first.number, second.number) == (1, 2), "that none is there is another version than that nobody looked"
    assert {i.id: i.labels for i in sets.version_items(id, 1)}[items[2].id] is None
    sets.create("one", classes=classes)
    with pytest.raises(StoreError, match="one class"):
        sets.add("one", [NewItem(key="x", data=b"x", file="x", labels={"edema": 1})])
    with pytest.raises(StoreError, match="several findings"):
        sets.relabel(id, [items[0].id], "edema")
    with pytest.raises(StoreError, match="no class 'cancer'"):
        sets.tell_findings(id, [items[0].id], ["cancer"])
    for odd in ("Patient", "no finding", "No_Findings"):
        with pytest.raises(StoreError, match="finding"):
            sets.edit_classes(id, lambda now, odd=odd: [*now, DatasetClass(name=odd)])
    with pytest.raises(StoreError, match="no grades"):
        sets.edit_classes(id, lambda now: now, ordered=True)
    with pytest.raises(StoreError, match="Pictures have the class"):
        sets.set_classes(id, [DatasetClass(name="edema")])

    Eraser(store).erase_items(id, [items[0].id], by="ada")
    for number in (1, 2):
        gone = next(i for i in sets.version_items(id, number) if i.id == items[0].id)
        assert gone.left_out and gone.labels is None and gone.digest == ""
    assert sets.count(id) == {"edema": 0, "effusion": 0, "": 0}


def test_two_readers_agree_on_the_same_set(database: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    queue = ReviewQueue(Store(home).engine, home)

    def add(n: int) -> str:
        case = queue.add(
            b"%d" % n,
            prediction_id=f"{n:032x}",
            model="chest",
            version=1,
            task="multilabel",
            labels=("edema", "effusion"),
            answer={},
            said=None,
            size=(8, 8),
            basis="consent",
            by="bea",
            wanted=2,
        )
        return case.id

    same, other, none = add(1), add(2), add(3)
    for case, first, second in (
        (same, ["edema", "effusion"], ["effusion", "edema"]),
        (other, ["edema", "effusion"], ["edema"]),
        (none, [], []),
    ):
        queue.give_opinion(case, "rea", verdict="label", labels=first)
        queue.give_opinion(case, "rob", verdict="label", labels=second)
    assert queue.get(same).state == "settled" and queue.get(other).disputed
    settled = queue.get(none)
    assert settled.state == "settled" and settled.outcome == {"verdict": "label", "labels": [], "boxes": None}
    with pytest.raises(StoreError, match="twice"):
        queue.give_opinion(other, "ada", verdict="label", labels=["edema", "edema"])
