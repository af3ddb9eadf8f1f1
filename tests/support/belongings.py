"""A store that keeps something of a patient in each place where it may."""

from __future__ import annotations

import base64
import hashlib
import io
import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import insert

import evident
import generated
from medloupe.data.digests import encode_digests
from medloupe.embed.cache import FACTS, FeatureCache
from medloupe.embed.field import name_views
from medloupe.metrics.evidence import FILE, Evidence
from medloupe.model.bundle import Model
from medloupe.store.database import transaction
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.models import Store
from medloupe.store.review_queue import ReviewQueue
from medloupe.store.tables import DatasetUploadRow, FeedbackRow, PredictionRow, now
from storing import made, write_files

PATIENT = "ANNA-4711"
CLASSES = (DatasetClass(name="sick", role="sought"), DatasetClass(name="normal", role="normal"))
OTHERS = 40


@dataclass(frozen=True)
class Kept:
    """What is kept. own: her pictures; others: everybody else's. needles: what must be found nowhere afterwards."""

    store: Store
    own: tuple[bytes, ...]
    others: tuple[bytes, ...]
    dataset: str

    @property
    def needles(self) -> dict[str, bytes]:
        found = {"patient": PATIENT.encode()}
        for i, data in enumerate(self.own):
            middle = len(data) // 2
            digest = hashlib.sha256(data)
            found |= {
                f"picture {i}": data[middle : middle + 64],
                f"digest {i} in words": digest.hexdigest().encode(),
                f"digest {i}": digest.digest(),
                f"shown {i}": base64.b64encode(data)[100:160],
            }
        return found

    def search(self) -> list[tuple[str, str]]:
        """Where her id, pictures and digests are found under the home folder: file, what."""
        home = self.store.home
        files = [p for p in home.rglob("*") if p.is_file()]
        return [
            (p.relative_to(home).as_posix(), name)
            for p in files
            for name, needle in self.needles.items()
            if needle in p.read_bytes()
        ]


def picture(number: int, sick: bool = False) -> bytes:
    out = io.BytesIO()
    generated.Image.fromarray(generated.tissue(number, sick)).save(out, "PNG")
    return out.getvalue()


def fill(home: Path) -> Kept:
    """Make the store."""
    home.mkdir(parents=True, exist_ok=True)
    store = Store(home)
    own = tuple(picture(1000 + i, sick=i % 2 == 0) for i in range(5))
    others = tuple(picture(i, sick=i % 2 == 0) for i in range(OTHERS))
    sets = Datasets(store.engine, home)
    data = sets.create("spots", classes=CLASSES)
    new = [_item(f"o{i}", d, i, f"P{i}") for i, d in enumerate(others)]
    new += [_item(f"a{i}", d, i, PATIENT) for i, d in enumerate(own[:3])]
    new.append(_item("same", own[0], 0, None))  # the same picture once more, of nobody
    new.append(_item("other", own[3], 3, "ANNA-OLD"))
    items = sets.add(data.id, new)
    sets.change(data.id, "assign", {items[5].id: {"patient": PATIENT}})
    sets.freeze(data.id)
    sets.version_folder(data.id, 1)
    sets.change(data.id, "assign", {items[5].id: {"patient": "P5"}})  # it was a mistake
    sets.join(data.id, [[items[OTHERS].id, items[-1].id]])  # two ids of one person
    for digest in {i.digest for i in items}:
        sets.thumbs.path(digest).parent.mkdir(parents=True, exist_ok=True)
        sets.thumbs.path(digest).write_bytes(b"small")
    half = sets.blobs.path(items[OTHERS].digest)
    (half.parent / f".{half.name}.abc").write_bytes(own[0])  # of a server that was killed
    upload = secrets.token_hex(16)
    part = home / "datasets" / "uploads" / f"{upload}.part"
    part.parent.mkdir()
    part.write_bytes(own[4])
    with transaction(store.engine, write=True) as session:
        session.add(
            DatasetUploadRow(
                id=upload,
                dataset_id=data.id,
                length=10**6,
                meta={"file": "late.png", "patient": PATIENT},
                created=now(),
                created_by="ada",
                result=None,
                error="",
            )
        )
    _answer(store, own[1], alias=None)
    _answer(store, others[0], alias=None)
    named = _answer(store, picture(555), alias=PATIENT)
    _review(store, named, own[1], None)
    _review(store, secrets.token_hex(16), own[2], PATIENT)
    _review(store, secrets.token_hex(16), others[1], None)
    _cache(home, [*own, *others])
    add_version(store, [*own, *others])
    return Kept(store, (*own, picture(555)), others, data.id)


