"""Fit heads by a choice that was made before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medloupe.training.heads.fit import Fitter, HeadChoice
from medloupe.training.heads.solver import Solution


def refit(
    embeddings: np.ndarray,
    targets: np.ndarray,
    rows: Sequence[np.ndarray],
    choice: HeadChoice,
    *,
    task: str,
    levels: tuple[int, ...],
    weights: np.ndarray | None = None,
) -> list[Solution]:
    """Fit heads by a choice made before, each on its rows alone; uncalibrated.

    Parameters
    ----------
    embeddings, targets, weights : np.ndarray
        As for Fitter.
    rows : sequence of np.ndarray
        int (n,) for each head, rows of the embeddings.

    Returns
    -------
    list of Solution
        One for each entry of `rows`.
    """
    fitter = Fitter(embeddings, targets, task, levels, weights)
    masks = []
    for r in rows:
        mask = np.zeros(len(targets), bool)
        mask[r] = True
        masks.append((mask, choice))
    return fitter.solve(masks)
