"""Load the models that come with the package: check-ups trained by scripts/build_starters.py, and everyday objects.

A check-up is a folder in checkups/ (pack.py). Other installed packages bring more: each names, as an entry point of the
group `medloupe.checkups`, a package that has such a folder; medloupe-research does so. Everyday objects are the
published head of the backbone, which knows the thousand classes of ImageNet.
"""

from __future__ import annotations

import json
import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.util import find_spec
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
GROUP = "medloupe.checkups"
ELSEWHERE = ("brain_lesions", "breast-tissue", "covid", "monkeypox", "polyps", "retina", "retina-referable", "skin")
"""Names in medloupe-research, known here so that who asks for one that is not installed is told where it is."""
SHOWN = 5  # labels answered of ImageNet's thousand

_log = logging.getLogger(__name__)


@cache
def find_folders() -> dict[str, Path]:
    """Find the folders of all check-ups that are installed, by name: those of this package, then those of others.

    A name that is taken already is passed over, and so is a package that cannot be found; both are logged.
    """
    found: dict[str, Path] = {}
    places = [("medloupe", CHECKUPS)]
    for entry in sorted(entry_points(group=GROUP), key=lambda e: (e.value, e.name)):
        place = _locate(entry)
        if place is None:
            _log.warning("check-ups of %s were not found: %s cannot be imported", entry.name, entry.value)
        elif (entry.value, place) not in places:
            places.append((entry.value, place))
    for package, place in places:
        for path in sorted(place.glob("*/card.json")):
            name = path.parent.name
            if name in found or name == EVERYDAY:
                _log.warning("the check-up %s of %s is passed over: the name is taken", name, package)
            else:
                found[name] = path.parent
    return found


def _locate(entry: EntryPoint) -> Path | None:
    """Find the folder of an entry point's package without importing the package."""
    try:
        spec = find_spec(entry.value)
    except (ImportError, ValueError):
        return None
    places = spec.submodule_search_locations if spec is not None else None
    return Path(next(iter(places))) / "checkups" if places else None


def list_shipped() -> tuple[str, ...]:
    """List all that is installed with the package, by name; everyday objects last."""
    return (*sorted(find_folders()), EVERYDAY)


def tell_where(name: str) -> str:
    """Say how to get a check-up that is not installed; "" where it is, or nobody knows it."""
    if name in list_shipped() or name not in ELSEWHERE:
        return ""
    return f"{name} comes with a package of its own, for non-commercial use or research: pip install medloupe-research"


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
                tell_where(name) or did_you_mean(name, known) or "Give all, none, or some of these names.",
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
        raise StoreError(f"No model {name!r} is shipped.", tell_where(name) or f"Shipped are: {', '.join(known)}.")
    if name == EVERYDAY:
        return _everyday()
    from medloupe.starter.pack import unpack_checkup

    return unpack_checkup(find_folders()[name])


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
