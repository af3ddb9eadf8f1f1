"""Find out what an ONNX graph from a stranger holds, before anything of it runs.

Each rule closes one way in which a small file harms the machine that opens it:

- other files: tensors kept outside the file;
- other code: operators outside the ONNX standard, functions, training parts;
- no end: control flow (If, Loop, Scan), which a classifier does not need; recurrent layers end with their input;
- memory: a few bytes that become gigabytes, in the parser (counted fields), in a tensor (its size against its bytes)
  or in a computation (every intermediate has a size known from the graph, and all of them together a limit);
- time: the multiplications of one image are counted from the same sizes.

The list of operators is what makes the last two hold: the size and cost of each follow from the shapes of its inputs
and outputs. Where the size of an output depends on the values of an image (TopK of a computed K, Resize by a computed
scale) it cannot be told, and the graph is refused; operators of which that is always so (NonZero, NonMaxSuppression),
strings, sequences and random numbers are not on it. An operator that a new backbone needs is one entry more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Sized
from typing import TYPE_CHECKING

from medloupe.errors import ModelFileError, NotOurModelError, UnsafeModelError
from medloupe.graphs.wire import count_fields

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

MAX_TENSOR = 2**25  # elements of one tensor at one image (128 MiB); the largest of EfficientNet-Lite0 has 2**20.2
MAX_TOTAL = 2**28  # elements of all intermediates at one image; Lite0 has 2**24.3
MAX_WORK = 10**11  # multiplications an image, about 2 s on two cores; Lite0 has 4 * 10**8, ViT-L/16 6 * 10**10
SMALL = 1024  # elements up to which a constant may be a shape or axes and is shown to shape inference

STANDARD = ("", "ai.onnx")
CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
PRODUCTS = frozenset({"Gemm", "MatMul"})
POOLS = frozenset({"AveragePool", "LpPool", "MaxPool"})
RECURRENT = frozenset({"GRU", "LSTM", "RNN"})
_OTHERS = """
Abs Add And Cast Ceil Clip Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity
LeakyRelu Less LessOrEqual Log LogSoftmax Max Mean Min Mish Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu
Sigmoid Sign Softmax Softplus Softsign Sqrt Sub Sum Tanh Where
BatchNormalization GlobalAveragePool GlobalMaxPool InstanceNormalization LayerNormalization LpNormalization
ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceSum ReduceSumSquare
Concat Constant ConstantOfShape DepthToSpace Expand Flatten Gather GatherND Pad Reshape Resize Shape Slice SpaceToDepth
Split Squeeze Tile TopK Transpose Unsqueeze
DequantizeLinear QuantizeLinear
"""
OPERATORS = CONVOLUTIONS.union(PRODUCTS, POOLS, RECURRENT, _OTHERS.split())

_EXPORT = "Only load models exported by medloupe, from a source you trust."


def parse(data: bytes, called: str) -> ModelProto:
    """Parse an ONNX model, after all checks named above.

    Parameters
    ----------
    data : bytes
        The file.
    called : str
        Its name for messages.

    Raises
    ------
    ModelFileError
        When it is damaged.
    NotOurModelError
        When it is no feed-forward network of known sizes.
    UnsafeModelError
        When it breaks one of the rules.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    damaged = ModelFileError(
        f"{called} is damaged, or not an ONNX file: it breaks off or is garbled.", "Copy or export it once more."
    )
    try:
        count_fields(memoryview(data), ModelProto.DESCRIPTOR, called)
        model = ModelProto()
        model.ParseFromString(data)
    except (DecodeError, ValueError, IndexError) as error:
        raise damaged from error
    if not model.ir_version or not model.HasField("graph") or not model.graph.node:
        raise damaged
    _check_domains(model, called)
    for node in model.graph.node:
        _check_node(node, called)
    if model.graph.sparse_initializer:
        raise UnsafeModelError(f"{called} holds sparse tensors, which models of medloupe do not.", _EXPORT)
    for tensor in model.graph.initializer:
        _check_tensor(tensor, called)
    _check_sizes(model, called)
    return model


# ---------------------------------------------------------------------- rules


