"""Keep a model's parts as the blobs that the store keeps, and read them back."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.embed.backbone import Backbone, BackboneCard
from medloupe.embed.tail import Tail
from medloupe.errors import StoreError
from medloupe.model.head import Head
from medloupe.model.novelty import Novelty

if TYPE_CHECKING:
    from medloupe.inputs.extras import Extras

_EXTRAS = "extras"


def backbone_bytes(backbone: Backbone) -> bytes:
    """Read the network's file. Raises StoreError when it is no longer what it was."""
    data = backbone.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != backbone.sha256:
        raise StoreError(
            f"The backbone {backbone.path} changed while it was in use; the model was not added.", "Train again."
        )
    return data


def tail_bytes(tail: Tail) -> bytes:
    """Read the tail's file. Raises StoreError when it is no longer what it was."""
    data = tail.path.read_bytes()
    if hashlib.sha256(data).hexdigest() != tail.sha256:
        raise StoreError(f"The tail {tail.path} changed while it was in use; the model was not added.", "Train again.")
    return data


def head_bytes(head: Head, novelty: Novelty | None, extras: Extras | None = None) -> bytes:
    """Write head, novelty and extras as one .npz.

    A model without the latter two gives the bytes that it always gave.
    """
    out = io.BytesIO()
    more: dict[str, Any] = {} if novelty is None else novelty.as_arrays()
    if extras is not None:
        text = json.dumps(extras.as_json(), ensure_ascii=False, sort_keys=True, allow_nan=False)
        more[_EXTRAS] = np.frombuffer(text.encode(), np.uint8)
    np.savez(out, weight=head.weight, bias=head.bias, **more)
    return out.getvalue()


def read_head(data: bytes, task: Any) -> tuple[Head, Novelty | None, Extras | None]:
    """Read what head_bytes wrote."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        head = Head(weight=stored["weight"], bias=stored["bias"], task=task)
        extras = None
        if _EXTRAS in stored:
            from medloupe.inputs.extras import Extras

            extras = Extras.from_json(json.loads(stored[_EXTRAS].tobytes()))
        return head, Novelty.from_arrays(stored), extras


def read_backbone(entry: Mapping[str, Any], path: Path, sha256: str) -> Backbone:
    """Read the backbone as it was when the version was made, whatever the installed package has today."""
    card = BackboneCard.from_json(entry)
    return Backbone(card=card, path=path, sha256=sha256)
