"""Embed field views of pictures once, cached by the picture's content, the view's name and a seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medloupe.data.contents import read_content
from medloupe.embed.backbone import Backbone
from medloupe.embed.cache import FACTS, FeatureCache
from medloupe.embed.features import Features
from medloupe.embed.network import Network
from medloupe.embed.tail import Tail
from medloupe.errors import ImageError
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
    """

    rows: np.ndarray
    kinds: np.ndarray
    severities: np.ndarray
    surfaces: np.ndarray
    embeddings: np.ndarray
    measures: np.ndarray

    def part(self, where: np.ndarray) -> FieldFeatures:
        """Take some of the views; where: bool or int."""
        return FieldFeatures(
            rows=self.rows[where],
            kinds=self.kinds[where],
            severities=self.severities[where],
            surfaces=self.surfaces[where],
            embeddings=self.embeddings[where],
            measures=self.measures[where],
        )

    def within(self, rows: np.ndarray) -> FieldFeatures:
        """Keep the views of some rows, int (n,), and number them by these: their rows are then 0 to n - 1."""
        position = np.full(max(int(self.rows.max(initial=-1)), int(rows.max(initial=-1))) + 1, -1)
        position[rows] = np.arange(len(rows))
        found = self.part(position[self.rows] >= 0)
        return replace(found, rows=position[found.rows])


def embed_field(
    features: Features,
    rows: np.ndarray,
    backbone: Backbone,
    *,
    rounds: int = 1,
    seed: int = 0,
    kinds: tuple[ViewKind, ...] = VIEW_KINDS,
    tail: Tail | None = None,
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
    tail : Tail, optional
        With it they are embedded by the network as tuned.
    progress : callable, optional
        Told how many pictures are done, and of how many.

    Raises
    ------
    StoreError
        When the cache cannot be written.
    """
    cache = _open_cache(backbone, tail, seed)
    asked = [(int(row), number) for row in rows for number in range(rounds)]
    names: dict[tuple[int, int, ViewKind], bytes] = {
        (row, n, kind): _name(features.digests[row], n, kind) for row, n in asked for kind in kinds
    }
    missing = [a for a in asked if any(names[*a, kind] not in cache for kind in kinds)]
    if missing:
        _embed_into(cache, missing, features, backbone, tail, seed, kinds, progress)
    keys = [key for key, name in names.items() if name in cache]
    found, _, damaged = cache.read([names[key] for key in keys])
    if damaged:  # rows that a failing disk spoilt
        good = np.delete(np.arange(len(keys)), damaged)
        found, keys = found[good], [keys[i] for i in good]
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


def _open_cache(backbone: Backbone, tail: Tail | None, seed: int) -> FeatureCache:
    made_by = f"{decode.FITTING}:{decode.DECODING}:{backbone.card.input_size}:{backbone.sha256}:{seed}"
    made_by += (f":{tail.sha256}" if tail else "") + source_digest("medloupe.imaging.field.views")
    key = hashlib.sha256(made_by.encode()).hexdigest()[:20]
    return FeatureCache(home() / "cache" / "field" / key, backbone.card.dimension + len(MEASURES))


def name_views(content: bytes) -> list[bytes]:
    """Name all views that the cache may hold of a picture, by its digest."""
    return [_name(content, number, kind) for number in range(MOST_ROUNDS) for kind in VIEW_KINDS]


def _name(content: bytes, number: int, kind: ViewKind) -> bytes:
    return hashlib.sha256(b"%s:%d:%s" % (content, number, kind.encode())).digest()


def _embed_into(
    cache: FeatureCache,
    missing: Sequence[tuple[int, int]],
    features: Features,
    backbone: Backbone,
    tail: Tail | None,
    seed: int,
    kinds: tuple[ViewKind, ...],
    progress: Progress | None,
) -> None:
    """Make, embed and keep views; of a picture that cannot be read any more there are none."""
    network = Network(backbone, tail, threads=1)
    size = backbone.card.input_size

    def look(taken: list[tuple[int, int]]) -> list[tuple[list[bytes], np.ndarray]]:
        return [made for row, number in taken if (made := _look(row, number)) is not None]

    def _look(row: int, number: int) -> tuple[list[bytes], np.ndarray] | None:
        content = features.digests[row]
        try:
            whole = decode.decode(read_content(features.data.records[row].picture), min_side=size)
        except ImageError:
            return None
        views = make_views(whole, content, number, seed, kinds)
        pictures = [whole_picture(image_from_array(v)) for v in views.values()]
        seen = network.see(np.stack([p.fit(size) for p in pictures])).embedding
        measured = np.array([as_numbers(p.measure()) for p in pictures], np.float32)
        return [_name(content, number, kind) for kind in views], np.concatenate([seen, measured], 1)

    done = 0
    waiting: list[tuple[list[bytes], np.ndarray]] = []

    def keep() -> None:
        if waiting:
            names = [name for some, _ in waiting for name in some]
            cache.append(names, np.concatenate([v for _, v in waiting]), np.zeros(len(names), FACTS))
            waiting.clear()

    def start() -> Callable[[list[tuple[int, int]]], list[tuple[list[bytes], np.ndarray]]]:
        return look

    try:
        for batch in map_batches(missing, 2, start):
            waiting += batch
            done += len(batch)
            if progress:
                progress(done, len(missing))
            if sum(len(names) for names, _ in waiting) >= _ROWS_A_WRITE:
                keep()
    finally:
        keep()
