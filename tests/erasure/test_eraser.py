"""A patient is forgotten in each place where something is kept, whatever is killed in between; nobody else is."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

import belongings
import places
from belongings import PATIENT, Kept
from medloupe.accounts.log import AuditLog
from medloupe.embed.cache import FeatureCache
from medloupe.erasure.eraser import Eraser
from medloupe.erasure.tombstones import read_tombstones
from medloupe.errors import StoreError, UnknownError
from medloupe.metrics.evidence import Evidence
from medloupe.store.database import transaction
from medloupe.store.datasets import Datasets
from medloupe.store.frozen_tests import find_frozen_test
from medloupe.store.models import Store
from medloupe.store.review_queue import ReviewQueue
from medloupe.store.tables import FrozenTestItemRow, FrozenTestRow, PredictionRow, now

GONE = {
    "pictures": 5,
    "version_places": 5,
    "answers": 2,
    "kept_pictures": 2,
    "cases": 2,
    "uploads": 1,
}


@pytest.fixture
def kept(home: Path) -> Kept:
    return belongings.fill(home)


def test_nothing_of_a_patient_is_left_and_all_of_the_others(kept: Kept, home: Path) -> None:
    sets = Datasets(kept.store.engine, home)
    assert {name for _, name in kept.search()} >= {"patient", "picture 0", "digest 1", "shown 0", "picture 4"}
    cache = FeatureCache(home / "cache" / "features" / "a", 12)
    theirs = [hashlib.sha256(data).digest() for data in kept.others]
    rows = cache.read(theirs)[0]
    eraser = Eraser(kept.store)
    told = eraser.preview(PATIENT)
    assert {name: told.counts[name] for name in ("pictures", "answers", "cases", "uploads")} == {
        "pictures": 5,
        "answers": 2,
        "cases": 2,
        "uploads": 1,
    }
    assert kept.search(), "a preview deletes nothing"

    receipt = eraser.forget(PATIENT, by="ada")
    assert kept.search() == []
    assert {name: receipt.counts[name] for name in GONE} == GONE
    assert (receipt.joined, receipt.versions) == (1, ("spots@1",))
    assert receipt.counts["features"] == 5 + 3 * 5 and receipt.counts["reports"] == 1
    (model,) = receipt.models
    assert (model.name, model.version, model.learned, model.judged, model.left) == ("spots", 1, 5, 5, 40)

    items = sets.items(kept.dataset)
    assert len(items) == belongings.OTHERS and {i.patient for i in items} == {f"P{i}" for i in range(40)}
    assert all(sets.path(item).is_file() for item in items)
    assert sum(i.left_out for i in sets.version_items(kept.dataset, 1)) == 5
    assert len(list((home / "kept").glob("*/*"))) == 1
    assert [c.state for c in ReviewQueue(kept.store.engine, home).list()].count("open") == 1
    again = FeatureCache(home / "cache" / "features" / "a", 12)
    found, _, damaged = again.read(theirs)
    assert not damaged and np.array_equal(found, rows)
    assert not list((home / "erasures").glob("*.json"))
    with pytest.raises(UnknownError, match="Nothing is kept"):
        eraser.forget(PATIENT, by="ada")


def test_the_receipt_stands_in_the_chained_log_without_the_id(kept: Kept) -> None:
    eraser = Eraser(kept.store)
    receipt = eraser.forget(f" {PATIENT} ", by="ada")
    assert eraser.receipts() == [receipt] and PATIENT not in str(receipt.as_json())
    log = AuditLog(kept.store.engine)
    lines = [(entry.action, entry.object) for entry in log.entries() if entry.action.startswith("patient.")]
    assert lines == [("patient.forgotten", receipt.patient), ("patient.forget", receipt.patient)]
    assert log.prove().broken == ""
    assert eraser.preview(PATIENT).patient == receipt.patient, "so that an operator can tell whose it was"


def test_figures_are_made_anew_and_the_gate_says_so(kept: Kept, home: Path) -> None:
    store = kept.store
    before = store.get("spots", 1).card
    Eraser(store).forget(PATIENT, by="ada")
    evidence = Evidence.read(store.folder("spots", 1))
    assert evidence is not None and (len(evidence.digests), evidence.erased) == (40, 5)
    card = store.get("spots", 1).card
    assert (card["erased"]["judged"], card["erased"]["left"]) == (5, 40)
    assert 0.5 < card["metrics"]["auc"]["low"] < card["metrics"]["auc"]["value"] <= 1
    assert "erased" not in before
    belongings.add_version(store, list(kept.others), first=5)
    compared = store.compare("spots", 2, 1)
    assert compared.erased == 5 and "without 5 pictures that were erased since" in compared.words
    assert compared.auc is not None and compared.records == 40


def test_single_pictures_are_erased_by_the_same_way(kept: Kept, home: Path) -> None:
    sets = Datasets(kept.store.engine, home)
    items = sets.items(kept.dataset)
    twin = next(i for i in items if i.file.endswith("same.png"))
    first = next(i for i in items if i.file.endswith("a0.png"))
    eraser = Eraser(kept.store)
    done = eraser.erase_items("spots", [first.id], by="ada")
    assert done.counts["pictures"] == 1 and done.counts["features"] == 0
    assert sets.path(twin).is_file(), "another picture has the same content"
    done = eraser.erase_items("spots", [twin.id, items[0].id], by="ada")
    assert done.counts["pictures"] == 2 and done.counts["features"] == 2 * 4
    assert not sets.path(twin).exists() and eraser.receipts() == []
    with pytest.raises(UnknownError):
        eraser.erase_items("spots", [twin.id], by="ada")
    with transaction(kept.store.engine) as session:
        assert len(list(session.scalars(select(PredictionRow.id)))) == 3, "answers are another matter"


def test_what_was_erased_cannot_be_undone(kept: Kept, home: Path) -> None:
    sets = Datasets(kept.store.engine, home)
    Eraser(kept.store).forget(PATIENT, by="ada")
    last = sets.changes("spots")[0]
    assert (last.action, last.detail) == ("erase", {"count": 5})
    with pytest.raises(StoreError, match="undone"):
        sets.undo("spots", last.number)


def test_a_place_in_the_frozen_test_stays_empty(kept: Kept, home: Path) -> None:
    items = Datasets(kept.store.engine, home).items(kept.dataset)
    with transaction(kept.store.engine, write=True) as session:
        frozen = {"kind": "split", "at": now(), "by": "ada", "dataset_version": 1, "model_version": 1}
        session.add(FrozenTestRow(dataset_id=kept.dataset, **frozen))
        session.flush()
        for item in items:
            patient = PATIENT if item.patient == "P7" else item.patient  # as it was taken for at the time
            told = {"item_id": item.id, "digest": item.digest, "patient": patient, "erased": None}
            session.add(FrozenTestItemRow(dataset_id=kept.dataset, **told))
    receipt = Eraser(kept.store).forget(PATIENT, by="ada")
    assert receipt.counts["frozen_places"] == 5 and kept.search() == []
    test = find_frozen_test(kept.store.engine, kept.dataset)
    assert test is not None and test.erased == 5


def test_what_no_id_can_be_is_refused(kept: Kept) -> None:
    for text in ("", "  ", "x" * 101, "a\nb"):
        with pytest.raises(StoreError, match="no patient"):
            Eraser(kept.store).forget(text, by="ada")


@pytest.mark.slow
def test_a_deletion_that_is_killed_at_any_step_ends_complete(kept: Kept, tmp_path: Path) -> None:
    template, out = tmp_path / "template", tmp_path / "killed"
    kept.store.engine.dispose()
    shutil.copytree(kept.store.home, template)
    drill = [sys.executable, str(places.TESTS / "support" / "forget_drill.py"), str(template), str(out), "4"]
    done = subprocess.run(drill, capture_output=True, text=True, timeout=900, env={**os.environ})
    assert done.returncode == 0, done.stderr[-3000:]
    kills = int(done.stdout)
    assert kills >= 10
    for number in range(kills):
        home = out / f"home{number}"
        left = Kept(Store(home), kept.own, kept.others, kept.dataset)
        begun = list((home / "erasures").glob("*.json"))
        assert begun == []
        if not left.search():
            (receipt,) = Eraser(left.store).receipts()
            assert {name: receipt.counts[name] for name in GONE} | {"kept_pictures": 2} == GONE, number
            assert receipt.models[0].judged == 5
            assert receipt.resumed or number == kills - 1  # killed when all was done and told, but for its order
            assert len(read_tombstones(home)) == 1
        else:
            assert number == 0, left.search()  # killed before it was noted: as if it had not been asked for
