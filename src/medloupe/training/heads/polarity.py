"""Fit what tells a grey picture from its negative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.data.split import assign_folds
from medloupe.model.polarity_boundary import MARGIN, PolarityBoundary
from medloupe.training.heads.contrast import FEATURE_SCALE, C
from medloupe.training.heads.solver import Problem, solve

FOLDS = 5
RIGHT = 0.99
"""Share of its own pictures that must be told from their negatives by a boundary drawn without their patient."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedPolarity:
    """A boundary, and how it fares on own pictures that it was not fitted on.

    Attributes
    ----------
    boundary : PolarityBoundary
        Fitted on all.
    pictures : int
        How many.
    told : float
        Share of their negatives that it calls inverted.
    wrong : float
        Share of the pictures that it calls inverted.
    """

    boundary: PolarityBoundary
    pictures: int
    told: float
    wrong: float

    def as_json(self) -> dict[str, float | int]:
        """Give the figures for the card."""
        return {"pictures": self.pictures, "told": round(self.told, 4), "wrong": round(self.wrong, 4)}


def fit_polarity(z: np.ndarray, negatives: np.ndarray, groups: np.ndarray, seed: int = 0) -> FittedPolarity | None:
    """Fit the boundary between pictures and their negatives; None where they cannot be told apart.

    Parameters
    ----------
    z, negatives : np.ndarray
        Sketches float32 (N, W) of pictures and, row by row, of their negatives.
    groups : np.ndarray
        (N,), of patients and copies, at least FOLDS.
    seed : int
        Of the folds.
    """
    fold = assign_folds(np.ones((len(z), 1)), groups, FOLDS, seed)
    margin = np.empty(len(z), np.float32)
    for f in range(FOLDS):
        margin[fold == f] = _fit(z[fold != f], negatives[fold != f]).margin(z[fold == f], negatives[fold == f])
    if (margin > 0).mean() < RIGHT:
        return None
    return FittedPolarity(
        boundary=_fit(z, negatives),
        pictures=len(z),
        told=float((margin > MARGIN).mean()),
        wrong=float((margin < -MARGIN).mean()),
    )


def _fit(z: np.ndarray, negatives: np.ndarray) -> PolarityBoundary:
    """Fit to differences taken both ways round, so that the boundary goes through 0."""
    apart = (z - negatives).astype(np.float32)
    rows = np.concatenate([apart, -apart])
    y = np.repeat(np.array([1, 0], np.float32), len(apart))
    width = apart.shape[1]
    problem = Problem(
        weights=np.ones(len(rows), np.float32),
        c=C,
        mean=np.zeros(width, np.float32),
        scale=np.full(width, FEATURE_SCALE, np.float32),
    )
    (found,) = solve(rows, y[:, None], [problem], task="multilabel", tolerance=1e-4, iterations=400)
    return PolarityBoundary(weight=found.weight[:, 0].astype(np.float32))
