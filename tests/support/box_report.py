"""Example reports of detectors, from generated pictures and made-up detections; no patient's data.

python tests/support/box_report.py FOLDER     writes cells.html and fractures.html
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.metrics.detection import judge_detections
from medloupe.metrics.detection_curves import choose_pictures, detection_curves
from medloupe.metrics.matching import Detections, Truths
from report_example import card, jpeg


def smear(rng: np.random.Generator) -> tuple[np.ndarray, Truths]:
    """A field of red cells, now and then a white one, and platelets: 320 by 240 pixels."""
    h, w = 240, 320
    y, x = np.mgrid[0:h, 0:w].astype(float)
    image = np.stack([np.full((h, w), v) for v in (236.0, 226.0, 222.0)], -1)
    boxes, labels = [], []
    kinds = [(0, 19.0, (206, 150, 150))] * int(rng.integers(6, 19))
    kinds += [(1, 34.0, (140, 90, 160))] * int(rng.random() < 0.7) + [(2, 6.0, (150, 110, 170))] * int(
        rng.integers(0, 4)
    )
    for label, size, colour in kinds:
        r = size * rng.uniform(0.85, 1.12)
        cx, cy = rng.uniform(r, w - r), rng.uniform(r, h - r)
        if any(np.hypot(cx - (b[0] + b[2]) / 2, cy - (b[1] + b[3]) / 2) < r * 0.9 + (b[2] - b[0]) / 2 for b in boxes):
            continue
        inside = np.clip(r - np.hypot(x - cx, y - cy), 0, 2) / 2
        pale = 0.35 * np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / (0.5 * r) ** 2)) if label == 0 else 0.0
        image += (inside * (1 - pale))[..., None] * (np.array(colour) - image)
        boxes.append((cx - r, cy - r, cx + r, cy + r))
        labels.append(label)
    image += rng.normal(0, 4, image.shape)
    return np.clip(image, 0, 255), Truths(np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, int))


def bone(rng: np.random.Generator) -> tuple[np.ndarray, Truths]:
    """Two long bones on black, half of the pictures with a gap in one: 260 by 380 pixels."""
    h, w = 380, 260
    y, x = np.mgrid[0:h, 0:w].astype(float)
    image, boxes = np.full((h, w), 22.0), []
    image += 40 * np.exp(-(((x - w / 2) / 95) ** 2))
    for cx in (w * 0.38, w * 0.63):
        line = cx + 7 * np.sin(y / 90 + rng.uniform(0, 3))
        edge = np.exp(-(((np.abs(x - line) - 17) / 5) ** 2))
        image += 95 * edge + 45 * (np.abs(x - line) < 17)
        if rng.random() < 0.45:
            cy, tilt, side = rng.uniform(60, h - 60), rng.uniform(-0.5, 0.5), rng.uniform(14, 34)
            gap = np.exp(-(((y - cy - tilt * (x - cx)) / 3.2) ** 2)) * (np.abs(x - cx) < 28)
            image -= rng.uniform(50, 100) * gap
            boxes.append((cx - side, cy - side * 0.7, cx + side, cy + side * 0.7))
    image += rng.normal(0, 6, (h, w))
    return np.clip(image, 0, 255), Truths(np.array(boxes, np.float32).reshape(-1, 4), np.zeros(len(boxes), int))


def detect(rng: np.random.Generator, true: Truths, side: tuple[int, int], labels: int, wild: float) -> Detections:
    """Make marks up: the larger a box, the surer it is found; some marks lie anywhere."""
    rows, scores, names = [], [], []
    for box, label in zip(true.boxes.astype(float), true.labels, strict=True):
        size = np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
        sure = 1 / (1 + np.exp(-(size - 20) / 12 - rng.normal(0.4, 1.4)))
        if rng.random() < 0.97:
            rows.append(box + rng.normal(0, 0.055 * size, 4))
            scores.append(float(np.clip(sure, 0.02, 0.99)))
            names.append(int(label) if rng.random() < 0.97 else int(rng.integers(labels)))
    for _ in range(int(rng.poisson(wild))):
        size = rng.uniform(8, 50)
        x, y = rng.uniform(0, side[0] - size), rng.uniform(0, side[1] - size)
        rows.append(np.array([x, y, x + size, y + size]))
        scores.append(float(rng.beta(1.2, 3)))
        names.append(int(rng.integers(labels)))
    boxes = np.array(rows, np.float32).reshape(-1, 4)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 2)
    return Detections(boxes, np.array(scores), np.array(names, int))


def report(
    name: str,
    labels: list[str],
    make: Callable[[np.random.Generator], tuple[np.ndarray, Truths]],
    n: int,
    seed: int,
    wild: float,
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    made = [make(rng) for _ in range(n)]
    truths = [t for _, t in made]
    h, w = made[0][0].shape[:2]
    said = [detect(rng, t, (w, h), len(labels), wild) for t in truths]
    groups, sizes = np.arange(n) // 2, np.full((n, 2), (w, h))
    figures = judge_detections(said, truths, labels, groups, sizes, seed)
    lines = {label: row["line"] for label, row in figures["labels"].items()}
    shown = choose_pictures(said, truths, labels, lines, groups)
    for example in shown:
        i = example["index"]
        example |= {"image": jpeg(made[i][0]), "width": w, "height": h, "file": f"patient-{groups[i]:03}/{i:04}.png"}
    counts = [sum(int((t.labels == k).any()) for t in truths) for k in range(len(labels))]
    whole = card(name, "detection", labels, counts, n)
    whole |= {"detection": {"figures": figures}, "metrics": {k: figures[k] for k in ("map50", "map", "cpm")}}
    whole |= {"per_label": [], "confusion": None, "subgroups": [], "secondary": None}
    whole["audit"] |= {"shortcut": None}
    curves = detection_curves(said, truths, labels, groups, seed)
    return {"card": whole, "curves": {}, "examples": {}, "detection": {"curves": curves, "pictures": shown}}


@functools.cache
def cells() -> dict[str, Any]:
    return report("cells", ["red cell", "white cell", "platelet"], smear, 80, 3, 1.5)


@functools.cache
def fractures() -> dict[str, Any]:
    return report("fractures", ["fracture"], bone, 150, 5, 1.2)


EXAMPLES = {"cells": cells, "fractures": fractures}


if __name__ == "__main__":
    from medloupe.report.pages import render

    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for stem, example in EXAMPLES.items():
        folder.joinpath(f"{stem}.html").write_text(render(example()), "utf-8")
