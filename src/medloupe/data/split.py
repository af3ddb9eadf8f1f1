"""Keep groups whole in splits and folds: what belongs together never straddles."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.data.records import Dataset, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a data set will be judged.

    Attributes
    ----------
    groups : ndarray of int, shape (N,)
        Equal for records that must stay together.
    fitting : ndarray of int
        Rows for cross-validation and, with a test split, for the head that is judged on it.
    test : ndarray of int or None
        Rows of the official test split.
    leaking : ndarray of int
        Rows of the training part left out of fitting because their group is also in the test split.
    notes : tuple of str
        What was decided, one sentence each.
    """

    groups: np.ndarray
    fitting: np.ndarray
    test: np.ndarray | None
    leaking: np.ndarray
    notes: tuple[str, ...]


def join_groups(n: int, *parts: Iterable[Sequence[int]]) -> np.ndarray:
    """Join the members of every set of rows, over all parts (union-find).

    Parameters
    ----------
    n : int
        How many rows there are.
    parts : Iterable of sequences of int
        Sets of rows that belong together.

    Returns
    -------
    ndarray of int, shape (n,)
        The group of each row, numbered from 0.
    """
    parent = np.arange(n)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for part in parts:
        for rows in part:
            first = root(rows[0])
            for i in rows[1:]:
                other = root(i)
                lo, hi = min(first, other), max(first, other)
                parent[hi] = first = lo
    roots = np.array([root(i) for i in range(n)], np.int64)
    return np.unique(roots, return_inverse=True)[1]


def rows_with_same_value(values: Iterable[Hashable | None]) -> list[list[int]]:
    """List the rows that share a value, for every value that occurs more than once; None is shared with nobody."""
    rows: dict[Hashable, list[int]] = {}
    for i, value in enumerate(values):
        if value is not None:
            rows.setdefault(value, []).append(i)
    return [r for r in rows.values() if len(r) > 1]


def list_related_rows(records: Sequence[Record]) -> list[list[int]]:
    """List the rows that stay together by what is told: those of one patient, and those cut out of one picture."""
    return [*rows_with_same_value(r.patient for r in records), *rows_with_same_value(r.source for r in records)]


SMALLEST_TEST = 30  # groups in a test split below which it cannot carry a headline
SMALLEST_OF_MANY = 10  # the same where each group holds very many records, as a recording holds beats
MANY = 100  # records a group
FEWEST_CASES = 5  # groups with, and without, each label that the whole data has enough of


def plan_split(data: Dataset, groups: np.ndarray) -> Plan:
    """Keep the official test split where it can judge: large enough, with cases for and against every label.

    Records of the training part whose group is in the test split are left out of fitting. A validation split is
    training data here: penalties are chosen by cross-validation. Unlabelled records take no part.

    Parameters
    ----------
    data : Dataset
        The data set.
    groups : ndarray of int, shape (N,)
        Equal for records that must stay together.
    """
    y = data.targets
    labelled = ~np.isnan(y).all(1)
    is_test = np.array([r.split == "test" for r in data.records], bool) & labelled
    leaks = labelled & ~is_test & np.isin(groups, groups[is_test])
    notes: list[str] = []
    if is_test.any() and (why := _why_unfit(data, y, groups, is_test, labelled & ~is_test & ~leaks)):
        notes.append(f"The test split that the data brings cannot judge: {why}. Cross-validation is used instead.")
        is_test[:] = False
    if not is_test.any():
        return Plan(
            groups=groups,
            fitting=np.flatnonzero(labelled),
            test=None,
            leaking=np.empty(0, np.int64),
            notes=tuple(notes),
        )
    return Plan(
        groups=groups,
        fitting=np.flatnonzero(labelled & ~is_test & ~leaks),
        test=np.flatnonzero(is_test),
        leaking=np.flatnonzero(leaks),
        notes=tuple(notes),
    )


