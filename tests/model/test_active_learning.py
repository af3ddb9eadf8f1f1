"""Batches are unsure, spread, and hold no patient twice."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.model.active_learning import measure_uncertainty, select_batch

RNG = np.random.default_rng(0)
BLOB = np.repeat(np.arange(5), 40)
X = (RNG.normal(size=(5, 20))[BLOB] * 4 + RNG.normal(size=(200, 20))).astype(np.float32)


def test_uncertainty_is_1_where_two_are_alike_and_0_where_one_is_sure() -> None:
    p = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.6, 0.3, 0.1]])
    assert measure_uncertainty(p, "multiclass") == pytest.approx([1, 0, 0.7])
    assert measure_uncertainty(p, "multilabel") == pytest.approx([1, 0, 0.8])


def test_equally_unsure_rows_are_spread_over_all_kinds() -> None:
    chosen = select_batch(X, np.full(200, 0.5), np.arange(200), 5)
    assert sorted(BLOB[chosen]) == [0, 1, 2, 3, 4]


def test_of_alike_rows_the_unsure_are_chosen() -> None:
    uncertainty = np.full(200, 0.01)
    uncertainty[::4] = 0.9
    chosen = select_batch(X, uncertainty, np.arange(200), 10)
    assert (uncertainty[chosen] == 0.9).mean() >= 0.8


@pytest.mark.parametrize("count", [1, 7, 25, 60])
def test_no_group_is_chosen_twice(count: int) -> None:
    groups = np.arange(200) // 5
    chosen = select_batch(X, RNG.uniform(size=200), groups, count)
    assert len(chosen) == min(count, 40)
    assert len(set(groups[chosen])) == len(chosen)


def test_the_most_uncertain_stands_first_and_the_seed_decides() -> None:
    uncertainty = RNG.uniform(size=200)
    a, b = (select_batch(X, uncertainty, np.arange(200), 12, seed=3) for _ in range(2))
    assert a.tolist() == b.tolist()
    assert (np.diff(uncertainty[a]) <= 0).all()


def test_copies_and_constant_embeddings_are_no_trouble() -> None:
    flat = np.ones((30, 4), np.float32)
    assert len(set(select_batch(flat, np.zeros(30), np.arange(30), 10).tolist())) == 10
