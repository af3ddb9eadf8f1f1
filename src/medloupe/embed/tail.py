"""Split, join and keep tails: the upper stages of a backbone, tuned for one task, above the cut that all models share.

A tail is an ONNX file with the input `cut` float32 (N, C, H, W), the backbone's output of that name, and the outputs
`map` float32 (N, U, h, w) and `embedding` float32 (N, U). They take the place of the first U numbers of the backbone's
own map and embedding: those made above the cut. The levels made below it stay as they are, and with them everything
that knows a picture's kind, so that models with different tails still share one backbone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import FinetuneError

if TYPE_CHECKING:
    from onnx import ModelProto

    from medloupe.embed.backbone import Backbone, BackboneCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """A tail at hand. width: U. path: its ONNX file. sha256: of the file, in hex."""

    path: Path
    sha256: str
    width: int

    def as_json(self) -> dict[str, Any]:
        """Describe the tail for the card of a model."""
        return {"sha256": self.sha256, "width": self.width}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any], path: Path) -> Tail:
        """Read back what `as_json` gave, with the file's present place."""
        return cls(path=path, sha256=str(entry["sha256"]), width=int(entry["width"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class UpperPart:
    """Where a backbone divides.

    Attributes
    ----------
    given : str
        Name of the value at the cut.
    levels : tuple of str
        Names of the parts of `map` above it, in their order, each (N, c, h, w).
    width : int
        U, the channels of these together.
    """

    given: str
    levels: tuple[str, ...]
    width: int


def list_lower_levels(card: BackboneCard, width: int) -> tuple[int, ...]:
    """List how the last D - width numbers of an embedding divide: the levels that a tail does not touch."""
    rest, left = [], width
    for level in card.levels:
        taken = min(left, level)
        left -= taken
        if level > taken:
            rest.append(level - taken)
    return tuple(rest)


def find_upper_part(model: ModelProto) -> UpperPart:
    """Find the part of a backbone's graph above its cut.

    Raises
    ------
    FinetuneError
        Where there is none that stands by itself.
    """
    from medloupe.graphs.nodes import read_constants

    by_output = {o: n for n in model.graph.node for o in n.output}
    made = by_output.get("cut")
    given = made.input[0] if made is not None and made.op_type == "Identity" else "cut"
    joined = by_output["map"]
    parts = list(joined.input) if joined.op_type == "Concat" else ["map"]
    # a level pooled straight from the cut holds nothing that could be trained
    above = [p for p in parts if _is_trainable(by_output, p, given, set(read_constants(model)))]
    if not above or above != parts[: len(above)]:
        raise FinetuneError(
            "This backbone has no trainable stages above its cut, or they are not the first part of its map.",
            "Use --finetune full or none.",
        )
    shapes = _channels(model)
    return UpperPart(given=given, levels=tuple(above), width=sum(shapes[p] for p in above))


def has_upper_part(model: ModelProto) -> bool:
    """Tell whether `find_upper_part` finds a part that can be tuned by itself."""
    try:
        find_upper_part(model)
    except FinetuneError:
        return False
    return True


def _is_trainable(by_output: Mapping[str, Any], value: str, given: str, held: set[str]) -> bool:
    """Tell whether a convolution lies between the cut and the value, and all of the value comes through the cut."""
    found, todo = False, [value]
    seen: set[str] = set()
    while todo:
        at = todo.pop()
        if at == given or at in held or at in seen:
            continue
        seen.add(at)
        node = by_output.get(at)
        if node is None:  # the image itself: made beside the cut
            return False
        found |= node.op_type == "Conv"
        todo += node.input
    return found


def _channels(model: ModelProto) -> dict[str, int]:
    from onnx import shape_inference

    inferred = shape_inference.infer_shapes(model)
    values = (*inferred.graph.value_info, *inferred.graph.output)
    return {v.name: v.type.tensor_type.shape.dim[1].dim_value for v in values if len(v.type.tensor_type.shape.dim) > 1}


def extract_upper_part(model: ModelProto) -> ModelProto:
    """Extract the upper part of a backbone as a graph of its own, with the weights it has.

    Raises
    ------
    FinetuneError
        Where there is none that stands by itself.
    """
    from onnx import ModelProto, TensorProto, helper

    from medloupe.graphs.nodes import select_nodes

    at = find_upper_part(model)
    nodes = select_nodes(model, at.levels, [at.given])
    out = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, producer_name="medloupe")
    for node in nodes:
        out.graph.node.add().CopyFrom(node)
    for node in out.graph.node:
        node.input[:] = ["cut" if i == at.given else i for i in node.input]
    used = {i for n in nodes for i in n.input}
    out.graph.initializer.extend(t for t in model.graph.initializer if t.name in used)
    out.graph.node.append(helper.make_node("Concat", list(at.levels), ["map"], name="map", axis=1))
    out.graph.node.append(
        helper.make_node("ReduceMean", ["map"], ["embedding"], name="embedding", axes=[2, 3], keepdims=0)
    )
    dims = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim][1:] for v in model.graph.output}
    out.graph.name = "tail"
    f32 = TensorProto.FLOAT
    out.graph.input.append(helper.make_tensor_value_info("cut", f32, ["N", *dims["cut"]]))
    out.graph.output.append(helper.make_tensor_value_info("embedding", f32, ["N", at.width]))
    out.graph.output.append(helper.make_tensor_value_info("map", f32, ["N", at.width, *dims["map"][1:]]))
    return out


def merge_weights(backbone: ModelProto, tail: ModelProto) -> ModelProto:
    """Copy the backbone's graph with the tail's weights in it: what is one file computes what the two did."""
    from onnx import ModelProto

    out = ModelProto()
    out.CopyFrom(backbone)
    tuned = {t.name: t for t in tail.graph.initializer}
    for tensor in out.graph.initializer:
        if tensor.name in tuned:
            tensor.CopyFrom(tuned[tensor.name])
    return out


def write_tail(tail: ModelProto, folder: Path) -> Tail:
    """Write a tail into a folder, under its hash. Raises OSError."""
    from medloupe.utils.files import write_atomically

    data = tail.SerializeToString(deterministic=True)
    sha256 = hashlib.sha256(data).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{sha256[:32]}.onnx"
    write_atomically(path, data)
    return Tail(path=path, sha256=sha256, width=tail.graph.output[0].type.tensor_type.shape.dim[1].dim_value)


@lru_cache(maxsize=2)
def load_graph(backbone: Backbone) -> ModelProto:
    """Load the backbone's ONNX graph; not to be changed."""
    import onnx

    return onnx.load(backbone.path, load_external_data=False)


def join_outputs(of_tail: np.ndarray, of_backbone: np.ndarray) -> np.ndarray:
    """Put a tail's outputs in place of the first U numbers of the backbone's.

    Parameters
    ----------
    of_tail, of_backbone : np.ndarray
        Embeddings (N, U) and (N, D), or maps (N, U, h, w) and (N, D, h, w).
    """
    return np.concatenate([of_tail, of_backbone[:, of_tail.shape[1] :]], axis=1)
