"""Fixtures: check-ups of one kind, among which the app chooses, made of the shared trained model; and their server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from live import Live, running
from medloupe.model.bundle import Model
from medloupe.model.head import Head
from medloupe.modelfile.writer import write_onnx
from medloupe.store.models import Store
from trained import Trained

AGES = ["child", "adult"]
NORMAL = {"by": "told", "labels": {"normal": {"role": "normal"}, "sick": {"role": "sought", "danger": 1}}}
FINDINGS = {"by": "told", "labels": {n: {"role": "sought", "danger": 1} for n in ("normal", "sick")}}


def write_files(folder: Path, model: Model) -> None:
    write_onnx(model, folder / "model.onnx")


def named(base: Model, name: str, roles: dict[str, Any], **card: Any) -> Model:
    """The shared model under another name, by whose card it flags few that have nothing."""
    decision = {"unclear": None, "measured": {"flagged_without": {"value": 0.05}}}
    kept = {k: v for k, v in base.card.items() if k not in ("roles", "version", "scope")}
    told = {"name": name, "title": name.capitalize(), "roles": roles, "decision": decision, "kind": "Spots"}
    return replace(base, card={**kept, **told, **card})


def fill(home: Path, trained: Trained) -> Path:
    """A home with three of one kind: `children`; `blunt`, for adults, which cannot say normal and always flags; and
    `own`, for children, one file with its own network that refuses nothing."""
    store, base = Store(home), Store(trained.home).get("spots", report=False)
    child = {"question": "age", "values": ["child"], "choices": AGES}
    adult = {"question": "age", "values": ["adult"], "choices": AGES}
    store.add(named(base, "children", NORMAL, applies=[child], scope=["children"]), write_files=write_files)
    always = Head(weight=0 * base.head.weight, bias=np.array([0, 6], np.float32), task="multiclass")
    blunt = named(base, "blunt", FINDINGS, applies=[adult], scope=["adults", "cannot say normal"], kind="spots")
    store.add(replace(blunt, head=always), write_files=write_files)
    own = named(base, "own", NORMAL, applies=[child], scope=["children, too"])
    made = Store(home.with_name("first")).add(own, write_files=write_files)
    assert made.onnx is not None
    network = replace(base.backbone, path=made.onnx)
    store.add(replace(own, onnx=made.onnx, backbone=network, novelty=None), write_files=write_files)
    return home


@pytest.fixture(scope="session")
def home_of_choices(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("choices") / "home", _trained)


@pytest.fixture(scope="session")
def live_of_choices(home_of_choices: Path) -> Iterator[Live]:
    with running(home_of_choices) as server:
        yield server
