"""Stacked matrices give what their concatenation gives, and no copy where none is needed."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.utils import stacked
from medloupe.utils.stacked import StackedRows, stack_rows, take_rows

A, B, C = (np.random.default_rng(s).normal(size=(n, 3)).astype(np.float32) for s, n in ((0, 7), (1, 5), (2, 0)))
WHOLE = np.concatenate([A, B, C])


@pytest.mark.parametrize(
    "key",
    [
        slice(0, 7),
        slice(7, 12),
        slice(5, 9),
        slice(10, 99),
        slice(12, 20),
        slice(None),
        slice(None, None, 2),
        np.array([11, 0, 7, 7, 6]),
        np.array([-1, 3]),
        np.arange(12) % 3 == 0,
        np.zeros(12, bool),
    ],
    ids=repr,
)
def test_parts_are_those_of_the_concatenation(key: slice | np.ndarray) -> None:
    stacked = stack_rows(A, B, C)
    assert stacked.shape == WHOLE.shape and len(stacked) == len(WHOLE)
    np.testing.assert_array_equal(stacked[key], WHOLE[key])
    assert stacked[key].dtype == np.float32


def test_a_slice_of_one_matrix_is_no_copy() -> None:
    stacked = StackedRows(A, B)
    assert np.shares_memory(stacked[1:6], A) and np.shares_memory(stacked[7:12], B)
    assert not np.shares_memory(stacked[5:9], A)


def test_rows_are_taken_without_a_copy_where_it_were_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.arange(60.0, dtype=np.float32).reshape(20, 3)
    rows = np.array([3, 4, 9, 19])
    assert take_rows(x, np.arange(20)) is x
    assert isinstance(take_rows(x, rows), np.ndarray)
    monkeypatch.setattr(stacked, "memory", lambda: 10)
    taken = take_rows(x, rows)
    assert isinstance(taken, stacked.SelectedRows)
    assert (len(taken), taken.shape, taken.dtype) == (4, (4, 3), np.float32)
    for key in (slice(1, 3), slice(None), np.array([2, 0]), np.array([True, False, False, True])):
        np.testing.assert_array_equal(taken[key], x[rows][key])
