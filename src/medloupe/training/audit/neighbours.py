"""Propose pairs of pictures that may be near copies, by an index instead of all pairs.

Two graphs of near neighbours (HNSW, by usearch) are asked for the nearest of each picture: one of thumbnails, one of
thumbnails and embeddings together, each in the few directions in which a sample of them varies most. What lies outside
these directions bounds what a pair can agree in all, so that most proposals are dropped without a look at the rows.

Source: Malkov & Yashunin, Efficient and robust approximate nearest neighbor search using HNSW graphs (2018).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import numpy as np

from medloupe.settings import threads

ALL_PAIRS = 50_000  # pictures up to which all pairs are looked at: some minutes
NEAREST = 16  # neighbours asked for; of more copies than that each is found by others
THUMB_AXES, EMBEDDING_AXES = 48, 80
_SAMPLE = 8_000
_CHUNK = 8_192
_EFFORT = 128  # candidates held while a graph is built and searched (HNSW's ef)

Rows = Callable[[np.ndarray], np.ndarray]  # rows int (n,) → unit vectors float32 (n, d), whose products are likenesses


def uses_index(n: int) -> bool:
    """Whether near copies among n pictures are looked for by an index: many of them, and usearch is installed."""
    return n > ALL_PAIRS and find_spec("usearch") is not None


def propose_pairs(n: int, thumbs: Rows, embeddings: Rows, least: tuple[float, float], seed: int = 0) -> np.ndarray:
    """Propose pairs of n pictures that may agree enough: int (M, 2), the lower row first, sorted.

    The same arguments give the same pairs.

    Parameters
    ----------
    n : int
        How many pictures there are.
    thumbs, embeddings : callable
        Give unit vectors of rows; products of two are how much they are alike.
    least : tuple of float
        How much a pair must be alike at least, by thumbnail and by embedding.
    seed : int
        Of the sample.
    """
    rng = np.random.default_rng(seed)
    some = np.sort(rng.choice(n, min(n, _SAMPLE), replace=False))
    axes = [_main_axes(rows(some), count, rng) for rows, count in ((thumbs, THUMB_AXES), (embeddings, EMBEDDING_AXES))]
    small = [np.empty((n, a.shape[1]), np.float32) for a in axes]
    for start in range(0, n, _CHUNK):
        part = np.arange(start, min(start + _CHUNK, n))
        for rows, a, out in zip((thumbs, embeddings), axes, small, strict=True):
            out[part] = rows(part) @ a
    rest = [np.sqrt(np.maximum(1 - np.einsum("nd,nd->n", s, s), 0)) for s in small]  # length outside the axes
    found = [np.empty((0, 2), np.int64)]
    for vectors in (small[0], np.concatenate(small, 1)):
        for pairs in _neighbours(vectors):
            i, j = pairs.T
            able = np.ones(len(pairs), bool)
            for s, r, at_least in zip(small, rest, least, strict=True):
                able &= np.einsum("nd,nd->n", s[i], s[j]) + r[i] * r[j] >= at_least - 1e-3
            found.append(pairs[able])
    return np.unique(np.concatenate(found), axis=0)


def _main_axes(x: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Find the directions (D, count) that hold most of the products of rows x (n, D), by subspace iteration."""
    count = min(count, *x.shape)
    q = rng.normal(size=(x.shape[1], min(count + 16, x.shape[1]))).astype(np.float32)
    for _ in range(4):
        q, _ = np.linalg.qr(x.T @ (x @ q))
    _, _, turn = np.linalg.svd(x @ q, full_matrices=False)
    return np.ascontiguousarray(q @ turn[:count].T, np.float32)


def _neighbours(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """Give pairs of each row and its nearest, the lower row first: int (M, 2), in parts."""
    from usearch.index import Index

    n = len(vectors)
    index = Index(
        ndim=vectors.shape[1],
        metric="cos",
        dtype="f16",
        expansion_add=_EFFORT,
        expansion_search=_EFFORT,
        enable_key_lookups=False,
    )
    keys = np.arange(n, dtype=np.uint64)
    for start in range(0, n, _CHUNK):  # by one thread, in order: the graph depends on it
        index.add(keys[start : start + _CHUNK], vectors[start : start + _CHUNK], threads=1)
    for start in range(0, n, _CHUNK):
        asked = vectors[start : start + _CHUNK]
        near = np.asarray(index.search(asked, NEAREST + 1, threads=threads()).keys).astype(np.int64)
        own = np.repeat(np.arange(start, start + len(asked)), near.shape[1])
        pairs = np.column_stack([np.minimum(own, near.ravel()), np.maximum(own, near.ravel())])
        yield np.unique(pairs[(pairs[:, 0] < pairs[:, 1]) & (pairs[:, 1] < n)], axis=0)
