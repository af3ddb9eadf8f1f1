"""Read a self-contained model file, trusting nothing in it.

The file is ONNX: input `image` uint8 (N, S, S, 3), or `signal` float32 (N, L, T) of ECGs, and where the model reads
more, `clinical` float32 (N, F) and `notes` float32 (N, M), all zeros where nothing is given; outputs `probabilities`
and `logits` float32 (N, K), calibrated, `embedding` (N, D), `heatmap` (N, K, h, w), of detectors also `boxes` (N, M,
6); metadata `medloupe.card` (JSON), `medloupe.format` and, where it can refuse pictures of another kind,
`medloupe.novelty`, where it reads more, `medloupe.extras`. It is taken in this order, each step only when the one
before passed: the file itself, its card (medloupe.modelfile.card), the graph (medloupe.graphs.check), inputs and
outputs against the card, what it was trained on, the head against its own outputs on generated examples.

`onnx` (about 60 ms, 13 MiB) is imported by `load` only; `read_card` needs numpy, pydantic and the standard library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.modalities import EMBEDDINGS, generate_examples
from medloupe.errors import BackboneError, ModelFileError, NotOurModelError
from medloupe.model.bundle import Model
from medloupe.model.head import Head, probabilities
from medloupe.modelfile.boxes import check_boxes, extract_detector
from medloupe.modelfile.card import EXTRAS_KEY, parse_card, parse_extras, parse_novelty, read_bytes
from medloupe.modelfile.layout import (
    BOXES,
    CLINICAL,
    HEAD_BIAS,
    HEAD_WEIGHT,
    HEATMAP_TOLERANCE,
    NOTES,
    OUTPUTS,
    extract_body,
    extras_weights,
    generate_extras,
    heatmap_gap,
    model_inputs,
    model_outputs,
)

if TYPE_CHECKING:
    from onnx import ModelProto

    from medloupe.embed.backbone import Backbone, BackboneCard
    from medloupe.inputs.extras import Extras
    from medloupe.model.boxes import Detector

TRIAL_TOLERANCE = 0.01  # of a probability; as wide as half precision is allowed to be


def load(path: str | Path, *, trial: bool = True) -> Model:
    """Load the model in a self-contained ONNX file, after all checks.

    The model answers with its own file (`Model.onnx`); its head is rebuilt from the tensors `head.weight` and
    `head.bias` in the graph and, in the trial, must explain the file's own outputs. Its backbone is the installed one
    where the graph below the head is the same, node by node and weight by weight, so that embeddings and sessions can
    be shared. Else it is this very file (which has an output `embedding`, but no `map` or `cut`), under the sha256 of
    that part of the graph: what the card claims is not believed, since embeddings are cached under that hash.

    Parameters
    ----------
    path
        Of the file.
    trial
        Also run it on generated images; only leave that out for a file that has passed before.

    Raises
    ------
    ModelFileError
        The file is missing, damaged or not ONNX.
    NotOurModelError
        It is not of medloupe.
    UnsafeModelError
        It could harm (see medloupe.graphs.check).
    """
    path = Path(path)
    data = read_bytes(path)
    proto, card, head, extras = check_bytes(data, path.name)
    novelty = parse_novelty(data, card, path.name)
    detector = extract_detector(proto, len(card["labels"]), path.name) if card["task"] == "detection" else None
    if trial:
        _run_trial(data, head, extras, detector, card, path.name)
    network = _backbone(proto, path, card["backbone"])
    return Model(backbone=network, head=head, card=card, onnx=path, novelty=novelty, extras=extras, detector=detector)


def check_bytes(data: bytes, called: str) -> tuple[ModelProto, dict[str, Any], Head, Extras | None]:
    """Check all of a model file but the trial: graph, card, head and extras in its bytes. Raises as load does.

    called: the file's name for messages.
    """
    from medloupe.graphs import check

    card = parse_card(data, called)
    proto = check.parse(data, called)
    extras = parse_extras(data, card, called)
    _check_interface(proto, card, extras, called)
    head = _head(proto, card, called)
    _check_extras(proto, extras, called)
    return proto, card, head, extras


# ------------------------------------------------------------------ interface


def _check_interface(model: ModelProto, card: Mapping[str, Any], extras: Extras | None, called: str) -> None:
    """Check inputs and outputs: exactly ours, in names, order, types and sizes, with any number of images."""
    from onnx import TensorProto

    from medloupe.embed.backbone import BackboneCard

    base, k = card["backbone"], len(card["labels"])
    network = BackboneCard.from_json(base)
    taken, given = model_inputs(network, extras), model_outputs(network, k, _declared_boxes(model, card))
    first = EMBEDDINGS[base.get("modality", "image")]
    pixels = {first.input} if first.dtype == "uint8" else set[str]()
    wanted: Sequence[tuple[str, int, list[int]]] = (
        *((n, TensorProto.UINT8 if n in pixels else TensorProto.FLOAT, list(shape)) for n, shape in taken),
        *((name, TensorProto.FLOAT, dims) for name, dims in given),
    )
    values = (*model.graph.input, *model.graph.output)
    names = [v.name for v in values]
    if len(model.graph.input) != len(taken) or names != [name for name, _, _ in wanted]:
        raise NotOurModelError(
            f"{called} takes {', '.join(names[: len(model.graph.input)]) or 'nothing'} and gives"
            f" {', '.join(names[len(model.graph.input) :])}; by its card and extras a model of medloupe takes"
            f" {', '.join(name for name, _ in taken)} and gives {', '.join(name for name, _ in given)}.",
            "Export it with `medloupe export`.",
        )
    for value, (name, kind, dims) in zip(values, wanted, strict=True):
        tensor = value.type.tensor_type
        found = [d.dim_value if d.HasField("dim_value") else "N" for d in tensor.shape.dim]
        if tensor.elem_type != kind or found != ["N", *dims]:
            raise NotOurModelError(
                f"{called}: {name!r} is declared as {TensorProto.DataType.Name(tensor.elem_type).lower()} {found};"
                f" by its card ({k} labels, backbone {base['name']}) it must be"
                f" {TensorProto.DataType.Name(kind).lower()} {['N', *dims]}.",
                "The card belongs to another model, or one of the two was changed afterwards.",
            )


def _declared_boxes(model: ModelProto, card: Mapping[str, Any]) -> int | None:
    """Read how many boxes a detector's file declares; None of what is none."""
    if card["task"] != "detection":
        return None
    declared = [v.type.tensor_type.shape.dim for v in model.graph.output if v.name == BOXES]
    return declared[0][1].dim_value if declared and len(declared[0]) == 3 else 0


