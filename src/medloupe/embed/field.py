"""Embed field views of pictures once, cached by the picture's content, the view's name and a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from medloupe.data.contents import read_content
from medloupe.embed.backbone import Backbone
from medloupe.embed.cache import FACTS, FeatureCache
from medloupe.embed.features import Features
from medloupe.errors import ImageError
from medloupe.graphs.session import open_session, run
from medloupe.imaging import decode
from medloupe.imaging.field.views import VIEW_KINDS, ViewKind, draw_view, make_views, severity_of
from medloupe.imaging.picture import image_from_array, whole_picture
from medloupe.imaging.quality import MEASURES, as_numbers
from medloupe.settings import home
from medloupe.utils.batches import map_batches
from medloupe.utils.progress import Progress
from medloupe.utils.sourcecode import source_digest

MOST_ROUNDS = 32
"""More views of a kind no picture has."""
_ROWS_A_WRITE = 64  # at most this many views are lost to a kill


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFeatures:
    """The embeddings of field views, V in all.

    Attributes
    ----------
    rows : np.ndarray
        int (V,), the row of the features of which each is a view.
    kinds : np.ndarray
        str (V,), of VIEW_KINDS.
    severities : np.ndarray
        str (V,), of faults.SEVERITIES.
    surfaces : np.ndarray
        str (V,), of SURFACES; "" of what was not photographed.
    embeddings : np.ndarray
        float32 (V, D).
    measures : np.ndarray
        float64 (V, measures), as imaging.quality.MEASURES.
    untuned : np.ndarray or None
        float32 (V, D), by the backbone as it is, where `embeddings` are by a tuned network; None where they are not.
    """

    rows: np.ndarray
    kinds: np.ndarray
    severities: np.ndarray
    surfaces: np.ndarray
    embeddings: np.ndarray
    measures: np.ndarray
    untuned: np.ndarray | None = None

    @property
    def shared(self) -> np.ndarray:
        """float32 (V, D), embeddings by the backbone as it is, which novelty reads."""
        return self.embeddings if self.untuned is None else self.untuned

    def part(self, where: np.ndarray) -> FieldFeatures:
        """Take some of the views; where: bool or int."""
        return FieldFeatures(
            rows=self.rows[where],
            kinds=self.kinds[where],
            severities=self.severities[where],
            surfaces=self.surfaces[where],
            embeddings=self.embeddings[where],
            measures=self.measures[where],
            untuned=None if self.untuned is None else self.untuned[where],
        )

    def within(self, rows: np.ndarray) -> FieldFeatures:
        """Keep the views of some rows, int (n,), and number them by these: their rows are then 0 to n - 1."""
        position = np.full(max(int(self.rows.max(initial=-1)), int(rows.max(initial=-1))) + 1, -1)
        position[rows] = np.arange(len(rows))
        found = self.part(position[self.rows] >= 0)
        return replace(found, rows=position[found.rows])


ViewKey = tuple[int, int, ViewKind]
"""The row of the features, the round, and the kind of a view."""


class KeepsActivations(Protocol):
    """Keeps what reaches the cut of a backbone, of each view."""

    def holds(self, key: ViewKey) -> bool:
        """Tell whether it has that of a view."""
        ...

    def keep(self, key: ViewKey, activation: np.ndarray) -> None:
        """Keep that of a view, float32 (C, H, W). Called by several threads, each with its own views."""
        ...

    def mark(self, keys: Sequence[ViewKey]) -> None:
        """Note that those of some views are whole."""
        ...

    def number(self, keys: Sequence[ViewKey]) -> None:
        """Take note of which views there are, and in what order these are embedded."""
        ...


def embed_field(
    features: Features,
    rows: np.ndarray,
    backbone: Backbone,
    *,
    rounds: int = 1,
    seed: int = 0,
    kinds: tuple[ViewKind, ...] = VIEW_KINDS,
    activations: KeepsActivations | None = None,
    progress: Progress | None = None,
) -> FieldFeatures:
    """Embed field views of some pictures; those that the cache holds are not made again.

    Parameters
    ----------
    features : Features
        Of pictures.
    rows : np.ndarray
        int (n,), of which views are made.
    backbone : Backbone
        The network.
    rounds : int
        How many views of each kind a picture has.
    seed : int
        Of what is drawn by chance.
    kinds : tuple of str
        Which views are made.
    activations : KeepsActivations, optional
        Given what reaches the cut, for each view.
    progress : callable, optional
        Told how many pictures are done, and of how many.

    Raises
    ------
    StoreError
        When the cache cannot be written.
    """
    cache = _open_cache(backbone, seed)
    asked = [(int(row), number) for row in rows for number in range(rounds)]
    names: dict[ViewKey, bytes] = {
        (row, n, kind): _name(features.digests[row], n, kind) for row, n in asked for kind in kinds
    }

    def is_known(key: ViewKey) -> bool:
        return names[key] in cache and (activations is None or activations.holds(key))

    missing = [a for a in asked if not all(is_known((*a, kind)) for kind in kinds)]
    if missing:
        _embed_into(cache, missing, features, backbone, seed, kinds, activations, progress)
    keys = [key for key in names if is_known(key)]
    found, _, damaged = cache.read([names[key] for key in keys])
    if damaged:  # rows that a failing disk spoilt
        good = np.delete(np.arange(len(keys)), damaged)
        found, keys = found[good], [keys[i] for i in good]
    if activations is not None:
        activations.number(keys)
    drawn = [draw_view(features.digests[row], n, seed) for row, n, _ in keys]
    severities = [severity_of(d, key[2]) for d, key in zip(drawn, keys, strict=True)]
    width = backbone.card.dimension
    return FieldFeatures(
        rows=np.array([row for row, _, _ in keys], np.int64),
        kinds=np.array([kind for _, _, kind in keys], "U8"),
        severities=np.array(severities, "U8"),
        surfaces=np.array(["" if k[2] == "worn" else d.surface for d, k in zip(drawn, keys, strict=True)], "U8"),
        embeddings=np.ascontiguousarray(found[:, :width]),
        measures=found[:, width:].astype(np.float64),
    )


def views_key(backbone: Backbone, seed: int) -> str:
    """Name all that views by a network depend on, but for the pictures."""
    made_by = f"{decode.FITTING}:{decode.DECODING}:{backbone.card.input_size}:{backbone.sha256}:{seed}"
    made_by += source_digest("medloupe.imaging.field.views")
    return hashlib.sha256(made_by.encode()).hexdigest()[:20]


def _open_cache(backbone: Backbone, seed: int) -> FeatureCache:
    key = views_key(backbone, seed)
    return FeatureCache(home() / "cache" / "field" / key, backbone.card.dimension + len(MEASURES))


def name_views(content: bytes) -> list[bytes]:
    """Name all views that the cache may hold of a picture, by its digest."""
    return [_name(content, number, kind) for number in range(MOST_ROUNDS) for kind in VIEW_KINDS]


def _name(content: bytes, number: int, kind: ViewKind) -> bytes:
    return hashlib.sha256(b"%s:%d:%s" % (content, number, kind.encode())).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What came of the views of one picture in one round."""

    keys: list[ViewKey]
    names: list[bytes]
    values: np.ndarray  # (kinds, D + measures)


