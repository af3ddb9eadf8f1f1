"""Build EfficientNet-Lite as an ONNX graph: from published weights to a backbone file.

The published PyTorch checkpoints are read without PyTorch and without executing anything from the file; batch
normalisation is folded into the convolutions; weights are stored in half precision and computed in single precision.

Source: Tan & Le, "EfficientNet" (ICML 2019, arXiv:1905.11946) and the EfficientNet-Lite release of the TensorFlow
TPU repository (2020): no squeeze-and-excitation, ReLU6, fixed stem and head.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from medloupe.errors import ModelFileError

OPSET = 17
BN_EPS = 1e-3  # TensorFlow's value, kept by the PyTorch port
STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)
CUT_STAGE = 4  # the cut lies after this stage: 14x14x112 for Lite0


# ---------------------------------------------------------------- checkpoint


class _Storage:
    """A not yet loaded block of numbers in a checkpoint."""

    def __init__(self, kind: str, key: str, size: int):
        self.kind, self.key, self.size = kind, key, size
        self.values = np.empty(0)


_DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64, "HalfStorage": np.float16}


class _TensorSpec:
    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        v = self.storage.values
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or last >= len(v):  # as_strided would read beyond
            raise ValueError("a tensor reaches outside its storage")
        return np.lib.stride_tricks.as_strided(
            v[self.offset :], self.shape, [s * v.itemsize for s in self.strides]
        ).copy()


def _rebuild(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> _TensorSpec:
    return _TensorSpec(storage, offset, tuple(shape), tuple(strides))


class _Reader(pickle.Unpickler):
    """Unpickler that knows tensors and ordered dictionaries and refuses all else."""

    def __init__(self, f: io.BytesIO, storages: dict[str, _Storage]):
        super().__init__(f)
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return name
        raise ModelFileError(f"The checkpoint names {module}.{name}; only plain tensors are accepted.")

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, size = pid[:5]
        if key not in self.storages:
            self.storages[key] = _Storage(kind, key, size)
        return self.storages[key]


def read_checkpoint(path: str | Path) -> dict[str, np.ndarray]:
    """Read tensors by name from a PyTorch state dictionary in the pre-1.6 file format, without PyTorch.

    Raises
    ------
    ModelFileError
        When the file is of another format or holds anything but tensors.
    """
    f = io.BytesIO(Path(path).read_bytes())
    try:
        return _tensors(f)
    except ModelFileError:
        raise
    except Exception as e:  # a damaged or foreign pickle makes the reader raise nearly anything
        raise _foreign(path) from e


def _tensors(f: io.BytesIO) -> dict[str, np.ndarray]:
    storages: dict[str, _Storage] = {}

    def load() -> Any:
        return _Reader(f, storages).load()

    if load() != 0x1950A86A20F9469CFC6C:
        raise ValueError("another magic number")
    load()  # protocol version
    load()  # byte order and sizes of the writer's machine
    state = load()
    for key in load():
        s = storages[key]
        n = int(np.frombuffer(f.read(8), "<i8")[0])
        dtype = np.dtype(_DTYPES[s.kind])
        s.values = np.frombuffer(f.read(n * dtype.itemsize), dtype)
    return {k: v.array() for k, v in state.items() if isinstance(v, _TensorSpec)}


def _foreign(path: str | Path) -> ModelFileError:
    return ModelFileError(f"{path} is not a PyTorch checkpoint of the expected (pre-1.6) format.")


# --------------------------------------------------------------------- graph


class _Graph:
    """Collects nodes and half-precision weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def const(self, name: str, value: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, value: np.ndarray) -> str:
        self.const(name + "_f16", value.astype(np.float16))
        self.nodes.append(helper.make_node("Cast", [name + "_f16"], [name], to=TensorProto.FLOAT))
        return name

    def op(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def _same_padding(size: int, kernel: int, stride: int) -> tuple[list[int], int]:
    """Compute TensorFlow's SAME padding (more at the bottom and right) and the output size."""
    out = -(-size // stride)
    total = max((out - 1) * stride + kernel - size, 0)
    lo, hi = total // 2, total - total // 2
    return [lo, lo, hi, hi], out


def build_graph(state: dict[str, np.ndarray], size: int, name: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Build the backbone as an ONNX model.

    Its input is `image` uint8 (N, size, size, 3) RGB. Its outputs are `map` float32 (N, D, h, w), in this order the
    last map, the output of every stage but the first, and the expanded activations of stages 5 to 2, each
    average-pooled to the places of the last map (lesions differ in texture as much as in shape, and the last map alone
    has forgotten it); `embedding` float32 (N, D), its mean over places; `cut` float32 (N, C, H, W) after stage 5.

    Parameters
    ----------
    state : dict
        Tensors by name, from `read_checkpoint`.
    size : int
        Input side in pixels.
    name : str
        Of the graph.

    Returns
    -------
    model : ModelProto
        The backbone.
    head : dict
        Its ImageNet head {"weight": (1000, 1280), "bias": (1000,)}, which belongs to the first 1280 channels of D.
    """
    g = _Graph()
    g.const("zero", np.array(0, np.float32))
    g.const("six", np.array(6, np.float32))
    g.const("mean", np.array(127, np.float32))
    g.const("scale", np.array(1 / 128, np.float32))
    x = g.op("Cast", ["image"], "image_f32", to=TensorProto.FLOAT)
    x = g.op("Transpose", [x], "image_nchw", perm=[0, 3, 1, 2])
    x = g.op("Sub", [x, "mean"], "image_centred")
    x = g.op("Mul", [x, "scale"], "image_normalised")
    at = _conv(g, state, _Activation(x, 3, size), "_conv_stem", "_bn0", "stem", stride=2)

    stages: list[_Activation] = []  # outputs of the stages
    textures: list[_Activation] = []  # what their last block sees before it is squeezed to that output
    wide = at
    blocks = 1 + max(int(k.split(".")[1]) for k in state if k.startswith("_blocks."))
    for i in range(blocks):
        p, skip, stride = f"_blocks.{i}.", at, 1
        widens = state[p + "_project_conv.weight"].shape[0] != at.channels
        if widens:  # every stage changes the width, and only its first block does
            if i:
                stages.append(at)
                textures.append(wide)
            stride = STAGE_STRIDES[len(stages)]
        if p + "_expand_conv.weight" in state:
            at = _conv(g, state, at, p + "_expand_conv", p + "_bn0", f"block{i}_expand")
        wide = _conv(g, state, at, p + "_depthwise_conv", p + "_bn1", f"block{i}_depthwise", stride=stride)
        at = _conv(g, state, wide, p + "_project_conv", p + "_bn2", f"block{i}_project", relu=False)
        if not widens:
            at = at._replace(name=g.op("Add", [at.name, skip.name], f"block{i}_sum"))
    stages.append(at)
    last = _conv(g, state, at, "_conv_head", "_bn1", "last_map")
    cut = stages[CUT_STAGE]
    g.op("Identity", [cut.name], "cut")

    levels = [last, *reversed(stages[1:]), *reversed(textures[1 : CUT_STAGE + 1])]
    pooled = [level.name if level.px == last.px else _pool(g, level, last.px) for level in levels]
    g.op("Concat", pooled, "map", axis=1)
    g.op("ReduceMean", ["map"], "embedding", axes=[2, 3], keepdims=0)

    f32, d = TensorProto.FLOAT, sum(level.channels for level in levels)
    graph = helper.make_graph(
        g.nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", size, size, 3])],
        [
            helper.make_tensor_value_info("embedding", f32, ["N", d]),
            helper.make_tensor_value_info("map", f32, ["N", d, last.px, last.px]),
            helper.make_tensor_value_info("cut", f32, ["N", cut.channels, cut.px, cut.px]),
        ],
        g.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    model.producer_name = "medloupe"
    onnx.checker.check_model(model, full_check=True)
    return model, {"weight": state["_fc.weight"], "bias": state["_fc.bias"]}


class _Activation(NamedTuple):
    """A value in the graph: (N, channels, px, px)."""

    name: str
    channels: int
    px: int


def _conv(
    g: _Graph,
    state: dict[str, np.ndarray],
    at: _Activation,
    weight: str,
    bn: str,
    out: str,
    *,
    stride: int = 1,
    relu: bool = True,
) -> _Activation:
    """Add a convolution with its batch normalisation folded in."""
    w = state[weight + ".weight"]
    scale = state[bn + ".weight"] / np.sqrt(state[bn + ".running_var"] + BN_EPS)
    bias = state[bn + ".bias"] - state[bn + ".running_mean"] * scale
    depthwise = w.shape[1] == 1 and w.shape[0] > 1
    pads, px = _same_padding(at.px, w.shape[2], stride)
    y = g.op(
        "Conv",
        [at.name, g.weight(out + "_w", w * scale[:, None, None, None]), g.weight(out + "_b", bias)],
        out,
        kernel_shape=list(w.shape[2:]),
        strides=[stride, stride],
        pads=pads,
        group=w.shape[0] if depthwise else 1,
    )
    return _Activation(g.op("Clip", [y, "zero", "six"], out + "_relu6") if relu else y, w.shape[0], px)


def _pool(g: _Graph, level: _Activation, px: int) -> str:
    """Average a level down to px places a side; where the sides don't divide, the last window is smaller."""
    k = -(-level.px // px)
    rest = k * px - level.px
    return g.op(
        "AveragePool",
        [level.name],
        f"{level.name}_pooled",
        kernel_shape=[k, k],
        strides=[k, k],
        pads=[0, 0, rest, rest],
        count_include_pad=0,
    )
