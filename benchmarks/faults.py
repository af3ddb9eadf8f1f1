"""Kills and faults by the hundred, counted: `python benchmarks/faults.py store [--kills 100]`.

store: a process that adds, promotes, rolls back and removes versions, and writes predictions and feedback, is killed
(SIGKILL) at random moments. After each kill a fresh process looks: every version listed is whole, production answers,
the history and the audit log tell the same story, everything acknowledged is there, and after a sweep no file
is left that belongs to no version. With MEDLOUPE_DATABASE set, the same on PostgreSQL (an empty database of its own).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
import traceback
from itertools import pairwise
from pathlib import Path

import numpy as np

from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.errors import StoreError
from medloupe.metrics.evidence import FILE, Evidence
from medloupe.model.bundle import Model
from medloupe.model.head import Head
from medloupe.store.database import writing_session
from medloupe.store.models import Store
from medloupe.store.tables import AuditRow, FeedbackRow, ModelRow, PredictionRow, now

NAME = "faults"
BODY = b"stands for a network: the store never opens it" * 1000
WRITES = ("add", "promote", "rollback", "remove", "predict", "feedback")


def model(folder: Path, seed: int) -> Model:
    """A model with a head of its own on a backbone that all share."""
    import hashlib

    path = folder / "backbone.onnx"
    entry = {"name": "tiny", "source": "benchmark", "licence": "CC0", "input_size": 8, "dimension": 4}
    lists = {"levels": [4], "places": [1, 1], "cut": [1, 1, 1]}
    card = {"name": NAME, "task": "multiclass", "labels": ["no", "yes"], "backbone": {**entry, **lists}}
    weight = np.random.default_rng(seed).normal(size=(2, 4)).astype(np.float32)
    backbone = Backbone(
        card=BackboneCard.from_json(card["backbone"]), path=path, sha256=hashlib.sha256(BODY).hexdigest()
    )
    return Model(backbone=backbone, head=Head(weight=weight, bias=weight[:, 0], task="multiclass"), card=card)


def write_files(folder: Path, made: Model) -> None:
    """As training does: a page, a file, and the predictions for the gate."""
    rng = np.random.default_rng(made.version)
    truth = np.arange(60) % 2
    p = np.clip(truth * 0.6 + rng.random((1, 60)) * 0.4, 0, 1).astype(np.float32)
    both = np.stack([1 - p, p], 2)
    evidence = Evidence(
        labels=("no", "yes"),
        task="multiclass",
        digests=np.arange(60, dtype=np.uint64),
        groups=np.arange(60),
        targets=np.stack([1 - truth, truth], 1).astype(np.float32),
        probabilities=both,
        announced=(both[0] > 0.5).astype(np.float32),
    )
    (folder / FILE).write_bytes(evidence.as_bytes())
    (folder / "report.html").write_text(f"<p>{made.name} {made.version}</p>")
    (folder / "model.onnx").write_bytes(b"onnx" * 5000)


def work(home: Path, scratch: Path, said: int, seed: int) -> None:
    """Write until killed; what is acknowledged goes into the pipe, a line each."""
    rng, store = random.Random(seed), Store(home)
    asked: list[str] = []

    def acknowledged(**what: object) -> None:
        os.write(said, json.dumps(what).encode() + b"\n")

    while True:
        kind = rng.choice(WRITES)
        numbers = [v.version for v in store.list()]
        try:
            if kind == "add":
                made = store.add(model(scratch, rng.randrange(2**32)), write_files=write_files)
                acknowledged(add=made.version)
            elif kind == "promote" and len(numbers) > 1:
                version = rng.choice(numbers)
                store.promote(NAME, version, actor="benchmark", force=True, reason="fault injection")
                acknowledged(changes=len(store.history(NAME)))
            elif kind == "rollback" and numbers:
                store.rollback(NAME, actor="benchmark")
                acknowledged(changes=len(store.history(NAME)))
            elif kind == "remove" and len(numbers) > 4:
                version = rng.choice(numbers)
                acknowledged(removing=version)  # whether it still is there may then go either way
                store.remove(NAME, version, actor="benchmark")
            elif kind == "predict":
                key = secrets.token_hex(16)
                with writing_session(store.engine) as session:
                    session.add(
                        PredictionRow(id=key, at=now(), model=NAME, version=1, answer={"p": 0.5}, digest="0" * 64)
                    )
                    session.commit()
                asked.append(key)
                acknowledged(predict=key)
            elif kind == "feedback" and asked:
                with writing_session(store.engine) as session:
                    session.add(FeedbackRow(prediction_id=asked[-1], at=now(), right=True))
                    session.commit()
                acknowledged(feedback=asked[-1])
        except StoreError as e:
            if not any(expected in e.message for expected in ("already", "before", "in production", "no version")):
                raise


def look(home: Path, told: dict[str, set]) -> dict[str, int]:
    """Counts what was acknowledged and is lost, and files that are nobody's; raises where a version is not whole."""
    from sqlalchemy import select
    from sqlalchemy.orm import Session

    store = Store(home)
    with writing_session(store.engine) as session:  # a server may still be committing what the killed one sent
        session.execute(select(ModelRow).with_for_update()).all()
    versions = {v.version for v in store.list()}
    for version in versions:
        got = store.get(NAME, version)  # its parts match their hashes, or it raises
        assert got.report == f"<p>{NAME} {version}</p>"
        assert Evidence.read(store.folder(NAME, version)) is not None
        assert (store.folder(NAME, version) / "model.onnx").stat().st_size == 20_000
    lost = len(told["add"] - told["removing"] - versions)
    history = store.history(NAME) if versions else []
    lost += max(0, max(told["changes"], default=0) - len(history))
    assert all(b.previous == a.version for a, b in pairwise(history))
    if versions:
        assert store.production()[NAME][0] == history[-1].version == store.get(NAME).version
    with Session(store.engine) as session:
        changed = select(AuditRow).where(AuditRow.action.in_(["promote", "rollback"]))
        noted = session.scalars(changed.order_by(AuditRow.id))
        assert [int(a.object.partition("@")[2]) for a in noted] == [c.version for c in history[1:]]
        predictions = set(session.scalars(select(PredictionRow.id)))
        feedback = set(session.scalars(select(FeedbackRow.prediction_id)))
    lost += len(told["predict"] - predictions) + len(told["feedback"] - feedback)
    store.sweep()
    lying = {p for top in ("blobs", "models") for p in (home / top).rglob("*") if p.is_file()}
    wanted = {store.folder(NAME, v) / f for v in versions for f in (FILE, "report.html", "model.onnx")}
    models = {p for p in lying if p.is_relative_to(home / "models")}
    heads = len({store.get(NAME, v).head.weight.tobytes() for v in versions})
    orphans = len(models - wanted) + len(lying - models) - (heads + 1 if versions else 0)
    orphans += len([p for p in home.rglob(".*") if p.is_file()]) + (home / "store.pending").exists()
    lost += len(wanted - models)
    counts = {"versions": len(versions), "changes": len(history), "predictions": len(predictions)}
    return {"lost": lost, "orphans": orphans, **counts}


