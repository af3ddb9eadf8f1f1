"""Let a backbone look at pictures of another size, and give the maps of several of its stages.

What a convolutional network computes does not depend on the size of its input, as long as that is a multiple of its
largest stride; only the file says otherwise. A detector reads the last map of each resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.errors import BackboneError
from medloupe.settings import home
from medloupe.utils.files import sha256_of, write_atomically

if TYPE_CHECKING:
    from onnx import ModelProto

STRIDES = (4, 8, 16, 32)
SIZES = (224, 640)
"""The smallest and the largest side that a detector looks at, multiples of the largest stride."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMaps:
    """The maps of a network's stages, finest first.

    Attributes
    ----------
    names : tuple of str
        Of the values in the graph.
    channels : tuple of int
        Of each.
    """

    names: tuple[str, ...]
    channels: tuple[int, ...]


def find_stage_maps(model: ModelProto, size: int) -> StageMaps:
    """Find the last map of each of the STRIDES in a network that takes size x size pixels.

    Raises
    ------
    BackboneError
        Where it has no such maps.
    """
    import onnx

    from medloupe.graphs.nodes import read_constants

    inferred = onnx.shape_inference.infer_shapes(model)
    shapes = {
        v.name: [d.dim_value for d in v.type.tensor_type.shape.dim]
        for v in (*inferred.graph.value_info, *inferred.graph.output)
    }
    held = read_constants(model)
    names, channels = [], []
    for stride in STRIDES:
        # linear outputs of blocks: what is expanded or clipped within a block, or pooled, is none
        found = [
            node.output[0]
            for node in model.graph.node
            if node.op_type in ("Conv", "Add")
            and node.output[0].endswith(("_project", "_sum"))
            and node.output[0] not in held
            and shapes.get(node.output[0], [0, 0, 0, 0])[2:] == [size // stride] * 2
        ]
        if not found:
            raise BackboneError(
                "This network has no maps of several resolutions to find places with.",
                "Leave --backbone out, or choose one of the EfficientNet-Lite backbones.",
            )
        names.append(found[-1])
        channels.append(shapes[found[-1]][1])
    return StageMaps(names=tuple(names), channels=tuple(channels))


def resize_card(card: BackboneCard, size: int) -> BackboneCard:
    """Describe a backbone that takes size x size pixels in place of its own size."""
    own = card.input_size
    places = (round(card.places[0] * size / own), round(card.places[1] * size / own))
    c, h, w = card.cut
    return replace(card, input_size=size, places=places, cut=(c, round(h * size / own), round(w * size / own)))


def resize_network(model: ModelProto, size: int) -> ModelProto:
    """Copy a backbone's graph for pictures of size x size pixels. Its weights stay as they are."""
    import onnx

    out = onnx.ModelProto()
    out.CopyFrom(model)
    own = out.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    for axis in (1, 2):
        out.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = size
    for value in out.graph.output:
        for d in value.type.tensor_type.shape.dim[2:]:
            d.dim_value = round(d.dim_value * size / own)
    del out.graph.value_info[:]
    return out


def resize_backbone(backbone: Backbone, size: int) -> Backbone:
    """Give a backbone for pictures of size x size pixels; its file is made once, in the cache.

    Raises
    ------
    BackboneError
        Where size is no multiple of 32, or the network cannot be used at another size.
    """
    import onnx

    if size == backbone.card.input_size:
        return backbone
    if size % STRIDES[-1] or size <= 0:
        raise BackboneError(f"{size} pixels are no multiple of {STRIDES[-1]}.", "Choose 224, 256, 288 … 640.")
    path = home() / "cache" / "backbones" / f"{backbone.card.name}-{backbone.sha256[:16]}-{size}.onnx"
    if not path.exists():
        made = resize_network(onnx.load(backbone.path, load_external_data=False), size)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, made.SerializeToString(deterministic=True))
    return Backbone(card=resize_card(backbone.card, size), path=path, sha256=sha256_of(path))


def expose_maps(model: ModelProto, names: Sequence[str]) -> bytes:
    """Give a network as bytes, with values of its graph among its outputs."""
    from onnx import ModelProto, TensorProto, helper

    out = ModelProto()
    out.CopyFrom(model)
    known = {v.name for v in out.graph.output}
    out.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names if name not in known
    )
    return out.SerializeToString()