def _embed_into(
    cache: FeatureCache,
    missing: Sequence[tuple[int, int]],
    features: Features,
    backbone: Backbone,
    seed: int,
    kinds: tuple[ViewKind, ...],
    activations: KeepsActivations | None,
    progress: Progress | None,
) -> None:
    """Make, embed and keep views; of a picture that cannot be read any more there are none."""
    network, size = open_session(backbone.path, threads=1), backbone.card.input_size
    outputs = ["embedding"] if activations is None else ["embedding", "cut"]

    def look(taken: list[tuple[int, int]]) -> list[_Looked]:
        return [made for row, number in taken if (made := _look(row, number)) is not None]

    def _look(row: int, number: int) -> _Looked | None:
        content = features.digests[row]
        try:
            whole = decode.decode(read_content(features.data.records[row].picture), min_side=size)
        except ImageError:
            return None
        views = make_views(whole, content, number, seed, kinds)
        pictures = [whole_picture(image_from_array(v)) for v in views.values()]
        seen, *cut = run(network, outputs, np.stack([p.fit(size) for p in pictures]))
        keys: list[ViewKey] = [(row, number, kind) for kind in views]
        if activations is not None:
            for key, activation in zip(keys, cut[0], strict=True):
                activations.keep(key, activation)
        measured = np.array([as_numbers(p.measure()) for p in pictures], np.float32)
        names = [_name(content, number, kind) for kind in views]
        return _Looked(keys=keys, names=names, values=np.concatenate([seen, measured], 1))

    done = 0
    waiting: list[_Looked] = []

    def keep() -> None:
        if waiting:
            names = [name for looked in waiting for name in looked.names]
            values = np.concatenate([looked.values for looked in waiting])
            new = [i for i, name in enumerate(names) if name not in cache]
            if new:
                cache.append([names[i] for i in new], values[new], np.zeros(len(new), FACTS))
            if activations is not None:
                activations.mark([key for looked in waiting for key in looked.keys])
            waiting.clear()

    def start() -> Callable[[list[tuple[int, int]]], list[_Looked]]:
        return look

    try:
        for batch in map_batches(missing, 2, start):
            waiting += batch
            done += len(batch)
            if progress:
                progress(done, len(missing))
            if sum(len(looked.names) for looked in waiting) >= _ROWS_A_WRITE:
                keep()
    finally:
        keep()
