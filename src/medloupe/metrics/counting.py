"""Judge how well the boxes of a picture are counted: relative error, and limits of agreement.

Source: Bland and Altman, Lancet 327 (1986) 307-310.
"""

from __future__ import annotations

import numpy as np

from medloupe.metrics.weighted import Weighted

_LINES = 200  # candidates for the line from which boxes are counted


def median_relative_error(counted: np.ndarray, truth: np.ndarray) -> Weighted:
    """Take the median of |counted - true| / true, over pictures (N,) that have any; NaN where none has."""
    some = np.flatnonzero(truth > 0)
    error = np.abs(counted[some] - truth[some]) / truth[some]
    rows = some[np.argsort(error, kind="stable")]
    ordered = np.sort(error)

    def value(weights: np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.full(len(weights), np.nan)
        reached = np.cumsum(weights[:, rows], axis=1, dtype=np.float64)
        half = reached[:, -1:] / 2
        low, high = (reached < half).sum(1), (reached <= half).sum(1)  # they differ where it falls between two
        last = len(rows) - 1
        median = (ordered[np.minimum(low, last)] + ordered[np.minimum(high, last)]) / 2
        return np.where(half[:, 0] > 0, median, np.nan)

    return value


def agreement(counted: np.ndarray, truth: np.ndarray) -> dict[str, Weighted]:
    """Measure the mean difference counted - true over pictures (N,), and the limits that hold 95 % of differences."""
    difference = (counted - truth).astype(np.float64)

    def moments(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wide = weights.astype(np.float64)
        total = wide.sum(1)
        mean = wide @ difference / total
        spread = np.maximum(wide @ difference**2 / total - mean**2, 0) * total / np.maximum(total - 1, 1)
        return mean, 1.96 * np.sqrt(spread)

    def limit(sign: int) -> Weighted:
        return lambda weights: moments(weights)[0] + sign * moments(weights)[1]

    return {"mean_difference": limit(0), "lower_limit": limit(-1), "upper_limit": limit(1)}


def count_marks(scores: np.ndarray, picture: np.ndarray, n: int, line: np.ndarray | float) -> np.ndarray:
    """Count the marks (M,) of each of n pictures that reach the line, one for all or one a picture: int (n,)."""
    lines = np.broadcast_to(np.asarray(line, np.float64), (n,))
    return np.bincount(picture[scores >= lines[picture]], minlength=n)


def find_count_line(scores: np.ndarray, picture: np.ndarray, truth: np.ndarray, pictures: np.ndarray) -> float:
    """Find the score from which on counted boxes are nearest to the true counts, in the mean absolute difference.

    Parameters
    ----------
    scores, picture : np.ndarray
        (M,) of the marks, and int (M,), in which picture each is.
    truth : np.ndarray
        (N,), true boxes in each picture.
    pictures : np.ndarray
        bool (N,), those by which the line is drawn.
    """
    own = pictures[picture]
    if not own.any():
        return np.inf
    candidates = np.unique(np.quantile(scores[own], np.linspace(0, 1, _LINES), method="nearest"))
    counts = np.zeros((len(truth), len(candidates)))
    np.add.at(counts, (picture[own], np.searchsorted(candidates, scores[own], side="right") - 1), 1)
    reached = counts[:, ::-1].cumsum(1)[:, ::-1]  # at each candidate: how many reach it
    error = np.abs(reached - truth[:, None])[pictures].mean(0)
    none = float(truth[pictures].mean())
    best = int(len(error) - 1 - error[::-1].argmin())  # of equal ones the highest
    return float(candidates[best]) if error[best] <= none else np.inf
