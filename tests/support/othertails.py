"""A tail with other weights than the backbone has."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, numpy_helper


def tuned(tail: ModelProto, seed: int = 0, spread: float = 0.05) -> ModelProto:
    """The tail with other weights, as training would leave them."""
    rng = np.random.default_rng(seed)
    out = ModelProto()
    out.CopyFrom(tail)
    for tensor in out.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.ndim:
            moved = value * (1 + rng.normal(0, spread, value.shape))
            tensor.CopyFrom(numpy_helper.from_array(moved.astype(value.dtype), tensor.name))
    return out


def lower_first(nodes: list[Any], weights: dict[str, np.ndarray]) -> None:
    (joined,) = [n for n in nodes if n.op_type == "Concat"]
    joined.input[:] = ["pooled", "sum"]