def _head(model: ModelProto, card: Mapping[str, Any], called: str) -> Head:
    from onnx import TensorProto, numpy_helper

    k, d = len(card["labels"]), card["backbone"]["dimension"]
    tensors = {t.name: t for t in model.graph.initializer}
    found: list[np.ndarray] = []
    for name, dims in ((HEAD_WEIGHT, [k, d]), (HEAD_BIAS, [k])):
        tensor = tensors.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT or list(tensor.dims) != dims:
            raise NotOurModelError(f"{called} has no tensor {name!r} of float32 {dims}.", "Export it with medloupe.")
        found.append(numpy_helper.to_array(tensor).astype(np.float32))
        if not np.isfinite(found[-1]).all():
            raise ModelFileError(f"{called}: {name!r} holds values that are no numbers.", "The file is damaged.")
    return Head(weight=found[0], bias=found[1], task=card["task"])


def _check_extras(model: ModelProto, extras: Extras | None, called: str) -> None:
    """Check that the tensors in the graph are those that its extras say."""
    from onnx import TensorProto, numpy_helper

    tensors = {t.name: t for t in model.graph.initializer}
    for name, expected in extras_weights(extras).items():
        tensor = tensors.get(name)
        if tensor is None or tensor.data_type != TensorProto.FLOAT or list(tensor.dims) != list(expected.shape):
            raise NotOurModelError(
                f"{called} has no tensor {name!r} of float32 {list(expected.shape)}.", "Export it with medloupe."
            )
        if not np.allclose(numpy_helper.to_array(tensor), expected, rtol=1e-5, atol=1e-7):
            raise ModelFileError(f"{called}: {name!r} is not what its {EXTRAS_KEY} says.", _DAMAGED)


