"""Weigh rows of a set whose groups hold very many records each."""

from __future__ import annotations

import numpy as np

LARGE_GROUP = 100  # records in the usual group, from which rows are weighed
LARGE_SET = 20_000  # records from which one repeat does: repeating evens out chance, of which little is left


def balanced_sample_weights(targets: np.ndarray, groups: np.ndarray, task: str) -> np.ndarray | None:
    """Weigh rows so that a recording with thousands of beats of a class does not outvote all others.

    A row weighs the less, by the square root, the more of its class there are, in its group and in all.

    Parameters
    ----------
    targets : np.ndarray
        (N, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (N,).

    Returns
    -------
    np.ndarray or None
        float32 (N,) with mean 1. None, and all rows weigh the same, unless groups hold very many records each.
    """
    if task != "multiclass" or len(targets) <= LARGE_SET or len(targets) < LARGE_GROUP * len(np.unique(groups)):
        return None
    targets = np.nan_to_num(targets)
    both = np.unique(groups, return_inverse=True)[1] * targets.shape[1] + targets.argmax(1)
    _, inverse, count = np.unique(both, return_inverse=True, return_counts=True)
    weights = (count[inverse] * targets.sum(0)[targets.argmax(1)]) ** -0.5
    return np.asarray(weights / weights.mean(), np.float32)
