"""Cache the maps of a few views of every picture, with the boxes on them, so that heads train without the network.

maps-L.f16     float16 (V, N, H, W, C) of level L; view 0 is the picture as it is
"""

from __future__ import annotations

import secrets
import shutil
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from medloupe.embed.backbone import Backbone
from medloupe.embed.maps import STRIDES, StageMaps, expose_maps
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import decode_in_full, decode_picture
from medloupe.imaging.picture import FULL_SIDE, whole_picture
from medloupe.model.large import cut_tile
from medloupe.settings import home
from medloupe.training.detect.targets import mark_cut
from medloupe.training.detect.views import MOST_WITHIN, BoxedView, plain_view, random_boxed_view
from medloupe.training.tune.activations import explain_disk_errors
from medloupe.training.tune.views import Symmetry
from medloupe.utils.batches import map_batches
from medloupe.utils.progress import Progress

MOST_BYTES = 4 * 10**9  # of all maps on the disk together; with larger sets there are fewer views
VIEWS = (4, 10)  # of each picture; fewer only where the disk sets the limit
PASSES = 6500  # of the network, in all, where these are views enough
BATCH = 4
REACH = 1.25  # times as long as a tile is the part that views of it are taken from


@dataclass(frozen=True, slots=True, kw_only=True)
class TileCut:
    """Where a square tile lies in a picture.

    Attributes
    ----------
    corner : np.ndarray
        float64 (2,): x and y of its top left corner, in pixels of the picture.
    span : float
        Its side there.
    width, height : int
        Of the picture.
    """

    corner: np.ndarray
    span: float
    width: int
    height: int

    def boxes_in(self, boxes: np.ndarray, labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Give boxes of the picture that lie in the tile, in pixels of the tile fitted to `size`, and their labels.

        One of which less than half lies within is cut off too much to be learned, and its label marked so.
        """
        moved = (boxes - np.tile(self.corner, 2)) * (size / self.span)
        within = np.clip(moved, 0, size)
        areas = [np.clip(b[:, 2:] - b[:, :2], 0, None).prod(1) for b in (within, moved)]
        kept = areas[0] > 0
        cut = areas[0] < MOST_WITHIN * areas[1]
        return within[kept].astype(np.float32), np.where(cut, mark_cut(labels), labels)[kept]

    def move(self, rng: np.random.Generator) -> TileCut:
        """Move it by up to half of its side, within the picture where it can be."""
        moved = self.corner + rng.uniform(-0.5, 0.5, 2) * self.span
        free = np.array([self.width, self.height]) - self.span
        return replace(self, corner=np.where(free > 0, np.clip(moved, 0, np.maximum(free, 0)), self.corner))


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedPicture:
    """A picture to be learned from.

    Attributes
    ----------
    picture : Path or np.ndarray
        Its file or pixels.
    boxes, labels : np.ndarray
        float32 (n, 4) in its own pixels, int (n,).
    tile : TileCut, optional
        The part of it that is meant; all of it without.
    """

    picture: Path | np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    tile: TileCut | None = None


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class CachedMaps:
    """Maps and boxes of V views of N pictures.

    Attributes
    ----------
    maps : tuple of np.ndarray
        Of each level float16 (V, N, H, W, C).
    boxes, labels : list of list of np.ndarray
        By view and picture: float32 (n, 4) in pixels of the view, and int64 (n,).
    sizes : np.ndarray
        int (N, 2): width and height of the pictures as given.
    size : int
        Of the fitted pictures.
    embeddings : np.ndarray
        float32 (N, D), of the pictures as they are.
    """

    maps: tuple[np.ndarray, ...]
    boxes: list[list[np.ndarray]]
    labels: list[list[np.ndarray]]
    sizes: np.ndarray
    size: int
    embeddings: np.ndarray

    @property
    def views(self) -> int:
        """How many there are of each picture."""
        return len(self.boxes)


def count_views(pictures: int, stages: StageMaps, size: int) -> int:
    """Decide how many views of each picture are made: the fewer the more pictures, and within MOST_BYTES."""
    one = sum(2 * c * (size // s) ** 2 for c, s in zip(stages.channels, STRIDES, strict=True))
    wanted = int(np.clip(PASSES // max(1, pictures), *VIEWS))
    return max(1, min(wanted, MOST_BYTES // max(1, one * pictures)))


def cache_maps(
    pictures: Sequence[BoxedPicture],
    backbone: Backbone,
    stages: StageMaps,
    allowed: Symmetry,
    views: int,
    *,
    taught: np.ndarray | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> CachedMaps:
    """Make the maps of all views. The files go when nobody holds them any more.

    Parameters
    ----------
    pictures : sequence of BoxedPicture
        All that will be learned from or judged.
    backbone : Backbone
        At the size at which places are found.
    stages : StageMaps
        Which values of its graph.
    allowed : Symmetry
        What views may do.
    views : int
        V.
    taught : np.ndarray, optional
        bool (N,): of which all views are made; of the others, which only judge, the one as they are.
    seed : int
        Of the views.
    progress : callable, optional
        Called with views made, of all.

    Raises
    ------
    StoreError
        When the disk is full.
    ImageError
        When a picture cannot be read.
    """
    import onnx

    n, size = len(pictures), backbone.card.input_size
    folder = home() / "cache" / "maps" / secrets.token_hex(8)
    shapes = [(views, n, size // s, size // s, c) for c, s in zip(stages.channels, STRIDES, strict=True)]
    wanted = np.where(np.ones(n, bool) if taught is None else taught, views, 1)
    bytes_each = sum(2 * int(np.prod(shape[2:])) for shape in shapes)
    with explain_disk_errors(folder, bytes_each * int(wanted.sum())):  # what is not written takes no room
        folder.mkdir(parents=True)
        maps = tuple(
            np.memmap(folder / f"maps-{i}.f16", np.float16, "w+", shape=shape) for i, shape in enumerate(shapes)
        )
    nothing = np.zeros((0, 4), np.float32)
    boxes = [[nothing] * n for _ in range(views)]
    labels = [[np.zeros(0, np.int64)] * n for _ in range(views)]
    sizes = np.zeros((n, 2), np.int64)
    embeddings = np.zeros((n, backbone.card.dimension), np.float32)
    network = open_session(expose_maps(onnx.load(backbone.path, load_external_data=False), stages.names), threads=1)

    def start() -> Callable[[list[int]], int]:
        opened = FullPictures()

        def work(taken: list[int]) -> int:
            for i in taken:
                given, rng = pictures[i], np.random.default_rng([seed, i])
                make = _make_views if given.tile is None else partial(_make_tile_views, opened)
                seen, sizes[i] = make(given, size, allowed, int(wanted[i]), rng)
                for first in range(0, len(seen), BATCH):
                    part = seen[first : first + BATCH]
                    outputs = stages.names if first else ("embedding", *stages.names)
                    made = run(network, outputs, np.stack([v.pixels for v in part]))
                    if not first:
                        embeddings[i] = made.pop(0)[0]
                    for level, values in zip(maps, made, strict=True):
                        level[first : first + BATCH, i] = values.transpose(0, 2, 3, 1)
                for v, view in enumerate(seen):
                    boxes[v][i], labels[v][i] = view.boxes, view.labels
            return int(wanted[taken].sum())

        return work

    count = 0
    for taken in map_batches(range(n), 1, start):
        count += taken
        if progress:
            progress(count, int(wanted.sum()))
    cached = CachedMaps(maps=maps, boxes=boxes, labels=labels, sizes=sizes, size=size, embeddings=embeddings)
    weakref.finalize(cached, shutil.rmtree, folder, True)
    return cached


def _make_views(
    given: BoxedPicture, size: int, allowed: Symmetry, views: int, rng: np.random.Generator
) -> tuple[list[BoxedView], tuple[int, int]]:
    picture = decode_picture(given.picture, min_side=size)
    seen = [plain_view(picture, given.boxes, given.labels, size)]
    seen += [random_boxed_view(picture, given.boxes, given.labels, size, allowed, rng) for _ in range(views - 1)]
    return seen, (picture.width, picture.height)


class FullPictures:
    """Decodes pictures in full for their tiles, and keeps the last: uint8 (F, F, 3), fitted to its `full_side`."""

    def __init__(self) -> None:
        self._last: tuple[Path | np.ndarray, np.ndarray] | None = None

    def open(self, source: Path | np.ndarray) -> np.ndarray:
        """Decode a picture, unless it was the last one."""
        if self._last is None or self._last[0] is not source:
            _, full = decode_in_full(source, FULL_SIDE, 0)
            assert full is not None
            self._last = (source, full)
        return self._last[1]


def _make_tile_views(
    opened: FullPictures, given: BoxedPicture, size: int, allowed: Symmetry, views: int, rng: np.random.Generator
) -> tuple[list[BoxedView], tuple[int, int]]:
    """Make views of a tile: as it is, and of parts of the picture around it."""
    tile = given.tile
    assert tile is not None
    full = opened.open(given.picture)
    own = tile.span * len(full) / max(tile.width, tile.height)
    around = replace(tile, corner=tile.corner - (REACH - 1) / 2 * tile.span, span=REACH * tile.span)
    seen = []
    for view in range(views):
        at = around.move(rng) if view else tile
        side = int(np.clip(round(REACH * own), size, 2 * size)) if view else size
        spans = np.array([at.span, at.span])
        pixels = cut_tile(full, tile.width, tile.height, at.corner, spans, side)
        boxes, labels = at.boxes_in(given.boxes, given.labels, side)
        if view:
            part = whole_picture(Image.fromarray(pixels))
            seen.append(random_boxed_view(part, boxes, labels, size, allowed, rng, REACH))
        else:
            seen.append(BoxedView(pixels=pixels, boxes=boxes, labels=labels))
    return seen, (round(tile.span), round(tile.span))
