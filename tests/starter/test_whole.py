"""Shipped detectors: a small part of their own beside the shared network, and the same boxes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detectors import TrainedDetector
from medloupe.errors import StoreError
from medloupe.inference.find import find_model
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.starter import pack


@pytest.fixture
def trained(detector: TrainedDetector, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setenv("MEDLOUPE_HOME", str(detector.home))
    return find_model("shapes")


def test_a_packed_detector_finds_the_same_boxes(trained: Model, detector: TrainedDetector, tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    shipped = pack.pack_checkup(trained, folder)
    assert sorted(p.name for p in folder.iterdir()) == ["card.json", "head.npz"]
    assert (folder / "head.npz").stat().st_size < 400_000, "only its own part, not the shared network"
    assert shipped.onnx is not None and shipped.onnx.stat().st_size > 5_000_000
    one, other = Predictor(trained), Predictor(shipped)
    for picture in detector.pictures[:6]:
        mine, theirs = one.predict(picture), other.predict(picture)
        assert mine.boxes, "else nothing is compared"
        for a, b in zip(mine.boxes, theirs.boxes or (), strict=True):
            assert a.label == b.label
            assert (
                np.abs(
                    np.subtract((a.x, a.y, a.width, a.height, a.score), (b.x, b.y, b.width, b.height, b.score))
                ).max()
                < 1e-4
            )
        assert theirs.probabilities == pytest.approx(mine.probabilities, abs=1e-4)
    assert (shipped.novelty is None) == (trained.novelty is None)
    assert shipped.novelty is None or np.allclose(shipped.novelty.mean, trained.novelty.mean)
    assert (shipped.sight is None) == (trained.sight is None)


def test_its_file_is_written_once_and_again_when_damaged(trained: Model, tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    first = pack.pack_checkup(trained, folder)
    assert first.onnx is not None
    before = first.onnx.stat().st_mtime_ns
    assert pack.unpack_checkup(folder).onnx == first.onnx
    assert first.onnx.stat().st_mtime_ns == before
    first.onnx.write_bytes(first.onnx.read_bytes()[:-100])
    again = pack.unpack_checkup(folder)
    assert again.onnx == first.onnx and again.backbone.sha256 == first.backbone.sha256
    assert Predictor(again).predict(np.zeros((64, 64, 3), np.uint8)) is not None


def test_damage_is_told(trained: Model, tmp_path: Path) -> None:
    folder = tmp_path / "shapes"
    pack.pack_checkup(trained, folder)
    card = json.loads((folder / "card.json").read_text("utf-8"))
    for wrong in (
        lambda: (folder / "head.npz").write_bytes((folder / "head.npz").read_bytes()[:-300]),
        lambda: (folder / "card.json").write_text(
            json.dumps({**card, "backbone": {**card["backbone"], "sha256": "0"}})
        ),
    ):
        pack.pack_checkup(trained, folder)
        wrong()
        with pytest.raises(StoreError, match="shapes cannot be read"):
            pack.unpack_checkup(folder)


def test_a_detector_on_another_network_is_not_shipped(trained: Model, tmp_path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(trained.backbone.path)
    conv = next(
        t for t in graph.graph.initializer if numpy_helper.to_array(t).ndim == 4 and not t.name.startswith("detector")
    )
    conv.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(conv) * 2, conv.name))
    other = tmp_path / "other.onnx"
    onnx.save(graph, other)
    with pytest.raises(StoreError, match="network of its own"):
        pack.pack_checkup(replace(trained, backbone=replace(trained.backbone, path=other)), tmp_path / "x")
    assert not (tmp_path / "x").exists()