def _run_trial(
    data: bytes, head: Head, extras: Extras | None, detector: Detector | None, card: Mapping[str, Any], called: str
) -> None:
    """Run the file on generated examples and hold its outputs against its own head.

    That is done as if nothing were known but the picture, and with extras.
    """
    from medloupe.embed.backbone import BackboneCard
    from medloupe.graphs.session import open_session, run

    opened = open_session(data)
    base = BackboneCard.from_json(card["backbone"])
    examples = generate_examples(base)
    alone = run(opened, OUTPUTS, examples)
    added = np.zeros_like(alone[1])
    if detector is not None:
        (boxes,) = run(opened, [BOXES], examples)
        if boxes.shape != (len(examples), detector.most, 6):
            raise ModelFileError(f"{called} gives other sizes for several images than it declares.", _DAMAGED)
        check_boxes(boxes, len(head.bias), called)
        added = detector.logits(boxes)
    _check_answers(alone, added, head, base, called)
    if extras is None:
        return
    clinical, notes = generate_extras(extras, len(examples))
    (first, _), *more = model_inputs(base, extras)
    values = {CLINICAL: clinical, NOTES: notes}
    given = run(opened, OUTPUTS, {first: examples, **{name: values[name] for name, _ in more}})
    _check_answers(given, extras.logits(clinical, notes), head, base, called)
    if not all(np.allclose(alone[i], given[i], rtol=1e-4, atol=1e-5) for i in (2, 3)):
        raise ModelFileError(f"{called}: its embedding or heat map depend on more than the picture.", _DAMAGED)


def _check_answers(
    outputs: Sequence[np.ndarray], added: np.ndarray, head: Head, base: BackboneCard, called: str
) -> None:
    """Hold outputs against the head. added: float32 (N, K), what the extras add to the logits."""
    p, logits, embedding, heatmap = outputs
    n, k = len(added), len(head.bias)
    shapes = [(n, k), (n, k), (n, base.dimension), (n, k, *base.places)]
    if [a.shape for a in outputs] != shapes:
        raise ModelFileError(f"{called} gives other sizes for several images than it declares.", _DAMAGED)
    if not all(np.isfinite(a).all() for a in outputs):
        raise ModelFileError(f"{called} answers with values that are no numbers.", _DAMAGED)
    with np.errstate(over="ignore"):
        explained = probabilities(head.logits(embedding) + added, head.task)
        apart = np.abs(np.stack([explained, probabilities(logits, head.task)]) - p).max()
    if not (apart <= TRIAL_TOLERANCE and heatmap_gap(head.bias + added, logits, heatmap) <= 10 * HEATMAP_TOLERANCE):
        raise ModelFileError(
            f"{called} contradicts itself: its head, its probabilities and its heat map do not belong together.",
            _DAMAGED,
        )


_DAMAGED = "It is damaged, or was changed after medloupe exported it."


# ------------------------------------------------------------------- backbone


def _backbone(model: ModelProto, path: Path, entry: Mapping[str, Any]) -> Backbone:
    """Take the installed backbone where the file holds the same, else the file itself."""
    from medloupe.embed.backbone import Backbone, BackboneCard
    from medloupe.embed.registry import BACKBONES, backbone

    digest = _digest(model)
    known = BACKBONES.get(entry["name"])
    if known is not None and entry["input_size"] != known.input_size:
        # at another size the same network makes other embeddings
        digest = hashlib.sha256(f"{digest}:{entry['input_size']}".encode()).hexdigest()
        known = None
    if known is not None and known.file:  # others are made on first use, which loading a file must not set off
        try:
            installed = backbone(known.name)
            if installed.sha256 == entry["sha256"] and _installed_digest(installed.path) == digest:
                return installed
        except (BackboneError, OSError):
            pass
    card = BackboneCard.from_json(entry)
    return Backbone(card=card, path=path, sha256=digest)


@lru_cache(maxsize=4)
def _installed_digest(path: Path) -> str:
    import onnx

    return _digest(onnx.load(path, load_external_data=False))


def _digest(model: ModelProto) -> str:
    return hashlib.sha256(extract_body(model).SerializeToString(deterministic=True)).hexdigest()
