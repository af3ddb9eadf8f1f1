"""What PyTorch computes is what ONNX Runtime computes, and weights go there and back unchanged."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

import tunable
from medloupe.embed.registry import backbone
from medloupe.embed.tail import find_upper_part, load_graph
from medloupe.errors import FinetuneError
from medloupe.graphs import module as torchgraph
from medloupe.graphs.nodes import read_constants, select_nodes
from medloupe.graphs.session import open_session, run

torch = pytest.importorskip("torch")


def generate_images(size: int, n: int = 2) -> np.ndarray:
    """uint8 (n, S, S, 3): noise over a slope, so that no two places look alike."""
    rng = np.random.default_rng(size)
    slope = np.linspace(0, 160, size)[:, None, None]
    return np.clip(rng.normal(50, 40, (n, size, size, 3)) + slope, 0, 255).astype(np.uint8)


def in_torch(module: Any, given: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        return [v.numpy() for v in module(torch.from_numpy(given))]


def one_node(kind: str, inputs: Sequence[str], held: dict[str, np.ndarray], size: int = 9, **attributes: Any) -> Any:
    """A graph of one node on x float32 (N, 4, size, size)."""
    nodes = [helper.make_node(kind, list(inputs), ["y"], **attributes)]
    made = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, k) for k, v in held.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


WEIGHT = np.random.default_rng(0).normal(0, 0.3, (4, 4, 3, 3)).astype(np.float32)
DEPTHWISE = WEIGHT[:, :1]
BIAS = np.arange(4, dtype=np.float32)
ZERO, SIX = np.array(0, np.float32), np.array(6, np.float32)

KNOWN = {
    "convolution": ("Conv", ["x", "w", "b"], {"w": WEIGHT, "b": BIAS}, {"pads": [1, 1, 1, 1]}),
    "without bias": ("Conv", ["x", "w"], {"w": WEIGHT}, {}),
    "uneven padding": ("Conv", ["x", "w", "b"], {"w": WEIGHT, "b": BIAS}, {"pads": [0, 0, 1, 1], "strides": [2, 2]}),
    "depthwise": ("Conv", ["x", "w", "b"], {"w": DEPTHWISE, "b": BIAS}, {"group": 4}),
    "dilated": ("Conv", ["x", "w", "b"], {"w": WEIGHT, "b": BIAS}, {"dilations": [2, 2]}),
    "relu6": ("Clip", ["x", "zero", "six"], {"zero": ZERO, "six": SIX}, {}),
    "relu": ("Relu", ["x"], {}, {}),
    "sum": ("Add", ["x", "x"], {}, {}),
    "joined": ("Concat", ["x", "x"], {}, {"axis": 1}),
    "pool": ("AveragePool", ["x"], {}, {"kernel_shape": [3, 3], "strides": [3, 3]}),
    "pool of step 1": ("AveragePool", ["x"], {}, {"kernel_shape": [3, 3]}),
    "padded pool": ("AveragePool", ["x"], {}, {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
    "mean": ("ReduceMean", ["x"], {}, {"axes": [2, 3], "keepdims": 0}),
    "mean kept": ("ReduceMean", ["x"], {}, {"axes": [3, 2]}),
    "scaled": ("Mul", ["x", "six"], {"six": SIX}, {}),
    "shifted": ("Sub", ["x", "six"], {"six": SIX}, {}),
    "turned": ("Transpose", ["x"], {}, {"perm": [0, 2, 3, 1]}),
    "as it is": ("Identity", ["x"], {}, {}),
    "cast": ("Cast", ["x"], {}, {"to": TensorProto.FLOAT}),
}


@pytest.mark.parametrize("what", KNOWN)
def test_every_known_operation(what: str) -> None:
    kind, inputs, held, attributes = KNOWN[what]
    model = one_node(kind, inputs, held, **attributes)
    x = np.random.default_rng(1).normal(0, 5, (3, 4, 9, 9)).astype(np.float32)
    opened = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (expected,) = opened.run(None, {"x": x})
    (found,) = in_torch(torchgraph.build_trainable_module(model, "x", ["y"]), x)
    np.testing.assert_allclose(found, expected, atol=1e-4)


UNKNOWN = {
    "another kind": ("HardSwish", ["x"], {}, {}),
    "padding by rule": ("Conv", ["x", "w"], {"w": WEIGHT}, {"auto_pad": "SAME_UPPER"}),
    "another bound": ("Clip", ["x", "zero", "three"], {"zero": ZERO, "three": np.array(3, np.float32)}, {}),
    "a constant sum": ("Add", ["x", "six"], {"six": SIX}, {}),
    "padding before": ("AveragePool", ["x"], {}, {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0]}),
    "mean of channels": ("ReduceMean", ["x"], {}, {"axes": [1]}),
    "a vector": ("Mul", ["x", "v"], {"v": np.ones((4, 1, 1), np.float32)}, {}),
    "half": ("Cast", ["x"], {}, {"to": TensorProto.FLOAT16}),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_any_other_is_named(what: str) -> None:
    kind, inputs, held, attributes = UNKNOWN[what]
    with pytest.raises(FinetuneError, match=f"{kind}.*y") as caught:
        torchgraph.build_trainable_module(one_node(kind, inputs, held, **attributes), "x", ["y"])
    assert "--finetune none" in caught.value.hint


def test_the_whole_shipped_backbone() -> None:
    base = backbone()
    model = load_graph(base)
    joined = next(n for n in model.graph.node if "map" in n.output)
    images = generate_images(base.card.input_size)
    levels = in_torch(torchgraph.build_trainable_module(model, "image", list(joined.input)), images)
    (expected,) = run(open_session(base.path), ["map"], images)
    np.testing.assert_allclose(np.concatenate(levels, 1), expected, atol=1e-3)


def test_the_part_above_the_cut_of_the_shipped_backbone() -> None:
    base = backbone()
    model = load_graph(base)
    at = find_upper_part(model)
    cut, expected = run(open_session(base.path), ["cut", "map"], generate_images(base.card.input_size))
    levels = np.concatenate(in_torch(torchgraph.build_trainable_module(model, at.given, at.levels), cut), 1)
    assert levels.shape[1] == at.width
    np.testing.assert_allclose(levels, expected[:, : at.width], atol=1e-3)


@pytest.mark.parametrize("shipped", [True, False])
def test_weights_there_and_back_are_the_same_bytes(shipped: bool) -> None:
    model = load_graph(backbone()) if shipped else tunable.graph()
    at = find_upper_part(model)
    for given, outputs in ((at.given, list(at.levels)), ("image", ["map"])):
        weights = torchgraph.weights_of(torchgraph.build_trainable_module(model, given, outputs))
        again = torchgraph.replace_weights(model, weights)
        assert again.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_changed_weights_are_used_and_the_graph_they_came_from_is_not_touched() -> None:
    model = tunable.graph()
    before = model.SerializeToString()
    at = find_upper_part(model)
    module = torchgraph.build_trainable_module(model, at.given, at.levels)
    rng = np.random.default_rng(3)
    changed = {k: v + rng.normal(0, 0.2, v.shape).astype(np.float32) for k, v in torchgraph.weights_of(module).items()}
    other = torchgraph.replace_weights(model, changed)
    assert model.SerializeToString() == before
    rounded = torchgraph.round_to_stored(model, changed)
    assert all(np.abs(rounded[k] - v).max() > 0 for k, v in changed.items())  # held in half precision
    found = torchgraph.weights_of(torchgraph.build_trainable_module(other, at.given, at.levels))
    assert found.keys() == changed.keys()
    for k, v in found.items():
        np.testing.assert_array_equal(v, rounded[k])
        np.testing.assert_allclose(v, changed[k], atol=1e-3)


def test_only_what_leads_to_the_outputs_takes_part() -> None:
    model = tunable.graph()
    names = {n.output[0] for n in select_nodes(model, ["sum"], ["stem_relu6"])}
    assert {"widen", "filter", "narrow", "sum", "widen_w"} <= names
    assert not names & {"stem", "nchw", "pooled", "map"}
    weights = torchgraph.weights_of(torchgraph.build_trainable_module(model, "stem_relu6", ["sum"]))
    assert sorted(weights) == [f"{n}_{p}" for n in ("filter", "narrow", "widen") for p in "bw"]


def test_a_part_that_needs_more_than_it_is_given_says_what() -> None:
    with pytest.raises(FinetuneError, match="above 'widen_relu6' also needs image") as caught:
        torchgraph.build_trainable_module(tunable.graph(), "widen_relu6", ["map"])
    assert "--finetune full" in caught.value.hint


def test_constants_are_read_in_single_precision() -> None:
    held = read_constants(tunable.graph())
    assert held["widen_w"].dtype == np.float32
    assert held["widen_w_f16"].dtype == np.float16
    np.testing.assert_array_equal(held["widen_w"], held["widen_w_f16"])


def test_random_weights_are_the_seeds(tmp_path: Path) -> None:
    model: ModelProto = tunable.graph()
    onnx.checker.check_model(model, full_check=True)
    images = generate_images(tunable.SIZE)
    found = []
    for seed in (1, 1, 2):
        module = torchgraph.build_trainable_module(model, "image", ["map"])
        torchgraph.randomise_weights(module, seed)
        found.append(in_torch(module.eval(), images)[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert np.abs(found[0] - found[2]).max() > 0.01
    assert np.isfinite(found[2]).all()


def test_without_pytorch_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(FinetuneError, match="PyTorch") as caught:
        torchgraph.import_torch()
    assert "pip install 'medloupe[finetune]'" in caught.value.hint
