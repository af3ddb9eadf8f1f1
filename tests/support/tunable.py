"""A backbone of a few kilobytes with stages below and above its cut, and small data sets on which it can be tuned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from medloupe.data.records import Dataset, Record
from medloupe.data.scan import scan_dataset
from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.embed.features import Features, embed

SIZE, UPPER, LOWER, PLACES = 32, 6, 4, 4
D = UPPER + LOWER
CUT = (4, 8, 8)


def graph(change: Callable[[list[Any], dict[str, np.ndarray]], None] | None = None) -> ModelProto:
    """32 pixels → stem (4, 8, 8), the cut → widen, filter with uneven padding, sum → map (6 + 4, 4, 4).

    The last four of the map are the stem, pooled. change: is given the nodes and weights, to alter them.
    """
    rng = np.random.default_rng(7)
    weights: dict[str, np.ndarray] = {}
    nodes: list[Any] = []

    def op(kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))

    def convolution(given: str, name: str, shape: tuple[int, ...], spread: float, **attributes: Any) -> None:
        weights[f"{name}_w"] = rng.normal(0, spread, shape)
        weights[f"{name}_b"] = rng.normal(0.2, 0.1, shape[0])
        op("Conv", [given, f"{name}_w", f"{name}_b"], name, kernel_shape=list(shape[2:]), **attributes)

    weights |= {"mean": np.array(127.0), "scale": np.array(1 / 128), "zero": np.array(0.0), "six": np.array(6.0)}
    op("Cast", ["image"], "f32", to=TensorProto.FLOAT)
    op("Transpose", ["f32"], "nchw", perm=[0, 3, 1, 2])
    op("Sub", ["nchw", "mean"], "centred")
    op("Mul", ["centred", "scale"], "normalised")
    convolution("normalised", "stem", (4, 3, 4, 4), 0.3, strides=[4, 4])
    op("Clip", ["stem", "zero", "six"], "stem_relu6")
    op("Identity", ["stem_relu6"], "cut")
    convolution("stem_relu6", "widen", (UPPER, 4, 2, 2), 0.5, strides=[2, 2])
    op("Clip", ["widen", "zero", "six"], "widen_relu6")
    convolution("widen_relu6", "filter", (UPPER, 1, 2, 2), 0.4, group=UPPER, pads=[0, 0, 1, 1])
    op("Relu", ["filter"], "filter_relu")
    convolution("filter_relu", "narrow", (UPPER, UPPER, 1, 1), 0.4)
    op("Add", ["narrow", "widen_relu6"], "sum")
    op("AveragePool", ["stem_relu6"], "pooled", kernel_shape=[2, 2], strides=[2, 2])
    op("Concat", ["sum", "pooled"], "map", axis=1)
    op("ReduceMean", ["map"], "embedding", axes=[2, 3], keepdims=0)
    if change:
        change(nodes, weights)
    tensors, casts = [], []
    for name, value in weights.items():
        if value.ndim:  # weights in half precision, as the shipped backbone has them
            tensors.append(numpy_helper.from_array(value.astype(np.float16), f"{name}_f16"))
            casts.append(helper.make_node("Cast", [f"{name}_f16"], [name], to=TensorProto.FLOAT))
        else:
            tensors.append(numpy_helper.from_array(value.astype(np.float32), name))
    f32 = TensorProto.FLOAT
    made = helper.make_graph(
        [*casts, *nodes],
        "tunable",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIZE, SIZE, 3])],
        [
            helper.make_tensor_value_info("embedding", f32, ["N", D]),
            helper.make_tensor_value_info("map", f32, ["N", D, PLACES, PLACES]),
            helper.make_tensor_value_info("cut", f32, ["N", *CUT]),
        ],
        tensors,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def backbone(folder: Path, change: Callable[[list[Any], dict[str, np.ndarray]], None] | None = None) -> Backbone:
    """The same as a file, folder/tunable.onnx."""
    folder.mkdir(parents=True, exist_ok=True)
    data = graph(change).SerializeToString()
    path = folder / "tunable.onnx"
    path.write_bytes(data)
    card = BackboneCard(
        name="tunable",
        source="tests",
        licence="Apache-2.0",
        input_size=SIZE,
        dimension=D,
        levels=(UPPER, LOWER),
        places=(PLACES, PLACES),
        cut=CUT,
    )
    return Backbone(card=card, path=path, sha256=hashlib.sha256(data).hexdigest())


def picture(number: int, sick: bool) -> np.ndarray:
    """uint8 (32, 32, 3): noise; a sick one has bright spots."""
    rng = np.random.default_rng([number, int(sick)])
    pixels = rng.normal(90, 20, (SIZE, SIZE, 3))
    if sick:
        for x, y in rng.integers(0, SIZE - 6, (5, 2)):
            pixels[y : y + 6, x : x + 6] += 80
    return np.clip(pixels, 0, 255).astype(np.uint8)


def data(n: int = 24, *, first: int = 0, task: Any = "multiclass", patients: int | None = None) -> Dataset:
    """n pictures, every other one sick; of `patients` patients, or one each."""
    records = []
    for i in range(n):
        sick = i % 2 == 1
        labels = {"sick": int(sick)} if task == "multilabel" else {"sick" if sick else "normal": 1}
        patient = None if patients is None else f"p{i % patients}"
        records.append(Record(id=f"{i:03}", image=picture(first + i, sick), labels=labels, patient=patient))
    labels = ("sick",) if task == "multilabel" else ("normal", "sick")
    return Dataset(name="d", root=Path("d"), records=tuple(records), labels=labels, task=task, reader="tests")


def features(network: Backbone, n: int = 24, **options: Any) -> Features:
    """The data set embedded; a home must be in force."""
    return embed(scan_dataset(data(n, **options)), network)
