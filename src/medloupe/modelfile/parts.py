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
from medloupe.model.boxes import Detector
from medloupe.model.head import Head
from medloupe.model.novelty import Novelty
from medloupe.model.sight import SharedSight

if TYPE_CHECKING:
    from medloupe.inputs.extras import Extras

_EXTRAS, _DETECTOR = "extras", "detector"


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


def head_bytes(
    head: Head,
    novelty: Novelty | None,
    extras: Extras | None = None,
    detector: Detector | None = None,
    sight: SharedSight | None = None,
) -> bytes:
    """Write head, novelty, extras, detector and sight as one .npz.

    A model without the latter four gives the bytes that it always gave.
    """
    out = io.BytesIO()
    more: dict[str, Any] = {} if novelty is None else novelty.as_arrays()
    if extras is not None:
        text = json.dumps(extras.as_json(), ensure_ascii=False, sort_keys=True, allow_nan=False)
        more[_EXTRAS] = np.frombuffer(text.encode(), np.uint8)
    if detector is not None:
        more |= detector_arrays(detector)
    if sight is not None:
        more |= sight.as_arrays()
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


def detector_arrays(detector: Detector) -> dict[str, np.ndarray]:
    """Give a detector as arrays by name, for an .npz beside others."""
    return {
        _DETECTOR: np.frombuffer(detector.network, np.uint8),
        f"{_DETECTOR}_most": np.array(detector.most, np.int64),
        f"{_DETECTOR}_gain": np.asarray(detector.gain, np.float32),
    }


def read_detector(stored: Mapping[str, np.ndarray]) -> Detector | None:
    """Read back what `detector_arrays` gave; None where there is none."""
    if _DETECTOR not in stored:
        return None
    network, most, gain = (stored[f"{_DETECTOR}{of}"] for of in ("", "_most", "_gain"))
    return Detector(network=network.tobytes(), most=int(most), gain=gain)


def read_detector_bytes(data: bytes) -> tuple[Detector | None, SharedSight | None]:
    """Read the detector of what `head_bytes` wrote, and its sight; None where there is none."""
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        return read_detector(stored), SharedSight.from_arrays(stored)


def read_backbone(entry: Mapping[str, Any], path: Path, sha256: str) -> Backbone:
    """Read the backbone as it was when the version was made, whatever the installed package has today."""
    card = BackboneCard.from_json(entry)
    return Backbone(card=card, path=path, sha256=sha256)
