"""Rows of a file are those of the array that was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medloupe.errors import MedloupeError
from medloupe.settings import memory
from medloupe.utils import rowfile
from medloupe.utils.rowfile import RowFile, iterate_rows
from medloupe.utils.stacked import StackedRows

X = np.random.default_rng(0).normal(size=(97, 5)).astype(np.float16)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RowFile:
    monkeypatch.setattr(rowfile, "BLOCK_BYTES", 13 * 10)
    (tmp_path / "x").write_bytes(b"12" + X.tobytes())
    return RowFile(tmp_path / "x", 5, np.dtype(np.float16), offset=2)


@pytest.mark.parametrize("key", [slice(3, 40), slice(None), slice(90, 200), slice(0, 90, 7), slice(5, 5)])
def test_slices(file: RowFile, key: slice) -> None:
    assert file.shape == X.shape
    assert file[key].dtype == np.float32
    np.testing.assert_array_equal(file[key], X[key])


def test_rows_by_number_and_by_mask(file: RowFile) -> None:
    rows = np.array([4, 5, 6, 7, 3, 3, 96, -1, 0, *range(40, 80)])
    np.testing.assert_array_equal(file[rows], X[rows])
    np.testing.assert_array_equal(file[X[:, 0] > 0], X[X[:, 0] > 0])


@pytest.mark.parametrize("rows", [1, 4, 13, 1000])
def test_a_pass(file: RowFile, rows: int) -> None:
    parts = list(iterate_rows(file, rows))
    assert [p.start for p, _ in parts] == [0, *(p.stop for p, _ in parts[:-1])]
    np.testing.assert_array_equal(np.concatenate([x for _, x in parts]), X)
    inside = list(iterate_rows(X, rows))
    np.testing.assert_array_equal(np.concatenate([x for _, x in inside]), X)


def test_below_another_matrix(file: RowFile) -> None:
    more = np.ones((2, 5), np.float32)
    both = StackedRows(file, more)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(both[90:99], np.concatenate([X[90:], more]))
    np.testing.assert_array_equal(both[np.array([98, 0])], np.stack([more[1], X[0]]))


def test_a_file_that_was_cut_short(file: RowFile) -> None:
    file.path.write_bytes(file.path.read_bytes()[:-3])
    with pytest.raises(OSError, match="ends before row"):
        list(file.blocks())


def test_what_features_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_FEATURES_MB", "300")
    assert memory() == 300_000_000
    monkeypatch.setenv("MEDLOUPE_FEATURES_MB", "much")
    with pytest.raises(MedloupeError, match="MEDLOUPE_FEATURES_MB is 'much'"):
        memory()
    monkeypatch.delenv("MEDLOUPE_FEATURES_MB")
    assert memory() > 100_000_000
