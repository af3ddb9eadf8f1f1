"""A detector that learned from tiles, made of a shipped one that is told so, and grey pictures of many small cells."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from PIL import Image

from medloupe.imaging.picture import full_side, whole_picture
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.model.large import cut_tile
from medloupe.model.novelty import Novelty
from medloupe.model.sight import SharedSight
from medloupe.model.tiling import LearnedSizes, lay_tiles
from medloupe.starter.shipped import load_shipped

SIZE = (900, 676)
_ZOOM = 3.0


def field(seed: int) -> np.ndarray:
    """Dark rings on bright ground, uint8 (h, w): in tiles they have the size of red cells, as a whole a third of it."""
    rng = np.random.default_rng(seed)
    width, height = SIZE
    shown, placed = np.full((height, width), rng.uniform(195, 225)), []
    while len(placed) < 60:
        cx, cy = rng.uniform(24, width - 24), rng.uniform(24, height - 24)
        if any(np.hypot(cx - a, cy - b) < 52 for a, b in placed):
            continue
        placed.append((cx, cy))
        y, x = np.mgrid[int(cy) - 24 : int(cy) + 24, int(cx) - 24 : int(cx) + 24]
        far, part = np.hypot(x - cx, y - cy), shown[int(cy) - 24 : int(cy) + 24, int(cx) - 24 : int(cx) + 24]
        part[far < 23] = (130 + 40 * np.exp(-((far / 10) ** 2)))[far < 23]
    return np.clip(shown + rng.normal(0, 4, shown.shape), 0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def learned_from_tiles(shared: Model) -> Model:
    """Tell the shipped detector of blood cells that it learned from tiles of such fields, and seeks red cells.

    shared: on the shared network, by which it is found; so are negatives of the fields.
    """
    shipped = load_shipped("blood_cells")
    card = {k: v for k, v in shipped.card.items() if k != "quality"}
    told = card["detection"]["learned"]
    tile = {"side": SIZE[0] / _ZOOM, "zoom": _ZOOM, "same": "share"}
    pictures = {"low": SIZE[0], "median": SIZE[0], "high": SIZE[0]}
    card["detection"] = {**card["detection"], "learned": {**told, "longer_side": pictures, "tile": tile}}
    card["roles"] = {"labels": {"RBC": {"role": "sought", "danger": 1}}}
    learned = LearnedSizes.from_card(card, shipped.backbone.card.input_size)
    assert learned is not None and learned.in_tiles
    asked, sees = Predictor(replace(shipped, card=card)), Predictor(shared)
    wholes, tiles, groups = [], [], []
    for seed in range(32):
        pixels = field(seed)
        wholes += [sees.embedding(pixels), sees.embedding(255 - pixels)]
        full = whole_picture(Image.fromarray(pixels).convert("RGB")).fit(full_side(*SIZE))
        grid = lay_tiles(*SIZE, _ZOOM, learned)
        corners = grid.corners[np.random.default_rng(seed).choice(len(grid.corners), 2, replace=False)]
        tiles.append(np.stack([cut_tile(full, *SIZE, c, grid.spans, learned.size) for c in corners]))
        groups += [seed, seed]
    novelty = Novelty.fit(asked.run_shared(np.concatenate(tiles)), np.array(groups), shipped.backbone.card.levels)
    sight = Novelty.fit(np.stack(wholes), np.array(groups), shared.backbone.card.levels)
    assert novelty is not None and sight is not None
    return replace(
        shipped, card=card, novelty=novelty, sight=SharedSight(novelty=sight, network=shared.backbone.sha256)
    )
