"""A store, and versions of the smallest model in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tiny
from medloupe.model.bundle import Model
from medloupe.store.models import Store


def write_files(folder: Path, model: Model) -> None:
    (folder / "model.onnx").write_bytes(b"onnx")


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home)


@pytest.fixture
def add(store: Store, tmp_path: Path) -> Any:
    """Adds a version of a name; card: what else stands in its card."""
    made = tiny.model(tmp_path)

    def add_one(name: str, **card: Any) -> Model:
        entry = {**made.card, "name": name, "backbone": made.backbone.as_json(), **card}
        return store.add(replace(made, card=entry), write_files=write_files)

    return add_one
