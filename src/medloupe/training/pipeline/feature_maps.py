"""Render what the network looks at, stage by stage, for one image: its feature maps as small pictures.

A convolutional network looks at a picture through filters, stage after stage: each stage has more filters than the one
before, on a coarser grid. For every stage the filters that answered most differently across the picture are drawn,
bright where they found what they look for. Source: Zeiler & Fergus, "Visualizing and Understanding Convolutional
Networks" (ECCV 2014), here the activations alone, without deconvolution.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.graphs.session import open_session
from medloupe.imaging.decode import load
from medloupe.model import heatmaps
from medloupe.model.head import Head
from medloupe.training.pipeline.examples import find_content_box
from medloupe.utils.datauri import data_uri, jpeg_uri

if TYPE_CHECKING:
    from medloupe.embed.tail import Tail

TILES = 8  # filters shown a stage
_SIDE = 56  # pixels of the largest tile: finer grids are averaged down
_BLOCK = re.compile(r"block(\d+)_(project|sum)")
_LAST = "last_map_relu6"
# viridis (Smith & van der Walt, 2015, CC0), at nine places: even in lightness, also for the colour-blind
_VIRIDIS = (
    (68, 1, 84),
    (71, 44, 122),
    (59, 81, 139),
    (44, 113, 142),
    (33, 144, 141),
    (39, 173, 129),
    (92, 200, 99),
    (170, 220, 50),
    (253, 231, 37),
)
_LEVELS = 64  # of the palette: fewer make smaller files

_WORDS = (
    "Edges and changes of brightness. The picture can still be recognised.",
    "Lines of one direction and fine structures.",
    "Corners, repeated patterns, textures.",
    "Textures and their borders, seen together.",
    "Larger patterns. Fine-tuning of the upper third begins behind this stage.",
    "Combinations of patterns. What is left of places is coarse.",
    "Coarse answers to rather particular questions.",
)
_LAST_WORDS = "The last maps. Averaged over all places, they are the numbers that the head weighs."


class StageOutput(NamedTuple):
    """What comes out of one stage.

    Attributes
    ----------
    name : str
        Of the stage, for people.
    value : str
        Of its output in the ONNX graph.
    """

    name: str
    value: str


def render_stages(
    pixels: np.ndarray,
    backbone: Backbone,
    head: Head,
    label: int,
    *,
    labels: Sequence[str] = (),
    tail: Tail | None = None,
    box: tuple[int, int, int, int] | None = None,
    file: str = "",
) -> dict[str, Any] | None:
    """Render the part `stages` of a report for one image.

    Parameters
    ----------
    pixels : np.ndarray
        uint8 (S, S, 3), as the network gets it.
    backbone, head, tail
        Of the model.
    label : int
        Whose heat map ends the series.
    labels : sequence of str
        Names of the head's rows.
    box : tuple of int, optional
        Left, top, right, bottom of the picture without its padding; filters are chosen by what they answer within.
    file : str
        What the image is called.

    Returns
    -------
    dict or None
        All pictures are data URIs, at most about 100 kB together. None for a backbone whose graph does not name its
        stages.

    Raises
    ------
    ModelFileError
        When the network cannot be run.
    """
    named = find_stage_outputs(backbone.path)
    if not named:
        return None
    values = _run_stages(backbone.path, [s.value for s in named], pixels)
    maps = values.pop("map")
    rows = [(s.name, values[s.value][0]) for s in named]
    if tail is not None:
        upper = np.asarray(open_session(tail.path, threads=1).run(["map"], {"cut": values["cut"]})[0])
        maps = np.concatenate([upper, maps[:, upper.shape[1] :]], axis=1)
        rows = _replace_tuned_stages(rows, upper[0])
    size = pixels.shape[0]
    shown = []
    for (name, answer), words in zip(rows, (*_WORDS[: len(rows) - 1], _LAST_WORDS), strict=True):
        inside = _find_content_slices(box, size, answer.shape)
        tiles = [_render_tile(answer[c], inside) for c in _pick_filters(answer[:, *inside])]
        shown.append({"name": name, "shape": list(answer.shape), "words": words, "tiles": tiles})
    found = heatmaps.label_evidence(heatmaps.map_contributions(head, maps)[0], label, head.task)
    return {
        "file": file,
        "label": labels[label] if labels else "",
        "size": size,
        "tuned": tail is not None,
        "image": jpeg_uri(pixels),
        "rows": shown,
        "heatmap": data_uri(heatmaps.draw_overlay(found, size), "image/png") if found.max() > 0 else None,
    }


def render_report_stages(
    features: Features, shown: Mapping[str, Any], head: Head, backbone: Backbone, tail: Tail | None = None
) -> dict[str, Any] | None:
    """Render the part `stages` of a training's report, of its first right answer, or of its first error without one.

    Parameters
    ----------
    features : Features
        Of all readable records.
    shown : mapping
        The part `examples` of the report.
    head, backbone, tail
        Of the model.

    Returns
    -------
    dict or None
        None where it shows no image, or the backbone does not name its stages.
    """
    first = next((e for part in ("right", "wrong") for e in shown.get(part) or []), None)
    rows = {record.id: i for i, record in enumerate(features.data.records)}
    if first is None or first["file"] not in rows or not EMBEDDINGS[features.data.modality].staged:
        return None
    row, size, labels = rows[first["file"]], backbone.card.input_size, features.data.labels
    facts = features.facts[row]
    return render_stages(
        load(features.data.records[row].picture, size),
        backbone,
        head,
        labels.index(first["heatmap_label"]),
        labels=labels,
        tail=tail,
        box=find_content_box(int(facts["width"]), int(facts["height"]), size),
        file=first["file"],
    )


def find_stage_outputs(path: Path) -> list[StageOutput]:
    """Find the stages of a backbone that embed/lite.py named, in order, and last its last map; [] for any other.

    A stage ends before a block that adds no shortcut, because the first block of every stage, and no other, changes
    the width.
    """
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    made = {name for node in graph.node for name in node.output}
    blocks: dict[int, set[str]] = {}
    for name in made:
        if match := _BLOCK.fullmatch(name):
            blocks.setdefault(int(match[1]), set()).add(match[2])
    if not blocks or _LAST not in made or sorted(blocks) != list(range(len(blocks))):
        return []
    ends = [i for i in range(len(blocks)) if i + 1 == len(blocks) or "sum" not in blocks[i + 1]]
    if len(ends) != len(_WORDS):
        return []
    found = [
        StageOutput(f"Stage {n}", f"block{i}_{'sum' if 'sum' in blocks[i] else 'project'}")
        for n, i in enumerate(ends, 1)
    ]
    return [*found, StageOutput("Last map", _LAST)]


def _run_stages(path: Path, names: Sequence[str], pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Read values inside the graph, and `map` and `cut`, for one image (S, S, 3); on a copy of the graph in memory."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(path, load_external_data=False)
    asked = [*names, "map", "cut"]
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in asked)
    network = open_session(model.SerializeToString(), threads=1)
    return dict(zip(asked, map(np.asarray, network.run(asked, {"image": pixels[None]})), strict=True))


def _replace_tuned_stages(rows: list[tuple[str, np.ndarray]], upper: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Replace the stages above the cut by what a tail sees: its map (U, h, w) holds the last map, then the others."""
    told = list(rows)
    at = 0
    for i in reversed(range(len(rows))):
        width = len(rows[i][1])
        if at + width > len(upper) or rows[i][1].shape[1:] != upper.shape[1:]:
            break
        told[i] = (rows[i][0], upper[at : at + width])
        at += width
    return told


