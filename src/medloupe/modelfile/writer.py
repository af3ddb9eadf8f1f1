"""Write a model as one self-contained ONNX file, and prove that it answers as the training path does.

The graph is the backbone's, cut down to what the answer needs, and the head on top:

    image ─▶ backbone ─▶ map ─▶ embedding ─▶ Gemm(head.weight, head.bias) ─▶ logits ─▶ Softmax/Sigmoid ─▶ probabilities
                          └───▶ 1×1 Conv(head.weight, no bias) ─▶ heatmap

Since `embedding` is the mean of `map` over its places, mean(heatmap) + bias is the logit: the heat map is an exact
decomposition, not an estimate. What a model reads beside the picture is added: logits + clinical·Wcᵀ + notes·Wnᵀ.
A detector reads maps of the backbone, gives `boxes`, and adds what their best scores say: logits + boxes.logits.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.modalities import EMBEDDINGS, generate_examples
from medloupe.embed.tail import merge_weights
from medloupe.errors import BackboneError, ModelFileError
from medloupe.model.bundle import CARD_FORMAT, Model
from medloupe.modelfile import layout
from medloupe.modelfile.boxes import add_detector
from medloupe.modelfile.card import CARD_KEY, EXTRAS_KEY, FORMAT_KEY, NOVELTY_KEY, parse_novelty
from medloupe.modelfile.parity import measure_parity
from medloupe.modelfile.reader import check_bytes
from medloupe.utils.files import sync_folder

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

PARITY = 1e-4  # largest difference of a probability, in single precision
PARITY_SMALL = 0.01  # the same in fewer bits
_WEIGHTS = 64  # numbers from which a tensor is taken for weights; shapes and scales have fewer
_KERNEL, _KERNEL_SHAPE = "head.kernel", "head.kernel_shape"
_OF_EXTRAS = (
    layout.CLINICAL,
    layout.NOTES,
    layout.CLINICAL_WEIGHT,
    layout.NOTES_WEIGHT,
    "head.logits",
    "clinical.logits",
    "notes.logits",
)


def write_onnx(
    model: Model, path: Path, *, check_images: np.ndarray | None = None, tolerance: float | None = None
) -> float:
    """Write model as one ONNX file.

    The same model always gives the same bytes. The file appears under its name only after it was flushed to the disk,
    read back through all checks of modelfile, and compared in a fresh session.

    Parameters
    ----------
    model
        To be written.
    path
        Of the file.
    check_images
        Examples as the backbone takes them, uint8 (n, S, S, 3) or float32 (n, L, T), on which both must agree (default:
        three generated ones).
    tolerance
        Of a probability (default: PARITY).

    Returns
    -------
    float
        The largest difference of a probability to the training path.

    Raises
    ------
    ParityError
        The two disagree.
    BackboneError
        The backbone's file is missing or not of the contract.
    ModelFileError
        The parts do not fit together or the file cannot be written (nothing is left then).
    ValueError
        check_images has another shape or type.
    """
    if model.asks is not None:
        raise ModelFileError(
            f"{model.name} is composed of two models, which are no one file.",
            "Export the detector and the check-up each by itself.",
        )
    path = Path(path)
    shape, kind = model.backbone.card.input_shape, EMBEDDINGS[model.backbone.card.modality].dtype
    images = generate_examples(model.backbone.card) if check_images is None else check_images
    if images.dtype != kind or not images.ndim or not len(images) or images.shape[1:] != shape:
        wanted = f"{np.dtype(kind)} (n, {', '.join(map(str, shape))})"
        raise ValueError(f"check_images must be {wanted}, not {images.dtype} {images.shape}.")
    data = build(model).SerializeToString(deterministic=True)
    if path.is_dir():
        raise ModelFileError(f"{path} is a folder.", "Give the name of a file in it, such as model.onnx.")
    temporary = path.parent / f".medloupe-{secrets.token_hex(8)}.part"
    try:
        with temporary.open("xb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        written = temporary.read_bytes()
        parse_novelty(written, check_bytes(written, path.name)[1], path.name)
        apart = measure_parity(model, temporary, images, PARITY if tolerance is None else tolerance)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be written: {error.strerror}.", _advice(error, path, len(data))) from error
    finally:
        with contextlib.suppress(OSError):  # the folder may be what is missing
            temporary.unlink()
    return apart


def save(model: Model, path: str | Path) -> Model:
    """Write one self-contained ONNX file, checked for parity; return the model pointing to it. Raises as write_onnx."""
    write_onnx(model, Path(path))
    return replace(model, onnx=Path(path))


def build(model: Model) -> ModelProto:
    """Build the ONNX graph of a model: its backbone's body, its head, and its card as metadata.

    Raises as write_onnx does.
    """
    from onnx import TensorProto, helper, numpy_helper

    from medloupe.version import __version__

    base, head = model.backbone.card, model.head
    k, d = len(model.labels), base.dimension
    if head.weight.shape != (k, d) or head.bias.shape != (k,):
        raise ModelFileError(
            f"The head has weights {head.weight.shape} and bias {head.bias.shape}; {k} labels on the backbone"
            f" {base.name} need ({k}, {d}) and ({k},).",
            "Train the head again on embeddings of this backbone.",
        )
    if (model.detector is None) != (head.task != "detection"):
        raise ModelFileError(
            f"A model whose task is {head.task} has {'no' if model.detector is None else 'a'} detector."
        )
    if model.extras is not None and len(model.extras.weight) != k:
        raise ModelFileError(f"The extras weigh {len(model.extras.weight)} labels; the model has {k}.", "Train again.")
    card = _card_json(model)
    out = _backbone_body(model)
    if (model.card.get("precision") or {}).get("precision") == "fp16":
        _halve(out)
    graph = out.graph
    graph.name = "medloupe"
    graph.initializer.extend(
        (
            numpy_helper.from_array(np.ascontiguousarray(head.weight, np.float32), layout.HEAD_WEIGHT),
            numpy_helper.from_array(np.ascontiguousarray(head.bias, np.float32), layout.HEAD_BIAS),
            numpy_helper.from_array(np.array([k, d, 1, 1], np.int64), _KERNEL_SHAPE),
        )
    )
    if head.task != "multiclass":
        last = helper.make_node("Sigmoid", ["logits"], ["probabilities"], name="probabilities")
    else:
        last = helper.make_node("Softmax", ["logits"], ["probabilities"], name="probabilities", axis=1)
    found = [] if model.detector is None else [add_detector(graph, model.detector, k)]
    graph.node.extend(
        (
            *_logits(graph, layout.extras_weights(model.extras), found),
            last,
            helper.make_node("Reshape", [layout.HEAD_WEIGHT, _KERNEL_SHAPE], [_KERNEL], name=_KERNEL),
            helper.make_node("Conv", ["map", _KERNEL], ["heatmap"], name="heatmap", kernel_shape=[1, 1]),
        )
    )
    first = EMBEDDINGS[base.modality]
    for name, shape in layout.model_inputs(base, model.extras):
        kind = TensorProto.UINT8 if name == first.input and first.dtype == "uint8" else TensorProto.FLOAT
        graph.input.append(helper.make_tensor_value_info(name, kind, ["N", *shape]))
    most = None if model.detector is None else model.detector.most
    for name, dims in layout.model_outputs(base, k, most):
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *dims]))
    out.producer_name, out.producer_version = "medloupe", __version__
    properties = {CARD_KEY: card, FORMAT_KEY: str(CARD_FORMAT)}
    if model.novelty is not None:
        properties[NOVELTY_KEY] = json.dumps(model.novelty.as_json())
    if model.extras is not None:
        properties[EXTRAS_KEY] = json.dumps(model.extras.as_json(), ensure_ascii=False, sort_keys=True, allow_nan=False)
    helper.set_model_props(out, properties)
    return out


def _logits(graph: GraphProto, weights: Mapping[str, np.ndarray], found: Sequence[str]) -> list[NodeProto]:
    """Make the nodes of `logits`, of the embedding and the extras; weights: of these, which are added to graph.

    found: names of what else is added, float32 (N, K).
    """
    from onnx import helper, numpy_helper

    parts = ["head.logits", *found] if weights or found else ["logits"]
    nodes = [
        helper.make_node(
            "Gemm", ["embedding", layout.HEAD_WEIGHT, layout.HEAD_BIAS], parts[:1], name=parts[0], transB=1
        )
    ]
    for name, weight in weights.items():
        graph.initializer.append(numpy_helper.from_array(weight, name))
        given = name.partition(".")[0]
        nodes.append(helper.make_node("Gemm", [given, name], [f"{given}.logits"], name=f"{given}.logits", transB=1))
        parts.append(f"{given}.logits")
    if weights or found:
        nodes.append(helper.make_node("Sum", parts, ["logits"], name="logits"))
    return nodes


def _halve(model: ModelProto) -> None:
    """Store the weights in half precision, and compute with them in single precision as before.

    Processors compute slower in half precision than in single, and activations above 65,504 would overflow.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or math.prod(tensor.dims) < _WEIGHTS:
            continue
        name, value = tensor.name, numpy_helper.to_array(tensor)
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _card_json(model: Model) -> str:
    """Write the card as JSON: sorted keys, with the backbone described in full.

    JSON has no "not a number": a figure that could not be computed is written as null.
    """
    from medloupe.modelfile.schema import card_fault

    base = model.backbone
    said = model.card.get("backbone")
    described = {**(said if isinstance(said, Mapping) else {}), **base.as_json()}
    card = _to_json_types({**model.card, "backbone": described})
    fault = card_fault(card)
    if not fault and card["task"] != model.head.task:
        fault = f"says {card['task']}, but the head is {model.head.task}"
    if fault:
        raise ModelFileError(f"The model cannot be exported: its card {fault}.", "See docs/card.md for what it needs.")
    return json.dumps(card, ensure_ascii=False, sort_keys=True, allow_nan=False)


