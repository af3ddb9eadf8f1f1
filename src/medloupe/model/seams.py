"""Join the boxes that a detector found in overlapping tiles of one picture.

Boxes are float (n, 6): x0, y0, x1, y1 in pixels of the picture, score, label.
"""

from __future__ import annotations

import numpy as np

from medloupe.metrics.matching import compute_iou

ACROSS = 0.45  # IoU from which on boxes of one label in two tiles are one thing
WITHIN = 0.6  # share of a box that is cut off by a tile's edge that lies in the same box seen by a neighbour
HALVES = 0.6  # along a seam, what both share of what both cover, from which on two cut boxes are halves of one


def find_cut(
    boxes: np.ndarray, corner: np.ndarray, spans: np.ndarray, width: int, height: int, edge: float
) -> np.ndarray:
    """Tell which boxes of a tile are cut off by its edges; the picture's own edges cut none.

    Parameters
    ----------
    boxes : np.ndarray
        float (n, 6).
    corner, spans : np.ndarray
        (2,) of the tile: where it begins, its width and height, in pixels of the picture.
    width, height : int
        Of the picture.
    edge : float
        Pixels from an edge within which a box counts as cut.

    Returns
    -------
    np.ndarray
        bool (n,).
    """
    low, high = corner, corner + spans
    inner_low, inner_high = low > 0, high < (width, height)
    cut = (boxes[:, :2] < low + edge) & inner_low
    return np.any(cut | ((boxes[:, 2:4] > high - edge) & inner_high), axis=1)


def join_tiles(boxes: list[np.ndarray], cut: list[np.ndarray], corners: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Join the boxes of tiles: each thing once, and whole where a tile has it whole.

    Of two boxes of one label that are one thing the whole one stays, then the surer one. Of boxes that are cut in all
    tiles those that are halves of one are put together, whatever tile they are from.

    Parameters
    ----------
    boxes : list of np.ndarray
        Of each tile float (n, 6), none of which lie over each other there.
    cut : list of np.ndarray
        Of each tile bool (n,), as `find_cut` has it.
    corners : np.ndarray
        float (T, 2) of the tiles.
    spans : np.ndarray
        (2,): width and height of a tile.

    Returns
    -------
    np.ndarray
        float (n, 6), the surest first.
    """
    boxes = [b.astype(np.float64, copy=True) for b in boxes]
    alive = [np.ones(len(b), bool) for b in boxes]
    filled = np.array([len(b) > 0 for b in boxes], bool)
    meet = (np.abs(corners[:, None] - corners[None]) < spans).all(2) & filled[:, None] & filled[None]
    pairs = np.argwhere(np.triu(meet, 1)).tolist()
    for judge in (_drop_cut, _drop_weaker, _join_halves):
        for i, j in pairs:
            mine, theirs = _near(boxes[i], alive[i], corners[j], spans), _near(boxes[j], alive[j], corners[i], spans)
            if len(mine) and len(theirs):
                judge(boxes, alive, cut, (i, mine), (j, theirs))
    rows = [b[a] for b, a in zip(boxes, alive, strict=True)]
    joined = np.concatenate([*rows, np.zeros((0, 6))])
    return joined[np.argsort(-joined[:, 4], kind="stable")]


def _near(boxes: np.ndarray, alive: np.ndarray, corner: np.ndarray, spans: np.ndarray) -> np.ndarray:
    """Find the boxes that reach into another tile."""
    return np.flatnonzero(alive & (boxes[:, 2:4] > corner).all(1) & (boxes[:, :2] < corner + spans).all(1))


_Part = tuple[int, np.ndarray]  # a tile, and the numbers of boxes in it


def _drop_cut(
    boxes: list[np.ndarray], alive: list[np.ndarray], cut: list[np.ndarray], one: _Part, other: _Part
) -> None:
    """Drop boxes that are cut by their tile's edge and lie in a whole one of the other tile."""
    for (i, mine), (j, theirs) in ((one, other), (other, one)):
        a, b = mine[cut[i][mine]], theirs[~cut[j][theirs]]
        if len(a) and len(b):
            same = boxes[i][a, 5][:, None] == boxes[j][b, 5][None]
            alive[i][a[((_share_within(boxes[i][a], boxes[j][b]) >= WITHIN) & same).any(1)]] = False


def _drop_weaker(
    boxes: list[np.ndarray], alive: list[np.ndarray], cut: list[np.ndarray], one: _Part, other: _Part
) -> None:
    """Drop the less sure of two boxes that are one thing, both whole or both cut."""
    (i, a), (j, b) = one, other
    alike = (boxes[i][a, 5][:, None] == boxes[j][b, 5][None]) & (cut[i][a][:, None] == cut[j][b][None])
    over = (compute_iou(boxes[i][a, :4], boxes[j][b, :4]) >= ACROSS) & alike
    if not over.any():
        return
    rows, columns = np.nonzero(over)
    for r, c in sorted(zip(rows, columns, strict=True), key=lambda p: -max(boxes[i][a[p[0]], 4], boxes[j][b[p[1]], 4])):
        if alive[i][a[r]] and alive[j][b[c]]:
            if boxes[i][a[r], 4] >= boxes[j][b[c], 4]:
                alive[j][b[c]] = False
            else:
                alive[i][a[r]] = False


def _join_halves(
    boxes: list[np.ndarray], alive: list[np.ndarray], cut: list[np.ndarray], one: _Part, other: _Part
) -> None:
    """Put two boxes together that are cut in both tiles, overlap, and lie alike along the seam."""
    (i, mine), (j, theirs) = one, other
    for a in mine[cut[i][mine]]:
        for b in theirs[cut[j][theirs]]:
            p, q = boxes[i][a], boxes[j][b]
            if not (alive[i][a] and alive[j][b]) or p[5] != q[5]:
                continue
            shared = np.minimum(p[2:4], q[2:4]) - np.maximum(p[:2], q[:2])
            spanned = np.maximum(p[2:4], q[2:4]) - np.minimum(p[:2], q[:2])
            if (shared > 0).all() and (shared / spanned).max() >= HALVES:
                boxes[i][a, :2], boxes[i][a, 2:4] = np.minimum(p[:2], q[:2]), np.maximum(p[2:4], q[2:4])
                boxes[i][a, 4] = max(p[4], q[4])
                alive[j][b] = False


def _share_within(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute which share of each box a (n, 6) lies in each box b (m, 6): (n, m)."""
    shared = np.minimum(a[:, None, 2:4], b[None, :, 2:4]) - np.maximum(a[:, None, :2], b[None, :, :2])
    area = np.maximum((a[:, 2:4] - a[:, :2]).prod(1), 1e-9)
    return np.clip(shared, 0, None).prod(2) / area[:, None]
