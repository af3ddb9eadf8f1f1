"""A model's parts as the blobs that the store keeps, and back."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.backbones import Backbone, BackboneCard
from medloupe.errors import StoreError
from medloupe.model import Head
from medloupe.novelty import Novelty
from medloupe.tails import Tail


def backbone_bytes(backbone: Backbone) -> bytes:
    """The network's file. Raises StoreError when it is no longer what it was."""
    data = backbone.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != backbone.sha256:
        raise StoreError(
            f"The backbone {backbone.path} changed while it was in use; the model was not added.", "Train again."
        )
    return data


def tail_bytes(tail: Tail) -> bytes:
    """The tail's file. Raises StoreError when it is no longer what it was."""
    data = tail.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != tail.sha256:
        raise StoreError(f"The tail {tail.path} changed while it was in use; the model was not added.", "Train again.")
    return data


def head_bytes(head: Head, novelty: Novelty | None) -> bytes:
    """Head and novelty as one .npz; a model without novelty gives the bytes that it always gave."""
    out = io.BytesIO()
    more: dict[str, Any] = {} if novelty is None else novelty.as_arrays()
    np.savez(out, weight=head.weight, bias=head.bias, **more)
    return out.getvalue()


def read_head(data: bytes, task: Any) -> tuple[Head, Novelty | None]:
    """What head_bytes wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return Head(weight=stored["weight"], bias=stored["bias"], task=task), Novelty.from_arrays(stored)


def read_backbone(entry: Mapping[str, Any], path: Path, sha256: str) -> Backbone:
    """The backbone as it was when the version was made, whatever the installed package has today."""
    card = BackboneCard.from_json(entry)
    return Backbone(card=card, path=path, sha256=sha256)
