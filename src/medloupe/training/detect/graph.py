"""Collect the nodes and weights of a detector's graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.modelfile.layout import DETECTOR_PREFIX

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto


class BoxGraph:
    """Collects nodes and tensors under names of their own."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.tensors: list[TensorProto] = []

    def constant(self, name: str, value: Any) -> str:
        """Store a constant once; return what it is called."""
        from onnx import numpy_helper

        called = f"{DETECTOR_PREFIX}{name}"
        if not any(t.name == called for t in self.tensors):
            self.tensors.append(numpy_helper.from_array(np.asarray(value), called))
        return called

    def weight(self, name: str, value: np.ndarray) -> str:
        """Store a weight in half precision; it is computed with in single."""
        from onnx import TensorProto, helper

        half = self.constant(f"{name}.half", value.astype(np.float16))
        self.nodes.append(
            helper.make_node(
                "Cast", [half], [f"{DETECTOR_PREFIX}{name}"], name=f"{DETECTOR_PREFIX}{name}", to=TensorProto.FLOAT
            )
        )
        return f"{DETECTOR_PREFIX}{name}"

    def add(self, kind: str, inputs: Sequence[str], name: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node; return what its first output is called."""
        from onnx import helper

        out = [f"{DETECTOR_PREFIX}{name}", *(f"{DETECTOR_PREFIX}{name}.{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, list(inputs), out, name=f"{DETECTOR_PREFIX}{name}", **attributes))
        return out[0]
