"""Scores rank as the probabilities do."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.model.head import probabilities
from medloupe.training.heads.ranking import macro_auc, ranking_scores


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.sampled_from([2, 3]))
def test_scores_rank_as_the_probabilities_do(seed: int, k: int):
    z = np.random.default_rng(seed).normal(size=(30, k)).astype(np.float32) * 3
    p = probabilities(z.astype(float), "multiclass")
    for a, b in zip(ranking_scores(z, "multiclass").T, p.T, strict=True):
        np.testing.assert_array_equal(np.argsort(a, kind="stable"), np.argsort(b, kind="stable"))


def test_scores_have_no_ties_where_probabilities_saturate():
    z = np.array([[0, 200.0], [0, 300], [0, 100]], np.float32)
    assert len(np.unique(ranking_scores(z, "multiclass")[:, 1])) == 3
    assert macro_auc(np.zeros((4, 1)), np.ones((4, 1))) == 0.5  # nothing to rank
