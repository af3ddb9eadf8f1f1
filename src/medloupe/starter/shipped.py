"""Load the models that come with the package: check-ups trained by scripts/build_starters.py, and everyday objects.

A check-up is a folder in checkups/ (pack.py). Everyday objects are the published head of the backbone, which knows
the thousand classes of ImageNet.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from medloupe.embed.registry import backbone
from medloupe.errors import MedloupeError, StoreError, did_you_mean
from medloupe.model.bundle import CARD_FORMAT, Model
from medloupe.model.head import Head
from medloupe.settings import setting
from medloupe.version import __version__

EVERYDAY = "imagenet"
CHECKUPS = Path(str(files("medloupe"))) / "starter" / "checkups"
SHOWN = 5  # labels answered of ImageNet's thousand


def list_shipped() -> tuple[str, ...]:
    """List all that the package holds, by name; everyday objects last."""
    return (*sorted(p.parent.name for p in CHECKUPS.glob("*/card.json")), EVERYDAY)


def list_offered() -> tuple[str, ...]:
    """List the models to offer here, by name: all unless MEDLOUPE_STARTERS says otherwise.

    Raises
    ------
    MedloupeError
        For an unknown name in it.
    """
    told, known = setting("MEDLOUPE_STARTERS").strip(), list_shipped()
    if told in ("all", "none"):
        return known if told == "all" else ()
    wanted = [name for part in told.split(",") if (name := part.strip())]
    for name in wanted:
        if name not in known:
            raise MedloupeError(
                f"MEDLOUPE_STARTERS names {name!r}; shipped are {', '.join(known)}.",
                did_you_mean(name, known) or "Give all, none, or some of these names.",
            )
    return tuple(name for name in known if name in wanted)


def load_everyday_head() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Load weights float16 (1000, 1280) on the last map, biases float32 (1000,) and labels of the everyday objects."""
    folder = files("medloupe") / "starter"
    labels = json.loads((folder / "imagenet-labels.json").read_text("utf-8"))
    with (folder / "imagenet.npz").open("rb") as f, np.load(f, allow_pickle=False) as stored:
        return stored["weight"].astype(np.float16), stored["bias"].astype(np.float32), tuple(labels)


@cache
def load_shipped(name: str) -> Model:
    """Load a shipped model.

    Raises
    ------
    StoreError
        For any other name.
    """
    known = list_shipped()
    if name not in known:
        raise StoreError(f"No model {name!r} is shipped.", f"Shipped are: {', '.join(known)}.")
    if name == EVERYDAY:
        return _everyday()
    from medloupe.starter.pack import unpack_checkup

    return unpack_checkup(CHECKUPS / name)


def _everyday() -> Model:
    top, bias, known = load_everyday_head()
    labels = list(known)
    network = backbone()
    weight = np.zeros((len(labels), network.card.dimension), np.float32)
    weight[:, : top.shape[1]] = top  # the published head looks at the last map only
    card = {
        "format": CARD_FORMAT,
        "medloupe": __version__,
        "name": EVERYDAY,
        "title": "Everyday objects",
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
