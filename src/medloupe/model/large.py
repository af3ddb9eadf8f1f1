"""Find boxes in a large picture: decide its scale by what a detector sees at several, then look at it in tiles.

A wrong scale misleads: a film in ten times the pixels, cut into tiles, is no film any more, and a joined field of view
fitted as a whole has cells of some pixels. So it is decided by the picture: at the right scale the boxes that are
found have the sizes that were learned from, and there are the most of them for the area looked at. Where too few are
found to tell, the picture is looked at as a whole, as all were that were learned from, and that is said.

A detector that learned from tiles looks at every picture in tiles; only the scale of much longer ones is looked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medloupe.imaging.picture import fitted_frame
from medloupe.model.boxes import FoundBox
from medloupe.model.decision import Decision
from medloupe.model.novelty import Novelty
from medloupe.model.seams import find_cut, join_tiles
from medloupe.model.tiling import EDGE, Grid, LearnedSizes, Tiling, lay_probes, lay_within

RunTiles = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None]]
"""Runs the detector's network over pixels uint8 (n, S, S, 3): boxes float32 (n, M, 6) in pixels of these, and
embeddings (n, D) that novelty reads, None where there is none."""

BATCH = 4  # tiles in one pass
FEWEST_SEEN = 8  # marked boxes of a learned size in the tiles of a zoom that are tried, that tell a scale
CLEARLY = 1.5  # times as many of them, for the area looked at, as in the picture as a whole
ABOUT = 1.2  # times beyond the sizes that were learned from that still count as these
MOST_KEPT = 20_000  # boxes of one picture
LEAST_KEPT = 0.05  # score from which on boxes below their line are kept
_USUAL = {0: "learned", 1: "learned_unsure", -1: "learned_short"}  # by `LearnedSizes.compare_length`


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeLook:
    """What was found in a large picture.

    Attributes
    ----------
    tiling : Tiling
        How it was looked at.
    boxes : tuple of FoundBox or None
        What was found in tiles, the surest first; None where it was looked at as a whole.
    best : np.ndarray
        float64 (K,): the surest score of each label in tiles.
    pixels, embedding : np.ndarray or None
        uint8 (S, S, 3) and float32 (D,): the tile that is the middle one of all by how foreign they are; by it the
        picture is refused. None where it was looked at as a whole, or nothing is refused.
    """

    tiling: Tiling
    boxes: tuple[FoundBox, ...] | None = None
    best: np.ndarray | None = None
    pixels: np.ndarray | None = None
    embedding: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenTile:
    """What was found in one tile.

    `boxes` (n, 6) in pixels of the picture, which of them its edges `cut`, how `far` it is (over 1: foreign), its
    `pixels` and its `embedding`.
    """

    boxes: np.ndarray
    cut: np.ndarray
    far: float
    pixels: np.ndarray
    embedding: np.ndarray | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LargePictures:
    """How a detector looks at large pictures.

    Attributes
    ----------
    labels : tuple of str
        K.
    lines : np.ndarray
        float (K,): the score from which boxes are marked or, where that is lower, counted.
    learned : LearnedSizes
        What it learned from.
    novelty : Novelty or None
        By which it refuses.
    """

    labels: tuple[str, ...]
    lines: np.ndarray
    learned: LearnedSizes
    novelty: Novelty | None

    @classmethod
    def of(cls, decision: Decision, learned: LearnedSizes | None, novelty: Novelty | None) -> LargePictures | None:
        """Put together what is known of a detector; None where its card does not tell what it learned from."""
        if learned is None:
            return None
        quiet = np.where(decision.rule.announced, decision.thresholds, np.inf)
        lines = np.minimum(quiet, np.array(decision.count_lines, float))
        return cls(labels=decision.labels, lines=lines, learned=learned, novelty=novelty)

    def is_large(self, width: int, height: int) -> bool:
        """Tell whether a picture is much larger than those learned from, or all are looked at in tiles."""
        return max(width, height) > self.learned.large_from

    def look(
        self, full: np.ndarray, width: int, height: int, whole: np.ndarray, embedding: np.ndarray | None, run: RunTiles
    ) -> LargeLook:
        """Look at a large picture.

        Parameters
        ----------
        full : np.ndarray
            uint8 (F, F, 3): the picture as `imaging.decode` fits it to `tiling.full_side`.
        width, height : int
            Of the picture as given.
        whole, embedding : np.ndarray
            What the network makes of the picture as a whole: boxes float32 (M, 6) in pixels of the fitted picture, and
            what novelty reads, float32 (D,).
        run : RunTiles
            Runs the network.
        """
        longer = max(width, height)
        larger, usual = longer / self.learned.longer_side[0], self.learned.usual_zoom(width, height)
        zooms = self.learned.zooms(width, height)
        marked = fitting = 0.0
        if not self.learned.in_tiles:
            foreign = self.novelty is not None and embedding is not None and self._far(embedding[None])[0] > 1
            marked, fitting = (0.0, 0.0) if foreign else self._count(whole, np.ones(len(whole), bool), 1.0)
        elif zooms:
            fitting = self._probe(full, width, height, usual, run)[1]
        zoom, most, ratio = 0.0, CLEARLY * fitting, 1.0
        for tried in zooms:
            found, for_area, sizes = self._probe(full, width, height, tried, run)
            if found >= FEWEST_SEEN and for_area > most:
                zoom, most, ratio = tried, for_area, sizes
        if not zoom and not self.learned.in_tiles:
            code = "whole" if fitting > 0 and 2 * fitting >= marked else "unsure"
            return LargeLook(tiling=Tiling(code=code, larger=larger, tiles=1, side=longer))
        code = "tiles" if zoom else _USUAL[self.learned.compare_length(width, height)]
        zoom = min(zoom / ratio, max(zooms)) if zoom else usual
        grid = lay_within(width, height, zoom, self.learned)
        return self._join(self._see(full, width, height, grid, run), grid, zoom, larger, width, height, code)

    def _probe(
        self, full: np.ndarray, width: int, height: int, zoom: float, run: RunTiles
    ) -> tuple[float, float, float]:
        """Try a zoom: sum of the scores of boxes of learned sizes, the same for the area, and how large these are."""
        seen = self._see(full, width, height, lay_probes(width, height, zoom, self.learned), run)
        scale, own = self.learned.size * zoom / max(width, height), [s for s in seen if s.far <= 1]
        found = sum(self._count(s.boxes, ~s.cut, scale)[1] for s in own)
        return found, found * zoom**2 / len(seen), self._compare_sizes(own, scale)

    def _see(self, full: np.ndarray, width: int, height: int, grid: Grid, run: RunTiles) -> list[SeenTile]:
        """Run the network over tiles."""
        size, seen = self.learned.size, []
        for first in range(0, len(grid.corners), BATCH):
            corners = grid.corners[first : first + BATCH]
            pixels = np.stack([cut_tile(full, width, height, c, grid.spans, size) for c in corners])
            rows, shared = run(pixels)
            far = np.zeros(len(corners)) if shared is None else self._far(shared)
            for i, corner in enumerate(corners):
                boxes, cut = place_boxes(rows[i], corner, grid, width, height, size)
                own = None if shared is None else shared[i]
                seen.append(SeenTile(boxes=boxes, cut=cut, far=float(far[i]), pixels=pixels[i], embedding=own))
        return seen

    def _far(self, shared: np.ndarray) -> np.ndarray:
        return np.zeros(len(shared)) if self.novelty is None else self.novelty.score(shared)

    def _count(self, boxes: np.ndarray, counted: np.ndarray, scale: float) -> tuple[float, float]:
        """Add up the scores of marked boxes (n, 6), and of those of them that have a learned size once scaled."""
        marked = counted & (boxes[:, 4] > 0) & (boxes[:, 4] >= self.lines[boxes[:, 5].astype(int)])
        fitting = marked & self._fit(boxes, scale)[0]
        return float(boxes[marked, 4].sum()), float(boxes[fitting, 4].sum())

    def _fit(self, boxes: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Tell which boxes (n, 6) have a learned size once scaled, and how many times the median one of their label."""
        sides = np.sqrt(np.clip(boxes[:, 2:4] - boxes[:, :2], 0, None).prod(1)) * scale
        known = [self.learned.sides.get(n, (np.inf, np.inf, 0.0)) for n in self.labels]
        spans = np.array(known)[boxes[:, 5].astype(int)]
        return (sides >= spans[:, 0] / ABOUT) & (sides <= spans[:, 2] * ABOUT), sides / spans[:, 1]

    def _compare_sizes(self, seen: list[SeenTile], scale: float) -> float:
        """Compare marked boxes that have a learned size with the median one: how many times as large they are."""
        ratios = [np.zeros(0)]
        for tile in seen:
            fitting, ratio = self._fit(tile.boxes, scale)
            marked = ~tile.cut & (tile.boxes[:, 4] >= self.lines[tile.boxes[:, 5].astype(int)])
            ratios.append(ratio[fitting & marked])
        every = np.concatenate(ratios)
        return float(np.median(every)) if len(every) else 1.0

    def _join(
        self, seen: list[SeenTile], grid: Grid, wanted: float, larger: float, width: int, height: int, code: str
    ) -> LargeLook:
        """Join what was found in tiles; of those that are foreign nothing is told."""
        order = np.argsort([s.far for s in seen], kind="stable")
        middle = seen[int(order[len(seen) // 2])]
        own = [i for i, s in enumerate(seen) if s.far <= 1]
        joined = join_tiles([seen[i].boxes for i in own], [seen[i].cut for i in own], grid.corners[own], grid.spans)
        labels = joined[:, 5].astype(int)
        marked = joined[:, 4] >= self.lines[labels]
        kept = np.flatnonzero(marked | (joined[:, 4] >= LEAST_KEPT))[:MOST_KEPT]
        best = np.array([joined[labels == k, 4].max(initial=0.0) for k in range(len(self.labels))])
        boxes = tuple(
            FoundBox(label=self.labels[int(k)], score=s, x=x0, y=y0, width=x1 - x0, height=y1 - y0)
            for x0, y0, x1, y1, s, k in joined[kept].tolist()
        )
        return LargeLook(
            tiling=Tiling(
                code="shrunk" if code == "tiles" and wanted > 1.1 * grid.zoom else code,
                larger=larger,
                tiles=len(seen),
                side=round(grid.side),
                shrunk=wanted / grid.zoom,
                foreign=len(seen) - len(own),
                left_out=int(marked.sum() - marked[kept].sum()),
            ),
            boxes=boxes,
            best=best,
            pixels=middle.pixels,
            embedding=middle.embedding,
        )


def place_boxes(
    rows: np.ndarray, corner: np.ndarray, grid: Grid, width: int, height: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Move what was found in a tile into the picture.

    Parameters
    ----------
    rows : np.ndarray
        float (n, 6): boxes in pixels of the fitted tile, scores, labels; those of score 0 are none.
    corner : np.ndarray
        (2,), where the tile begins.
    grid : Grid
        All tiles.
    width, height : int
        Of the picture.
    size : int
        Of the fitted tile.

    Returns
    -------
    tuple of np.ndarray
        float64 (m, 6) in pixels of the picture, and bool (m,): which the edges of the tile cut.
    """
    scale = grid.side / size  # pixels of the picture in one of a tile
    frame = np.array(fitted_frame(float(grid.spans[0]), float(grid.spans[1]), size)[:2] * 2)
    boxes = rows[rows[:, 4] > 0].astype(np.float64)
    low = np.tile(np.maximum(corner, 0), 2)
    high = np.tile(np.minimum(corner + grid.spans, [width, height]), 2)
    boxes[:, :4] = np.clip((boxes[:, :4] - frame) * scale + np.tile(corner, 2), low, high)
    boxes = boxes[(boxes[:, 2:4] > boxes[:, :2]).all(1)]
    return boxes, find_cut(boxes, corner, grid.spans, width, height, EDGE * scale)


def cut_tile(full: np.ndarray, width: int, height: int, corner: np.ndarray, spans: np.ndarray, size: int) -> np.ndarray:
    """Cut a tile from a picture and fit it: uint8 (size, size, 3), black where it reaches beyond the picture.

    Parameters
    ----------
    full : np.ndarray
        uint8 (F, F, 3), the picture fitted to F.
    width, height : int
        Of the picture as given.
    corner, spans : np.ndarray
        (2,) of the tile: where it begins, its width and height, in pixels of the picture as given.
    size : int
        Pixels a side.
    """
    left, top, w, h = fitted_frame(width, height, len(full))
    scale = np.array([w / width, h / height])
    fitted = size / spans.max()
    low, high = np.clip(corner, 0, None), np.minimum(corner + spans, [width, height])
    at = np.round((low - corner) * fitted).astype(int) + fitted_frame(float(spans[0]), float(spans[1]), size)[:2]
    sides = np.clip(np.round((high - low) * fitted).astype(int), 1, size - at)
    low, high = low * scale, np.minimum(high * scale, [w, h])
    (x0, y0), (x1, y1) = np.floor(low).astype(int), np.ceil(high).astype(int)
    part = Image.fromarray(np.ascontiguousarray(full[top + y0 : top + y1, left + x0 : left + x1]))
    box = (low[0] - x0, low[1] - y0, high[0] - x0, high[1] - y0)
    out = np.zeros((size, size, 3), np.uint8)
    out[at[1] : at[1] + sides[1], at[0] : at[0] + sides[0]] = np.asarray(
        part.resize((int(sides[0]), int(sides[1])), Image.Resampling.BICUBIC, box)
    )
    return out
