"""Networks in 8 bits: the same answers nearly, in standard operators, without overflow on any processor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from skimage import data

import tiny
from generated import tissue
from medloupe.embed import eightbit
from medloupe.embed.network import Network
from medloupe.embed.registry import backbone
from medloupe.embed.tail import Tail, extract_upper_part, write_tail
from medloupe.graphs import quantise
from medloupe.graphs.calibrate import observe_activations
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import load


def pictures(n: int, size: int) -> np.ndarray:
    """uint8 (n, size, size, 3)"""
    return np.stack([load(tissue(i, bool(i % 2)), size) for i in range(n)])


def feeds(images: np.ndarray) -> list[dict[str, np.ndarray]]:
    return [{"image": image[None]} for image in images]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """The tiny network and its 8-bit form."""
    network = tiny.backbone(tmp_path_factory.mktemp("tiny"))
    model = onnx.load(network.path)
    return model, quantise.quantise(model, feeds(pictures(12, tiny.SIZE)))


def test_it_answers_nearly_as_before(small: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    images = pictures(40, tiny.SIZE)[12:]
    names = ["embedding", "map", "cut"]
    before, after = (run(open_session(m.SerializeToString()), names, images) for m in small)
    for a, b in zip(before, after, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).mean() < 0.02 * a.std()
    np.testing.assert_allclose(after[1].mean((2, 3)), after[0], atol=1e-5)  # so that heat maps still add up


def test_it_is_bytes_and_standard_operators(small: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    model, made = small
    kinds = Counter(node.op_type for node in made.graph.node)
    assert kinds["DequantizeLinear"] and not any(node.op_type == "DequantizeLinear" for node in model.graph.node)
    assert {node.domain for node in made.graph.node} == {""}
    assert not kinds.keys() & {"Relu", "Sub", "Mul", "Cast"}, "absorbed by the bytes' range, and by pixels being bytes"
    weights = {t.name: t for t in made.graph.initializer}
    assert weights["stem.weight.whole"].data_type == TensorProto.INT8
    assert weights["stem.bias.whole"].data_type == TensorProto.INT32
    assert [v.name for v in made.graph.output] == [v.name for v in model.graph.output]


def test_the_same_pictures_give_the_same_bytes(small: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    model, made = small
    again = quantise.quantise(model, feeds(pictures(12, tiny.SIZE)))
    assert again.SerializeToString(deterministic=True) == made.SerializeToString(deterministic=True)


def test_what_cannot_be_made_is_said(small: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    with pytest.raises(ValueError, match="no pictures"):
        quantise.quantise(small[0], [])
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [made])
    with pytest.raises(ValueError, match="no convolutions"):
        quantise.quantise(helper.make_model(graph), [])


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(5, 8, 1, 1), (4, 7, 1, 1), (3, 3, 3, 3), (6, 1, 3, 3)]),
    st.sampled_from([0.3, 1.0, 4.0]),
)
def test_no_pair_of_weights_overflows(seed: int, shape: tuple[int, int, int, int], tails: float) -> None:
    """Processors without VNNI add two products of neighbours in 16 bits, where the inputs may be 255."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=shape) * np.exp(tails * rng.normal(size=shape))
    scale = quantise._weight_scale(weight)
    whole = np.round(weight / scale[:, None, None, None])
    assert np.abs(whole).max() <= 127
    assert np.abs(whole).max() >= 60, "nor is more than a bit given away"
    if shape[1] > 1:
        flat = whole.transpose(0, 2, 3, 1).reshape(len(whole), -1)
        pairs = np.pad(flat, ((0, 0), (0, flat.shape[1] % 2))).reshape(len(flat), -1, 2)
        for bright in (pairs.clip(0), pairs.clip(None, 0)):  # the worst inputs: 255 where it hurts, else 0
            assert np.abs(255 * bright.sum(2)).max() < 2**15


