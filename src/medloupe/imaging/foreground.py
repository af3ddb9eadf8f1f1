"""Part what a picture shows from its empty border, by brightness alone; nothing in it is learned.

Empty are pixels that hang together with the picture's edge and are nearly black or nearly white: the air around a
chest, the black around a fundus or a brain, the margins of a scan. What is burnt into the border, such as a marker, is
taken for border too where it is small.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 96
"""Pixels on the longer side at which a picture is looked at."""
_BLACK, _WHITE = 20, 250  # of 255; darker or brighter is empty where it reaches the edge
_MARKER = 0.03  # of all pixels; an island in the border smaller than that is a marker, not the organ


def find_foreground(grey: Image.Image) -> np.ndarray:
    """Find where a picture shows something: bool (h, w), at most SIDE pixels on its longer side.

    Parameters
    ----------
    grey : Image.Image
        The picture, of any mode and size.
    """
    small = grey.convert("L")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    levels = np.asarray(small)
    return _drop_islands(~(_from_edge(levels <= _BLACK) | _from_edge(levels >= _WHITE)))


def _from_edge(able: np.ndarray) -> np.ndarray:
    """Keep what hangs together with the edge, bool (h, w), by its four neighbours."""
    edge = np.zeros_like(able)
    edge[[0, -1], :] = able[[0, -1], :]
    edge[:, [0, -1]] = able[:, [0, -1]]
    return _grow(edge, able)


def _grow(seed: np.ndarray, able: np.ndarray) -> np.ndarray:
    """Grow a seed within what is able, step by step, until nothing is added."""
    reached = seed & able
    while True:
        wider = reached.copy()
        wider[1:] |= reached[:-1]
        wider[:-1] |= reached[1:]
        wider[:, 1:] |= reached[:, :-1]
        wider[:, :-1] |= reached[:, 1:]
        wider &= able
        if (wider == reached).all():
            return reached
        reached = wider


def _drop_islands(shown: np.ndarray) -> np.ndarray:
    """Drop pieces of the foreground that are too small to be an organ, unless there is nothing else."""
    left, kept = shown.copy(), np.zeros_like(shown)
    while left.any():
        seed = np.zeros_like(shown)
        seed[tuple(np.argwhere(left)[0])] = True
        piece = _grow(seed, left)
        left &= ~piece
        if piece.mean() >= _MARKER:
            kept |= piece
    return kept if kept.any() else shown
