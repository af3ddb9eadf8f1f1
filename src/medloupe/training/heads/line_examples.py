"""Gather the examples by which lines are drawn: direct pictures, and field views where these taught the head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.embed.field import FieldFeatures
from medloupe.training.heads.field import FieldFit


@dataclass(frozen=True, slots=True, kw_only=True)
class LineExamples:
    """The examples by which lines are drawn: direct pictures and, where views taught the head, one view of each.

    Attributes
    ----------
    p, y : np.ndarray
        (N + M, K), probabilities out of fold and truth; the N direct pictures first.
    groups, rows : np.ndarray
        int (N + M,), the group of each, and the direct picture that it is or shows.
    """

    p: np.ndarray
    y: np.ndarray
    groups: np.ndarray
    rows: np.ndarray

    @classmethod
    def gather(cls, p: np.ndarray, y: np.ndarray, groups: np.ndarray, field: FieldFit | None) -> LineExamples:
        """Gather them from direct pictures' probabilities (N, K), truth (N, K) and groups (N,), and from views."""
        rows = np.arange(len(p))
        if field is None or field.weight == 0:
            return cls(p=p, y=y, groups=groups, rows=rows)
        one = _take_one_each(field.views)
        rows = np.concatenate([rows, field.views.rows[one]])
        return cls(p=np.concatenate([p, field.out_of_fold[one]]), y=y[rows], groups=groups[rows], rows=rows)


def _take_one_each(views: FieldFeatures) -> np.ndarray:
    """Take of each picture one view that is not hard, the kinds in turn: int (M,)."""
    able = np.flatnonzero(views.severities != "hard")
    of: dict[int, list[int]] = {}
    for i in able.tolist():
        of.setdefault(int(views.rows[i]), []).append(i)
    return np.array([some[row % len(some)] for row, some in of.items()], np.int64)
