"""Draw the lines from which on boxes are marked and counted, each picture's without its own group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.metrics.counting import find_count_line
from medloupe.metrics.froc import find_line
from medloupe.metrics.matching import LabelMatches

FALSE_MARKS = 1.0  # a picture, at the lines, unless told otherwise
_FOLDS, _FEWEST = 5, 10  # groups, below which lines are drawn on the pictures that they are judged on


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelLines:
    """From which score on boxes of a label are marked, and from which on they are counted.

    Attributes
    ----------
    mark, count : float
        The lines to ship; infinite where nothing may be marked.
    marks, counts : np.ndarray
        (N,), those by which each picture is judged: drawn without its group where `held_out`.
    held_out : bool
        Whether no picture helped to draw the line that it is judged by.
    """

    mark: float
    count: float
    marks: np.ndarray
    counts: np.ndarray
    held_out: bool


def draw_lines(
    matches: LabelMatches,
    groups: np.ndarray,
    false_marks: float,
    mark: float | None = None,
    count: float | None = None,
    seed: int = 0,
) -> LabelLines:
    """Draw the lines of a label from which on boxes are marked and counted, each picture's without its group.

    Parameters
    ----------
    matches : LabelMatches
        At one threshold of IoU, for all sizes.
    groups : np.ndarray
        int (N,).
    false_marks : float
        Allowed a picture.
    mark, count : float, optional
        Lines that were drawn elsewhere, which are kept.
    seed : int
        Of the folds.
    """
    n, truth = len(groups), matches.truths[0]
    every = np.ones(n, bool)

    def draw(pictures: np.ndarray) -> tuple[float, float]:
        return (
            find_line(matches, false_marks, pictures) if mark is None else mark,
            find_count_line(matches.scores, matches.picture, truth, pictures) if count is None else count,
        )

    whole = draw(every)
    marks, counts = np.full(n, whole[0]), np.full(n, whole[1])
    names, group = np.unique(groups, return_inverse=True)
    apart = len(names) >= _FEWEST
    if apart:
        fold = (np.random.default_rng(seed).permutation(len(names)) % _FOLDS)[group]
        for f in range(_FOLDS):
            marks[fold == f], counts[fold == f] = draw(fold != f)
    told = mark is not None and count is not None
    return LabelLines(mark=whole[0], count=whole[1], marks=marks, counts=counts, held_out=apart or told)
