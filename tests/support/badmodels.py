"""Model files changed in ways that must be refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Change = Callable[[onnx.ModelProto], object]


def changed(data: bytes, change: Change) -> bytes:
    graph = onnx.ModelProto.FromString(data)
    change(graph)
    return graph.SerializeToString()


def weight(graph: onnx.ModelProto, name: str) -> TensorProto:
    return next(t for t in graph.graph.initializer if t.name == name)


def external(tensor: TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def external_initialiser(graph: onnx.ModelProto) -> None:
    external(weight(graph, "head.weight"))


def external_attribute(graph: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["spare"], value=numpy_helper.from_array(np.zeros(3, np.float32), "c"))
    external(node.attribute[0].t)
    graph.graph.node.insert(0, node)


def branch(then: onnx.NodeProto) -> onnx.GraphProto:
    return helper.make_graph([then], "b", [], [helper.make_tensor_value_info(then.output[0], 1, [1])])


def conditional(graph: onnx.ModelProto) -> None:
    hidden = helper.make_node("Constant", [], ["x"], value=numpy_helper.from_array(np.zeros(1, np.float32), "c"))
    external(hidden.attribute[0].t)
    node = helper.make_node("If", ["flag"], ["spare"], then_branch=branch(hidden), else_branch=branch(hidden))
    graph.graph.initializer.append(numpy_helper.from_array(np.array(True), "flag"))
    graph.graph.node.append(node)


def custom_operator(graph: onnx.ModelProto) -> None:
    graph.graph.node[1].domain = "com.evil"


def custom_domain(graph: onnx.ModelProto) -> None:
    graph.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def function(graph: onnx.ModelProto) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    graph.functions.append(helper.make_function("", "Mine", ["x"], ["y"], [relu], list(graph.opset_import)))


def huge_claim(graph: onnx.ModelProto) -> None:
    weight(graph, "w1_f16").dims[:] = [2**31, 2**31, 4, 4]


def negative_claim(graph: onnx.ModelProto) -> None:
    weight(graph, "w1_f16").dims[:] = [-4, -3, 4, 4]


def overflowing_claim(graph: onnx.ModelProto) -> None:
    weight(graph, "w1_f16").dims[:] = [2**32, 2**32, 4, 3]  # 0 in 64 bits


def many_nodes(graph: onnx.ModelProto) -> None:
    graph.graph.node.extend([onnx.NodeProto()] * 250_000)


def constant_bomb(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(np.array([2**10, 2**10, 2**10]), "big"))
    graph.graph.node.append(helper.make_node("ConstantOfShape", ["big"], ["bomb"]))


def tile_bomb(graph: onnx.ModelProto) -> None:
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 2**20, 1, 1]), "times"))
    graph.graph.node.append(helper.make_node("Tile", ["map", "times"], ["bomb"]))


def slow_product(graph: onnx.ModelProto) -> None:
    """A square of 4000 by itself, eight times over: 8 * 6.4e10 multiplications from a few bytes."""
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 1, 1000]), "times"))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 1000, 1]), "more"))
    graph.graph.initializer.append(numpy_helper.from_array(np.array([0]), "first"))
    graph.graph.node.append(helper.make_node("Gather", ["map", "first"], ["one"], axis=1))
    graph.graph.node.append(helper.make_node("Tile", ["one", "times"], ["wide"]))
    graph.graph.node.append(helper.make_node("Tile", ["wide", "more"], ["square"]))
    graph.graph.node.extend(helper.make_node("MatMul", ["square", "square"], [f"product{i}"]) for i in range(8))


def cycle(graph: onnx.ModelProto) -> None:
    graph.graph.node[3].input[0] = "map"


def wrong_type(graph: onnx.ModelProto) -> None:
    graph.graph.node[0].attribute[0].i = TensorProto.DOUBLE


def no_nodes(graph: onnx.ModelProto) -> None:
    del graph.graph.node[:]


def not_a_number(graph: onnx.ModelProto) -> None:
    weight(graph, "head.bias").raw_data = np.full(4, np.nan, np.float32).tobytes()