def _item(key: str, data: bytes, number: int, patient: str | None) -> NewItem:
    label = "sick" if number % 2 == 0 else "normal"
    return NewItem(key=key, data=data, file=f"{label}/{key}.png", label=label, patient=patient)


def _answer(store: Store, data: bytes, alias: str | None) -> str:
    id = secrets.token_hex(16)
    path = store.home / "kept" / id[:2] / f"{id}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    row = {"id": id, "at": now(), "user_id": None, "model": "spots", "version": 1, "answer": {"state": "clear"}}
    digest = hashlib.sha256(data).hexdigest()
    with transaction(store.engine, write=True) as session:
        session.execute(insert(PredictionRow), [{**row, "digest": digest, "kept": "png", "alias": alias}])
        said = {"prediction_id": id, "user_id": None, "at": now(), "right": False, "labels": ["sick"]}
        session.execute(insert(FeedbackRow), [said])
    return id


def _review(store: Store, prediction: str, data: bytes, patient: str | None) -> None:
    ReviewQueue(store.engine, store.home).add(
        data,
        prediction_id=prediction,
        model="spots",
        version=1,
        task="multiclass",
        labels=("normal", "sick"),
        answer={"state": "clear"},
        said=None,
        size=(64, 64),
        basis="consent",
        patient=patient,
        by="bea",
    )


def _cache(home: Path, pictures: list[bytes]) -> None:
    digests = [hashlib.sha256(d).digest() for d in pictures]
    for name, keys, width in (
        ("features/a", digests, 12),
        ("field/b", [name for d in digests for name in name_views(d)[:3]], 19),
    ):
        facts = np.zeros(len(keys), FACTS)
        facts["thumb"] = np.arange(len(keys))[:, None, None, None] % 251
        rows = np.random.default_rng(0).random((len(keys), width), np.float32)
        FeatureCache(home / "cache" / name, width).append(keys, rows, facts)
    (home / "cache" / "measures").mkdir()
    out = io.BytesIO()
    np.savez(out, digests=np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32), values=np.ones((len(digests), 2)))
    (home / "cache" / "measures" / "m.npz").write_bytes(out.getvalue())
    (home / "cache" / "cuts" / "key").mkdir(parents=True)
    (home / "cache" / "cuts" / "key" / "pixels.u1").write_bytes(pictures[0])


def add_version(store: Store, pictures: list[bytes], first: int = 0) -> None:
    """A version that learned from all, judged on all, with a report that shows some."""
    digests = [hashlib.sha256(d).digest() for d in pictures]
    judged = evident.changed(
        evident.evidence(2.0, len(digests), labels=("no", "yes"), first=first), digests=Evidence.digest(digests)
    )

    def write(folder: Path, model: Model) -> None:
        write_files(folder, model)
        (folder / FILE).write_bytes(judged.as_bytes())
        shown = "".join(f'<img src="data:image/png;base64,{base64.b64encode(d).decode()}">' for d in pictures[:2])
        (folder / "report.html").write_text(f'<main><header id="verdict"></header>{shown}</main>')

    model = made(store.home.parent, "spots", data={"labelled": len(digests), "digests": encode_digests(digests)})
    store.add(model, write_files=write)
