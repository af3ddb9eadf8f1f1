"""Fixture: a server with a check-up that reads more than pictures, which keeps no images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import several
from live import Live, running
from medloupe.model.bundle import Model
from medloupe.modelfile.writer import write_onnx
from medloupe.store.models import Store
from trained import Trained

NAME = "several"


def write_files(folder: Path, model: Model) -> None:
    write_onnx(model, folder / "model.onnx")


def model_of(trained: Trained) -> Model:
    """The shared trained model with extras, under a name of its own, judging every picture."""
    base = Store(trained.home).get("spots", report=False)
    card = {**base.card, "name": NAME, "title": "Spots and more"}
    return replace(base, card=card, novelty=None, extras=several.extras(len(base.labels)))


@pytest.fixture(scope="session")
def home_of_several(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two versions of `several`: 1 of parts, 2 of one file; and `plain`, which reads pictures alone."""
    home = tmp_path_factory.mktemp("several") / "home"
    model = model_of(_trained)
    store = Store(home)
    made = store.add(model, write_files=write_files)
    assert made.onnx is not None
    whole = replace(model, onnx=made.onnx, backbone=replace(model.backbone, path=made.onnx))
    store.add(whole, write_files=write_files)
    store.add(
        replace(model, card={**model.card, "name": "plain", "title": "Plain"}, extras=None), write_files=write_files
    )
    return home


@pytest.fixture(scope="session")
def live_of_several(home_of_several: Path) -> Iterator[Live]:
    with running(home_of_several) as server:
        yield server
