"""Split models into what is kept, by hash, and assemble them again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from medloupe.embed.tail import Tail
from medloupe.errors import StorageError
from medloupe.model.bundle import Composition, Model
from medloupe.modelfile.parts import (
    backbone_bytes,
    head_bytes,
    read_backbone,
    read_detector_bytes,
    read_head,
    tail_bytes,
)
from medloupe.store.blobs import Blobs
from medloupe.store.tables import ComponentRow


def assemble_asked(blobs: Blobs, composed: Mapping[str, Any], row: ComponentRow | None) -> Composition:
    """Assemble the check-up that a composed version asks. Raises StorageError as assemble_model does."""
    if row is None:
        raise StorageError(
            "The check-up that this composed version asks is missing.",
            "Restore the database from a backup, or compose it again.",
        )
    checkup = assemble_model(blobs, row.card, row.backbone_blob, row.head_blob, row.tail_blob)
    return Composition(
        checkup=replace(checkup, onnx=checkup.backbone.path if row.whole else None),
        label=composed["label"],
    )


def assemble_model(blobs: Blobs, card: dict[str, Any], body: str, head_blob: str, tail_blob: str | None) -> Model:
    """Assemble a model from its card and its blobs. Raises StorageError when one is missing or damaged."""
    head_data = blobs.get(head_blob)
    head, novelty, extras = read_head(head_data, card["task"])
    blobs.get(body)  # whole, or it raises
    tail = None
    if tail_blob is not None:
        blobs.get(tail_blob)
        tail = Tail.from_json(card["tail"], blobs.path(tail_blob))
    backbone = read_backbone(card["backbone"], blobs.path(body), body)
    detector, sight = read_detector_bytes(head_data) if card["task"] == "detection" else (None, None)
    return Model(
        backbone=backbone,
        head=head,
        card=card,
        novelty=novelty,
        tail=tail,
        extras=extras,
        detector=detector,
        sight=sight,
    )


def split_parts(model: Model, body: bytes) -> dict[str, bytes]:
    """Split a model into what is kept, by sha256: its network, its head and, if it has one, its tail, in this order."""
    parts = [body, head_bytes(model.head, model.novelty, model.extras, model.detector, model.sight)]
    if model.tail is not None:
        parts.append(tail_bytes(model.tail))
    return {hashlib.sha256(data).hexdigest(): data for data in parts}


def split_model(model: Model) -> tuple[bool, dict[str, bytes]]:
    """Tell whether a model is one self-contained file, and split it as `split_parts` does."""
    whole = model.onnx is not None and model.backbone.path == model.onnx
    body = model.backbone.path.read_bytes() if whole else backbone_bytes(model.backbone)
    return whole, split_parts(model, body)


def name_blobs(blobs: Sequence[str]) -> dict[str, str | None]:
    """Give blobs, in the order of `split_parts`, by the columns that name them."""
    tail = blobs[2] if len(blobs) > 2 else None
    return {"backbone_blob": blobs[0], "head_blob": blobs[1], "tail_blob": tail}
