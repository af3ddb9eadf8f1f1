"""Tell direct exports at a glance, so that sides and round fields are looked for only where there may be any.

Nearly every picture that is sent is a direct export, and the search of photograph.py takes several milliseconds. This
takes a third of one, on the grey version of 104 pixels that quality.py measures anyway: the straightest edges of both
directions by a coarse Hough transform, what lies around them, and the rim. Boosted trees on these numbers say whether
the search could find sides; few that it finds are passed over (benchmarks/prescreen.py counts them). A round field is
ruled out by conditions that the search of roundfield.py makes, with room to spare.

The trees were fitted by scripts/fit_prescreen.py to what the search says of simulated photographs and direct exports.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np

SIDE = 104
"""Pixels of the longer side of what is looked at."""

_OF_DIRECTION = (
    "pair",
    "pair_sum",
    "longest",
    "edges",
    "usual",
    "before",
    "behind",
    "around",
    "between",
    "around_most",
    "step",
    "other_step",
)
FEATURES = (
    *(f"weaker_{name}" for name in _OF_DIRECTION),
    *(f"stronger_{name}" for name in _OF_DIRECTION),
    "grey",
    "colour",
    "rim",
    "rim_spread",
    "rim_sides",
    "middle",
    "middle_off",
    "stretch",
)
"""What is measured, in this order: of the two directions that with the weaker pair of edges first."""

_SLOPES = np.linspace(-0.42, 0.42, 29)  # as lines.py, coarser
_LEAST_EDGE = 5  # levels across two pixels
_APART = 0.28  # of the breadth, that the two edges of a pair lie apart at least
_LEAST_SIDE = 24  # pixels of the shorter side, below which nothing is ruled out
_RIM = 3  # pixels
_BLACK, _BRIGHT = 1, 120  # levels between which the rim around a photographed round field lies
_SPREAD = 64  # levels by which that rim varies at most
_LEAST_LIT, _MOST_LIT = 0.015, 0.85  # of the picture, that such a field takes
_PARTS = 10.0  # levels by which it parts from the rim at least


@dataclass(frozen=True, slots=True)
class Trees:
    """Boosted trees of depth 3.

    Attributes
    ----------
    feature, threshold : ndarray, shape (T, 7)
        Of each node, the root first, then level by level: to the right where the feature exceeds the threshold.
    leaf : ndarray of float, shape (T, 8)
        What a tree adds.
    line : float
        Sum from which on sides may be found.
    """

    feature: np.ndarray
    threshold: np.ndarray
    leaf: np.ndarray
    line: float

    def score(self, values: np.ndarray) -> float:
        """Add up what the trees say of FEATURES, (F,)."""
        trees = np.arange(len(self.leaf))
        node = np.zeros(len(trees), np.intp)
        for _ in range(3):
            right = values[self.feature[trees, node]] > self.threshold[trees, node]
            node = 2 * node + 1 + right
        return float(self.leaf[trees, node - 7].sum())


def may_have_sides(grey: np.ndarray, colour: float) -> bool:
    """Tell whether the sides of a photographed picture could be found.

    Parameters
    ----------
    grey : ndarray of uint8, shape (h, w)
        The frame, SIDE pixels on its longer side.
    colour : float
        How far its channels lie apart on average, in levels.
    """
    if min(grey.shape) < _LEAST_SIDE:
        return True
    trees = fitted()
    return trees.score(measure_features(grey, colour)) >= trees.line


def may_have_round_field(grey: np.ndarray) -> bool:
    """Tell whether a photographed round field could be found: lit, in a dark that is neither black nor bright.

    grey: as for `may_have_sides`.
    """
    if min(grey.shape) < _LEAST_SIDE:
        return True
    outermost = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if not _BLACK < _quantile(outermost, 0.5) <= _BRIGHT:
        return False
    rim = _rim(grey, max(2, round(0.04 * max(grey.shape))))
    low, dark, high = (_quantile(rim, q) for q in (0.1, 0.5, 0.9))
    if high - low > _SPREAD:
        return False
    lit = np.count_nonzero(grey > dark + max(_PARTS, 1.5 * (high - low))) / grey.size
    return _LEAST_LIT < lit < _MOST_LIT


def measure_features(grey: np.ndarray, colour: float) -> np.ndarray:
    """Measure FEATURES, float (F,). grey, colour: as for `may_have_sides`."""
    v = grey.astype(np.int16)
    h, w = v.shape
    across, down = np.zeros((2, h, w), np.int16)
    np.subtract(v[:, 2:], v[:, :-2], out=across[:, 1:-1])
    np.subtract(v[2:], v[:-2], out=down[1:-1])
    upright = _measure_direction(across, down)
    level = _measure_direction(np.ascontiguousarray(down.T), np.ascontiguousarray(across.T))
    weaker, stronger = (level, upright) if upright[0] > level[0] else (upright, level)
    means = [float(part.mean()) for part in (v[:_RIM], v[-_RIM:], v[:, :_RIM], v[:, -_RIM:])]
    rim = _rim(v, _RIM)
    dark = float(np.partition(rim, rim.size // 2)[rim.size // 2])
    off = (float(v[h // 4 : h - h // 4, w // 4 : w - w // 4].mean()) - dark) / 64
    spread = (max(means) - min(means)) / 64
    frame = [dark / 128, float(rim.std()) / 64, spread, off, abs(off), min(h, w) / max(h, w)]
    return np.array([*weaker, *stronger, float(np.exp(-colour / 2)), float(np.log1p(colour)), *frame])


def _measure_direction(across: np.ndarray, down: np.ndarray) -> list[float]:
    """Measure the strongest pair of nearly upright edges, and what lies around it. across, down: int16 (h, w)."""
    h, w = across.shape
    size, other = np.abs(across), np.abs(down)
    edge = size >= _LEAST_EDGE
    edge &= 10 * size >= 7 * other
    edge[:, 1:-1] &= size[:, 1:-1] >= size[:, :-2]
    edge[:, 1:-1] &= size[:, 1:-1] > size[:, 2:]
    at = np.flatnonzero(edge)
    y, x = np.divmod(at, w)
    places, left, width = _places(h, w)
    votes = np.bincount((places[:, y] + x).ravel(), minlength=len(_SLOPES) * width).reshape(len(_SLOPES), width)
    votes = votes[:, 1:] + votes[:, :-1]
    best = votes.max(0)[left : left + w]  # by the place at half height
    apart = max(1, int(_APART * w))
    before, behind = np.maximum.accumulate(best)[:-apart], best[apart:]
    pair = np.minimum(before, behind)
    k = int(pair.argmax())
    near, far = int(best[: k + 1].argmax()), k + apart
    rough = other.sum(0) / h
    around = np.concatenate([rough[: max(1, near - 2)], rough[far + 3 :] if far + 3 < w else rough[-1:]])
    between = rough[near + 3 : far - 2] if far - 2 > near + 3 else rough
    counts = [float(pair[k]), float((before + behind).max()), float(best.max())]
    steps = [float(size[:, max(at - 1, 0) : at + 2].sum()) / h for at in (near, far)]
    return [
        *(count / h for count in counts),
        len(at) / (h * w),
        float(np.partition(best, w // 2)[w // 2]) / h,
        near / w,
        1 - far / w,
        *(float(np.log1p(value)) for value in (around.mean(), between.mean(), around.max(), *steps)),
    ]


@lru_cache(64)
def _places(h: int, w: int) -> tuple[np.ndarray, int, int]:
    """Tell where the rows' first pixels vote, (slopes, h), which place is the first column, and how many there are."""
    left = int(np.ceil(_SLOPES[-1] * h / 2)) + 2
    width = w + 2 * left
    rows = np.arange(h) - (h - 1) / 2
    at = np.arange(len(_SLOPES))[:, None] * width + left + 0.5 - _SLOPES[:, None] * rows
    return np.floor(at).astype(np.intp), left, width


def _rim(grey: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([grey[:n].ravel(), grey[-n:].ravel(), grey[:, :n].ravel(), grey[:, -n:].ravel()])


def _quantile(levels: np.ndarray, share: float) -> int:
    """Find the level, uint8, that a share of them does not exceed."""
    return int(np.searchsorted(np.bincount(levels, minlength=256).cumsum(), share * levels.size))


@cache
def fitted() -> Trees:
    """Read the trees."""
    read = json.loads(files("medloupe.imaging").joinpath("prescreen.json").read_text())
    feature, threshold, leaf = (np.array(read[name]) for name in ("feature", "threshold", "leaf"))
    return Trees(feature, threshold, leaf, read["line"])
