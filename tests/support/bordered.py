"""A disc in an empty border, as a picture, and heat maps to lay over it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from medloupe.model.heatmaps import STRONGEST


def disc(border: int = 0, size: int = 200) -> np.ndarray:
    """A textured disc in an empty border."""
    y, x = np.mgrid[:size, :size] - size / 2
    random = np.random.default_rng(1)
    inside = np.hypot(x, y) < 0.3 * size
    return np.where(inside, random.integers(70, 200, (size, size)), border).astype(np.uint8)


def overlay(x: int, y: int, size: int = 200, most: int = STRONGEST) -> bytes:
    """Strongest around (x, y)."""
    rows, columns = np.mgrid[:size, :size]
    near = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 12.0**2))
    image = Image.new("RGBA", (size, size), (214, 59, 29, 0))
    image.putalpha(Image.fromarray((near * most).astype(np.uint8)))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def jpeg(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG")
    return out.getvalue()
