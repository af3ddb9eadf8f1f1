"""Cache the maps of a few views of every picture, with the boxes on them, so that heads train without the network.

maps-L.f16     float16 (V, N, H, W, C) of level L; view 0 is the picture as it is
"""

from __future__ import annotations

import secrets
import shutil
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medloupe.embed.backbone import Backbone
from medloupe.embed.maps import STRIDES, StageMaps, expose_maps
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import decode_picture
from medloupe.settings import home
from medloupe.training.detect.views import BoxedView, plain_view, random_boxed_view
from medloupe.training.tune.activations import explain_disk_errors
from medloupe.training.tune.views import Symmetry
from medloupe.utils.batches import map_batches
from medloupe.utils.progress import Progress

MOST_BYTES = 4 * 10**9  # of all maps on the disk together; with larger sets there are fewer views
VIEWS = (4, 10)  # of each picture; fewer only where the disk sets the limit
PASSES = 6500  # of the network, in all, where these are views enough
BATCH = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedPicture:
    """A picture to be learned from: its file or pixels, and boxes float32 (n, 4) in its own pixels, labels int (n,)."""

    picture: Path | np.ndarray
    boxes: np.ndarray
    labels: np.ndarray


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
    with explain_disk_errors(folder, sum(2 * int(np.prod(shape)) for shape in shapes)):
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
        def work(taken: list[int]) -> int:
            for i in taken:
                seen, sizes[i] = _make_views(pictures[i], size, allowed, views, np.random.default_rng([seed, i]))
                for first in range(0, views, BATCH):
                    part = seen[first : first + BATCH]
                    wanted = stages.names if first else ("embedding", *stages.names)
                    made = run(network, wanted, np.stack([v.pixels for v in part]))
                    if not first:
                        embeddings[i] = made.pop(0)[0]
                    for level, values in zip(maps, made, strict=True):
                        level[first : first + BATCH, i] = values.transpose(0, 2, 3, 1)
                for v, view in enumerate(seen):
                    boxes[v][i], labels[v][i] = view.boxes, view.labels
            return len(taken) * views

        return work

    count = 0
    for taken in map_batches(range(n), 1, start):
        count += taken
        if progress:
            progress(count, n * views)
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
