"""Pictures of four classes, made up on the spot: tissue without marks, with dots, rings or stripes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import generated

CLASSES = ("clear", "dots", "rings", "stripes")
SIDE = 128


def mark(kind: str, number: int) -> bytes:
    """A PNG of a class, another one for every number."""
    rng = np.random.default_rng([CLASSES.index(kind), number])
    ground = generated.tissue(1000 * CLASSES.index(kind) + number, sick=False)
    picture = Image.fromarray(ground).resize((SIDE, SIDE))
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y = (int(v) for v in rng.integers(15, SIDE - 18, 2))
        r = int(rng.integers(5, 9))
        colour = tuple(int(v) for v in rng.integers(185, 240, 3))
        if kind == "dots":
            draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)
        if kind == "rings":
            draw.ellipse([x - r, y - r, x + r, y + r], outline=colour, width=3)
        if kind == "stripes":
            draw.line([x - 14, y, x + 14, y], fill=colour, width=4)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def folders(root: Path, each: int = 30, classes: tuple[str, ...] = CLASSES) -> Path:
    """A folder for each class."""
    for kind in classes:
        for number in range(each):
            path = root / kind / f"{kind}-{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(mark(kind, number))
    return root
