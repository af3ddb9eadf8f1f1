"""Pack a check-up as the package ships it: its card, its head and, where it has one, its tail, in few bytes.

    card.json     the evaluation passport
    head.npz      head, novelty, extras and what finds boxes, as the store keeps them
    tail.npz      what tuning changed, as whole numbers of few bits, each output channel with a scale of its own

The tail's graph is that of the backbone, and its weights are near the backbone's, so only the differences are kept, and
coarsely: a third of the size of the ONNX file that runs, which is written under the home folder when the check-up is
first used. So is the file of a detector (whole.py), which is packed without the network that it shares.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.backbone import Backbone
from medloupe.embed.maps import resize_card
from medloupe.embed.registry import BACKBONES, backbone
from medloupe.embed.tail import Tail, extract_upper_part, load_graph, write_tail
from medloupe.errors import BackboneError, StoreError
from medloupe.model.bundle import Model
from medloupe.modelfile.parts import head_bytes, read_detector_bytes, read_head
from medloupe.settings import home
from medloupe.starter.whole import require_shared_network, write_whole
from medloupe.utils.files import sha256_of, write_atomically

if TYPE_CHECKING:
    from onnx import ModelProto

CARD, HEAD, TAIL = "card.json", "head.npz", "tail.npz"
FEWEST = 256  # numbers; a smaller tensor is kept as it is
STEPS = (31, 127)  # of a difference, up and down: six bits, which pack well, or eight
_SCALE, _WHOLE = "scale:", "whole:"


def pack_checkup(model: Model, folder: Path, steps: int = STEPS[0]) -> Model:
    """Write a model on a backbone that comes with the package into a folder.

    Parameters
    ----------
    model : Model
        The model.
    folder : Path
        Made where it is missing.
    steps : int
        To how many steps in each direction a tail's weights are rounded, at most 127; more are more exact and larger.

    Returns
    -------
    Model
        As it will be read from there. Its probabilities may differ a little from those it had: a tail's weights are
        rounded.

    Raises
    ------
    StoreError
        For a model on another backbone, whose network would have to be shipped too.
    """
    known = BACKBONES.get(model.backbone.card.name)
    usual = backbone(known.name) if known is not None and known.file else backbone()
    if model.detector is not None:
        require_shared_network(model, usual)
    elif model.backbone.sha256 != usual.sha256:
        raise StoreError(
            f"{model.name} has a network of its own ({model.backbone.card.name}); only check-ups on networks that come"
            " with the package are shipped.",
            "Train it with --finetune tail or none.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / TAIL).unlink(missing_ok=True)
    card = {**model.card, "version": None, "backbone": _describe_network(model, usual)}
    if model.tail is not None:
        import onnx

        stored = _encode_differences(onnx.load(model.tail.path, load_external_data=False), usual, steps)
        write_atomically(folder / TAIL, stored)
        card["tail"] = _write_tail_file(_restore_graph(stored, usual)).as_json()
    stored = head_bytes(model.head, model.novelty, model.extras, model.detector, model.sight)
    write_atomically(folder / HEAD, _deflate(stored) if model.detector is not None else stored)
    write_atomically(folder / CARD, card_bytes(card))
    return unpack_checkup(folder)


def card_bytes(card: Mapping[str, Any]) -> bytes:
    """Write a card as a folder has it: JSON as UTF-8, in few bytes, the same for the same card."""
    return json.dumps(card, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def unpack_checkup(folder: Path) -> Model:
    """Read the check-up in a folder that `pack_checkup` wrote.

    Raises
    ------
    StoreError
        When a part of it is missing or damaged.
    """
    try:
        card = json.loads((folder / CARD).read_text("utf-8"))
        usual = backbone(str(card["backbone"]["name"]))
        stored = (folder / HEAD).read_bytes()
        head, novelty, extras = read_head(stored, card["task"])
        detector, sight = read_detector_bytes(stored) if card["task"] == "detection" else (None, None)
        if card["backbone"]["sha256"] != usual.sha256:
            raise ValueError(f"it belongs to another network than the installed {usual.card.name}")
        tail, graph = _find_tail(card["tail"]) if card.get("tail") else None, None
        if card.get("tail") and tail is None:
            graph = _restore_graph((folder / TAIL).read_bytes(), usual)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, BackboneError) as e:
        raise StoreError(f"The shipped check-up {folder.name} cannot be read: {e}.", "Install medloupe again.") from e
    if graph is not None:
        tail = _write_tail_file(graph)
    model = Model(
        backbone=usual,
        head=head,
        card=card,
        novelty=novelty,
        tail=tail,
        extras=extras,
        detector=detector,
        sight=sight,
    )
    return model if detector is None else write_whole(model, usual, _folder())


def _describe_network(model: Model, usual: Backbone) -> dict[str, Any]:
    """Describe the shared network, of a detector at the size at which it looks."""
    size = model.backbone.card.input_size
    return (usual if model.detector is None else replace(usual, card=resize_card(usual.card, size))).as_json()


def _deflate(stored: bytes) -> bytes:
    """Compress an .npz. A detector's head is mostly zeros."""
    out = io.BytesIO()
    with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
        np.savez_compressed(out, allow_pickle=False, **{name: arrays[name] for name in arrays})
    return out.getvalue()


