"""Fit the boundary between a check-up's own kind of picture and other kinds."""

from __future__ import annotations

import numpy as np

from medloupe.model.contrast import Contrast
from medloupe.training.heads.solver import Problem, solve

FEATURE_SCALE = 0.1  # of a number of the sketch, about
MOST = 4000  # of its own sketches that the boundary is fitted on
FOLDS = 3  # in which a boundary is asked about pictures that it was drawn without
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


def draw_contrast(z: np.ndarray, groups: np.ndarray, others: np.ndarray, seed: int = 0) -> tuple[Contrast, np.ndarray]:
    """Draw the boundary so that hardly any of its own kind lies beyond, also of groups that it has not seen.

    Parameters
    ----------
    z : np.ndarray
        Sketches float32 (N, W) of its own kind; of more than MOST, those of some groups are taken.
    groups : np.ndarray
        (N,), of patients and copies: at least two.
    others : np.ndarray
        Sketches float32 (M, W) of other kinds.
    seed : int
        Of the folds and of what is taken.

    Returns
    -------
    contrast : Contrast
        Without any room.
    beyond : np.ndarray
        bool (N,), which would lie beyond a boundary drawn without their group.
    """
    names, member = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    fold = (order % FOLDS)[member]
    before = np.cumsum(np.bincount(member)[np.argsort(order)])[order][member]  # rows up to the end of its group
    taken = before <= max(MOST, before.min())
    sides = np.empty(len(z), np.float32)
    for f in np.unique(fold):
        learnt = taken & (fold != f)
        sides[fold == f] = fit_contrast(z[learnt], others).side(z[fold == f])
    drawn = fit_contrast(z[taken], others)
    moved = drawn.shift(sides)
    return moved, sides + (moved.bias - drawn.bias) <= 0
