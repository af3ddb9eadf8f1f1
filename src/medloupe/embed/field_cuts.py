"""Keep what reaches the cut of a backbone, of every field view: mapped, resumable.

Tails learn from it, and tuned networks embed views by it, without a photograph being made again. One folder holds the
views of some pictures:

    views.f16     float16 (M, H, W, C), the activations of M views, by picture, round and kind
    done.u1       uint8 (M,): 1 where the row is whole
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures, ViewKey, embed_field, views_key
from medloupe.embed.tail import Tail, join_outputs
from medloupe.errors import StoreError
from medloupe.graphs.session import open_session, run_tail
from medloupe.imaging.field.views import VIEW_KINDS
from medloupe.settings import home
from medloupe.utils.batches import map_batches
from medloupe.utils.mapped import flush, map_array
from medloupe.utils.progress import Progress

_BATCH = 8  # views that a tail embeds at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldCuts:
    """Mapped activations at the cut of V views.

    Attributes
    ----------
    path : Path
        The file, float16.
    shape : tuple of int
        Of the file, (M, H, W, C).
    rows : np.ndarray
        int (V,), the row of the features of which each is a view.
    places : np.ndarray
        int (V,), where it stands in the file.
    hard : np.ndarray
        bool (V,), of the severity at which what it shows may not tell the label.
    """

    path: Path
    shape: tuple[int, ...]
    rows: np.ndarray
    places: np.ndarray
    hard: np.ndarray

    def open(self) -> np.ndarray:
        """Map the file to be read: float16 (M, H, W, C)."""
        return np.memmap(self.path, np.float16, "r", shape=self.shape)

    def batches(self, size: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Give all views in their order, so many at a time: where they stand, and float32 (n, C, H, W)."""
        maps = self.open()
        for start in range(0, len(self.places), size):
            at = slice(start, min(start + size, len(self.places)))
            yield at, read_cuts(maps, self.places[at])


def read_cuts(maps: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Read activations float32 (n, C, H, W) at some places of a mapped file (M, H, W, C)."""
    return np.ascontiguousarray(maps[places].transpose(0, 3, 1, 2), np.float32)


def embed_field_cuts(
    features: Features,
    rows: np.ndarray,
    backbone: Backbone,
    *,
    rounds: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[FieldFeatures, FieldCuts]:
    """Embed field views of some pictures as `embed_field` does, and keep what reaches the cut.

    Parameters
    ----------
    features, rows, rounds, seed, progress
        As for `embed_field`.
    backbone : Backbone
        With a cut.

    Returns
    -------
    tuple of (FieldFeatures, FieldCuts)
        V views, in the same order.

    Raises
    ------
    StoreError
        When the cache cannot be written.
    """
    key = hashlib.sha256(f"{views_key(backbone, seed)}:{rounds}".encode())
    for row in rows:
        key.update(features.digests[row])
    folder = home() / "cache" / "cuts" / f"field-{key.hexdigest()[:24]}"
    try:
        kept = _CutViews(folder, rows, rounds, backbone.card.cut)
        views = embed_field(features, rows, backbone, rounds=rounds, seed=seed, activations=kept, progress=progress)
    except OSError as e:
        raise StoreError(
            f"The cache of field views {folder} cannot be written: {e.strerror or e}.",
            "Free some disk space, or choose another place with --home.",
        ) from e
    cuts = FieldCuts(
        path=kept.path,
        shape=kept.maps.shape,
        rows=views.rows,
        places=kept.places,
        hard=np.asarray(views.severities == "hard"),
    )
    return views, cuts


def embed_field_tuned(views: FieldFeatures, cuts: FieldCuts, tail: Tail) -> FieldFeatures:
    """Embed views by a tuned network, whose upper stages read what reached the cut; both in the same order."""
    opened = open_session(tail.path, threads=1)
    upper = np.empty((len(views.rows), tail.width), np.float32)
    maps = cuts.open()

    def look(taken: list[int]) -> None:
        upper[taken] = run_tail(opened, ["embedding"], read_cuts(maps, cuts.places[taken]))[0]

    for _ in map_batches(range(len(views.rows)), _BATCH, lambda: look):
        pass
    return replace(views, embeddings=join_outputs(upper, views.shared), untuned=views.shared)


class _CutViews:
    """The file while it is filled (medloupe.embed.field.KeepsActivations)."""

    def __init__(self, folder: Path, rows: np.ndarray, rounds: int, cut: Sequence[int]):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "used").touch()
        channels, height, width = cut
        count = len(rows) * rounds * len(VIEW_KINDS)
        self.path, done = folder / "views.f16", folder / "done.u1"
        self.maps = map_array(self.path, np.float16, (count, height, width, channels), done)
        self._done = map_array(done, np.uint8, (count,))
        self._first = {int(row): i * rounds for i, row in enumerate(rows)}
        self.places = np.zeros(0, np.int64)

    def _place(self, key: ViewKey) -> int:
        row, number, kind = key
        return (self._first[row] + number) * len(VIEW_KINDS) + VIEW_KINDS.index(kind)

    def holds(self, key: ViewKey) -> bool:
        return bool(self._done[self._place(key)])

    def keep(self, key: ViewKey, activation: np.ndarray) -> None:
        self.maps[self._place(key)] = activation.transpose(1, 2, 0)

    def mark(self, keys: Sequence[ViewKey]) -> None:
        flush(self.maps)
        self._done[[self._place(key) for key in keys]] = 1
        flush(self._done)

    def number(self, keys: Sequence[ViewKey]) -> None:
        self.places = np.array([self._place(key) for key in keys], np.int64)