def _find_tail(entry: Mapping[str, Any]) -> Tail | None:
    """Find the tail's file, if it was written before and is whole."""
    path = _folder() / f"{entry['sha256'][:32]}.onnx"
    if not path.is_file() or sha256_of(path) != entry["sha256"]:
        return None
    return Tail.from_json(entry, path)


def _write_tail_file(graph: ModelProto) -> Tail:
    """Write the tail's file. Raises StoreError where it cannot be."""
    try:
        return write_tail(graph, _folder())
    except OSError as e:
        raise StoreError(
            f"{_folder()} cannot be written: {e.strerror or e}.", "Choose another place with --home or MEDLOUPE_HOME."
        ) from e


def _folder() -> Path:
    return home() / "cache" / "starters"


def _encode_differences(tail: ModelProto, network: Backbone, steps: int) -> bytes:
    """Compute a tail's weights less the backbone's, as .npz bytes.

    They are int8 with a float32 scale an output channel; small tensors stay as they are.
    """
    base = _read_weights(extract_upper_part(load_graph(network)))
    arrays: dict[str, np.ndarray] = {}
    for name, w in _read_weights(tail).items():
        if w.size < FEWEST or w.ndim < 2 or w.dtype.kind != "f":
            arrays[_WHOLE + name] = w
            continue
        apart = (w.astype(np.float32) - base[name]).reshape(len(w), -1)
        scale = np.maximum(np.abs(apart).max(1), 1e-12) / steps
        arrays[_SCALE + name] = scale.astype(np.float32)
        arrays[name] = np.rint(apart / scale[:, None]).astype(np.int8).reshape(w.shape)
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def _read_weights(graph: ModelProto) -> dict[str, np.ndarray]:
    from onnx import numpy_helper

    return {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}


def _restore_graph(stored: bytes, network: Backbone) -> ModelProto:
    from onnx import numpy_helper

    graph = extract_upper_part(load_graph(network))
    with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
        for tensor in graph.graph.initializer:
            base = numpy_helper.to_array(tensor)
            w = _restore_weights(arrays, tensor.name, base)
            if w.shape != base.shape:
                raise ValueError(f"the tail's {tensor.name} has the shape {w.shape} instead of {base.shape}")
            tensor.CopyFrom(numpy_helper.from_array(w.astype(base.dtype), tensor.name))
    return graph


def _restore_weights(arrays: Mapping[str, np.ndarray], name: str, base: np.ndarray) -> np.ndarray:
    if _WHOLE + name in arrays:
        return arrays[_WHOLE + name]
    scale = arrays[_SCALE + name].reshape(-1, *[1] * (base.ndim - 1))
    return base.astype(np.float32) + arrays[name] * scale
