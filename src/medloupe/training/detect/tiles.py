"""Learn from tiles: where boxes would be too small in pictures fitted as a whole, larger parts of these are learned.

Tiles are laid and cut as `model.large` does for answers, and what heads find in them is joined in the same way, so that
a detector is judged on whole pictures as it answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.embed.maps import SIZES
from medloupe.metrics.matching import Detections
from medloupe.model.large import place_boxes
from medloupe.model.seams import join_tiles
from medloupe.model.tiling import EDGE, MOST_OVERLAP, Grid, LearnedSizes, lay_within
from medloupe.training.detect.activations import BoxedPicture, TileCut
from medloupe.training.detect.boxed import (
    COARSE_SEEN_SIDE,
    ENLARGED,
    LEAST_SEEN_SIDE,
    MOST_BOXES,
    STEP,
    BoxedSet,
    find_smallest,
)
from medloupe.training.detect.learned import LONG, describe_learned
from medloupe.training.detect.network import COARSE, FINE

SMALL_SEEN = 0.9 * LEAST_SEEN_SIDE  # pixels of the fitted picture, below which boxes are too small
GAIN = 1.5  # times as large as in whole pictures that boxes must be in tiles
TILE = 320  # side of the fitted tile, unless boxes are too long for it
MOST_PIXELS = 4 * 10**8  # of all fitted tiles together
SMALLER = 0.85  # step by which boxes are made smaller where there would be more
UNEVEN = 0.9  # times the spread of their share of the picture, below which boxes count as of one size in pixels
EMPTY = 1.0  # tiles without boxes learned from, for each with some


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePlan:
    """How pictures are learned from in tiles.

    Attributes
    ----------
    size, stride : int
        Of the fitted tile; of the map on which boxes are found.
    learned : LearnedSizes
        By which tiles are laid, as answers lay them.
    why : str
        Why, and how, in a sentence or two.
    described : dict
        The card's entry `learned`.
    """

    size: int
    stride: int
    learned: LearnedSizes
    why: str
    described: dict[str, Any]

    def lay(self, width: int, height: int) -> Grid:
        """Lay the tiles of a picture."""
        return lay_within(width, height, self.learned.usual_zoom(width, height), self.learned)


def plan_tiles(boxed: BoxedSet, rows: np.ndarray, labels: Sequence[str], size: int) -> TilePlan | None:
    """Decide by the boxes whether pictures are learned from in tiles, and in which; None where as a whole.

    They are where the smallest would measure less than SMALL_SEEN pixels in the picture as a whole and GAIN times as
    much in tiles, and where the longest are still whole in one of the tiles.

    Parameters
    ----------
    boxed : BoxedSet
        All pictures.
    rows : np.ndarray
        int (n,), those learned from.
    labels : sequence of str
        Their names.
    size : int
        Of the picture fitted as a whole.
    """
    usual = float(np.median(boxed.sizes[rows].max(1)))
    shares, own = boxed.fitted_sides
    least, name = find_smallest(shares, own, labels)
    seen = least * size
    if not name or seen >= SMALL_SEEN:
        return None
    in_pixels, smallest = _compare_spreads(boxed), least * usual
    if in_pixels:
        smallest = find_smallest(boxed.sides_in_pixels, own, labels)[0]
    wanted = [COARSE_SEEN_SIDE / smallest] if COARSE_SEEN_SIDE / smallest <= ENLARGED else []
    for scale in (*wanted, min(LEAST_SEEN_SIDE / smallest, 1.0)):
        stride = COARSE if scale * smallest >= 0.99 * COARSE_SEEN_SIDE else FINE
        while scale * smallest >= GAIN * seen:
            plan = _plan_at(boxed, rows, labels, scale, stride, usual, in_pixels)
            if plan is None:
                break
            tiles = sum(len(plan.lay(*boxed.sizes[i].tolist()).corners) for i in rows)
            if tiles * plan.size**2 <= MOST_PIXELS:
                why = (
                    f"In whole pictures fitted to {size} × {size} pixels boxes of {name} would be too small to be found"
                    f" (one in ten below {seen:.0f} pixels), so the training cut {tiles:,} overlapping tiles of"
                    f" {plan.learned.tile:,.0f} pixels from {len(rows):,} pictures, fitted to {plan.size} ×"
                    f" {plan.size}, in which nine in ten measure {scale * smallest:.0f} or more. Figures are of whole"
                    " pictures, looked at in the same tiles."
                )
                return replace(plan, why=why)
            scale *= SMALLER
            stride = FINE if scale * smallest < 0.99 * COARSE_SEEN_SIDE else stride
    return None


def _plan_at(
    boxed: BoxedSet, rows: np.ndarray, labels: Sequence[str], scale: float, stride: int, usual: float, in_pixels: bool
) -> TilePlan | None:
    """Plan tiles in which a pixel of the usual picture is `scale` pixels; None where the longest boxes are too long."""
    spans = [(p.boxes[:, 2:] - p.boxes[:, :2]).max(1, initial=0) for p in (boxed.pictures[i] for i in rows)]
    longer = boxed.sizes[rows].max(1)
    each = [s if in_pixels else s * usual / max(1, w) for s, w in zip(spans, longer, strict=True)]
    longest = scale * float(np.quantile(np.concatenate([*each, np.zeros(1)]), LONG))
    size = max(TILE, math.ceil((longest + 2 * EDGE) / MOST_OVERLAP / STEP) * STEP)
    zoom = round(usual * scale / size, 3)
    if size > SIZES[1] or zoom <= 1:
        return None
    tile = {"zoom": zoom, "side": round(usual / zoom, 1), "same": "pixels" if in_pixels else "share"}
    described = describe_learned(boxed, rows, labels, size, tile)
    learned = LearnedSizes.from_card({"detection": {"learned": described}}, size)
    if learned is None:
        return None
    return TilePlan(size=size, stride=stride, learned=learned, why="", described=described)


def _compare_spreads(boxed: BoxedSet) -> bool:
    """Tell whether things have one size in pixels, as under one microscope, rather than one share of the picture."""
    some = [i for i, p in enumerate(boxed.pictures) if len(p.boxes)]
    pixels = np.array(
        [np.median(np.log((p.boxes[:, 2:] - p.boxes[:, :2]).prod(1))) / 2 for p in boxed.pictures if len(p.boxes)]
    )
    shares = pixels - np.log(boxed.sizes[some].max(1))
    return len(some) > 1 and bool(pixels.std() < UNEVEN * shares.std())


@dataclass(frozen=True, slots=True, kw_only=True)
class TiledPictures:
    """The tiles of some pictures.

    Attributes
    ----------
    plan : TilePlan
        By which they are laid.
    pictures : tuple of BoxedPicture
        The tiles, each with the picture that it is cut from.
    row : np.ndarray
        int (T,): that picture's row in the data set.
    taught : np.ndarray
        bool (T,): which are learned from: those with boxes, and as many of the others.
    sizes : np.ndarray
        int (N, 2): width and height of all pictures of the data set.
    """

    plan: TilePlan
    pictures: tuple[BoxedPicture, ...]
    row: np.ndarray
    taught: np.ndarray
    sizes: np.ndarray

    @classmethod
    def cut(cls, boxed: BoxedSet, rows: np.ndarray, plan: TilePlan, seed: int) -> TiledPictures:
        """Cut pictures into tiles."""
        pictures, row, filled = [], [], []
        for i in rows:
            whole, (width, height) = boxed.pictures[i], boxed.sizes[i].tolist()
            grid = plan.lay(width, height)
            for corner in grid.corners:
                tile = TileCut(corner=corner, span=float(grid.spans[0]), width=width, height=height)
                pictures.append(replace(whole, tile=tile))
                row.append(i)
                filled.append(len(tile.boxes_in(whole.boxes, whole.labels, plan.size)[0]) > 0)
        full = np.array(filled, bool)
        empty = np.random.default_rng(seed).permutation(np.flatnonzero(~full))[: math.ceil(EMPTY * full.sum())]
        taught = full.copy()
        taught[empty] = True
        return cls(plan=plan, pictures=tuple(pictures), row=np.array(row, int), taught=taught, sizes=boxed.sizes)

    @property
    def most(self) -> int:
        """How many boxes a detector gives a tile at most: twice as many as are on the fullest."""
        size = self.plan.size
        counts = [len(p.tile.boxes_in(p.boxes, p.labels, size)[0]) for p in self.pictures if p.tile is not None]
        return int(np.clip(2 * max(counts, default=0), *MOST_BOXES))

    def tiles_of(self, rows: np.ndarray, *, taught: bool = False) -> np.ndarray:
        """List the tiles of some pictures, or those of them that are learned from."""
        return np.flatnonzero(np.isin(self.row, rows) & (self.taught | (not taught)))

    def join(self, rows: np.ndarray, find: Callable[[np.ndarray], Sequence[Any]]) -> list[Detections]:
        """Find boxes in all tiles of each picture, and join them as `model.large` does.

        Parameters
        ----------
        rows : np.ndarray
            int (n,), pictures.
        find : callable
            Given tiles int (t,), what was found in each: boxes in pixels of the fitted tile, scores and labels.
        """
        out = []
        for i in rows:
            own, (width, height) = self.tiles_of(np.array([i])), self.sizes[i].tolist()
            grid = self.plan.lay(width, height)
            placed = [
                place_boxes(np.column_stack([f.boxes, f.scores, f.labels]), c, grid, width, height, self.plan.size)
                for f, c in zip(find(own), grid.corners, strict=True)
            ]
            joined = join_tiles([b for b, _ in placed], [cut for _, cut in placed], grid.corners, grid.spans)
            out.append(
                Detections(
                    boxes=joined[:, :4].astype(np.float32),
                    scores=joined[:, 4],
                    labels=joined[:, 5].astype(np.int64),
                )
            )
        return out
