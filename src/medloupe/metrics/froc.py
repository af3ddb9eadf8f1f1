"""Compute how many true boxes are found at how many false marks a picture (FROC), and draw lines by them.

Sources: Bunch et al., Proc. SPIE 127 (1977) 124-135; the mean over seven rates (CPM) as in Niemeijer et al., IEEE TMI
30 (2011) 215-223, and LUNA16.
"""

from __future__ import annotations

import numpy as np

from medloupe.metrics.matching import LabelMatches

RATES = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0, 4.0, 8.0)  # false marks a picture
_CELLS = 2_000_000


def sensitivity_at(matches: LabelMatches, weights: np.ndarray, rates: tuple[float, ...] = RATES) -> np.ndarray:
    """Compute the sensitivity at the lowest line with at most so many false marks a picture.

    Parameters
    ----------
    matches : LabelMatches
        Of one label, at one threshold of IoU and for all sizes: (1, 1, M).
    weights : np.ndarray
        float32 (B, N), of the pictures.
    rates : tuple of float
        F of them.

    Returns
    -------
    np.ndarray
        float64 (B, F); NaN where there is no true box.
    """
    hit, ends = matches.hit[0, 0], _ends(matches.scores)
    truths = weights @ matches.truths[0]
    made = np.zeros((len(weights), len(rates)))
    step = max(1, _CELLS // max(1, len(hit)))
    for start in range(0, len(weights), step):
        drawn = weights[start : start + step]
        marks = drawn[:, matches.picture]
        found = np.cumsum(np.where(hit, marks, 0), axis=1)[:, ends]
        wrong = np.cumsum(np.where(hit, 0, marks), axis=1)[:, ends]
        allowed = drawn.sum(1)[:, None] * np.asarray(rates) + 1e-6
        for b in range(len(drawn)):
            last = np.searchsorted(wrong[b], allowed[b], side="right")
            made[start + b] = np.r_[0.0, found[b]][last]
    return made / np.where(truths > 0, truths, np.nan)[:, None]


def froc_curve(matches: LabelMatches) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the whole curve, a point for each distinct score, falling: score, false marks a picture, sensitivity."""
    hit, ends = matches.hit[0, 0], _ends(matches.scores)
    truths = float(matches.truths[0].sum())
    found, wrong = np.cumsum(hit)[ends], np.cumsum(~hit)[ends]
    return matches.scores[ends], wrong / max(1, matches.truths.shape[1]), found / (truths or np.nan)


def find_line(matches: LabelMatches, rate: float, pictures: np.ndarray) -> float:
    """Find the score from which on to mark: the best F2 among those with at most `rate` false marks a picture.

    F2 weighs a missed box four times as much as a false mark, so that a line is not drawn lower than finding more is
    worth, however few false marks there are.

    Parameters
    ----------
    matches : LabelMatches
        As for `sensitivity_at`.
    rate : float
        False marks a picture.
    pictures : np.ndarray
        bool (N,), those by which the line is drawn.

    Returns
    -------
    float
        Infinite where no mark at all may be made, or none would be right.
    """
    own = pictures[matches.picture]
    scores, hit = matches.scores[own], matches.hit[0, 0][own]
    ends = _ends(scores)
    found, wrong = np.cumsum(hit)[ends], np.cumsum(~hit)[ends]
    allowed = (wrong <= rate * pictures.sum() + 1e-9) & (found > 0)
    if not allowed.any():
        return np.inf
    missed = matches.truths[0][pictures].sum() - found
    f2 = np.where(allowed, 5 * found / (5 * found + 4 * missed + wrong), -1.0)
    return float(scores[ends[f2.argmax()]])


def _ends(scores: np.ndarray) -> np.ndarray:
    """Find the last of each run of equal scores: a line lies only between different ones."""
    return np.flatnonzero(np.r_[np.diff(scores) != 0, True]) if len(scores) else np.zeros(0, int)
