"""Lay tiles over a large picture, at the scale at which a detector learned.

A detector sees every picture fitted to S x S pixels. One that is much larger than those it learned from shows either
the same in more pixels, as a film from a better detector plate, or more of it, as a field of view joined from several:
sizes in pixels do not tell. `zoom` is how much larger than fitted as a whole the picture is looked at: 1 is the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.imaging.picture import full_side

LARGER = 1.5  # times the largest usual longer side that was learned from, from which a picture is large
MOST_TILES = 256  # of one picture
STEP = math.sqrt(2)  # from one zoom that is tried to the next; views in training are scaled by as much
EDGE = 4  # fitted pixels from the edge of a tile, within which a box counts as cut by it
MOST_ASPECT = 2.0  # of a tile
MOST_OVERLAP = 0.4  # of a tile
LEAST_STEP = 0.5  # of a tile, from one to the next
MOST_OF_PICTURE = 1 / 3  # of a picture, above which boxes are of things of which there is one, such as organs: no tiles


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedSizes:
    """The sizes of the pictures and boxes that a detector learned from.

    Attributes
    ----------
    size : int
        S.
    longer_side : (float, float)
        Of the pictures as given, in pixels: the median, and what all but a few stay below.
    sides : mapping of (float, float, float)
        By label the side of the square of a box's area, in pixels of the fitted picture: low, median, high.
    longest : float
        Longer side of the longest boxes there.
    aspect : float
        Width through height of the usual picture. Tiles have it, too: fitted, they then are as full as those were.
    zoom : float
        How much larger than as a whole the usual picture was learned from, in tiles; 1 where it was as a whole.
    tile : float
        Pixels of the usual picture along the longer side of such a tile.
    in_pixels : bool
        Whether a tile has as many pixels in pictures of other sizes, too; else it is the same share of them.
    shortest : float
        Longer side that all but a few of the pictures learned from have.
    """

    size: int
    longer_side: tuple[float, float]
    sides: Mapping[str, tuple[float, float, float]]
    longest: float
    aspect: float = 1.0
    zoom: float = 1.0
    tile: float = 0.0
    in_pixels: bool = False
    shortest: float = 0.0

    @classmethod
    def from_card(cls, card: Mapping[str, Any], size: int) -> LearnedSizes | None:
        """Read a card; None of one that does not tell, or finds organs: pictures are then looked at as a whole."""
        learned = (card.get("detection") or {}).get("learned") or {}
        pictures, longest = learned.get("longer_side") or {}, learned.get("longest")
        sides = {
            row["label"]: (float(row["low"]), float(row["median"]), float(row["high"]))
            for row in learned.get("boxes") or ()
            if all(row.get(k) for k in ("low", "median", "high"))
        }
        if not sides or not longest or not pictures.get("median") or not pictures.get("high"):
            return None
        if min(median for _, median, _ in sides.values()) > MOST_OF_PICTURE * size:
            return None
        tile = learned.get("tile") or {}
        tile = tile if tile.get("side") and tile.get("zoom", 0) > 1 else {}
        aspect = 1.0 if tile else (learned.get("aspect") or {}).get("median") or 1.0
        return cls(
            size=size,
            longer_side=(float(pictures["median"]), float(pictures["high"])),
            sides=sides,
            longest=float(longest),
            aspect=float(np.clip(aspect, 1 / MOST_ASPECT, MOST_ASPECT)),
            zoom=float(tile.get("zoom") or 1.0),
            tile=float(tile.get("side") or 0.0),
            in_pixels=tile.get("same") == "pixels",
            shortest=float(pictures.get("low") or 0.0),
        )

    @property
    def large_from(self) -> int:
        """Pixels of the longer side above which a picture is looked at in parts: 0 where that was learned."""
        return 0 if self.in_tiles else math.floor(LARGER * self.longer_side[1])

    @property
    def in_tiles(self) -> bool:
        """Whether pictures were learned from in tiles."""
        return self.zoom > 1

    def compare_length(self, width: int, height: int) -> int:
        """Tell whether a picture is much longer (1) or much shorter (-1) than those learned from, or neither (0)."""
        longer = max(width, height)
        return int(longer > LARGER * self.longer_side[1]) - int(LARGER * longer < self.shortest)

    def usual_zoom(self, width: int, height: int) -> float:
        """Compute the zoom at which a picture was, or would have been, learned from.

        Tiles are not enlarged beyond what was learned: a much shorter picture has tiles of as many pixels.
        """
        length = self.compare_length(width, height)
        by_pixels = self.in_tiles and (length < 0 or (self.in_pixels and length == 0))
        return max(width, height) / self.tile if by_pixels else self.zoom

    @property
    def overlap(self) -> int:
        """Fitted pixels by which neighbouring tiles overlap: nearly every box lies whole in one of them."""
        return min(math.ceil(self.longest) + 2 * EDGE, int(MOST_OVERLAP * self.size))

    def zooms(self, width: int, height: int) -> tuple[float, ...]:
        """List the zooms above the usual one at which a picture is tried.

        The last is the scale of training in pixels, or as many pixels as the picture is decoded to.
        """
        if self.in_tiles and self.compare_length(width, height) <= 0:
            return ()
        enlarged = max(1.0, self.size / (self.tile or self.longer_side[0]))
        decoded = full_side(width, height) * enlarged / self.size
        most = min(max(width, height) / self.longer_side[0], decoded / self.zoom)
        if most <= STEP:
            return ()
        steps = math.ceil(math.log(most, STEP) - 0.25)
        return tuple(self.zoom * most ** (i / steps) for i in range(1, steps + 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Tiles over a picture.

    Attributes
    ----------
    zoom : float
        How much larger than as a whole the picture is looked at.
    spans : np.ndarray
        float64 (2,): width and height of a tile, in pixels of the picture.
    corners : np.ndarray
        float64 (n, 2): x and y of each tile's top left corner, in pixels of the picture.
    """

    zoom: float
    spans: np.ndarray
    corners: np.ndarray

    @property
    def side(self) -> float:
        """Pixels of the picture along the longer side of a tile."""
        return float(self.spans.max())


