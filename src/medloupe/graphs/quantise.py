"""Write a network in 8 bits: smaller, and faster on processors that multiply bytes.

The result is a standard ONNX graph of QuantizeLinear and DequantizeLinear around float operators (QDQ), which ONNX
Runtime turns into integer kernels. Activations are uint8 with one scale each, weights int8 with one scale an output
channel, symmetric; sums are int32. What is no convolution or sum of activations (pooling, means, heads, attention)
stays in float, so `embedding` is still the exact mean of `map`.

- ReLU6 costs nothing: a byte from 0 to the range's end cuts off as it does.
- Pixels are bytes already: where the network begins with (pixel - whole number) * scale, they are taken as they are.
- Processors without VNNI add neighbouring products in 16 bits, which overflow at full weights. A channel's scale is
  made as large as it must be for no pair of weights to do so: the same file then gives the same sums everywhere, and
  a verdict on its accuracy holds on other machines. Halving all weights (`reduce_range`) costs far more accuracy.
- Rounding weights shifts the mean of what they make; the shift on the sample pictures is taken out of the bias.

Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(CVPR 2018); the corrected bias: Nagel et al., "Data-Free Quantization" (ICCV 2019), section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.graphs.calibrate import ObservedRange, observe_activations
from medloupe.graphs.nodes import read_attributes, read_constants

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_STEPS = 255  # of an activation
_PAIR = 127  # a weight, or two neighbours of one sign together: 255 * (127 + 1) < 2**15, one step for rounding
_BIAS = 2**30  # largest bias in its own steps


def quantise(model: ModelProto, feeds: Iterable[Mapping[str, np.ndarray]]) -> ModelProto:
    """Write a network in 8 bits, with the same inputs and outputs; the same model and feeds give the same bytes.

    Parameters
    ----------
    model : ModelProto
        A float network; weights stored in half precision (float16 + Cast) are taken as such.
    feeds : iterable of mapping
        Its inputs for one sample picture each, by name.

    Raises
    ------
    ValueError
        Where the network has no convolution that could be written so.
    ModelFileError
        When it cannot run.
    """
    from onnx import checker

    plan = _Plan(model)
    if not plan.convs:
        raise ValueError("The network has no convolutions with constant weights; there is nothing to write in 8 bits.")
    seen = observe_activations(model, plan.observed, feeds)
    out = _IntegerGraphWriter(model, plan, seen).write()
    checker.check_model(out, full_check=True)
    return out


class _Plan:
    """Which nodes of a graph become integer arithmetic, and which activations must be observed for that.

    convs: by output. absorbed: output of a convolution → of the ReLU that cuts it off. limit: where that cuts off
    above. made: activations that are kept as bytes. pixels: normalised images, which are bytes by nature. entering:
    what else convolutions read.
    """

    def __init__(self, model: ModelProto):
        self.weights = read_constants(model)
        self.nodes = [n for n in model.graph.node if n.output[0] not in self.weights]
        self.convs = {n.output[0]: n for n in self.nodes if self._is_conv(n)}
        users: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                users.setdefault(name, []).append(node)
        outputs = {v.name for v in model.graph.output}
        self.absorbed: dict[str, str] = {}
        self.limit: dict[str, float] = {}
        for name in self.convs:
            after = users.get(name, [])
            limit = self._relu(after[0]) if len(after) == 1 and name not in outputs else None
            if limit is not None:
                self.absorbed[name] = after[0].output[0]
                self.limit[self.absorbed[name]] = limit
        self.made = {self.absorbed.get(name, name) for name in self.convs}
        for node in self.nodes:  # in their order, so that sums of sums are found
            if node.op_type == "Add" and all(i in self.made for i in node.input):
                self.made.add(node.output[0])
        self.pixels = {n.output[0]: found for n in self.nodes if (found := self._pixels(n, users))}
        read = {n.input[0] for n in self.convs.values()}
        self.entering = read - self.made - self.pixels.keys()
        self.observed = sorted(self.made | read)

    def _is_conv(self, node: NodeProto) -> bool:
        constant = all(i in self.weights for i in node.input[1:])
        return node.op_type == "Conv" and constant and self.weights[node.input[1]].ndim == 4

    def _relu(self, node: NodeProto) -> float | None:
        """Tell where a node that cuts off below 0 cuts off above; None where it is no such node."""
        if node.op_type == "Relu":
            return np.inf
        ends = [self.weights.get(i) for i in node.input[1:]] if node.op_type == "Clip" else []
        low, high = ends if len(ends) == 2 else (None, None)
        return float(high) if low is not None and high is not None and float(low) == 0 < float(high) else None

    def _pixels(self, node: NodeProto, users: Mapping[str, list[NodeProto]]) -> _Pixels | None:
        """Find the normalisation of pixels that ends in this node, if bytes can be taken for it as they are."""
        by_output = {o: n for n in self.nodes for o in n.output}
        chain: list[NodeProto] = []
        at: NodeProto | None = node
        for kind in ("Mul", "Sub", "Transpose", "Cast"):
            if at is None or at.op_type != kind or (chain and len(users[at.output[0]]) != 1):
                return None
            chain.append(at)
            at = by_output.get(at.input[0])
        mul, sub, transpose, cast = chain
        scale, zero = (self.weights.get(n.input[1]) for n in (mul, sub))
        if at is not None or scale is None or zero is None or scale.size != 1 or zero.size != 1:
            return None
        step, level = scale.item(), zero.item()
        if not (step > 0 and 0 <= level <= _STEPS and level == round(level)):
            return None
        return _Pixels(
            image=cast.input[0],
            perm=list(read_attributes(transpose)["perm"]),
            scale=step,
            zero=round(level),
            replaced=frozenset(n.output[0] for n in chain),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pixels:
    """Pixels as a convolution reads them: (image.transpose(perm) - zero) * scale.

    replaced: names of the values on the way to it.
    """

    image: str
    perm: list[int]
    scale: float
    zero: int
    replaced: frozenset[str]


class _IntegerGraphWriter:
    """Writes the graph of a plan.

    Every value keeps its name: of an activation that is bytes, `NAME.exact` is what is rounded, `NAME.bytes` the bytes,
    NAME what they stand for.
    """

    def __init__(self, model: ModelProto, plan: _Plan, seen: Mapping[str, ObservedRange]):
        self.model, self.plan, self.seen = model, plan, seen
        self.casts = {n.output[0]: n for n in model.graph.node if n.op_type == "Cast" and n.output[0] in plan.weights}
        self.nodes: list[NodeProto] = []
        self.tensors: dict[str, np.ndarray] = {}
        self.step: dict[str, float] = {}  # of activations that are bytes
        self.bytes_of: dict[str, str] = {}  # float value that enters a convolution → what its bytes stand for

    def write(self) -> ModelProto:
        """Write the whole graph."""
        from onnx import ModelProto, numpy_helper

        plan, model = self.plan, self.model
        swallowed = {*plan.absorbed.values()}.union(*(p.replaced for p in plan.pixels.values()))
        for value in model.graph.input:
            self._enter(value.name)
        for node in plan.nodes:
            name = node.output[0]
            if name in plan.pixels:
                self._pixels(name, plan.pixels[name])
            elif name in plan.convs:
                self._conv(node)
            elif name in plan.made and name not in swallowed:
                self._node("Add", list(node.input), f"{name}.exact")
                self._round(f"{name}.exact", name, name)
            elif name not in swallowed:
                self._keep(node)
        out = ModelProto(ir_version=model.ir_version, producer_name=model.producer_name)
        out.opset_import.extend(model.opset_import)
        out.graph.name = model.graph.name or "network"
        out.graph.input.extend(model.graph.input)
        out.graph.output.extend(model.graph.output)
        out.graph.node.extend(self.nodes)
        out.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in self.tensors.items())
        return out

    def _keep(self, node: NodeProto) -> None:
        """Keep a node in float, with its weights as they were stored."""
        for name in node.input:
            if name in self.plan.weights and name not in self.tensors:
                cast = self.casts.get(name)
                stored = cast.input[0] if cast is not None else name
                if cast is not None and stored not in self.tensors:
                    self.nodes.append(cast)
                self._tensor(stored, self.plan.weights[stored])
        self.nodes.append(node)
        for name in node.output:
            self._enter(name)

    def _enter(self, name: str) -> None:
        """Round a float value of which a convolution reads the bytes."""
        if name in self.plan.entering:
            self._round(name, name, f"{name}.rounded")
            self.bytes_of[name] = f"{name}.rounded"

    def _pixels(self, name: str, pixels: _Pixels) -> None:
        self._node("Transpose", [pixels.image], f"{name}.bytes", perm=pixels.perm)
        self._dequantise(name, name, pixels.scale, pixels.zero)

    def _conv(self, node: NodeProto) -> None:
        name, plan = node.output[0], self.plan
        source = self.bytes_of.get(node.input[0], node.input[0])
        weight = plan.weights[node.input[1]].astype(np.float64)
        bias = plan.weights[node.input[2]].astype(np.float64) if len(node.input) > 2 else np.zeros(len(weight))
        step = self.step[source]
        scale = np.maximum(_weight_scale(weight), np.abs(bias) / (step * _BIAS)).astype(np.float32)
        whole = np.clip(np.round(weight / scale[:, None, None, None]), -_PAIR, _PAIR)
        lost = weight - whole * scale[:, None, None, None]
        bias = bias + _shift(lost, self.seen[node.input[0]].mean, node)
        sums = (step * scale.astype(np.float64)).astype(np.float32)
        self._constant(f"{name}.weight", whole.astype(np.int8), scale)
        self._constant(f"{name}.bias", np.round(bias / sums).astype(np.int32), sums)
        made = plan.absorbed.get(name, name)
        self._node("Conv", [source, f"{name}.weight", f"{name}.bias"], f"{made}.exact", **read_attributes(node))
        self._round(f"{made}.exact", made, made, cut=made != name)

    def _round(self, value: str, activation: str, out: str, *, cut: bool = False) -> None:
        """Write bytes of a float value, and what they stand for. cut: a ReLU is to be absorbed."""
        seen = self.seen[activation]
        low, high = min(seen.low, 0.0), max(seen.high, 0.0)
        if cut:
            low, high = 0.0, min(max(seen.largest, 0.0), self.plan.limit[activation])
        step = (high - low) / _STEPS or 1.0  # an activation that is always zero
        zero = round(-low / step)
        self._tensor(f"{activation}.step", np.float32(step))
        self._tensor(f"{activation}.zero", np.uint8(zero))
        self._node("QuantizeLinear", [value, f"{activation}.step", f"{activation}.zero"], f"{activation}.bytes")
        self._dequantise(activation, out, step, zero)

    def _dequantise(self, activation: str, out: str, step: float, zero: int) -> None:
        self._tensor(f"{activation}.step", np.float32(step))
        self._tensor(f"{activation}.zero", np.uint8(zero))
        self._node("DequantizeLinear", [f"{activation}.{part}" for part in ("bytes", "step", "zero")], out)
        self.step[out] = float(np.float32(step))

    def _constant(self, name: str, whole: np.ndarray, scale: np.ndarray) -> None:
        """Store a constant as whole numbers, with a scale an output channel."""
        self._tensor(f"{name}.whole", whole)
        self._tensor(f"{name}.scale", scale)
        self._tensor(f"{name}.zero", np.zeros(len(scale), whole.dtype))
        self._node("DequantizeLinear", [f"{name}.{part}" for part in ("whole", "scale", "zero")], name, axis=0)

    def _tensor(self, name: str, value: Any) -> None:
        self.tensors[name] = np.ascontiguousarray(value).reshape(np.shape(value))

    def _node(self, kind: str, inputs: list[str], output: str, **given: Any) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **given))


def _weight_scale(weight: np.ndarray) -> np.ndarray:
    """Choose the scale (O,) of each output channel of weight (O, C, h, w).

    With it the channel's largest weight, or pair of neighbours, is 127. Depthwise convolutions multiply one channel
    at a time, in 32 bits; only sums over channels meet in pairs.

    """
    single = np.abs(weight).reshape(len(weight), -1).max(1)
    if weight.shape[1] == 1:
        return np.maximum(single, 1e-12) / _PAIR
    flat = weight.transpose(0, 2, 3, 1).reshape(len(weight), -1)  # as they meet: channel after channel, place by place
    pairs = np.pad(flat, ((0, 0), (0, flat.shape[1] % 2))).reshape(len(weight), -1, 2)
    rising, falling = (np.maximum(signed, 0).sum(2).max(1) for signed in (pairs, -pairs))
    largest = np.maximum(single, np.maximum(rising, falling))
    return np.maximum(largest, 1e-12) / _PAIR


def _shift(lost: np.ndarray, mean: np.ndarray, node: NodeProto) -> np.ndarray:
    """Compute by how much each output channel (O,) falls, on average, when a convolution's weights lose `lost`.

    mean: (C, H, W) of its input.
    """
    told = read_attributes(node)
    height, width = lost.shape[2:]
    down, right = told.get("strides", [1, 1])
    up_dilated, side_dilated = told.get("dilations", [1, 1])
    top, left, bottom, end = told.get("pads", [0, 0, 0, 0])
    padded = np.pad(mean, ((0, 0), (top, bottom), (left, end)))
    rows = (padded.shape[1] - (height - 1) * up_dilated - 1) // down + 1
    columns = (padded.shape[2] - (width - 1) * side_dilated - 1) // right + 1
    taps = np.empty((len(padded), height, width))  # mean of what each weight is multiplied with
    for i in range(height):
        for j in range(width):
            y, x = i * up_dilated, j * side_dilated
            taps[:, i, j] = padded[:, y : y + down * rows : down, x : x + right * columns : right].mean((1, 2))
    groups = told.get("group", 1)
    each = lost.reshape(groups, len(lost) // groups, *lost.shape[1:])
    return np.einsum("gochw,gchw->go", each, taps.reshape(groups, -1, height, width)).reshape(-1)
