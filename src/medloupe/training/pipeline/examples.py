"""Pictures for the report: the worst errors and a few right answers, with their heat maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.network import Network
from medloupe.embed.tail import Tail
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import load
from medloupe.metrics.tables import Judged
from medloupe.model import heatmaps
from medloupe.model.head import Head

WRONG, RIGHT = 9, 6
Draw = Callable[[int, int], tuple[str, str | None]]  # of a row and a label: data URIs of picture and what lies over it
Look = Callable[[np.ndarray], np.ndarray]  # pixels (1, S, S, 3) to what each place adds to each logit (K, h, w)


def examples(
    features: Features, judged: Judged, rows: np.ndarray, head: Head, backbone: Backbone, tail: Tail | None = None
) -> dict[str, Any]:
    """{"wrong": [...], "right": [...]}; the answers are those given unseen, the heat maps are the shipped head's.

    rows: rows of the features that `judged` holds.
    """
    wrong, right = _picked(judged)
    if features.data.modality == "ecg":
        from medloupe.training.pipeline.ecg_examples import drawing

        draw = drawing(features, judged.task, head, backbone)
    else:
        draw = _drawing(features, judged.task, head, backbone, tail)
    return {
        "wrong": [_example(features, judged, rows, i, k, draw) for i, k in wrong],
        "right": [_example(features, judged, rows, i, k, draw) for i, k in right],
    }


def _drawing(features: Features, task: str, head: Head, backbone: Backbone, tail: Tail | None) -> Draw:
    """Of a picture itself and, to lay over it, where the network looked."""
    look, size = _looking(head, backbone, tail), backbone.card.input_size

    def draw(row: int, k: int) -> tuple[str, str | None]:
        facts = features.facts[row]
        pixels = load(features.data.records[row].picture, size)
        values = heatmaps.label_evidence(look(pixels[None]), k, task)
        box = content_box(int(facts["width"]), int(facts["height"]), size)
        over = _data_url(heatmaps.draw_overlay(values, size, box), "image/png") if values.max() > 0 else None
        return _data_url(_jpeg(pixels, box), "image/jpeg"), over

    return draw


def _looking(head: Head, backbone: Backbone, tail: Tail | None) -> Look:
    """A self-contained file has its heat maps ready, and no map."""
    opened = open_session(backbone.path, threads=1)
    if tail is None and any(o.name == "heatmap" for o in opened.get_outputs()):
        return lambda pixels: run(opened, ["heatmap"], pixels)[0][0]
    network = Network(backbone, tail, threads=1)

    def look(pixels: np.ndarray) -> np.ndarray:
        feature_map = network.see(pixels, maps=True).map
        assert feature_map is not None
        return heatmaps.map_contributions(head, feature_map)[0]

    return look


def _picked(judged: Judged) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(row, label announced) of the most confident errors, no two of one group, and of typical right answers."""
    p, y = judged.probabilities[0], judged.targets
    if judged.task == "multiclass":
        answer = judged.answers[0]
        said = p[np.arange(len(p)), answer]
        hit = y[np.arange(len(p)), answer] == 1
    else:  # the statement furthest from the truth, and the finding most surely found
        error = np.where(np.isnan(y), -1, np.abs(p - np.nan_to_num(y)))
        answer = error.argmax(1)
        said = error.max(1)
        hit = np.zeros(len(p), bool)
        found = np.where(y == 1, p, -1)
        sure = found.max(1) > 0.5
        answer = np.where(sure, found.argmax(1), answer)
        hit |= sure
        said = np.where(sure, found.max(1), said)
    wrong = _distinct(np.flatnonzero(~hit)[np.argsort(-said[~hit], kind="stable")], judged.groups, WRONG)
    right: list[int] = []
    candidates = np.flatnonzero(hit)
    for k in np.unique(answer[candidates]):  # the median of each label: typical, not the best
        own = candidates[answer[candidates] == k]
        right.append(int(own[np.argsort(said[own], kind="stable")[len(own) // 2]]))
    rest = candidates[np.argsort(np.abs(said[candidates] - np.median(said[candidates])), kind="stable")]
    right = _distinct(np.array([*right, *rest.tolist()], np.int64), judged.groups, RIGHT)
    return [(i, int(answer[i])) for i in wrong], [(i, int(answer[i])) for i in right]


def _distinct(rows: np.ndarray, groups: np.ndarray, most: int) -> list[int]:
    chosen: dict[int, int] = {}
    for i in rows.tolist():
        chosen.setdefault(int(groups[i]), i)
        if len(chosen) == most:
            break
    return list(chosen.values())


def _example(features: Features, judged: Judged, rows: np.ndarray, i: int, k: int, draw: Draw) -> dict[str, Any]:
    truth = judged.targets[i]
    present = [name for name, v in zip(judged.labels, truth, strict=True) if v == 1]
    p = judged.probabilities[0, i]
    called = [judged.labels[k]]
    if judged.task == "multilabel":
        called = [name for name, f in zip(judged.labels, judged.flags[0, i], strict=True) if f]
    image, over = draw(int(rows[i]), k)
    return {
        "file": features.data.records[rows[i]].id,
        "truth": ", ".join(present) or "none of the findings",
        "prediction": ", ".join(called) or "none of the findings",
        "probability": float(p[k]),
        "image": image,
        "heatmap": over,
        "heatmap_label": judged.labels[k],
    }


def content_box(width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the picture inside its padded square."""
    longest = max(width, height)
    w, h = max(1, round(width * size / longest)), max(1, round(height * size / longest))
    left, top = (size - w) // 2, (size - h) // 2
    return left, top, left + w, top + h


def _jpeg(pixels: np.ndarray, box: tuple[int, int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).crop(box).save(out, "JPEG", quality=82)
    return out.getvalue()


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
