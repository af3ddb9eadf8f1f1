"""Pictures with bright discs and squares on noise, and the boxes of each: a set that a detector learns in seconds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (160, 128)  # width, height


def draw_picture(
    rng: np.random.Generator, discs: int, squares: int
) -> tuple[np.ndarray, list[tuple[str, float, float, float, float]]]:
    """Draw one picture uint8 (h, w, 3), and list label, x, y, w, h of what is on it."""
    width, height = SIZE
    pixels = rng.normal(60, 12, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    placed: list[tuple[float, float]] = []
    boxes = []
    for label in ["disc"] * discs + ["square"] * squares:
        for _ in range(50):
            r = rng.uniform(9, 15)
            cx, cy = rng.uniform(r + 1, width - r - 1), rng.uniform(r + 1, height - r - 1)
            if all(np.hypot(cx - a, cy - b) > 36 for a, b in placed):
                break
        else:
            continue
        placed.append((cx, cy))
        inside = (x - cx) ** 2 + (y - cy) ** 2 <= r**2 if label == "disc" else (abs(x - cx) <= r) & (abs(y - cy) <= r)
        pixels[inside] = (210, 90, 90) if label == "disc" else (90, 110, 220)
        boxes.append((label, cx - r, cy - r, 2 * r, 2 * r))
    return np.clip(pixels, 0, 255).astype(np.uint8), boxes


def write_discs(root: Path, pictures: int = 24, seed: int = 0, test: int = 0) -> Path:
    """Write a folder with pictures, boxes.csv and labels.csv; the last `test` pictures are its test split."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    rows, listed = [], []
    for i in range(pictures):
        pixels, boxes = draw_picture(rng, int(rng.integers(1, 4)), int(rng.integers(0, 3)))
        name = f"images/{i:03}.png"
        Image.fromarray(pixels).save(root / name)
        listed.append({"file": name, "label": "shapes", "split": "test" if i >= pictures - test else "train"})
        rows += [dict(zip(("file", "label", "x", "y", "w", "h"), (name, *box), strict=True)) for box in boxes]
    return _write_tables(root, listed, rows)


def write_sick_discs(root: Path, pictures: int = 40) -> Path:
    """One disc a picture, sick where its middle is dark: the rest of the picture says nothing of it."""
    rng = np.random.default_rng(8)
    (root / "images").mkdir(parents=True)
    labels, boxes = [], []
    for i in range(pictures):
        pixels, drawn = draw_picture(rng, 1, 1)
        pixels = pixels.copy()
        (_, x, y, w, h), name = drawn[0], f"images/{i:02}.png"
        if i % 2:
            yy, xx = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
            pixels[np.hypot(xx - x - w / 2, yy - y - h / 2) < w / 4] = (40, 20, 120)
        Image.fromarray(pixels).save(root / name)
        labels.append({"file": name, "label": "sick" if i % 2 else "healthy", "patient_id": f"p{i}"})
        boxes += [dict(zip(("file", "label", "x", "y", "w", "h"), (name, *box), strict=True)) for box in drawn]
    return _write_tables(root, labels, boxes)


LARGE = (1120, 160)  # width, height of a picture with tiny cells


def draw_cells(rng: np.random.Generator, cells: int, size: tuple[int, int] = LARGE) -> tuple[np.ndarray, np.ndarray]:
    """Draw a large picture uint8 (h, w, 3) with tiny cells of two kinds; and kind, x, y, w, h of each.

    Kind 1 has a dark middle, of some pixels alone: where the picture is shrunk both are one blot.
    """
    width, height = size
    pixels = rng.normal(60, 8, (height, width, 3))
    placed: list[tuple[float, float]] = []
    rows: list[tuple[float, ...]] = []
    while len(rows) < cells:
        r, kind = rng.uniform(7.2, 8.4), int(rng.integers(2))
        cx, cy = rng.uniform(10, width - 10), rng.uniform(10, height - 10)
        if any(np.hypot(cx - a, cy - b) < 20 for a, b in placed):
            continue
        placed.append((cx, cy))
        y0, x0 = int(cy) - 9, int(cx) - 9
        y, x = np.mgrid[y0 : y0 + 19, x0 : x0 + 19]
        part, far = pixels[y0 : y0 + 19, x0 : x0 + 19], np.hypot(x + 0.5 - cx, y + 0.5 - cy)
        part[far <= r] = (200, 90, 110)
        if kind:
            part[far <= 0.45 * r] = (50, 20, 120)
        rows.append((kind, cx - r, cy - r, 2 * r, 2 * r))
    return np.clip(pixels, 0, 255).astype(np.uint8), np.array(rows)


def write_cells(root: Path, pictures: int = 8, cells: int = 40, seed: int = 0, size: tuple[int, int] = LARGE) -> Path:
    """Write a folder of large pictures with tiny cells, two of each patient."""
    rng = np.random.default_rng(seed)
    (root / "images").mkdir(parents=True)
    listed, rows = [], []
    for i in range(pictures):
        pixels, drawn = draw_cells(rng, cells, size)
        name = f"images/{i:02}.png"
        Image.fromarray(pixels).save(root / name)
        listed.append({"file": name, "label": "cells", "patient_id": f"p{i // 2}"})
        rows += [
            dict(zip(("file", "label", "x", "y", "w", "h"), (name, ("plain", "dotted")[int(k)], *box), strict=True))
            for k, *box in drawn
        ]
    return _write_tables(root, listed, rows)


def _write_tables(root: Path, labels: list[dict[str, object]], boxes: list[dict[str, object]]) -> Path:
    for table, rows in (("labels.csv", labels), ("boxes.csv", boxes)):
        with (root / table).open("w", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return root
