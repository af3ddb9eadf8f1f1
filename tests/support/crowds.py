"""Many made-up pictures as their embeddings and thumbnails, few kinds that look alike, and planted near copies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.embed.cache import FACTS, THUMB

AXES = 64  # in which pictures differ


@dataclass(frozen=True)
class Crowd:
    """embeddings float32 (N, D); facts (N,) of FACTS; planted: pairs (M, 2) of a picture and its near copy."""

    embeddings: np.ndarray
    facts: np.ndarray
    planted: np.ndarray


def crowd(n: int, copies: int, dimension: int = 256, seed: int = 0, kinds: int = 4) -> Crowd:
    """The last `copies` pictures are near copies of others: a little noise and brightness; some saved again."""
    rng = np.random.default_rng(seed)
    ways = (rng.normal(size=(AXES, dimension)) / np.sqrt(AXES)).astype(np.float32)
    y, x = np.mgrid[:THUMB, :THUMB] / THUMB * np.pi
    order = sorted(((a, b) for a in range(9) for b in range(9)), key=sum)[1 : AXES + 1]
    waves = np.stack([(np.cos(a * x) * np.cos(b * y)).ravel() for a, b in order]).astype(np.float32)
    waves /= 1 + np.array([a + b for a, b in order], np.float32)[:, None]
    of_kind = rng.normal(0, 1.5, (kinds, AXES)).astype(np.float32)
    source = np.arange(n)
    source[n - copies :] = rng.choice(n - copies, copies, replace=False)
    embeddings = np.empty((n, dimension), np.float32)
    facts = np.zeros(n, FACTS)
    facts["width"], facts["height"], facts["bytes"] = 64, 64, 1000
    latent = of_kind[rng.integers(0, kinds, n)] + rng.normal(size=(n, AXES)).astype(np.float32)
    latent[n - copies :] = latent[source[n - copies :]]
    for start in range(0, n, 10_000):
        part = slice(start, min(start + 10_000, n))
        rows = np.arange(part.start, part.stop)
        copied = rows >= n - copies
        z = latent[part] + np.where(copied, 0.03, 0)[:, None] * rng.normal(size=(len(rows), AXES)).astype(np.float32)
        noise = np.where(copied & (rows % 3 == 0), 0.45, 0.25)[:, None]  # texture, which saving again changes
        embeddings[part] = np.tanh(z @ ways) + noise * rng.normal(size=(len(rows), dimension)).astype(np.float32)
        grey = z @ waves
        grey = 128 + 25 * grey + np.where(copied, 6, 0)[:, None] + rng.normal(0, 1.5, grey.shape)
        grey = np.clip(grey, 0, 255).astype(np.uint8).reshape(-1, THUMB, THUMB)
        facts["thumb"][part] = grey[..., None]
    return Crowd(embeddings, facts, np.column_stack([source[n - copies :], np.arange(n - copies, n)]))
