"""Build the check-ups of the package that mark places: trained, held against other kinds of picture, and packed."""

from __future__ import annotations

import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import medloupe
from kind_sights import KINDS, LABELS
from medloupe.cli import console
from medloupe.data.records import Dataset
from medloupe.embed.registry import backbone
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import load
from medloupe.inference.find import find_model
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.starter import pack
from medloupe.training.pipeline.run import train
from starter import Starter

GUARDED = ("map50", "map")  # figures that must stay within their recorded intervals
MOVED = 1e-4  # how far a box or its score may move by packing
OTHERS_REFUSED = 0.95  # of pictures of other kinds, at least
COMPARED = 12  # pictures on which the packed one must find the same
_ASKED = 40  # pictures of each other set
_ROUNDS = 60


def built_finder(one: Starter, data: Path, home: Path) -> Model:
    """A trained detector with its whole card. Raises SystemExit where it answers for too many other pictures."""
    os.environ["MEDLOUPE_HOME"] = str(home / one.data)
    dataset = one.read(data)
    told = {**one.roles, "false_marks": one.false_marks, **({"measure": one.measure} if one.measure else {})}
    with console.progress() as say:
        made = train(dataset, name=one.name, progress=say, **told)
    model = find_model(f"{made.name}@{made.version}")
    if model.novelty is None or model.sight is None:
        raise SystemExit(f"{one.name} cannot refuse pictures: too few groups.")
    card = {k: v for k, v in model.card.items() if k not in ("created", "seconds", "reused", "version")}
    others = _refused(model, one, data)
    share = sum(row["refused"] for row in others.values()) / sum(row["n"] for row in others.values())
    print(f"{one.name}: {share:.1%} of other kinds are refused: {others}", file=sys.stderr)
    if share < OTHERS_REFUSED:
        raise SystemExit(f"{one.name} answers for too many pictures of other kinds ({1 - share:.1%}).")
    card |= {
        "title": one.title,
        "about": one.about,
        "kind": one.kind,
        "terms": one.terms,
        "scope": list(one.scope),
        **({"applies": [dict(entry) for entry in one.applies]} if one.applies else {}),
        "licence": one.licence,
        "data": {**card["data"], "name": one.collection, "licence": one.licence, "citation": one.citation},
        "limits": [*one.weaknesses, *card["limits"]],
    }
    return replace(model, card=card)


def _refused(model: Model, one: Starter, data: Path) -> dict[str, dict[str, int]]:
    """How many pictures of other sets it refuses when asked by name, and is not found by where the app chooses."""
    assert model.novelty is not None and model.sight is not None and model.onnx is not None
    whole, shared = open_session(model.onnx), open_session(backbone().path)
    size, usual = model.backbone.card.input_size, backbone().card.input_size
    found = {}
    for name, kind in KINDS.items():
        if kind in (one.kind, "drawn") or not (data / name).is_dir():
            continue
        records = [r for r in medloupe.read(data / name, labels=LABELS.get(name)).records if r.picture is not None]
        records = records[:: max(1, len(records) // _ASKED)][:_ASKED]
        own = [run(whole, ["embedding"], load(r.picture, size)[None])[0][0] for r in records]
        seen = [run(shared, ["embedding"], load(r.picture, usual)[None])[0][0] for r in records]
        found[name] = {
            "n": len(records),
            "refused": int((model.novelty.score(np.stack(own)) > 1).sum()),
            "not_found": int((model.sight.novelty.score(np.stack(seen)) > 1).sum()),
        }
    return found


def packed_finder(one: Starter, model: Model, dataset: Dataset, folder: Path) -> Model:
    """Written to a folder and read back; its card says what that cost. Raises SystemExit where a box moved."""
    made = pack.pack_checkup(model, folder)
    before, after = Predictor(model), Predictor(made)
    moved = 0.0
    for record in dataset.records[:: max(1, len(dataset) // COMPARED)][:COMPARED]:
        assert record.picture is not None
        first, second = (p.predict(record.picture).boxes or () for p in (before, after))
        if [b.label for b in first] != [b.label for b in second]:
            raise SystemExit(f"{model.name}: packing changes what is found on {record.id}.")
        rows = [[(b.x, b.y, b.width, b.height, b.score) for b in boxes] for boxes in (first, second)]
        moved = max(moved, float(np.abs(np.subtract(*map(_as_rows, rows))).max(initial=0.0)))
    if moved > MOVED:
        raise SystemExit(f"{model.name}: packing moves a box or its score by {moved:.2g}, more than {MOVED}.")
    size = sum(f.stat().st_size for f in folder.iterdir())
    told = {"bytes": size, "moved": round(moved, 7), "milliseconds": _milliseconds(made), "made_from": [one.data]}
    return pack.pack_checkup(replace(model, card={**model.card, "shipped": told}), folder)


def _as_rows(boxes: list[Any]) -> np.ndarray:
    return np.array(boxes, np.float64).reshape(-1, 5)


def _milliseconds(model: Model) -> dict[str, float]:
    """Of one picture on one thread: the shared network at the size of the detector, and what its own part adds."""
    assert model.onnx is not None
    picture = np.random.default_rng(0).integers(0, 256, (1, *model.backbone.card.input_shape), np.uint8)
    opened = open_session(model.onnx, threads=1)
    seconds: list[list[float]] = [[], []]
    for _ in range(_ROUNDS):
        for names, spent in zip((["embedding"], ["embedding", "boxes"]), seconds, strict=True):
            started = time.perf_counter()
            run(opened, names, picture)
            spent.append(time.perf_counter() - started)
    shared, whole = (1000 * statistics.median(s) for s in seconds)
    return {"shared": round(shared, 1), "own": round(max(0.0, whole - shared), 1)}