def _why_unfit(data: Dataset, y: np.ndarray, groups: np.ndarray, is_test: np.ndarray, is_fitting: np.ndarray) -> str:
    """Say why a test split cannot carry the headline; "" where it can."""
    labelled = ~np.isnan(y).all(1)
    n = len(np.unique(groups[is_test]))
    if n < (SMALLEST_OF_MANY if is_test.sum() >= MANY * n else SMALLEST_TEST):
        return f"it holds only {n} independent {'case' if n == 1 else 'cases'}"
    rest = "the rest" if (labelled == is_test | is_fitting).all() else "the rest, less what it shares with the test,"
    for rows, side in ((is_test, "it"), (is_fitting, rest)):
        for name, here, overall in zip(data.labels, y[rows].T, y[labelled].T, strict=True):
            for value, what in ((1, "of"), (0, "without")):
                wanted = min(FEWEST_CASES, len(np.unique(groups[labelled][overall == value])) // 2)
                have = len(np.unique(groups[rows][here == value]))
                if have < wanted or not have:
                    return f"{side} holds {have or 'no'} {'case' if have == 1 else 'cases'} {what} {name}"
    return ""


def assign_folds(targets: np.ndarray, groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Deal rows into folds: groups stay whole, labels are spread evenly.

    Groups are dealt out rarest label first, each to the fold that lacks its labels most.

    Parameters
    ----------
    targets : ndarray, shape (N, K)
        1, 0 or NaN.
    groups : ndarray of int, shape (N,)
        Equal for rows that must stay together.
    count : int
        How many folds.
    seed : int
        Of the order of groups that are alike.

    Returns
    -------
    ndarray of int, shape (N,)
        The fold of each row.

    References
    ----------
    Iterative stratification, Sechidis et al. (ECML PKDD 2011), on groups instead of rows.
    """
    rng = np.random.default_rng(seed)
    numbers, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(numbers), targets.shape[1] + 1))
    np.add.at(counts, group, np.column_stack([np.nan_to_num(targets) == 1, np.ones(len(targets))]))
    share = counts / np.maximum(counts.sum(0), 1)  # of each label (and of all rows) that a group holds
    order = np.lexsort((rng.permutation(len(numbers)), -share[:, :-1].max(1, initial=0)))
    need = np.full((count, counts.shape[1]), 1 / count)
    fold_of = np.empty(len(numbers), np.int64)
    for g in order:
        wanted = need @ share[g]
        best = np.flatnonzero(wanted >= wanted.max() - 1e-12)
        fold_of[g] = best[rng.integers(len(best))]
        need[fold_of[g]] -= share[g]
    return fold_of[group]


def count_folds(targets: np.ndarray, groups: np.ndarray, most: int = 5) -> int:
    """Return how many folds the best represented label allows: each needs a group with it and one without.

    Parameters
    ----------
    targets : ndarray, shape (N, K)
        1, 0 or NaN.
    groups : ndarray of int, shape (N,)
        Equal for rows that must stay together.
    most : int
        More are not wanted.

    Returns
    -------
    int
        2 to `most`; 0 when not even two.
    """
    allowed = [min(len(np.unique(groups[column == 1])), len(np.unique(groups[column == 0]))) for column in targets.T]
    count = min(most, max(allowed, default=0))
    return count if count >= 2 else 0


def sample_rows(rows: np.ndarray, targets: np.ndarray, groups: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Choose about `most` of the rows, never much more: whole groups, labels in their proportions.

    Parameters
    ----------
    rows : ndarray of int, shape (n,)
        Rows of targets and groups.
    targets : ndarray, shape (N, K)
        1, 0 or NaN.
    groups : ndarray of int, shape (N,)
        Equal for rows that must stay together.
    most : int
        How many are wanted.
    seed : int
        Of the choice.

    Returns
    -------
    ndarray of int
        Sorted; all of the rows where they are few enough.
    """
    if len(rows) <= most:
        return np.sort(rows)
    parts = int(np.ceil(10 * len(rows) / max(1, most)))
    part = assign_folds(targets[rows], groups[rows], parts, seed)
    return np.sort(rows[part < 10])
