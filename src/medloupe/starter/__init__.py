"""The models that come with the package: the everyday objects of ImageNet."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

import numpy as np

from medloupe import __version__
from medloupe.backbones import backbone
from medloupe.errors import StoreError
from medloupe.model import CARD_FORMAT, Head, Model

NAMES = ("imagenet",)
SHOWN = 5  # labels answered of ImageNet's thousand


def everyday_head() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Weights float16 (1000, 1280) on the last map, biases float32 (1000,) and labels of the everyday objects."""
    folder = files("medloupe") / "starter"
    labels = json.loads((folder / "imagenet-labels.json").read_text("utf-8"))
    with (folder / "imagenet.npz").open("rb") as f, np.load(f, allow_pickle=False) as stored:
        return stored["weight"].astype(np.float16), stored["bias"].astype(np.float32), tuple(labels)


@cache
def load(name: str) -> Model:
    """A shipped model. Raises StoreError for any other name."""
    if name not in NAMES:
        raise StoreError(f"No model {name!r} is shipped.", f"Shipped are: {', '.join(NAMES)}.")
    top, bias, names = everyday_head()
    labels = list(names)
    network = backbone()
    weight = np.zeros((len(labels), network.card.dimension), np.float32)
    weight[:, : top.shape[1]] = top  # the published head looks at the last map only
    card = {
        "format": CARD_FORMAT,
        "medloupe": __version__,
        "name": name,
        "version": None,
        "task": "multiclass",
        "modality": "image",
        "labels": labels,
        "top_shown": SHOWN,
        "backbone": network.as_json(),
        "data": {
            "name": "ImageNet-1k (ILSVRC 2012)",
            "citation": "Russakovsky et al., International Journal of Computer Vision 115 (2015)",
        },
        "licence": "Apache-2.0 (weights)",
        "intended_use": "Everyday objects in photographs. Not for medical pictures.",
        "metrics": {},
        "limits": ["Published, not trained or judged here; its probabilities are not calibrated by medloupe."],
    }
    return Model(backbone=network, head=Head(weight=weight, bias=bias, task="multiclass"), card=card)
