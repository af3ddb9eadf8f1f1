"""Embeddings of made-up kinds of picture."""

from __future__ import annotations

import numpy as np

LEVELS = (400, 200, 300)


def embeddings(n: int, seed: int, kind: int = 0, levels: tuple[int, ...] = LEVELS) -> np.ndarray:
    """As a ReLU network gives them: a pattern of the kind, a few directions in which images differ, and noise."""
    of_kind = np.random.default_rng(kind)
    d = sum(levels)
    pattern, ways = of_kind.gamma(0.5, 1, d), of_kind.normal(0, 0.3, (5, d))
    rng = np.random.default_rng(1000 + seed)
    x = pattern + rng.normal(size=(n, 5)) @ ways + rng.normal(0, 0.2, (n, d))
    return np.maximum(x, 0).astype(np.float32)