def _check_domains(model: ModelProto, called: str) -> None:
    if foreign := sorted({o.domain for o in model.opset_import} - set(STANDARD)):
        raise UnsafeModelError(f"{called} uses custom operators of {', '.join(map(repr, foreign))}.", _EXPORT)
    if model.functions:
        raise UnsafeModelError(f"{called} defines functions of its own ({model.functions[0].name!r}).", _EXPORT)
    if model.training_info:
        raise UnsafeModelError(f"{called} holds a training graph, which models of medloupe do not.", _EXPORT)


def _check_node(node: NodeProto, called: str) -> None:
    if node.domain not in STANDARD:
        raise UnsafeModelError(f"{called} uses the custom operator {node.domain}.{node.op_type}.", _EXPORT)
    if any(a.HasField("g") or a.graphs for a in node.attribute):
        raise UnsafeModelError(f"{called} has control flow ({node.op_type}), which models of medloupe do not.", _EXPORT)
    if node.op_type not in OPERATORS:
        raise UnsafeModelError(
            f"{called} uses the operator {node.op_type!r}, whose cost cannot be bounded before it runs.", _EXPORT
        )
    for attribute in node.attribute:
        if attribute.HasField("sparse_tensor") or attribute.sparse_tensors:
            raise UnsafeModelError(f"{called} holds sparse tensors, which models of medloupe do not.", _EXPORT)
        for tensor in (*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors):
            _check_tensor(tensor, called)


def _check_tensor(tensor: TensorProto, called: str) -> None:
    """Refuse a tensor that lies outside the file, is of an unusual type, or whose size is not that of its bytes."""
    from onnx import TensorProto as T

    if tensor.external_data or tensor.data_location == T.EXTERNAL:
        raise UnsafeModelError(
            f"{called} refers to another file for the tensor {tensor.name!r}; no other file was opened.",
            "Export the model as one self-contained file.",
        )
    two_bytes = (T.FLOAT16, T.BFLOAT16, T.INT16, T.UINT16)
    kinds: dict[int, tuple[int, Sized]] = {
        T.FLOAT: (4, tensor.float_data),
        T.DOUBLE: (8, tensor.double_data),
        T.INT64: (8, tensor.int64_data),
        T.UINT64: (8, tensor.uint64_data),
        T.UINT32: (4, tensor.uint64_data),
        T.INT32: (4, tensor.int32_data),
        **dict.fromkeys(two_bytes, (2, tensor.int32_data)),
        **dict.fromkeys((T.INT8, T.UINT8, T.BOOL), (1, tensor.int32_data)),
    }
    if tensor.data_type not in kinds:
        raise UnsafeModelError(
            f"{called} holds the tensor {tensor.name!r} of type {tensor.data_type}, neither numbers nor truth values.",
            _EXPORT,
        )
    bytes_each, values = kinds[tensor.data_type]
    expected = math.prod(tensor.dims)
    actual = len(tensor.raw_data) / bytes_each if tensor.HasField("raw_data") else len(values)
    if min(tensor.dims, default=0) < 0 or expected != actual:
        raise UnsafeModelError(
            f"{called}: the tensor {tensor.name!r} claims the shape {list(tensor.dims)[:8]}"
            f" but holds {actual:,.0f} numbers.",
            _EXPORT,
        )


# ---------------------------------------------------------------------- sizes


def _check_sizes(model: ModelProto, called: str) -> None:
    """Infer the shape of every intermediate at one image, and refuse unknown or excessive ones.

    Also refuses cyclic graphs, names used twice and wrong types, as part of the ONNX standard.
    """
    import onnx

    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    if len(shapes) < len(model.graph.initializer) or shapes.keys() & {v.name for v in model.graph.input}:
        raise ModelFileError(f"{called} is not a valid ONNX graph: two of its tensors have one name.", _EXPORT)
    skeleton = _without_weights(model)
    try:
        onnx.checker.check_model(skeleton)
        graph = onnx.shape_inference.infer_shapes(skeleton, check_type=True, strict_mode=True, data_prop=True).graph
    except Exception as error:  # the checker raises its own error, RuntimeError and ValueError
        said = (str(error).strip() or repr(error)).splitlines()[0][:300].rstrip(" :.")
        raise ModelFileError(
            f"{called} is not a valid ONNX graph: {said}.",
            "It is damaged, or was not exported by medloupe.",
        ) from error
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        known = all(d.HasField("dim_value") and d.dim_value >= 0 for d in dims)  # an overflow comes out negative
        if value.type.tensor_type.HasField("shape") and known:
            shapes[value.name] = tuple(d.dim_value for d in dims)
    _check_totals(model.graph, shapes, called)
    for value in model.graph.output:
        declared = [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim]
        if len(declared) != len(shapes[value.name]) or any(
            d not in (None, n) for d, n in zip(declared, shapes[value.name], strict=True)
        ):
            raise ModelFileError(
                f"{called} is not a valid ONNX graph: it declares {value.name!r} as {declared},"
                f" but computes {list(shapes[value.name])} for one image.",
                "It is damaged, or was not exported by medloupe.",
            )


