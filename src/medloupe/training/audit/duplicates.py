"""Find copies and near copies among the images of a data set.

Exact copies have the same bytes, or the same thumbnail and embedding. Near copies (the same picture saved again,
slightly cropped, rotated or annotated; neighbouring frames) are close by embedding and also agree place by place:
either alone would join different patients who merely look alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from medloupe.data.split import rows_with_same_value
from medloupe.embed.features import Features
from medloupe.training.audit.neighbours import propose_pairs, uses_index
from medloupe.training.heads.solver import mean_and_scale

COSINE = 0.75  # of standardised embeddings
CORRELATION = 0.95  # of grey thumbnails
SAVED_AGAIN = (0.2, 0.999)  # the same two for a picture resized or compressed, which changes its texture
IDENTICAL = 1 - 1e-4  # both, for the same pixels in another file
_CHUNK = 512
Keep = Callable[[np.ndarray, np.ndarray, np.ndarray], None]  # pairs (M, 2), their likeness by embedding and thumbnail


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicates:
    """Pairs of rows, int (M, 2), each with the lower row first.

    Attributes
    ----------
    exact : np.ndarray
        Of the same content; of files with the same bytes each is paired with the first only.
    near : np.ndarray
        Alike, not the same.
    wholes : np.ndarray
        Of boxes cut out of pictures that are copies or near copies; cells are alike, and tell no copies themselves.
    by_index : bool
        Whether near copies were looked for by an index, which may miss some, instead of among all pairs.
    """

    exact: np.ndarray
    near: np.ndarray
    wholes: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    by_index: bool = False

    @property
    def together(self) -> list[list[int]]:
        """All pairs."""
        return [*self.exact.tolist(), *self.near.tolist(), *self.wholes.tolist()]


def find(features: Features) -> Duplicates:
    """Find copies and near copies of pictures.

    Up to ALL_PAIRS pictures all pairs are looked at; above, copies of the same content are found exactly, and near ones
    among the pairs that an index proposes, where usearch is installed.
    """
    if features.wholes is not None and features.data.cropped is not None and features.data.cropped.each:
        found = find(features.wholes)
        return replace(find_exact(features), wholes=_pair_wholes(features, found), by_index=found.by_index)
    x = features.embeddings
    n = len(x)
    digests = np.array([np.void(d) for d in features.digests])
    mean, scale = mean_and_scale(x, np.ones(n, bool))
    weight = 1 / scale**2
    norms = np.empty(n, np.float32)
    for start in range(0, n, _CHUNK):
        centred = x[start : start + _CHUNK] - mean
        norms[start : start + _CHUNK] = np.sqrt(np.einsum("nd,nd,d->n", centred, centred, weight)) + 1e-6
    exact = _pair_digests(features)
    near: list[np.ndarray] = []

    def keep(pairs: np.ndarray, cosine: np.ndarray, agree: np.ndarray) -> None:
        """Keep what of pairs are copies and near copies, each once: of those with the same bytes others tell."""
        likely = (cosine >= COSINE) | ((cosine >= SAVED_AGAIN[0]) & (agree >= SAVED_AGAIN[1]))
        pairs, cosine, agree = pairs[likely], cosine[likely], agree[likely]
        bytewise = digests[pairs[:, 1]] == digests[pairs[:, 0]]
        pixels = ~bytewise & (cosine >= IDENTICAL) & (agree >= IDENTICAL)
        exact.append(pairs[pixels])
        near.append(pairs[~bytewise & ~pixels & (agree >= CORRELATION)])

    by_index = uses_index(n)
    if by_index:
        _look_by_index(features, mean, weight, norms, keep)
    else:
        _look_at_all(features, mean, weight, norms, keep)
    return Duplicates(exact=_sort_pairs(exact), near=_sort_pairs(near), by_index=by_index)


def _look_at_all(features: Features, mean: np.ndarray, weight: np.ndarray, norms: np.ndarray, keep: Keep) -> None:
    """Look at all pairs, each once, from the later row."""
    x, n = features.embeddings, len(features.embeddings)
    thumbs = _normalised_thumbs(features.facts["thumb"])
    for start in range(0, n, _CHUNK):
        a = (x[start : start + _CHUNK] - mean) * weight
        for other in range(0, start + 1, _CHUNK):
            b = x[other : other + _CHUNK]
            cosine = (a @ b.T - (a @ mean)[:, None]) / norms[start : start + _CHUNK, None]
            cosine /= norms[None, other : other + _CHUNK]
            alike = thumbs[start : start + _CHUNK] @ thumbs[other : other + _CHUNK].T
            i, j = np.nonzero((cosine >= COSINE) | ((cosine >= SAVED_AGAIN[0]) & (alike >= SAVED_AGAIN[1])))
            once = other + j < start + i
            i, j = i[once], j[once]
            keep(np.column_stack([other + j, start + i]), cosine[i, j], alike[i, j])


def _look_by_index(features: Features, mean: np.ndarray, weight: np.ndarray, norms: np.ndarray, keep: Keep) -> None:
    """Look at the pairs that an index proposes; likeness is measured as among all pairs, on the rows themselves."""
    x, facts, root = features.embeddings, features.facts, np.sqrt(weight)

    def thumbs(rows: np.ndarray) -> np.ndarray:
        return _normalised_thumbs(facts["thumb"][rows])

    def standardised(rows: np.ndarray) -> np.ndarray:
        return (x[rows] - mean) * root / norms[rows, None]

    pairs = propose_pairs(len(x), thumbs, standardised, (CORRELATION, SAVED_AGAIN[0]))
    for start in range(0, len(pairs), _CHUNK):
        part = pairs[start : start + _CHUNK]
        alike = np.einsum("nd,nd->n", thumbs(part[:, 0]), thumbs(part[:, 1]))
        part, alike = part[alike >= CORRELATION], alike[alike >= CORRELATION]  # all that count are
        if len(part):
            keep(part, np.einsum("nd,nd->n", standardised(part[:, 0]), standardised(part[:, 1])), alike)


def find_exact(features: Features) -> Duplicates:
    """Find copies of the same content alone: of signals, where the heartbeats of one person are all alike."""
    return Duplicates(exact=_sort_pairs(_pair_digests(features)), near=np.empty((0, 2), np.int64))


def _pair_wholes(features: Features, found: Duplicates) -> np.ndarray:
    """Pair the first boxes of whole pictures that are copies or near copies, by what was found of these."""
    assert features.wholes is not None
    first: dict[str | None, int] = {}
    for row, record in enumerate(features.data.records):
        first.setdefault(record.source, row)
    rows = [first[record.id] for record in features.wholes.data.records]
    pairs = [sorted((rows[i], rows[j])) for i, j in found.together]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _pair_digests(features: Features) -> list[np.ndarray]:
    """Pair each file with the first that has the same bytes."""
    return [np.array([(rows[0], i) for i in rows[1:]]) for rows in rows_with_same_value(features.digests)]


def _normalised_thumbs(thumbs: np.ndarray) -> np.ndarray:
    """Scale grey thumbnails (N, T*T) to mean 0 and length 1: products of them are correlations."""
    grey = thumbs.astype(np.float32).mean(3).reshape(len(thumbs), -1)
    grey -= grey.mean(1, keepdims=True)
    return grey / np.maximum(np.linalg.norm(grey, axis=1, keepdims=True), 1e-6)


def _sort_pairs(parts: list[np.ndarray]) -> np.ndarray:
    pairs = np.concatenate(parts) if parts else np.empty((0, 2), np.int64)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].reshape(-1, 2)
