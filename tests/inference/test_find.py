"""From what a person types to a model."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import generated
import medloupe
from medloupe.errors import ModelFileError, StoreError
from medloupe.inference.find import find_model
from medloupe.starter import shipped
from medloupe.store.models import Store
from trained import Trained


def test_a_name_a_version_and_a_file(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for reference in ("spots", "spots@1", str(trained.onnx)):
        model = find_model(reference)
        assert (model.name, model.version) == ("spots", 1)
    assert find_model("spots").onnx is None
    assert find_model(str(trained.onnx)).onnx == trained.onnx
    shutil.copy(trained.onnx, tmp_path / "given to me")  # without the suffix, but a file
    monkeypatch.chdir(tmp_path)
    assert find_model("given to me").name == "spots"


def test_the_version_in_production_answers(home: Path, tmp_path: Path) -> None:
    for each in (5, 6):
        medloupe.train(medloupe.read(generated.folders(tmp_path / f"set{each}", each)), name="cells")
    for reference in ("cells", "cells@1", "cells@production"):
        assert find_model(reference).card["data"]["labelled"] == 10
    for reference in ("cells@2", "cells@candidate"):
        assert find_model(reference).card["data"]["labelled"] == 12
    Store(home).promote("cells", 2, actor="test", force=True, reason="too few to compare")
    assert find_model("cells").version == 2


def test_shipped_models_need_no_store(home: Path) -> None:
    model = find_model("imagenet")
    assert model is shipped.load_shipped("imagenet")
    assert len(model.labels) == 1000
    assert not home.exists()
    with pytest.raises(StoreError, match="imagenet comes with medloupe and has no versions"):
        find_model("imagenet@3")
    with pytest.raises(StoreError, match=r"Shipped are: .*imagenet"):
        shipped.load_shipped("imagenett")


def test_ones_own_model_goes_before_a_shipped_one(home: Path, tmp_path: Path) -> None:
    made = medloupe.train(medloupe.read(generated.folders(tmp_path / "set", 5)), name="imagenet")
    assert find_model("imagenet").labels == made.labels == ("normal", "sick")
    assert find_model("imagenet@1").labels == made.labels


def test_what_is_not_there(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Did you mean 'spots'"):
        find_model("spot")
    with pytest.raises(StoreError, match="has no version 2; it has 1"):
        find_model("spots@2")
    for wrong in ("spots@", "spots@0", "spots@-1", "spots@1.5", "spots@²"):
        with pytest.raises(StoreError, match="names no version"):
            find_model(wrong)
    with pytest.raises(
        StoreError, match="has no model 'no such/place'; there are: spots; with medloupe come: imagenet"
    ):
        find_model("no such/place")
    with pytest.raises(ModelFileError, match="There is no file"):
        find_model(str(tmp_path / "none.onnx"))
    with pytest.raises(StoreError, match="auto"):
        find_model("auto")


def test_a_shipped_model_can_be_exported(tmp_path: Path) -> None:
    model = replace(find_model("imagenet"))
    model.save(tmp_path / "imagenet.onnx")
    pixels = generated.tissue(1, True)
    loaded = medloupe.load(tmp_path / "imagenet.onnx")
    one, two = loaded.predict(pixels).probabilities, model.predict(pixels).probabilities
    assert len(one) == 5
    assert one == pytest.approx(two, abs=1e-4)
