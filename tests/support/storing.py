"""Models to be stored."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.model.bundle import Model
from medloupe.model.head import Head
from medloupe.store.models import Store
from places import TESTS

BACKBONE = b"not really a network" * 500  # the store never opens it


def made(folder: Path, name: str = "lungs", seed: int = 0, **card: Any) -> Model:
    """A model on a backbone file in folder; each seed has another head."""
    path = folder / "tiny.onnx"
    if not path.exists():
        path.write_bytes(BACKBONE)
    rng = np.random.default_rng(seed)
    entry = {"name": "tiny", "source": "tests", "licence": "CC0", "input_size": 8, "dimension": 4}
    lists = {"levels": [4], "places": [1, 1], "cut": [1, 1, 1]}
    backbone = BackboneCard(**entry, **{k: tuple(v) for k, v in lists.items()})  # pyright: ignore
    head = Head(
        weight=rng.normal(size=(2, 4)).astype(np.float32), bias=rng.normal(size=2).astype(np.float32), task="multiclass"
    )
    whole = {"name": name, "task": "multiclass", "labels": ["no", "yes"], "backbone": {**entry, **lists}, **card}
    sha256 = hashlib.sha256(BACKBONE).hexdigest()
    return Model(backbone=Backbone(card=backbone, path=path, sha256=sha256), head=head, card=whole)


def write_files(folder: Path, model: Model) -> None:
    (folder / "report.html").write_text(f"<p>{model.name} {model.version}: größer</p>", "utf-8")
    (folder / "model.onnx").write_bytes(b"onnx" * 200)


def files(home: Path) -> set[str]:
    """What lies in the store besides the database and the lock."""
    kept = (p for top in ("blobs", "models") for p in (home / top).rglob("*") if p.is_file())
    return {p.relative_to(home).as_posix() for p in kept}


def assert_whole(store: Store) -> int:
    """Every listed version loads completely; how many there are."""
    versions = store.list()
    for v in versions:
        model = store.get(v.name, v.version)
        folder = store.folder(v.name, v.version)
        assert hashlib.sha256(model.backbone.path.read_bytes()).hexdigest() == model.backbone.sha256
        assert model.version == v.version and model.head.weight.shape == (2, 4)
        assert model.report == f"<p>{v.name} {v.version}: größer</p>"
        assert (folder / "model.onnx").stat().st_size == 800
    return len(versions)


def assert_nothing_else(store: Store) -> None:
    """No file but those of the listed versions."""
    versions = store.list()
    expected = {f"models/{v.name}/{v.version}/{f}" for v in versions for f in ("report.html", "model.onnx")}
    found = files(store.home)
    assert {f for f in found if f.startswith("models/")} == expected
    blobs = {f for f in found if f.startswith("blobs/")}
    assert len(blobs) <= len(versions) + 1
    assert all(hashlib.sha256((store.home / b).read_bytes()).hexdigest() == b[6:].replace("/", "") for b in blobs)


def start(code: str, *arguments: Path | str | int) -> subprocess.Popen[str]:
    """A Python process that can import this module."""
    path = os.pathsep.join([str(TESTS / "support"), *sys.path])
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
    )


def run(code: str, *arguments: Path | str | int) -> subprocess.CompletedProcess[str]:
    process = start(code, *arguments)
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, err
    return subprocess.CompletedProcess(process.args, 0, out, err)
