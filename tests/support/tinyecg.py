"""A backbone of ECGs of a few kilobytes, convolutional and recurrent, and a model on it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from medloupe.embed.backbone import Backbone
from medloupe.embed.modalities import SIGNAL_KEY
from medloupe.embed.registry import backbone
from medloupe.model.bundle import Model
from medloupe.model.head import Head

LEADS, SAMPLES, RATE, BEFORE = ("MLII", "V1"), 64, 128.0, 0.2
D, PLACES = 6, 16


def written(folder: Path, **metadata: Any) -> Path:
    """2 leads of 64 samples → map (6, 1, 16) → embedding (6). metadata: in place of what it says of its windows."""
    rng = np.random.default_rng(5)
    weights = {
        "w1": rng.normal(0, 0.5, (4, 2, 4)),
        "gru_w": rng.normal(0, 0.5, (1, 3 * D, 4)),
        "gru_r": rng.normal(0, 0.5, (1, 3 * D, D)),
    }
    nodes = [
        helper.make_node("Conv", ["signal", "w1"], ["stem"], strides=[4]),
        helper.make_node("Relu", ["stem"], ["stem_relu"]),
        helper.make_node("Transpose", ["stem_relu"], ["steps"], perm=[2, 0, 1]),  # (w, N, 4)
        helper.make_node("GRU", ["steps", "gru_w", "gru_r"], ["states"], hidden_size=D, linear_before_reset=1),
        helper.make_node("Transpose", ["states"], ["map"], perm=[2, 3, 1, 0]),  # (w, 1, N, D) to (N, D, 1, w)
        helper.make_node("ReduceMean", ["map"], ["embedding"], axes=[2, 3], keepdims=0),
    ]
    f32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("signal", f32, ["N", len(LEADS), SAMPLES])],
        [
            helper.make_tensor_value_info("embedding", f32, ["N", D]),
            helper.make_tensor_value_info("map", f32, ["N", D, 1, PLACES]),
        ],
        [numpy_helper.from_array(w.astype(np.float32), name) for name, w in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    said = {"leads": list(LEADS), "rate": RATE, "before": BEFORE, **metadata}
    helper.set_model_props(made, {SIGNAL_KEY: json.dumps(said)})
    path = folder / "tinyecg.onnx"
    path.write_bytes(made.SerializeToString())
    return path


def ecg_backbone(folder: Path) -> Backbone:
    """Read from its file as any other is."""
    path = written(folder)
    return replace(backbone(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def model(folder: Path, task: Any = "multiclass", **card: Any) -> Model:
    """A model of four kinds of beats in folder; card: further keys."""
    rng = np.random.default_rng(11)
    base = ecg_backbone(folder)
    labels = ["N", "S", "V", "F"]
    head = Head(
        weight=rng.normal(0, 1, (4, D)).astype(np.float32), bias=rng.normal(0, 0.5, 4).astype(np.float32), task=task
    )
    rows = [{"label": name, "operating_point": {"threshold": 0.3}} for name in labels]
    passport = {"format": 1, "name": "beats", "version": 1, "task": task, "labels": labels, "per_label": rows}
    return Model(backbone=base, head=head, card={**passport, "backbone": base.as_json(), **card})


def signals(n: int, seed: int = 3) -> np.ndarray:
    """float32 (n, 2, 64) in mV."""
    return np.random.default_rng(seed).normal(0, 0.4, (n, len(LEADS), SAMPLES)).astype(np.float32)
