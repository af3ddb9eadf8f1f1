"""Split the rows that trainings may draw from: by group, and never with the test split."""

from __future__ import annotations

import numpy as np

from medloupe.data.split import Plan, assign_folds, count_folds
from medloupe.errors import FinetuneError

HELD_OUT_FOLDS = 3  # one of them is held out
CHECKED = 0.12  # share of a training part's groups that only stops the training


def require_folds(targets: np.ndarray, groups: np.ndarray, most: int, purpose: str, otherwise: str) -> int:
    """Count the folds that the labels and groups allow.

    Parameters
    ----------
    targets : np.ndarray
        (n, K) of 1, 0 and NaN.
    groups : np.ndarray
        int (n,).
    most : int
        Folds that are wanted.
    purpose, otherwise : str
        For the message: what they are for ("to ..."), and what to do without ("or ...").

    Raises
    ------
    FinetuneError
        When there are not even two.
    """
    count = count_folds(targets, groups, most)
    if not count:
        raise FinetuneError(
            f"The data has too few patients or groups to {purpose}: two with and two without a label are needed.",
            f"Bring more patients, or {otherwise}.",
        )
    return count


def hold_out(
    plan: Plan, targets: np.ndarray, seed: int, *, purpose: str, otherwise: str
) -> tuple[np.ndarray, np.ndarray]:
    """Hold one fold of plan.fitting out.

    Parameters
    ----------
    targets : np.ndarray
        (N, K) of all rows.
    seed, purpose, otherwise
        Of the folds; as for require_folds.

    Returns
    -------
    tuple of np.ndarray
        Rows held out, and the rest; no group is in both.

    Raises
    ------
    FinetuneError
        When the data has too few groups.
    """
    y, groups = targets[plan.fitting], plan.groups[plan.fitting]
    count = require_folds(y, groups, HELD_OUT_FOLDS, purpose, otherwise)
    fold = assign_folds(y, groups, count, seed)
    return plan.fitting[fold == 0], plan.fitting[fold != 0]


def split_off_checked(
    rows: np.ndarray, targets: np.ndarray, groups: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Split off the rows that only stop a training; with too few groups there are none, and it runs to its end.

    Parameters
    ----------
    rows : np.ndarray
        int (n,), of targets (N, K) and groups (N,).

    Returns
    -------
    tuple of np.ndarray
        Rows to learn from, and rows to stop by; no group is in both.
    """
    count = round(1 / CHECKED)
    if count_folds(targets[rows], groups[rows], count) != count:
        return rows, np.empty(0, np.int64)
    fold = assign_folds(targets[rows], groups[rows], count, seed)
    return rows[fold != 0], rows[fold == 0]
