"""A network for lung sounds, made on the spot: how loud they are at twelve pitches, place by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

RATE, SAMPLES, PLACES = 2000, 2000, 20
_PITCHES = np.linspace(60, 900, 12)  # Hz
_WIDTH = 100  # samples


def written(path: Path) -> Path:
    """The network as an ONNX file: `sound` float32 (N, 1, 2000) to `map` (N, 12, 1, 20) and `embedding` (N, 12)."""
    seconds = np.arange(_WIDTH) / RATE
    waves = [f(2 * np.pi * pitch * seconds) for pitch in _PITCHES for f in (np.sin, np.cos)]
    kernels = (np.stack(waves)[:, None] / _WIDTH).astype(np.float32)  # (24, 1, 100)
    pairs = np.kron(np.eye(len(_PITCHES)), np.ones((1, 2)))[..., None].astype(np.float32)  # (12, 24, 1)
    d, f32 = len(_PITCHES), TensorProto.FLOAT
    nodes = [
        helper.make_node("Conv", ["sound", "kernels"], ["waves"], strides=[_WIDTH]),
        helper.make_node("Mul", ["waves", "waves"], ["power"]),
        helper.make_node("Conv", ["power", "pairs"], ["loud"]),
        helper.make_node("Sqrt", ["loud"], ["level"]),
        helper.make_node("Unsqueeze", ["level", "axis"], ["map"]),
        helper.make_node("ReduceMean", ["map"], ["embedding"], axes=[2, 3], keepdims=0),
    ]
    weights = [
        numpy_helper.from_array(kernels, "kernels"),
        numpy_helper.from_array(pairs, "pairs"),
        numpy_helper.from_array(np.array([2], np.int64), "axis"),
    ]
    graph = helper.make_graph(
        nodes,
        "sounds",
        [helper.make_tensor_value_info("sound", f32, ["N", 1, SAMPLES])],
        [
            helper.make_tensor_value_info("embedding", f32, ["N", d]),
            helper.make_tensor_value_info("map", f32, ["N", d, 1, PLACES]),
        ],
        weights,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.SerializeToString(deterministic=True))
    return path