@pytest.mark.parametrize("told", [{}, {"strides": [2, 2], "pads": [0, 1, 1, 2]}, {"dilations": [2, 1]}, {"group": 4}])
def test_the_shift_of_lost_weights_is_exact(told: dict[str, Any]) -> None:
    """Against the convolution itself, with those weights."""
    rng = np.random.default_rng(3)
    lost = rng.normal(size=(8, 4 // told.get("group", 1), 3, 2)).astype(np.float32)
    x = rng.normal(size=(5, 4, 9, 8)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 2], **told)
    given_, made = (helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "xy")
    graph = helper.make_graph([node], "g", [given_], [made], [numpy_helper.from_array(lost, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    y = np.asarray(open_session(model.SerializeToString()).run(None, {"x": x})[0])
    shift = quantise._shift(lost.astype(np.float64), x.mean(0, dtype=np.float64), node)
    np.testing.assert_allclose(shift, y.mean((0, 2, 3)), atol=1e-5)


def test_correcting_the_bias_keeps_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = onnx.load(backbone().path), pictures(6, 224)

    def apart() -> float:
        made = quantise.quantise(model, feeds(images))
        a, b = (run(open_session(m.SerializeToString()), ["embedding"], images)[0] for m in (model, made))
        return float(np.abs((a - b).mean(0)).sum() / a.std(0).sum())

    corrected = apart()
    monkeypatch.setattr(quantise, "_shift", lambda lost, mean, node: np.zeros(len(lost)))
    assert corrected < 0.8 * apart()


def test_ranges_leave_out_what_is_rarest(small: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    images = pictures(8, tiny.SIZE)
    seen = observe_activations(small[0], ["stem", "image"], feeds(images))
    stem = np.concatenate([_value(small[0], "stem", image) for image in images])
    assert seen["stem"].low >= stem.min() and seen["stem"].high <= stem.max() == pytest.approx(seen["stem"].largest)
    np.testing.assert_allclose(seen["stem"].mean, stem.mean(0), atol=1e-4)
    assert seen["image"].mean.shape == (tiny.SIZE, tiny.SIZE, 3)


def _value(model: onnx.ModelProto, name: str, image: np.ndarray) -> np.ndarray:
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return run(open_session(probe.SerializeToString()), [name], image[None])[0]


def test_the_shipped_network_sees_what_the_float_one_sees() -> None:
    network = backbone()
    eight = eightbit.find_shipped_network(network)
    assert eight is not None and eight.path.stat().st_size < 3.8e6
    names = ("astronaut", "brick", "camera", "coffee", "coins", "grass", "gravel", "moon", "page", "text")
    images = np.stack([load(getattr(data, name)(), 224) for name in names])
    a, b = (run(open_session(n.path), ["embedding"], images)[0] for n in (network, eight))
    spread = a.std(0)
    told = spread > 0.05 * spread.mean()  # of all that tells these pictures apart
    a, b = ((x - a.mean(0))[:, told] / spread[told] for x in (a, b))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95
    assert eight.card.dimension == network.card.dimension and eight.card.name == "efficientnet-lite0-int8"


def test_a_tail_becomes_bytes_and_joins_its_backbone(home: Path, tmp_path: Path) -> None:
    network, images = backbone(), pictures(4, 224)
    tail = write_tail(_other_weights(extract_upper_part(onnx.load(network.path))), tmp_path)
    apart, whole = Network(network, tail).see(images, maps=True), eightbit.compose_network(network, tail)
    assert apart.map is not None
    embedding, places = run(open_session(whole.path), ["embedding", "map"], images)
    np.testing.assert_allclose(embedding, apart.embedding, atol=1e-4)
    np.testing.assert_allclose(places, apart.map, atol=1e-3)
    eight = eightbit.find_shipped_network(network)
    assert eight is not None
    small = eightbit.quantise_tail(tail, eight, list(images))
    assert isinstance(small, Tail) and small.width == tail.width
    assert small.path.stat().st_size < 0.6 * tail.path.stat().st_size
    near = Network(eight, small).see(images).embedding
    joined = run(open_session(eightbit.compose_network(eight, small).path), ["embedding"], images)[0]
    # Not to the last digit: the two round at the cut alike, but ONNX Runtime sums in another order where it fuses more.
    assert np.abs(near - joined).mean() < 0.02 * near.std()
    assert np.corrcoef(near.ravel(), embedding.ravel())[0, 1] > 0.97


def _other_weights(tail: onnx.ModelProto) -> onnx.ModelProto:
    """A tail whose last convolution is not the backbone's."""
    for tensor in tail.graph.initializer:
        if tensor.name.startswith("last_map_w"):
            value = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array((value * 0.7).astype(value.dtype), tensor.name))
    return tail
