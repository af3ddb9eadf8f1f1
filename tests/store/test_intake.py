"""Model files from elsewhere, taken into the store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import generated
import medloupe
import tiny
from medloupe.embed import registry
from medloupe.errors import ModelFileError, NotOurModelError, StoreError
from medloupe.inference.pictures import Predictor
from medloupe.modelfile.card import read_card
from medloupe.modelfile.reader import load
from medloupe.modelfile.writer import write_onnx
from medloupe.store.intake import add_file
from medloupe.store.models import Store
from trained import Trained


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A self-contained file on a backbone that is not installed."""
    file = tmp_path / "given.onnx"
    write_onnx(tiny.model(tmp_path), file)
    return file


def test_a_file_on_an_installed_backbone_shares_it(trained: Trained, tmp_path: Path) -> None:
    store = Store(tmp_path / "elsewhere")
    added = add_file(trained.onnx, store=store)
    assert (added.name, added.version) == ("spots", 1)
    got = store.get("spots")
    assert got.onnx is None
    assert got.backbone.sha256 == registry.backbone().sha256
    original = Store(trained.home).get("spots")
    assert np.array_equal(got.head.weight, original.head.weight)
    assert got.report == ""
    image = trained.data / "sick" / "001.png"
    assert got.predict(image).probabilities == pytest.approx(original.predict(image).probabilities)
    assert [p.name for p in store.folder("spots", 1).iterdir()] == ["model.onnx"]
    assert store.production()["spots"][0] == 1


def test_any_other_file_is_kept_as_it_is(foreign: Path, home: Path, database: str) -> None:
    store = Store(home)
    added = add_file(foreign, name="lungs", store=store)
    assert (added.name, added.version) == ("lungs", 1)
    got = store.get("lungs")
    sha256 = hashlib.sha256(foreign.read_bytes()).hexdigest()
    assert got.onnx == got.backbone.path == store.home / "blobs" / sha256[:2] / sha256[2:]
    assert got.backbone.sha256 == sha256
    assert got.onnx.read_bytes() == foreign.read_bytes()
    foreign_model = load(foreign)
    assert (got.name, got.version, got.labels) == ("lungs", 1, foreign_model.labels)
    pixels = generated.tissue(3, True)
    one, two = Predictor(got).predict(pixels, heatmap=True), Predictor(foreign_model).predict(pixels, heatmap=True)
    assert one.probabilities == two.probabilities and (one.model, one.version) == ("lungs", 1)
    assert one.heatmap is not None and two.heatmap is not None and np.array_equal(one.heatmap, two.heatmap)
    own = store.folder("lungs", 1) / "model.onnx"  # for people: with its name and version here
    assert (read_card(own)["name"], read_card(own)["version"]) == ("lungs", 1)
    assert Predictor(load(own)).predict(pixels).probabilities == pytest.approx(one.probabilities, abs=1e-6)
    exported = got.save(home / "again.onnx").onnx
    assert exported and Predictor(load(exported)).predict(pixels).probabilities == pytest.approx(
        one.probabilities, abs=1e-6
    )


def test_the_whole_file_goes_with_its_last_version(foreign: Path, home: Path) -> None:
    store = Store(home)
    for _ in range(2):
        add_file(foreign, store=store)
    blobs = lambda: [p for p in (home / "blobs").rglob("*") if p.is_file()]  # noqa: E731
    assert len(blobs()) == 2  # the file and the head, once each
    store.remove("tiny", 2)
    assert len(blobs()) == 2 and store.get("tiny").onnx is not None
    store.remove("tiny")
    assert blobs() == []


def test_what_is_not_ours_stays_outside(home: Path, tmp_path: Path, trained: Trained) -> None:
    store = Store(home)
    plain = tiny.backbone(tmp_path).path
    with pytest.raises(NotOurModelError):
        add_file(plain, store=store)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(trained.onnx.read_bytes()[:100_000])
    with pytest.raises(ModelFileError, match=r"cut\.onnx"):
        add_file(cut, store=store)
    with pytest.raises(ModelFileError, match="There is no file"):
        add_file(tmp_path / "none.onnx", store=store)
    with pytest.raises(StoreError, match="cannot name"):
        add_file(trained.onnx, name="No Such Name", store=store)
    model = medloupe.load(trained.onnx)
    odd = tmp_path / "odd.onnx"
    write_onnx(replace(model, card={**model.card, "name": "../../etc"}), odd)
    with pytest.raises((StoreError, NotOurModelError, ModelFileError)):
        add_file(odd, store=store)
    assert not home.exists() or store.list() == []
