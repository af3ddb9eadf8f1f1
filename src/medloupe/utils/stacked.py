"""Stack matrices, and take rows of them, without a copy: a mapped one of gigabytes may lie above a small one."""

from __future__ import annotations

from typing import cast

import numpy as np

from medloupe.settings import memory


class StackedRows:
    """Rows of several matrices, one below the other, read in parts; what is taken is an ordinary array.

    A slice within one matrix is a view of it, all else is a copy.

    Parameters
    ----------
    *parts : np.ndarray
        (n, D) each.
    """

    def __init__(self, *parts: np.ndarray):
        self._parts = parts
        self._ends = np.cumsum([len(p) for p in parts])
        self._every = np.arange(int(self._ends[-1]))
        self.shape = (len(self._every), parts[0].shape[1])
        self.dtype = parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        rows = self._every[key]
        if isinstance(key, slice) and len(rows):
            part = int(np.searchsorted(self._ends, rows.min(), side="right"))
            begin = int(self._ends[part - 1]) if part else 0
            if rows.max() < self._ends[part] and (key.step or 1) == 1:
                return self._parts[part][rows[0] - begin : rows[-1] - begin + 1]
        out = np.empty((len(rows), self.shape[1]), self.dtype)
        begin = 0
        for part, end in zip(self._parts, self._ends.tolist(), strict=True):
            mine = (rows >= begin) & (rows < end)
            out[mine] = part[rows[mine] - begin]
            begin = end
        return out


class SelectedRows:
    """Some rows of a matrix in their order, read in parts; what is taken is an ordinary array.

    Parameters
    ----------
    matrix : np.ndarray
        (N, D).
    rows : np.ndarray
        int (n,).
    """

    def __init__(self, matrix: np.ndarray, rows: np.ndarray):
        self._matrix, self._rows = matrix, rows
        self.shape = (len(rows), matrix.shape[1])
        self.dtype = matrix.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        return self._matrix[self._rows[key]]


def take_rows(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Take rows of a matrix (N, D), for code that takes slices and rows, and asks shape and length.

    All rows in their order are the matrix itself; others are copied, but where the copy were larger than what features
    may take.

    Parameters
    ----------
    matrix : np.ndarray
        (N, D).
    rows : np.ndarray
        int (n,).
    """
    if len(rows) == len(matrix) and np.array_equal(rows, np.arange(len(matrix))):
        return matrix
    if len(rows) * matrix.shape[1] * matrix.dtype.itemsize <= memory():
        return matrix[rows]
    return cast(np.ndarray, SelectedRows(matrix, rows))


def stack_rows(*parts: np.ndarray) -> np.ndarray:
    """Stack matrices (n, D) for code that takes slices and rows of an array, and asks its shape and length."""
    return cast(np.ndarray, StackedRows(*parts))