def store_kills(kills: int, seed: int) -> dict[str, object]:
    """Kill a writer so many times; returns the counts."""
    import alembic.command  # noqa: F401  once, before the forks
    import sqlalchemy.orm  # noqa: F401

    rng = random.Random(seed)
    scratch = Path(tempfile.mkdtemp(prefix="medloupe-faults-"))
    home = scratch / "home"
    (scratch / "backbone.onnx").write_bytes(BODY)
    told: dict[str, set] = {key: set() for key in ("add", "removing", "changes", "predict", "feedback")}
    acknowledged = 0
    seen: dict[str, int] = {}
    lost = orphans = 0
    try:
        for number in range(kills):
            out, said = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(out)
                try:
                    work(home, scratch, said, seed + number)
                except BaseException as e:
                    print(f"the writer failed: {e!r}", file=sys.stderr, flush=True)
                os._exit(1)
            os.close(said)
            lines = os.read(out, 1 << 16)  # in full swing
            time.sleep(rng.random() * 0.4)
            os.kill(child, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert status == -signal.SIGKILL, f"the writer ended by itself ({status})"
            while more := os.read(out, 1 << 16):
                lines += more
            os.close(out)
            whole = [json.loads(line) for line in lines.split(b"\n")[:-1]]
            acknowledged += len(whole)
            for key, value in (item for line in whole for item in line.items()):
                told[key].add(value)
            seen = looked(home, told, number)
            lost, orphans = lost + seen["lost"], orphans + seen["orphans"]
    finally:
        shutil.rmtree(scratch)
    kind = "postgresql" if os.environ.get("MEDLOUPE_DATABASE") else "sqlite"
    return {**seen, "database": kind, "kills": kills, "acknowledged": acknowledged, "lost": lost, "orphans": orphans}


def looked(home: Path, told: dict[str, set], number: int) -> dict[str, int]:
    """What another process sees, as the next start would."""
    out, said = os.pipe()
    checker = os.fork()
    if checker == 0:
        try:
            os.write(said, json.dumps(look(home, told)).encode())
        except BaseException:
            print(f"after kill {number + 1}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    os.close(said)
    counts = os.read(out, 1 << 16)
    os.close(out)
    assert os.waitpid(checker, 0)[1] == 0
    return json.loads(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["store"])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    began = time.monotonic()
    counts = store_kills(told.kills, told.seed)
    print(json.dumps({**counts, "seconds": round(time.monotonic() - began, 1)}))
    if counts["lost"] or counts["orphans"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
