"""An ECG's case keeps another file than was sent: both are one recording when its patient is forgotten."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, select

import ecgwriters
from ecgloops import draw_signal
from medloupe.accounts.log import AuditLog
from medloupe.ecg.packing import pack_signal
from medloupe.ecg.recording_files import join_bytes
from medloupe.embed.cache import FACTS, FeatureCache
from medloupe.erasure.eraser import BEGUN, DONE, ERASED, Eraser
from medloupe.erasure.finding import find_hashed
from medloupe.erasure.order import Order, OrderFiles
from medloupe.erasure.tombstones import read_tombstones
from medloupe.errors import UnknownError
from medloupe.store.chain import keyed_hash
from medloupe.store.database import transaction
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from medloupe.store.review_queue import ReviewQueue
from medloupe.store.tables import DatasetItemRow, PredictionRow, now

CLASSES = (DatasetClass(name="steady", role="normal"), DatasetClass(name="fast", role="sought"))
KINDS = {"several files": True, "one file": False}


@dataclass(frozen=True)
class Sent:
    """One ECG: what was sent, and the file that its case keeps."""

    raw: bytes
    packed: bytes


@pytest.fixture(scope="module")
def ecgs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Sent]]:
    """Three ECGs, as a WFDB record, and as a file that says all by itself."""
    folder = tmp_path_factory.mktemp("wfdb")
    found: dict[str, list[Sent]] = {name: [] for name in KINDS}
    for number in range(3):
        signal = draw_signal(number, ("fast",))
        head = ecgwriters.wfdb_record(signal, folder, f"r{number}")
        parts = {path.name: path.read_bytes() for path in (head, head.with_suffix(".dat"))}
        packed = pack_signal(signal)
        found["several files"].append(Sent(join_bytes(parts), packed))
        found["one file"].append(Sent(packed, packed))
    return found


class Clinic:
    """A store in which answers to ECGs went through review into a data set, one of its versions, and caches."""

    def __init__(self, home: Path):
        self.home, self.store = home, Store(home)
        self.sets, self.queue = Datasets(self.store.engine, home), ReviewQueue(self.store.engine, home)
        self.dataset = self.sets.create("rhythm", task="ecg", classes=CLASSES).id

    def hashed(self, patient: str) -> str:
        return keyed_hash(self.store.engine, patient)

    def answer(self, sent: Sent, header: str | None) -> str:
        id = secrets.token_hex(16)
        row = {"id": id, "at": now(), "model": "rhythm", "version": 1, "answer": {}, "state": "answered"}
        row |= {"digest": hashlib.sha256(sent.raw).hexdigest(), "kept": "zip"}
        row |= {"patient": header and self.hashed(header)}
        with transaction(self.store.engine, write=True) as session:
            session.execute(insert(PredictionRow), [row])
        self.file(id).parent.mkdir(parents=True, exist_ok=True)
        self.file(id).write_bytes(sent.raw)
        return id

    def file(self, id: str) -> Path:
        return self.home / "kept" / id[:2] / f"{id}.zip"

    def place(self, sent: Sent, header: str | None, patient: str | None) -> tuple[str, str, str]:
        """Answer, case and item of an ECG: by their ids."""
        answer = self.answer(sent, header)
        case = self.queue.add(
            sent.packed,
            prediction_id=answer,
            model="rhythm",
            version=1,
            task="ecg",
            labels=["steady", "fast"],
            answer={},
            said=None,
            size=(2500, 12),
            basis="consent",
            patient=patient,
            by="bea",
        )
        new = NewItem(
            key=f"review-{case.id}",
            data=sent.packed,
            file=f"review/{case.id}.npz",
            label="fast",
            patient=patient,
            split="train",
            origin={"source": "review", "case": case.id},
        )
        item = self.sets.add(self.dataset, [new], batch="review")[0]
        self.queue.place(case.id, dataset=self.dataset, item=item.id)
        return answer, case.id, item.id

    def cache(self, *contents: bytes) -> FeatureCache:
        digests = [hashlib.sha256(data).digest() for data in contents]
        cache = FeatureCache(self.home / "cache" / "features" / "a", 12)
        cache.append(digests, np.ones((len(digests), 12), np.float32), np.zeros(len(digests), FACTS))
        return cache

    @property
    def left(self) -> tuple[set[str], set[str], set[str]]:
        """Answers, cases that are not withdrawn, and items that are left."""
        with transaction(self.store.engine) as session:
            answers = set(session.scalars(select(PredictionRow.id)))
            items = set(session.scalars(select(DatasetItemRow.id)))
        return answers, {case.id for case in self.queue.list() if case.state != "withdrawn"}, items

    def holds(self, sent: Sent) -> list[str]:
        """Where the bytes or the digest of an ECG are found under the home folder."""
        wanted = [sent.raw[500:700], sent.packed[500:700]]
        for data in (sent.raw, sent.packed):
            wanted += [hashlib.sha256(data).digest(), hashlib.sha256(data).hexdigest().encode()]
        files = [path for path in self.home.rglob("*") if path.is_file()]
        return [f"{path}" for path in files if any(one in path.read_bytes() for one in wanted)]


@pytest.fixture
def clinic(home: Path) -> Clinic:
    return Clinic(home)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("header", "patient"), [("P1", None), ("OTHER", "P1"), (None, "P1"), ("P1", "P1")])
def test_answer_case_and_item_go_together(
    clinic: Clinic, ecgs: dict[str, list[Sent]], kind: str, header: str | None, patient: str | None
) -> None:
    own, other, unknown = ecgs[kind]
    clinic.place(own, header, patient)
    alone = clinic.answer(own, None)  # the same files once more, by nobody known
    theirs, nobodys = clinic.place(other, "P2", "P2"), clinic.place(unknown, None, None)
    clinic.sets.freeze(clinic.dataset)
    clinic.cache(*{own.raw, own.packed})
    told = Eraser(clinic.store).preview("P1").counts
    receipt = Eraser(clinic.store).forget("P1", by="ada")
    wanted = {"pictures": 1, "answers": 2, "kept_pictures": 2, "cases": 1}
    assert {name: receipt.counts[name] for name in wanted} == wanted == {name: told[name] for name in wanted}
    assert receipt.counts["features"] == len({own.raw, own.packed}) and receipt.versions == ("rhythm@1",)
    assert clinic.left == tuple(map(set, zip(theirs, nobodys, strict=True)))
    assert not clinic.file(alone).exists() and clinic.holds(own) == []
    assert clinic.holds(other) and clinic.holds(unknown)


def test_it_does_not_go_on_from_what_is_said_to_be_anothers(clinic: Clinic, ecgs: dict[str, list[Sent]]) -> None:
    own, other, _ = ecgs["several files"]
    clinic.place(own, "P1", None)
    odd = Sent(own.raw, other.packed)  # P1's files, sent as P2's and told another rate
    _, _, kept = clinic.place(odd, "P2", "P2")
    theirs = clinic.place(Sent(b"P2's own files", other.packed), None, "P2")
    Eraser(clinic.store).forget("P1", by="ada")
    assert clinic.left == ({theirs[0]}, {theirs[1]}, {kept, theirs[2]}), "what has P1's content goes, and no more"
    assert clinic.sets.blobs.path(hashlib.sha256(other.packed).hexdigest()).is_file()
    assert clinic.queue.picture(clinic.queue.get(theirs[1])) == other.packed
    Eraser(clinic.store).forget("P2", by="ada")
    assert clinic.left == (set(), set(), set()) and clinic.holds(other) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_copy_forgets_who_is_known_by_a_hash_alone(
    clinic: Clinic, ecgs: dict[str, list[Sent]], kind: str, tmp_path: Path
) -> None:
    first, second, other = ecgs[kind]
    clinic.place(first, "P1", None)
    clinic.place(second, "P2", None)
    theirs = clinic.place(other, "P3", None)
    clinic.sets.freeze(clinic.dataset)
    clinic.cache(first.raw)
    clinic.store.engine.dispose()
    shutil.copytree(clinic.home, tmp_path / "copy")
    for patient in ("P1", "P2"):
        Eraser(clinic.store).forget(patient, by="ada")
    hashes = {clinic.hashed("P1"), clinic.hashed("P2")}
    assert read_tombstones(clinic.home) == hashes

    restored = tmp_path / "copy"
    store = Store(restored)
    done = Eraser(store).forget_again(hashes, by="ada")
    assert {receipt.patient for receipt in done} == hashes and len(done) == 2
    for receipt in done:
        wanted = {"pictures": 1, "version_places": 1, "answers": 1, "kept_pictures": 1, "cases": 1}
        assert {name: receipt.counts[name] for name in wanted} == wanted
        assert receipt.versions == ("rhythm@1",)
    assert sum(receipt.counts["features"] for receipt in done) == 1
    clinic.home, clinic.store = restored, store
    clinic.sets, clinic.queue = Datasets(store.engine, restored), ReviewQueue(store.engine, restored)
    assert clinic.left == tuple({id} for id in theirs)
    assert clinic.holds(first) == clinic.holds(second) == [] and clinic.holds(other)

    assert read_tombstones(restored) == hashes, "so that the next copy knows it, too"
    assert {receipt.id for receipt in Eraser(store).receipts()} == {receipt.id for receipt in done}
    lines = [line for line in AuditLog(store.engine).entries() if line.action in (BEGUN, DONE, ERASED)]
    assert {(line.action, line.object) for line in lines} == {(a, h) for a in (BEGUN, DONE) for h in hashes}
    assert Eraser(store).forget_again(hashes, by="ada") == []
    with pytest.raises(UnknownError):
        Eraser(store).forget("P1", by="ada")


def test_one_known_by_a_hash_is_gone_on_with(clinic: Clinic, ecgs: dict[str, list[Sent]]) -> None:
    first, second, _ = ecgs["several files"]
    clinic.place(first, "P1", None)
    hashed = clinic.hashed("P1")
    order = Order(id="ab" * 8, by="ada", patient=None, hashed=hashed, found=find_hashed(clinic.store, hashed))
    with OrderFiles(clinic.home).alone():
        OrderFiles(clinic.home).write(order)
    clinic.place(second, "P1", None)  # meanwhile
    noted = json.loads(next((clinic.home / "erasures").glob("*.json")).read_text("utf-8"))
    assert noted["hashed"] == hashed and noted["patient"] is None
    (receipt,) = Eraser(clinic.store).resume()
    assert receipt.resumed and receipt.patient == hashed and receipt.counts["pictures"] == 2
    assert clinic.left == (set(), set(), set()) and clinic.holds(first) == clinic.holds(second) == []
    assert read_tombstones(clinic.home) == {hashed}
