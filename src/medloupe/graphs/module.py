"""Turn a part of an ONNX network into a PyTorch module whose weights can be trained, and write them back.

Only what convolutional backbones are made of is known: convolutions with folded normalisation, ReLU6, sums, average
pooling. Since normalisation is folded into the weights, its statistics stay as they are, which small sets of medical
images need (Kolesnikov et al., "Big Transfer", ECCV 2020, on why batch statistics harm transfer).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import FinetuneError
from medloupe.graphs.nodes import read_attributes, read_constants, select_nodes

if TYPE_CHECKING:
    import torch
    from onnx import ModelProto, NodeProto

MOMENTUM = 0.1  # of a batch's statistics in the running ones


def import_torch() -> Any:
    """Import PyTorch.

    Raises
    ------
    FinetuneError
        Where it is not installed; says how to install it.
    """
    try:
        import torch
    except ImportError as e:
        raise FinetuneError(
            "Fine-tuning needs PyTorch, which is not installed.", "Run: pip install 'medloupe[finetune]'"
        ) from e
    return torch


def build_trainable_module(model: ModelProto, given: str, outputs: Sequence[str]) -> torch.nn.Module:
    """Build a module of the part of a network between a value and outputs: a tensor in, a tuple out.

    Parameters
    ----------
    model : ModelProto
        The network.
    given : str
        The value's name, (N, C, H, W), or "image" for pixels uint8 (N, S, S, 3).
    outputs : sequence of str
        The names of the values that the module gives, in this order.

    Returns
    -------
    torch.nn.Module
        Its weights are parameters, named by the graph with dots as underscores.

    Raises
    ------
    FinetuneError
        Where the graph holds what cannot be trained here.
    """
    torch = import_torch()
    held = read_constants(model)
    nodes = [n for n in select_nodes(model, outputs, [given]) if n.output[0] not in held]

    class Part(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = torch.nn.ParameterDict()
            self.steps: list[tuple[Callable[..., torch.Tensor], list[str], str]] = []
            for node in nodes:
                for name in node.input[1:]:
                    if node.op_type == "Conv" and name in held:
                        self.weights[_key(name)] = torch.nn.Parameter(torch.tensor(held[name].astype(np.float32)))
                self.steps.append((_operation(torch, node, held), list(node.input), node.output[0]))

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            values = {given: x}
            for run, inputs, output in self.steps:
                tensors = [values[i] if i in values else self.weights[_key(i)] for i in inputs if i not in _fixed]
                values[output] = run(*tensors)
            return tuple(values[o] for o in outputs)

    _fixed = {i for n in nodes if n.op_type != "Conv" for i in n.input if i in held}
    lacking = {i for n in nodes for i in n.input} - {given, *held, *(n.output[0] for n in nodes), ""}
    if lacking:
        raise FinetuneError(
            f"The part of this network above {given!r} also needs {', '.join(sorted(lacking)[:3])}; it cannot be"
            " trained by itself.",
            "Train the whole network (--finetune full), or choose another backbone.",
        )
    return Part().to(memory_format=torch.channels_last)


def weights_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Copy the weights of a module, float32, by their names in the graph with dots as underscores."""
    return {name.removeprefix("weights."): p.detach().cpu().numpy().copy() for name, p in module.named_parameters()}


def replace_weights(model: ModelProto, weights: Mapping[str, np.ndarray]) -> ModelProto:
    """Copy a graph with trained weights in place of its own, stored in the precision they had.

    weights: by name with dots as underscores, as `weights_of` gives them.
    """
    from onnx import ModelProto, numpy_helper

    out = ModelProto()
    out.CopyFrom(model)
    stored = {n.output[0]: n.input[0] for n in out.graph.node if n.op_type == "Cast"}
    by_tensor = {stored.get(name, name): name for name in read_constants(model)}
    for tensor in out.graph.initializer:
        name = by_tensor.get(tensor.name, tensor.name)
        if _key(name) in weights:
            was = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(weights[_key(name)].astype(was.dtype), tensor.name))
    return out