def _without_weights(model: ModelProto) -> ModelProto:
    """Copy the graph at one image, its weights turned into inputs: quick to check, whatever the size of the file."""
    from onnx import ModelProto, helper

    graph = model.graph
    skeleton = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    skeleton.graph.name = graph.name or "graph"
    skeleton.graph.node.extend(graph.node)
    weights = [t for t in graph.initializer if math.prod(t.dims) > SMALL]
    skeleton.graph.initializer.extend(t for t in graph.initializer if math.prod(t.dims) <= SMALL)
    skeleton.graph.input.extend(graph.input)
    for value in skeleton.graph.input:
        if value.type.tensor_type.shape.dim and not value.type.tensor_type.shape.dim[0].HasField("dim_value"):
            value.type.tensor_type.shape.dim[0].dim_value = 1
    skeleton.graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in weights)
    skeleton.graph.output.extend(
        helper.make_tensor_value_info(v.name, t.elem_type, [None] * len(t.shape.dim))
        for v in graph.output
        for t in [v.type.tensor_type]
    )
    return skeleton


def _check_totals(graph: GraphProto, shapes: Mapping[str, Sequence[int]], called: str) -> None:
    """Refuse a graph whose intermediates or multiplications are too many.

    shapes: of every tensor at one image; a missing one could not be inferred.
    """
    stored = sum(math.prod(t.dims) for t in graph.initializer)
    varying = {v.name for v in graph.input}
    total = constant = work = 0
    for node in graph.node:
        made = 0
        for name in filter(None, node.output):
            if name not in shapes:
                raise NotOurModelError(
                    f"{called}: the size of {name!r} ({node.op_type}) cannot be told from the graph.", _EXPORT
                )
            made += math.prod(shapes[name])
        if made > MAX_TENSOR:
            raise UnsafeModelError(
                f"{called} would make {made:,} numbers at once ({node.op_type}); the limit is {MAX_TENSOR:,}.", _EXPORT
            )
        if varying.intersection(node.input):
            varying.update(node.output)
            total += made
        else:
            constant += made
        work += _work(node, shapes, made)
    # Constants are computed when the session opens and all kept: they may unpack what the file stores, not more.
    if total > MAX_TOTAL or constant > 4 * stored + 64 * SMALL:
        raise UnsafeModelError(
            f"{called} would make {total:,} numbers for one image and {constant:,} beforehand, more than allowed"
            f" ({MAX_TOTAL:,}, and four times the {stored:,} it stores).",
            _EXPORT,
        )
    if work > MAX_WORK:
        raise UnsafeModelError(
            f"{called} would need {work:,} multiplications for one image; the limit is {MAX_WORK:,}.", _EXPORT
        )


def _work(node: NodeProto, shapes: Mapping[str, Sequence[int]], made: int) -> int:
    """Count the multiplications of one node, or more. made: elements of its outputs."""
    inputs = [shapes.get(name, ()) for name in node.input]
    read = [math.prod(shape) for shape in inputs]
    if node.op_type in CONVOLUTIONS:
        weights = math.prod(inputs[1][1:])  # of one output channel; where transposed, of one input channel
        return weights * (read[0] if node.op_type == "ConvTranspose" else made)
    if node.op_type in PRODUCTS:
        return math.isqrt(read[0] * read[1] * made) + 1  # (m, k) by (k, n) gives the square of m * k * n
    if node.op_type in RECURRENT:
        steps = math.prod(inputs[0][:2])  # of one example, whichever of the two axes is time
        return steps * (read[1] + read[2]) + made
    if node.op_type in POOLS:
        return made * math.prod(max(k, 1) for a in node.attribute if a.name == "kernel_shape" for k in a.ints)
    return made + sum(read)
