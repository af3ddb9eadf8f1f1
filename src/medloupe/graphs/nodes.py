"""Read constants and attributes of an ONNX graph, and select parts of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto


def read_constants(model: ModelProto) -> dict[str, np.ndarray]:
    """Read the tensors of a graph by name; those stored in half precision under the name of their cast, in single."""
    from onnx import TensorProto, numpy_helper

    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in found and read_attributes(node).get("to") == TensorProto.FLOAT:
            found[node.output[0]] = found[node.input[0]].astype(np.float32)
    return found


def select_nodes(model: ModelProto, outputs: Iterable[str], given: Iterable[str] = ()) -> list[NodeProto]:
    """Select the nodes, in order, that lead from the values `given`, constants and inputs to outputs."""
    # onnx.utils.Extractor finds the same nodes, but cuts at declared values only, which backbones hardly have
    wanted, stop, kept = set(outputs) - set(given), set(given), []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(set(node.input) - stop)
    return kept[::-1]


def read_attributes(node: NodeProto) -> dict[str, Any]:
    """Read the attributes of a node by name."""
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute}
