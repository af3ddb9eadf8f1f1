"""A backbone of a few kilobytes that keeps the contract of medloupe/embed/registry.py, and a model on it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.model.bundle import Model
from medloupe.model.head import Head

SIZE, D, PLACES = 32, 8, 4
LABELS = ["normal", "лёгкая пневмония", "結核", "क्षय रोग"]


def backbone(folder: Path) -> Backbone:
    """32 pixels → cut (4, 8, 8) → map (8, 4, 4) → embedding (8); written to folder/tiny.onnx."""
    rng = np.random.default_rng(7)
    nodes, weights = [], []

    def constant(name: str, value: np.ndarray, half: bool = True) -> str:
        weights.append(numpy_helper.from_array(value.astype(np.float16 if half else np.float32), name + "_f16"))
        nodes.append(helper.make_node("Cast", [name + "_f16"], [name], to=TensorProto.FLOAT))
        return name

    def op(kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    op("Cast", ["image"], "f32", to=TensorProto.FLOAT)
    op("Transpose", ["f32"], "nchw", perm=[0, 3, 1, 2])
    op("Sub", ["nchw", constant("mean", np.array(127.0))], "centred")
    op("Mul", ["centred", constant("scale", np.array(1 / 128))], "normalised")
    op("Conv", ["normalised", constant("w1", rng.normal(0, 0.3, (4, 3, 4, 4)))], "stem", strides=[4, 4])
    op("Relu", ["stem"], "stem_relu")
    op("Identity", ["stem_relu"], "cut")
    op("Conv", ["stem_relu", constant("w2", rng.normal(0, 0.5, (8, 4, 2, 2)))], "top", strides=[2, 2])
    op("Relu", ["top"], "map")
    op("ReduceMean", ["map"], "embedding", axes=[2, 3], keepdims=0)
    f32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info("embedding", f32, ["N", D]),
            helper.make_tensor_value_info("map", f32, ["N", D, PLACES, PLACES]),
            helper.make_tensor_value_info("cut", f32, ["N", 4, 8, 8]),
        ],
        weights,
    )
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    path = folder / "tiny.onnx"
    path.write_bytes(data)
    card = BackboneCard(
        name="tiny",
        source="tests",
        licence="Apache-2.0",
        input_size=SIZE,
        dimension=D,
        levels=(D,),
        places=(PLACES, PLACES),
        cut=(4, 8, 8),
    )
    return Backbone(card=card, path=path, sha256=hashlib.sha256(data).hexdigest())


def model(folder: Path, task: Any = "multiclass", **card: Any) -> Model:
    """A model of four labels on the tiny backbone in folder; card: further keys."""
    rng = np.random.default_rng(11)
    head = Head(
        weight=rng.normal(0, 1, (len(LABELS), D)).astype(np.float32),
        bias=rng.normal(0, 0.5, len(LABELS)).astype(np.float32),
        task=task,
    )
    rows = [{"label": name, "operating_point": {"threshold": 0.3}} for name in LABELS]
    passport = {"format": 1, "name": "tiny", "version": 3, "task": task, "labels": LABELS, "per_label": rows}
    return Model(backbone=backbone(folder), head=head, card={**passport, **card})
