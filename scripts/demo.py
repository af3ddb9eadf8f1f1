"""Trains on a folder and opens the report; without a folder, on pictures made up on the spot.

python scripts/demo.py [--name NAME] [DATA]
"""

from __future__ import annotations

import argparse
import tempfile
import webbrowser
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

import medloupe
from medloupe.cli import console
from medloupe.settings import home
from medloupe.store.models import Store

PATIENTS = 120
VIEWS = 2


def made_up(folder: Path, seed: int = 0) -> None:
    """Draws round cells, some with a dark ring inside, two pictures a patient, and a table of them."""
    rng = np.random.default_rng(seed)
    rows = ["file,label,patient_id"]
    for patient in range(PATIENTS):
        label = ("clear", "ringed")[patient % 2]
        (folder / label).mkdir(exist_ok=True)
        tint = rng.integers(-12, 12, 3)  # each slide is stained a little differently
        for view in range(VIEWS):
            name = f"{label}/p{patient:03d}_{view}.png"
            cell(rng, tint, ringed=label == "ringed").save(folder / name)
            rows.append(f"{name},{label},p{patient:03d}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")


def cell(rng: np.random.Generator, tint: np.ndarray, *, ringed: bool) -> Image.Image:
    """One cell on a noisy background, 96 x 96 px."""
    colour = tuple(int(c) for c in np.clip(np.array([222, 190, 200]) + tint, 0, 255))
    image = Image.new("RGB", (96, 96), (246, 240, 242))
    draw = ImageDraw.Draw(image)
    x, y, r = rng.uniform(42, 54), rng.uniform(42, 54), rng.uniform(26, 36)
    draw.ellipse((x - r, y - 0.9 * r, x + r, y + 0.9 * r), fill=colour)
    for ring in (True, False, False)[0 if ringed else 1 :]:  # both classes have dots inside, one a ring as well
        a, b = x + rng.uniform(-0.5, 0.5) * r, y + rng.uniform(-0.5, 0.5) * r
        s = rng.uniform(5, 9) if ring else rng.uniform(3, 6)
        ink = tuple(int(c * rng.uniform(0.7, 0.92)) for c in colour)
        draw.ellipse((a - s, b - s, a + s, b + s), outline=ink, fill=None if ring else ink, width=2)
    for _ in range(int(rng.integers(0, 4))):  # platelets and dust around
        a, b, s = rng.uniform(5, 90), rng.uniform(5, 90), rng.uniform(1, 3)
        draw.ellipse((a - s, b - s, a + s, b + s), fill=(150, 110, 160))
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.8)))
    noisy = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(4, 9), (96, 96, 1))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--name", default="demo")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = told.data or Path(temporary) / "cells"
        if told.data is None:
            folder.mkdir()
            made_up(folder)
        data = medloupe.read(folder)
        console.print_dataset(data)
        with console.progress() as say:
            model = medloupe.train(data, name=told.name, progress=say)
    place = Store.open().folder(model.name, model.version)
    console.print_model(model, place)
    print(f"  all of it lies under {home()}")
    webbrowser.open((place / "report.html").as_uri())


if __name__ == "__main__":
    main()