def lay_tiles(width: int, height: int, zoom: float, learned: LearnedSizes) -> Grid:
    """Lay tiles over a picture, evenly and from edge to edge; where it is smaller than a tile one lies around it."""
    spans = _tile_spans(width, height, zoom, learned)
    shared = spans.max() * learned.overlap / learned.size
    axes = []
    for length, span in zip((width, height), spans, strict=True):
        if length <= span:
            axes.append(np.array([(length - span) / 2]))
            continue
        step = max(span - shared, LEAST_STEP * span)
        axes.append(np.linspace(0, length - span, math.ceil((length - span) / step) + 1))
    x, y = np.meshgrid(*axes)
    return Grid(zoom=zoom, spans=spans, corners=np.column_stack([x.ravel(), y.ravel()]))


def _tile_spans(width: int, height: int, zoom: float, learned: LearnedSizes) -> np.ndarray:
    shape = np.array([learned.aspect, 1.0])
    return max(width, height) / zoom * shape / shape.max()


def lay_within(width: int, height: int, zoom: float, learned: LearnedSizes) -> Grid:
    """Lay at most MOST_TILES tiles: at a lower zoom where there would be more."""
    grid = lay_tiles(width, height, zoom, learned)
    while len(grid.corners) > MOST_TILES:
        zoom *= max(0.5, min(0.98, math.sqrt(MOST_TILES / len(grid.corners))))
        grid = lay_tiles(width, height, zoom, learned)
    return grid


PROBES = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
"""Middles of the tiles by which zooms are compared, as shares of width and height."""


def lay_probes(width: int, height: int, zoom: float, learned: LearnedSizes) -> Grid:
    """Lay the tiles by which a zoom is judged: the same places at each, within the picture."""
    spans = _tile_spans(width, height, zoom, learned)
    corners = []
    for share, length, span in zip(np.array(PROBES).T, (width, height), spans, strict=True):
        free = length - span
        corners.append(np.clip(share * length - span / 2, 0, free) if free > 0 else np.full(len(PROBES), free / 2))
    return Grid(zoom=zoom, spans=spans, corners=np.column_stack(corners))


_LEARNED = {
    "learned": "",
    "learned_short": " Should it show the same in fewer pixels, things in it are too small to be found.",
    "learned_unsure": " Should it show more than one of those, things in it are too small to be found.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How a large picture was looked at.

    Attributes
    ----------
    code : str
        "tiles"; "shrunk": in fewer tiles than the scale of training asks for; "whole": its boxes have the size of those
        learned from; "unsure": as a whole, as nothing told its scale. Of a detector that learned from tiles
        "learned": in such tiles; "learned_short": in such, though it is much shorter than those learned from;
        "learned_unsure": in such, though it is much longer, as nothing told its scale.
    larger : float
        How many times as long as usual pictures learned from it is.
    tiles : int
        How many there were; 1 where it was looked at as a whole.
    side : int
        Pixels of the picture along the longer side of a tile.
    shrunk : float
        How many times smaller than in training boxes come out, where that is told; 1 elsewhere.
    foreign : int
        How many of the tiles are unlike what was learned from: nothing in them is told.
    left_out : int
        Boxes over their line beyond the most that an answer holds.
    """

    code: str
    larger: float
    tiles: int
    side: int
    shrunk: float = 1.0
    foreign: int = 0
    left_out: int = 0

    @property
    def text(self) -> str:
        """Say it in English."""
        large = f"The picture is {self.larger:.1f} times as long as those the detector learned from."
        if self.code in _LEARNED:
            said = f"It was looked at in {self.tiles:,} tiles of {self.side:,} pixels, as the detector learned to."
            return self._count_others(f"{said if self.code == 'learned' else f'{large} {said}'}{_LEARNED[self.code]}")
        if self.code == "whole":
            return f"{large} It was looked at as a whole: so its boxes have the sizes that were learned."
        if self.code == "unsure":
            return (
                f"{large} It was looked at as a whole, as those were. Should it show more than one of those, rather"
                " than the same in more pixels, things in it are too small to be found."
            )
        said = (
            f"{large} It was looked at in {self.tiles:,} tiles of {self.side:,} pixels: so its boxes have the sizes"
            " that were learned. Lines and false marks a picture hold for each tile."
        )
        if self.code == "shrunk":
            said += f" More tiles than {MOST_TILES} are not looked at: boxes come out {self.shrunk:.1f} times smaller."
        return self._count_others(said)

    def _count_others(self, said: str) -> str:
        if self.foreign:
            said += f" {self.foreign:,} of the tiles are unlike what was learned from; nothing is told of them."
        if self.left_out:
            said += f" {self.left_out:,} more boxes are marked than an answer holds."
        return said

    def as_json(self) -> dict[str, Any]:
        """Give all fields, and the text, in types that JSON has."""
        return {
            "code": self.code,
            "text": self.text,
            "larger": round(self.larger, 2),
            "tiles": self.tiles,
            "side": self.side,
            "shrunk": round(self.shrunk, 2),
            "foreign": self.foreign,
            "left_out": self.left_out,
        }
