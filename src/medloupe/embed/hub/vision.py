"""Export a vision network of `transformers` as an ONNX backbone: pixels in, `map`, `embedding` and `cut` out.

Networks that give a feature map (ConvNeXt, ResNet, RegNet, …) keep it. Transformers give one token a patch, which are
laid out on their grid; where a class token goes before them, it is joined to every place of the map, so that the
embedding is the mean of the patches and the class token beside it, as linear heads on such networks are usually given
(Oquab et al., "DINOv2", 2023), and the embedding is still the mean of the map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.hub.pixels import PixelFormat
from medloupe.embed.hub.pretrained import import_libraries, load_network, silence_libraries
from medloupe.errors import BackboneError, ModelFileError
from medloupe.graphs.session import first_line

if TYPE_CHECKING:
    import torch
    from onnx import GraphProto, ModelProto

OPSET = 18  # the exporter's lowest
PARITY = 1e-4  # largest difference to PyTorch, relative to the largest number of the output
_MOST_PREFIX = 16  # tokens before those of the patches: class, distillation, registers
_NAMES = {"medloupe.image": "image", "medloupe.map": "map", "medloupe.embedding": "embedding"}  # what no network uses


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedBackbone:
    """A network written as ONNX.

    Attributes
    ----------
    data : bytes
        The ONNX file.
    dimension, levels, places
        As in BackboneCard.
    """

    data: bytes
    dimension: int
    levels: tuple[int, ...]
    places: tuple[int, int]


def export_backbone(folder: Path, given: PixelFormat, called: str) -> ExportedBackbone:
    """Export the network of a folder (config.json, *.safetensors) as an ONNX backbone that agrees with it.

    Nothing of the folder is run as code, and no pickled weights are read.

    Parameters
    ----------
    folder : Path
        As save_pretrained leaves it.
    given : PixelFormat
        How it takes its pixels.
    called : str
        Its name for messages.

    Raises
    ------
    BackboneError
        Where it is no network, is of a kind that gives no map, or does not export.
    """
    torch = import_libraries("onnxscript")  # which the exporter uses
    with silence_libraries(), torch.no_grad():
        network = load_network(folder, called)
        network = getattr(network, "vision_model", network)
        _plain_pooling(torch, network)
        _fix_positions(torch, network, given.size, called)
        module = _module(torch, network, given, called)
        side = given.size
        example = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8))
        try:
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                opset_version=OPSET,
                external_data=False,
                input_names=list(_NAMES)[:1],
                output_names=list(_NAMES)[1:],
                dynamic_shapes=({0: torch.export.Dim("N", min=1, max=2**20)},),
                verbose=False,
            )
            model: ModelProto = program.model_proto
        except Exception as e:  # the exporter's errors have no base of their own
            raise BackboneError(
                f"{called} cannot be written as ONNX: {first_line(e)}", "Choose another backbone."
            ) from e
        dims = [tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in model.graph.output]
        _tidy(model, dims[0][1:])
        data = model.SerializeToString(deterministic=True)
        _check(torch, data, module, side, called)
    d, h, w = dims[0][1:]
    return ExportedBackbone(data=data, dimension=d, levels=module.levels, places=(h, w))


# ----------------------------------------------------------------- the network


def _plain_pooling(torch: Any, network: torch.nn.Module) -> None:
    """Replace pooling to one place by means over all places.

    The exporter writes the general pooling, to any size, with operators that depend on how many pictures there are.
    """

    class Mean(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((2, 3), keepdim=True)

    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.AdaptiveAvgPool2d) and child.output_size in (1, (1, 1)):
                setattr(module, name, Mean())


def _fix_positions(torch: Any, network: torch.nn.Module, size: int, called: str) -> None:
    """Interpolate position embeddings once that the network would interpolate for every picture."""
    embeddings: Any = getattr(network, "embeddings", None)
    interpolate = getattr(embeddings, "interpolate_pos_encoding", None)
    found: list[torch.Tensor] = []

    def remember(*arguments: Any, **more: Any) -> torch.Tensor:
        assert interpolate is not None
        found.append(interpolate(*arguments, **more))
        return found[-1]

    if interpolate is not None:
        embeddings.interpolate_pos_encoding = remember
    _maps_of(torch, network, torch.zeros(1, 3, size, size), called)
    if found:
        embeddings.register_buffer("fixed_positions", found[-1].detach().clone())
        embeddings.interpolate_pos_encoding = lambda *a, **k: embeddings.fixed_positions


def _maps_of(torch: Any, network: Any, x: torch.Tensor, called: str) -> torch.Tensor:
    """Ask the network for what comes out last: (N, C, h, w), or (N, T, C)."""
    try:
        out = network(pixel_values=x, return_dict=True).last_hidden_state
    except Exception as e:
        raise BackboneError(
            f"{called} cannot be asked for a feature map of pictures of {x.shape[-1]} pixels: {first_line(e)}",
            "Choose a vision network: ConvNeXt, ResNet, RegNet, ViT, DINOv2, Swin, …",
        ) from e
    if not isinstance(out, torch.Tensor) or out.ndim not in (3, 4):
        raise BackboneError(f"{called} gives no feature map and no patches.", "Choose another backbone.")
    return out


def _module(torch: Any, network: Any, given: PixelFormat, called: str) -> Any:
    """Wrap the network: bytes (N, S, S, 3) → map (N, D, h, w), embedding (N, D); `levels`: how D divides."""
    probe = _maps_of(torch, network, torch.zeros(2, 3, given.size, given.size), called)
    tokens = probe.ndim == 3
    before, grid = _grid(probe.shape[1], network.config, given.size, called) if tokens else (0, 0)
    channels = probe.shape[2 if tokens else 1]
    order = [2, 1, 0] if given.reversed else [0, 1, 2]

    class Backbone(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.levels = (channels, channels) if before else (channels,)
            self.register_buffer("scale", torch.from_numpy(given.scale[order]).reshape(1, 3, 1, 1))
            self.register_buffer("shift", torch.from_numpy(given.shift[order]).reshape(1, 3, 1, 1))

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            x = image.permute(0, 3, 1, 2).to(torch.float32)
            if given.reversed:
                x = x[:, order]
            x = x * self.scale + self.shift
            out = self.network(pixel_values=x, return_dict=True).last_hidden_state
            if tokens:
                n = out.shape[0]
                feature_map = out[:, before:].transpose(1, 2).reshape(n, channels, grid, grid)
                if before:
                    first = out[:, 0].reshape(n, channels, 1, 1).expand(n, channels, grid, grid)
                    feature_map = torch.cat([feature_map, first], 1)
            else:
                feature_map = out
            return feature_map, feature_map.mean((2, 3))

    return Backbone().eval()


def _grid(tokens: int, config: Any, size: int, called: str) -> tuple[int, int]:
    """Tell how many tokens go before those of the patches, and how many patches a side there are."""
    patch = getattr(config, "patch_size", None)
    patch = patch[-1] if isinstance(patch, list | tuple) else patch
    if isinstance(patch, int) and patch > 0 and 0 <= tokens - (size // patch) ** 2 <= _MOST_PREFIX:
        return tokens - (size // patch) ** 2, size // patch
    for before in (0, 1):  # networks that merge patches as they go: all of a square, or a class token before it
        if (side := math.isqrt(tokens - before)) ** 2 == tokens - before and side:
            return before, side
    raise BackboneError(
        f"{called} gives {tokens} tokens for a picture, which are no square of patches.", "Choose another backbone."
    )


# ------------------------------------------------------------------- the graph


def _tidy(model: ModelProto, dims: tuple[int, ...]) -> None:
    """Add `cut`, keep our names ours, and leave out what the exporter says of this machine."""
    from onnx import TensorProto, helper

    graph = model.graph
    _plain_gathers(graph)

    def renamed(name: str) -> str:
        return _NAMES.get(name, f"net/{name}" if name else "")

    for node in graph.node:
        node.input[:] = map(renamed, node.input)
        node.output[:] = map(renamed, node.output)
        node.name = node.output[0]
        node.doc_string = ""
        del node.metadata_props[:]
    for tensor in graph.initializer:
        tensor.name, tensor.doc_string = renamed(tensor.name), ""
        del tensor.metadata_props[:]
    # Nothing above the map can be tuned: the cut is where the head begins.
    graph.node.append(helper.make_node("Identity", ["map"], ["cut"], name="cut"))
    size = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    f32 = TensorProto.FLOAT
    del graph.input[:], graph.output[:], graph.value_info[:], graph.metadata_props[:], model.metadata_props[:]
    graph.name, graph.doc_string, model.doc_string = "backbone", "", ""
    graph.input.append(helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", size, size, 3]))
    graph.output.append(helper.make_tensor_value_info("embedding", f32, ["N", dims[0]]))
    graph.output.append(helper.make_tensor_value_info("map", f32, ["N", *dims]))
    graph.output.append(helper.make_tensor_value_info("cut", f32, ["N", *dims]))
    model.producer_name, model.producer_version, model.ir_version = "medloupe", "", 8


def _plain_gathers(graph: GraphProto) -> None:
    """Replace GatherND by one index each by Gather, whose cost graphs/check.py can tell."""
    flat = {t.name: t for t in graph.initializer if len(t.dims) == 2 and t.dims[1] == 1}
    used = set()
    for node in graph.node:
        if node.op_type == "GatherND" and node.input[1] in flat and not any(a.i for a in node.attribute):
            node.op_type = "Gather"
            del node.attribute[:]
            used.add(node.input[1])
    for name in used:
        del flat[name].dims[1]


def _check(torch: Any, data: bytes, module: Any, side: int, called: str) -> None:
    """Check that the file passes where models are loaded, and answers as PyTorch does.

    It is asked for one picture and for several.
    """
    from medloupe.embed.samples import generate_images
    from medloupe.graphs import check
    from medloupe.graphs.session import open_session, run

    try:
        check.parse(data, called)
        opened = open_session(data)
        for images in (generate_images(side)[:1], generate_images(side)):
            expected = [t.numpy() for t in module(torch.from_numpy(images))]
            for ours, theirs in zip(run(opened, ["map", "embedding"], images), expected, strict=True):
                if not np.abs(ours - theirs).max() <= PARITY * np.abs(theirs).max():  # also where not a number
                    raise BackboneError(
                        f"{called} answers differently as ONNX than in PyTorch (by {np.abs(ours - theirs).max():.2g}).",
                        "Choose another backbone.",
                    )
    except ModelFileError as e:
        raise BackboneError(f"{called} cannot serve as a backbone: {e.message}", "Choose another backbone.") from e
