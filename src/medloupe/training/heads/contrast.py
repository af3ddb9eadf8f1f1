"""Fit the boundary between a check-up's own kind of picture and other kinds."""

from __future__ import annotations

import numpy as np

from medloupe.model.contrast import Contrast
from medloupe.training.heads.solver import Problem, solve

FEATURE_SCALE = 0.1  # of a number of the sketch, about
C = 1.0  # inverse regularisation strength, as in scikit-learn; 30 knew kinds that it had not seen less well


def fit_contrast(own: np.ndarray, others: np.ndarray) -> Contrast:
    """Fit the boundary between sketches of its own kind and of others, both kinds weighing the same.

    Parameters
    ----------
    own : np.ndarray
        Sketches float (N, W) of its own kind of picture, changed as the field changes them and not.
    others : np.ndarray
        Sketches float (M, W) of other kinds.

    Returns
    -------
    Contrast
        Without any room yet (`Contrast.with_room`).
    """
    z = np.concatenate([own, others]).astype(np.float32)
    y = np.concatenate([np.ones(len(own)), np.zeros(len(others))]).astype(np.float32)
    weights = np.where(y == 1, 0.5 / len(own), 0.5 / len(others)) * len(z)  # both kinds weigh the same
    width = z.shape[1]
    problem = Problem(
        weights=weights.astype(np.float32),
        c=C,
        mean=np.zeros(width, np.float32),
        scale=np.full(width, FEATURE_SCALE, np.float32),
    )
    (found,) = solve(z, y[:, None], [problem], task="multilabel", tolerance=1e-4, iterations=400)
    return Contrast(weight=found.weight[:, 0].astype(np.float32), bias=float(found.bias[0]), sure=1.0, room=0.0)