def _find_content_slices(
    box: tuple[int, int, int, int] | None, size: int, shape: tuple[int, ...]
) -> tuple[slice, slice]:
    """Find the places of a grid (C, h, w) wholly in the picture: padding answers loudly, but nobody asks it."""
    _, h, w = shape
    left, top, right, bottom = box or (0, 0, size, size)
    rows = slice(-(-top * h // size), max(bottom * h // size, -(-top * h // size) + 1))
    columns = slice(-(-left * w // size), max(right * w // size, -(-left * w // size) + 1))
    return rows, columns


def _pick_filters(answer: np.ndarray) -> list[int]:
    """Pick the filters of (C, h, w) that differ most from place to place, those first; no two nearly the same."""
    flat = answer.reshape(len(answer), -1)
    centred = flat - flat.mean(1, keepdims=True)
    spread = np.sqrt((centred**2).mean(1))
    chosen: list[int] = []
    for c in np.argsort(-spread, kind="stable").tolist():
        if spread[c] <= 1e-6 or len(chosen) == TILES:
            break
        alike = (abs(float(centred[c] @ centred[d])) / (spread[c] * spread[d] * flat.shape[1]) for d in chosen)
        if all(likeness < 0.9 for likeness in alike):
            chosen.append(c)
    return chosen


def _render_tile(answer: np.ndarray, inside: tuple[slice, slice]) -> str:
    """Render one filter's answer (h, w) as a picture: dark where it is least inside, bright where it is most."""
    low, high = np.quantile(answer[inside], (0.01, 0.99))
    if high - low < 1e-9:  # one place alone stands out
        low, high = float(answer[inside].min()), float(answer[inside].max())
    k = max(1, -(-answer.shape[0] // _SIDE))
    h, w = (n // k * k for n in answer.shape)
    small = answer[:h, :w].reshape(h // k, k, w // k, k).mean((1, 3))
    scaled = np.clip((small - low) / max(high - low, 1e-9), 0, 1) * (_LEVELS - 1)
    image = Image.fromarray(np.rint(scaled).astype(np.uint8))
    image.putpalette(_palette())
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return data_uri(out.getvalue(), "image/png")


def _palette() -> list[int]:
    at = np.linspace(0, len(_VIRIDIS) - 1, _LEVELS)
    channels = [np.interp(at, np.arange(len(_VIRIDIS)), [c[i] for c in _VIRIDIS]) for i in range(3)]
    return np.rint(np.stack(channels, 1)).astype(int).ravel().tolist()
