"""What a few numbers tell by themselves is told out of fold."""

from __future__ import annotations

import numpy as np

from medloupe.training.audit.probe import CS, probe_logits, probe_out_of_fold, probe_unseen
from medloupe.training.heads.ranking import macro_auc
from synthetic import one_hot

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 2, 300)
Y = one_hot(CLASSES, 2)
KNOWS = RNG.normal(CLASSES, 0.7)[:, None].astype(np.float32)
FOLDS = np.stack([np.arange(300) % 5, np.arange(300) // 60])


def test_numbers_that_know_are_believed_and_others_are_not() -> None:
    assert macro_auc(probe_logits(KNOWS, Y, FOLDS[0], "multiclass")[0], Y) > 0.8
    many = RNG.normal(size=(300, 60)).astype(np.float32)
    assert 0.35 < macro_auc(probe_logits(many, Y, FOLDS[0], "multiclass", (3.0,))[0], Y) < 0.65


def test_each_repeat_has_its_own_folds() -> None:
    p, c = probe_out_of_fold(KNOWS, Y, FOLDS, "multiclass")
    assert p.shape == (2, 300, 2) and c in CS
    np.testing.assert_allclose(p.sum(2), 1, atol=1e-5)
    assert (p[0] != p[1]).any()
    np.testing.assert_allclose(p[0], p[1], atol=0.1)


def test_unseen_rows_are_answered_by_all_others() -> None:
    p = probe_unseen(KNOWS[:200], Y[:200], 0.3, KNOWS[200:], "multiclass")
    assert macro_auc(p, Y[200:]) > 0.8