def round_to_stored(model: ModelProto, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give weights as they come back from a graph that stored them: rounded where it holds half precision."""
    held = {_key(name): value for name, value in read_constants(replace_weights(model, weights)).items()}
    return {name: held.get(name, value).astype(np.float32) for name, value in weights.items()}


def _key(name: str) -> str:
    return name.replace(".", "_")


def _operation(torch: Any, node: NodeProto, held: Mapping[str, np.ndarray]) -> Callable[..., Any]:
    """Build the node as a function of tensors. Raises FinetuneError for what is not known."""
    f, a, kind = torch.nn.functional, read_attributes(node), node.op_type
    tensors_only = held.keys().isdisjoint(node.input)
    if kind == "Conv" and a.get("auto_pad", b"NOTSET") == b"NOTSET":
        return _convolution(f, a)
    if kind == "Clip" and [float(held[i]) for i in node.input[1:] if i in held] == [0.0, 6.0]:
        return lambda x: f.relu6(x)
    if kind == "AveragePool" and not any(a.get("pads", ())[:2]):
        kernel, strides, rest = a["kernel_shape"], a.get("strides", [1, 1]), a.get("pads", [0] * 4)[2:]
        # what pads the last windows does not count in their mean
        return lambda x: f.avg_pool2d(x, kernel, strides, 0, ceil_mode=any(rest), count_include_pad=False)
    simple: dict[str, Callable[..., Any]] = {
        "Add": lambda x, y: x + y,
        "Concat": lambda *x: torch.cat(x, a["axis"]),
        "Identity": lambda x: x,
        "Relu": f.relu,
    }
    if kind in simple and tensors_only:
        return simple[kind]
    if kind == "Cast" and a["to"] == 1:  # TensorProto.FLOAT
        return lambda x: x.float()
    if kind == "Transpose":
        return lambda x: x.permute(a["perm"])
    if kind == "ReduceMean" and sorted(a.get("axes", ())) == [2, 3]:
        return lambda x: x.mean((2, 3), keepdim=bool(a.get("keepdims", 1)))
    if kind in ("Sub", "Mul") and node.input[1] in held and held[node.input[1]].ndim == 0:
        value = float(held[node.input[1]])
        return (lambda x: x - value) if kind == "Sub" else (lambda x: x * value)
    raise FinetuneError(
        f"This network cannot be fine-tuned here: it holds the operation {kind} ({node.output[0]}).",
        "Use --finetune none, or one of the EfficientNet-Lite backbones.",
    )


def _convolution(f: Any, a: Mapping[str, Any]) -> Callable[..., Any]:
    top, left, bottom, right = a.get("pads", [0] * 4)
    strides, groups, apart = a.get("strides", [1, 1]), a.get("group", 1), a.get("dilations", [1, 1])
    even = top == bottom and left == right

    def run(x: Any, weight: Any, bias: Any = None) -> Any:
        if not even:
            x = f.pad(x, (left, right, top, bottom))
        return f.conv2d(x, weight, bias, strides, (top, left) if even else 0, apart, groups)

    return run


def randomise_weights(module: torch.nn.Module, seed: int) -> None:
    """Give a module random weights, and the batch normalisation back that was folded into the old ones.

    A network this deep does not train from nothing without it; whoever trains one from scratch has it. Its running
    statistics are buffers of the module, its scale is a parameter, and its shift is the bias of the convolution.

    Parameters
    ----------
    module : torch.nn.Module
        From `build_trainable_module`; changed in place.
    seed : int
        Of PyTorch's random numbers.

    References
    ----------
    He et al., "Delving deep into rectifiers" (ICCV 2015); Ioffe & Szegedy, "Batch normalization" (ICML 2015).
    """
    torch = import_torch()
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 4:
                torch.nn.init.kaiming_normal_(parameter, mode="fan_out", nonlinearity="relu")
            else:
                parameter.zero_()
    steps: list[Any] = module.steps  # type: ignore[assignment]
    weights: Any = module.weights
    for i, (run, inputs, output) in enumerate(steps):
        name = _key(inputs[1]) if len(inputs) > 1 else ""
        if name in weights and weights[name].ndim == 4:
            steps[i] = (_add_normalisation(torch, module, run, f"norm{i}", len(weights[name])), inputs, output)


def _add_normalisation(
    torch: Any, module: Any, run: Callable[..., Any], name: str, channels: int
) -> Callable[..., Any]:
    """Put batch normalisation behind a convolution; its scale and statistics belong to the module."""
    module.register_parameter(f"{name}_scale", torch.nn.Parameter(torch.ones(channels)))
    module.register_buffer(f"{name}_mean", torch.zeros(channels))
    module.register_buffer(f"{name}_variance", torch.ones(channels))

    def normalised(x: Any, weight: Any, bias: Any = None) -> Any:
        mean, variance, scale = (getattr(module, f"{name}_{what}") for what in ("mean", "variance", "scale"))
        z = run(x, weight)
        return torch.nn.functional.batch_norm(z, mean, variance, scale, bias, module.training, MOMENTUM, 1e-3)

    return normalised
