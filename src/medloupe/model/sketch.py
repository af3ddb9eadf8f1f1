"""Bring embeddings to few numbers in which kinds of pictures are told apart.

They are the same for all models with the same levels. Each level's square roots are scaled to length 1 (which takes out
contrast and rare bright channels), then every number is added, with a fixed sign, into one of 512 sums. Distances
survive that nearly unchanged.

Source: Charikar et al., "Finding frequent items in data streams" (ICALP 2002).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

FORMAT = 1  # of the sketch and of what is stored with it; another number cannot be read
WIDTH = 512  # sums
_CHUNK = 4096  # embeddings sketched at once


def sketch(embedding: np.ndarray, levels: Sequence[int]) -> np.ndarray:
    """Sketch embeddings (N, D) as float32 (N, W), W = min(512, d): the same for all models with these levels.

    Parameters
    ----------
    embedding
        (N, D).
    levels
        Of the last d = sum(levels) numbers of the embedding; those before, made by a tail, are left out.
    """
    x = np.asarray(embedding, np.float32)[:, -sum(levels) :]
    roots = np.copysign(np.sqrt(np.abs(x)), x)
    ends = np.cumsum(levels)
    for begin, end in zip((0, *ends[:-1]), ends, strict=True):
        part = roots[:, begin:end]
        part /= np.sqrt(np.einsum("nd,nd->n", part, part))[:, None] + 1e-6
    order, signs = deal_order(x.shape[1])
    width = min(WIDTH, x.shape[1])
    dealt = np.zeros((len(x), -(-x.shape[1] // width) * width), np.float32)
    np.multiply(roots[:, order], signs, out=dealt[:, : x.shape[1]])
    return dealt.reshape(len(x), -1, width).sum(1)


def sketch_many(embedding: np.ndarray, levels: Sequence[int]) -> np.ndarray:
    """Sketch many embeddings (N, D) as `sketch` does, some thousand at a time: float32 (N, W)."""
    parts = [sketch(embedding[i : i + _CHUNK], levels) for i in range(0, len(embedding), _CHUNK)]
    return np.concatenate(parts).astype(np.float32, copy=False)


@lru_cache(maxsize=8)
def deal_order(dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """In which order, and with which signs, the numbers of an embedding are dealt to the sums.

    From a hash, since models keep what was fitted on it, and numpy's generators may change between versions.
    """
    stream = hashlib.shake_256(f"medloupe sketch {FORMAT} {dimension}".encode()).digest(8 * dimension)
    drawn = np.frombuffer(stream, "<u8")
    order = np.argsort(drawn, kind="stable")
    return order, np.where(drawn[order] & 1, np.float32(1), np.float32(-1))


def match_levels(own: Sequence[int], whole: Sequence[int]) -> bool:
    """Tell whether `own` levels are those of a backbone, or the last of them, the first of these perhaps in part."""
    end = list(whole)[len(whole) - len(own) :]
    return 0 < len(own) == len(end) and list(own[1:]) == end[1:] and 0 < own[0] <= end[0]
