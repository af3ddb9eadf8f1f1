"""Train the head of a detector on cached maps.

Sources: Loshchilov & Hutter, "AdamW" (ICLR 2019); Smith & Topin, "Super-convergence" (2019) for the one-cycle schedule;
Tarvainen & Valpola, "Mean teachers" (2017) for the averaged weights.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.graphs.module import import_torch
from medloupe.training.detect.activations import CachedMaps
from medloupe.training.detect.network import COARSE, build_head
from medloupe.training.detect.objective import average_boxes, boxes_of, detection_loss
from medloupe.training.detect.peaks import find_peaks
from medloupe.training.detect.targets import draw_targets
from medloupe.utils.progress import Progress

BATCH = 8
WARM = 0.1  # share of the steps in which the rate rises
QUALITY_SHARE = 0.5  # power to which the said IoU enters a score


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRecipe:
    """How a head is trained.

    Attributes
    ----------
    epochs : int
        Passes over the pictures.
    rate : float
        The highest learning rate.
    decay : float
        Of the weights.
    averaged : float
        Share of the averaged weights that a step keeps.
    stride : int
        Of the map on which boxes are found.
    """

    epochs: int = 20
    rate: float = 4e-3
    decay: float = 0.05
    averaged: float = 0.995
    stride: int = COARSE


STEPS = 1200  # of a training, unless there are very few or very many pictures
FINE_SHARE = 0.75  # of these steps at stride 4, where each takes longer
EPOCHS = (6, 60)  # fewest and most passes over the pictures
FEWEST_EPOCHS = 2  # with which a training within some minutes makes sense
TRIAL = 64  # pictures by which its time is estimated


def choose_recipe(pictures: int, stride: int) -> HeadRecipe:
    """Choose how long a head is trained on so many pictures."""
    steps = STEPS * (1 if stride == COARSE else FINE_SHARE)
    epochs = int(np.clip(round(steps * BATCH / max(1, pictures)), *EPOCHS))
    return HeadRecipe(epochs=epochs, stride=stride)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Boxes found on one picture, best first: float32 (n, 4) in its pixels once fitted, scores and labels (n,)."""

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def train_head(
    cached: CachedMaps,
    rows: np.ndarray,
    classes: int,
    recipe: HeadRecipe,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Any:
    """Train a head on some pictures; the module with averaged weights.

    Parameters
    ----------
    cached : CachedMaps
        Of all pictures.
    rows : np.ndarray
        int (n,), learned from.
    classes : int
        K.
    recipe : HeadRecipe
        How.
    seed : int
        Of weights, order and views.
    progress : callable, optional
        Called with steps done, of all.
    """
    torch = import_torch()
    rng = np.random.default_rng(seed)
    mean, scale = measure_channels(cached, rows)
    head = build_head(
        [m.shape[-1] for m in cached.maps],
        classes,
        mean,
        scale,
        recipe.stride,
        seed,
    ).to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(head).eval()
    steps = max(1, math.ceil(len(rows) / BATCH)) * recipe.epochs
    decayed = [p for p in head.parameters() if p.ndim > 1]
    plain = [p for p in head.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.decay}, {"params": plain, "weight_decay": 0.0}], lr=recipe.rate
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=steps + 1, pct_start=WARM)
    head.train()
    step = 0
    turns = order_views(len(cached.sizes), cached.views, rng)
    for epoch in range(recipe.epochs):
        order = rng.permutation(rows)
        for first in range(0, len(order), BATCH):
            part = order[first : first + BATCH]
            if len(part) == 1 and len(order) > 1:
                part = np.append(part, order[0])  # batch normalisation needs more than one
            views = turns[part, epoch % cached.views]
            maps = load_maps(cached, part, views)
            targets = load_targets(cached, part, views, classes, recipe.stride)
            loss = detection_loss(*head(maps), targets, recipe.stride)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), 10.0)
            optimiser.step()
            schedule.step()
            step += 1
            _average(torch, averaged, head, min(recipe.averaged, (1 + step) / (10 + step)))
            if progress:
                progress(step, steps)
    return averaged


def order_views(pictures: int, views: int, rng: np.random.Generator) -> np.ndarray:
    """Draw in which order a picture's views are learned from, int (N, V): each once before one comes again."""
    return rng.permuted(np.tile(np.arange(views), (pictures, 1)), axis=1)


def measure_channels(cached: CachedMaps, rows: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Measure mean and scale float32 (C,) of each channel of each level, on up to 64 pictures as they are."""
    some = np.sort(rows)[:: max(1, len(rows) // 64)]
    means, scales = [], []
    for level in cached.maps:
        x = level[0][some].reshape(-1, level.shape[-1]).astype(np.float32)
        means.append(x.mean(0))
        scales.append(np.maximum(x.std(0), 0.05 * np.median(x.std(0)) + 1e-6).astype(np.float32))
    return means, scales


def load_maps(cached: CachedMaps, rows: np.ndarray, views: np.ndarray) -> list[Any]:
    """Load the maps of views of rows: of each level a tensor float32 (n, C, H, W)."""
    torch = import_torch()
    return [
        torch.from_numpy(np.stack([level[v, i] for v, i in zip(views, rows, strict=True)]).astype(np.float32)).permute(
            0, 3, 1, 2
        )
        for level in cached.maps
    ]


def load_targets(
    cached: CachedMaps, rows: np.ndarray, views: np.ndarray, classes: int, stride: int
) -> tuple[Any, Any, Any]:
    """Draw the targets of views of rows, as tensors."""
    torch = import_torch()
    drawn = [
        draw_targets(cached.boxes[v][i], cached.labels[v][i], classes, cached.size, stride)
        for v, i in zip(views, rows, strict=True)
    ]
    heat, box, weight = (
        torch.from_numpy(np.stack([getattr(t, what) for t in drawn])) for what in ("heat", "box", "weight")
    )
    return heat, box, weight


def find_boxes(head: Any, cached: CachedMaps, rows: np.ndarray, most: int) -> list[Found]:
    """Find boxes on pictures as they are."""
    torch = import_torch()
    out = []
    head.eval()
    with torch.no_grad():
        for first in range(0, len(rows), BATCH):
            part = rows[first : first + BATCH]
            heat, sides, quality = head(load_maps(cached, part, np.zeros(len(part), np.int64)))
            scores = torch.sigmoid(heat) ** (1 - QUALITY_SHARE) * torch.sigmoid(quality) ** QUALITY_SHARE
            boxes = average_boxes(torch, heat, boxes_of(torch, sides, head.stride))
            for s, b in zip(scores.numpy(), boxes.numpy(), strict=True):
                found = find_peaks(s, b, most)
                out.append(Found(boxes=found[0], scores=found[1], labels=found[2]))
    return out


def _average(torch: Any, averaged: Any, head: Any, keep: float) -> None:
    with torch.no_grad():
        for a, b in zip(averaged.state_dict().values(), head.state_dict().values(), strict=True):
            if a.dtype.is_floating_point:
                a.mul_(keep).add_(b, alpha=1 - keep)
            else:
                a.copy_(b)