def _to_json_types(value: Any) -> Any:
    """Convert to types that JSON has."""
    if isinstance(value, Mapping):
        return {str(k): _to_json_types(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _to_json_types(value.tolist())
    if isinstance(value, list | tuple):
        return [_to_json_types(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _backbone_body(model: Model) -> ModelProto:
    """Take the part of the backbone's graph under the head; its file may also be a model exported earlier."""
    import onnx
    from google.protobuf.message import DecodeError

    path = model.backbone.path
    try:
        whole = onnx.load(path, load_external_data=False)
        if model.tail is not None:
            path = model.tail.path
            whole = merge_weights(whole, onnx.load(path, load_external_data=False))
    except (OSError, DecodeError) as error:
        raise BackboneError(f"The backbone {path} cannot be read: {error}.", "Install medloupe again.") from error
    out = layout.extract_body(whole)
    made = {name for node in out.graph.node for name in node.output}
    if lacking := {"embedding", "map"} - made:
        raise BackboneError(
            f"The backbone {path} does not compute {' and '.join(sorted(lacking))}.",
            "The contract stands at the top of medloupe/embed/registry.py.",
        )
    taken = {*made, *(t.name for t in out.graph.initializer)}
    if model.detector is not None and any(n.startswith((layout.DETECTOR_PREFIX, f"{layout.BOXES}.")) for n in taken):
        raise BackboneError(f"The backbone {path} uses names that belong to the detector.", "Rename them.")
    ours = {*layout.OUTPUTS, layout.HEAD_WEIGHT, layout.HEAD_BIAS, _KERNEL, _KERNEL_SHAPE, *_OF_EXTRAS}
    ours = ours - {"embedding"} | {layout.BOXES}
    if clash := taken & ours:
        raise BackboneError(
            f"The backbone {path} uses the names {', '.join(sorted(clash))}, which belong to the head.", "Rename them."
        )
    return out


def _advice(error: OSError, path: Path, size: int) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"The disk is full or a limit is reached; make room for {size / 1e6:.1f} MB in {path.parent}."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Choose a folder you may write to; {path.parent} is not."
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"Create the folder {path.parent} first."
    return f"Check the folder {path.parent}."
