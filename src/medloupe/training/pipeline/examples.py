"""Render pictures for the report: the worst errors and a few right answers, with their heat maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.network import Network
from medloupe.embed.tail import Tail
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import load
from medloupe.metrics.tables import Judged
from medloupe.model import heatmaps
from medloupe.model.head import Head
from medloupe.training.pipeline.drawn_examples import make_window_drawer
from medloupe.utils.datauri import data_uri, jpeg_uri

WRONG, RIGHT = 9, 6
Drawer = Callable[
    [int, int], tuple[str, str | None]
]  # of a row and a label: data URIs of picture and what lies over it
EvidenceReader = Callable[
    [np.ndarray], np.ndarray
]  # pixels (1, S, S, 3) to what each place adds to each logit (K, h, w)


def render_examples(
    features: Features, judged: Judged, rows: np.ndarray, head: Head, backbone: Backbone, tail: Tail | None = None
) -> dict[str, Any]:
    """Render the worst errors and a few right answers.

    Parameters
    ----------
    features : Features
        Of all readable records.
    judged : Judged
        The answers, given unseen.
    rows : np.ndarray
        int (n,), rows of the features that `judged` holds.
    head, backbone, tail
        Of the model that ships, whose heat maps these are.

    Returns
    -------
    dict
        Lists "wrong" and "right": of each image its file, truth, answer, and pictures as data URIs.
    """
    wrong, right = _pick(judged)
    if EMBEDDINGS[features.data.modality].overlaid:
        draw = _make_picture_drawer(features, judged.task, head, backbone, tail)
    else:
        draw = make_window_drawer(features, judged.task, head, backbone)
    return {
        "wrong": [_render_example(features, judged, rows, i, k, draw) for i, k in wrong],
        "right": [_render_example(features, judged, rows, i, k, draw) for i, k in right],
    }


def _make_picture_drawer(features: Features, task: str, head: Head, backbone: Backbone, tail: Tail | None) -> Drawer:
    """Make what draws a row of the features: the picture itself and, to lay over it, where the network looked."""
    look, size = make_evidence_reader(head, backbone, tail), backbone.card.input_size

    def draw(row: int, k: int) -> tuple[str, str | None]:
        facts = features.facts[row]
        pixels = load(features.data.records[row].picture, size)
        values = heatmaps.label_evidence(look(pixels[None]), k, task)
        box = find_content_box(int(facts["width"]), int(facts["height"]), size)
        over = data_uri(heatmaps.draw_overlay(values, size, box), "image/png") if values.max() > 0 else None
        left, top, right, bottom = box
        return jpeg_uri(pixels[top:bottom, left:right], quality=82), over

    return draw


def make_evidence_reader(head: Head, backbone: Backbone, tail: Tail | None) -> EvidenceReader:
    """Make what reads the evidence of a picture: a self-contained file has its heat maps ready, and no map."""
    opened = open_session(backbone.path, threads=1)
    if tail is None and any(o.name == "heatmap" for o in opened.get_outputs()):
        return lambda pixels: run(opened, ["heatmap"], pixels)[0][0]
    network = Network(backbone, tail, threads=1)

    def look(pixels: np.ndarray) -> np.ndarray:
        feature_map = network.see(pixels, maps=True).map
        assert feature_map is not None
        return heatmaps.map_contributions(head, feature_map)[0]

    return look


def _pick(judged: Judged) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pick (row, label announced) of the most confident errors, no two of one group, and of typical right answers."""
    answer, said, hit = _rate_answers(judged)
    wrong = _take_one_a_group(np.flatnonzero(~hit)[np.argsort(-said[~hit], kind="stable")], judged.groups, WRONG)
    right: list[int] = []
    candidates = np.flatnonzero(hit)
    for k in np.unique(answer[candidates]):  # the median of each label: typical, not the best
        own = candidates[answer[candidates] == k]
        right.append(int(own[np.argsort(said[own], kind="stable")[len(own) // 2]]))
    rest = candidates[np.argsort(np.abs(said[candidates] - np.median(said[candidates])), kind="stable")]
    right = _take_one_a_group(np.array([*right, *rest.tolist()], np.int64), judged.groups, RIGHT)
    return [(i, int(answer[i])) for i in wrong], [(i, int(answer[i])) for i in right]


def _rate_answers(judged: Judged) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rate each image: the label to show (N,), how surely it was said (N,), and whether that is right (N,)."""
    p, y = judged.probabilities[0], judged.targets
    if judged.task == "multiclass":
        answer = judged.answers[0]
        at = np.arange(len(p))
        return answer, p[at, answer], y[at, answer] == 1
    # the statement furthest from the truth, and the finding most surely found
    error = np.where(np.isnan(y), -1, np.abs(p - np.nan_to_num(y)))
    found = np.where(y == 1, p, -1)
    sure = found.max(1) > 0.5
    return np.where(sure, found.argmax(1), error.argmax(1)), np.where(sure, found.max(1), error.max(1)), sure


def _take_one_a_group(rows: np.ndarray, groups: np.ndarray, most: int) -> list[int]:
    chosen: dict[int, int] = {}
    for i in rows.tolist():
        chosen.setdefault(int(groups[i]), i)
        if len(chosen) == most:
            break
    return list(chosen.values())


def _render_example(
    features: Features, judged: Judged, rows: np.ndarray, i: int, k: int, draw: Drawer
) -> dict[str, Any]:
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


def find_content_box(width: int, height: int, size: int) -> tuple[int, int, int, int]:
    """Find the place of a picture inside its padded square.

    Parameters
    ----------
    width, height : int
        Of the picture, in pixels.
    size : int
        Of the square, in pixels.

    Returns
    -------
    tuple of int
        Left, top, right, bottom.
    """
    longest = max(width, height)
    w, h = max(1, round(width * size / longest)), max(1, round(height * size / longest))
    left, top = (size - w) // 2, (size - h) // 2
    return left, top, left + w, top + h
