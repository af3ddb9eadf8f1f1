"""A check-up that knows one made-up kind of grey picture well, for asking it about negatives."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.novelty import Novelty
from medloupe.starter.shipped import load_shipped

SIZE = (200, 160)


def picture(seed: int) -> np.ndarray:
    """Bright, speckled blobs on black, uint8 (h, w)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    shown = np.zeros(x.shape)
    for _ in range(6):
        cx, cy, r = rng.uniform(40, 160), rng.uniform(30, 130), rng.uniform(10, 30)
        shown += rng.uniform(0.3, 0.8) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / r**2)
    shown *= 180 * rng.uniform(0.6, 1.0, x.shape)
    return np.clip(shown, 0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def knowing(name: str = "pneumonia") -> Model:
    """A shipped check-up that was told that such pictures are its own kind, and has no limits of quality."""
    shipped = load_shipped(name)
    asked = Predictor(shipped)
    seen = np.stack([asked.embedding(picture(seed)) for seed in range(60)])
    novelty = Novelty.fit(seen, np.arange(60), shipped.backbone.card.levels)
    assert novelty is not None
    card = {k: v for k, v in shipped.card.items() if k != "quality"}
    return replace(shipped, novelty=novelty, card=card)
