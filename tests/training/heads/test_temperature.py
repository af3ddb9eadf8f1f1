"""The temperature: the best there is, of other folds, and never certain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.model.head import probabilities
from medloupe.training.heads.temperature import calibrate_across_folds, fit_temperature
from synthetic import one_hot


def log_loss(logits: np.ndarray, y: np.ndarray, task: str) -> float:
    p = np.clip(probabilities(logits.astype(float), task), 1e-12, 1 - 1e-12)
    if task == "multiclass":
        return float(-np.log((p * y).sum(1)).mean())
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**31),
    factor=st.floats(0.3, 8),
    k=st.integers(2, 4),
    task=st.sampled_from(["multiclass", "multilabel"]),
)
def test_the_temperature_is_the_best_and_never_hurts(seed: int, factor: float, k: int, task: str):
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(400, k))
    p = probabilities(honest, task)
    if task == "multiclass":
        y = one_hot((p.cumsum(1) > rng.random((400, 1))).argmax(1), k)
    else:
        y = (rng.random((400, k)) < p).astype(np.float32)
    wrong = (honest * factor).astype(np.float32)  # over- or underconfident by a known factor
    t = fit_temperature(wrong, y, task)
    best = log_loss(wrong / t, y, task)
    assert best <= log_loss(wrong, y, task) + 5e-3  # the truth it is fitted to is softened a little
    assert best <= min(log_loss(wrong / (t * f), y, task) for f in (0.8, 1.25)) + 5e-3
    assert np.median(t) == pytest.approx(factor, rel=0.6)


def test_overconfident_logits_are_cooled():
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(2000, 2))
    p = probabilities(honest, "multiclass")
    y = one_hot((rng.random(2000) < p[:, 1]).astype(int), 2)
    assert fit_temperature((5 * honest).astype(np.float32), y, "multiclass")[0] == pytest.approx(5, rel=0.15)


def test_missing_labels_take_no_part_in_the_temperature():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 2)).astype(np.float32)
    y = (rng.random((200, 2)) < probabilities(z, "multilabel")).astype(np.float32)
    z2, y2 = np.r_[z, 100 * z], np.r_[y, np.full_like(y, np.nan)]
    for task in ("multilabel", "multiclass"):
        np.testing.assert_allclose(fit_temperature(z2, y2, task), fit_temperature(z, y, task), rtol=1e-3)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_temperature_for_a_fold_does_not_look_at_it(task: str):
    rng = np.random.default_rng(0)
    y = one_hot(rng.integers(0, 2, 90), 2)
    z = (3 * rng.normal(size=y.shape)).astype(np.float32)
    fold = np.repeat(np.arange(3), 30)
    before = calibrate_across_folds(z, y, fold, task)
    y[fold == 1] = 1 - y[fold == 1]
    after = calibrate_across_folds(z, y, fold, task)
    np.testing.assert_array_equal(before[fold == 1], after[fold == 1])
    assert (before[fold == 0] != after[fold == 0]).any()


def test_cases_told_apart_without_a_mistake_are_no_certainty():
    for n in (10, 100, 1000):
        y = one_hot(np.arange(n) % 2, 2)
        z = (5 * (2 * y - 1)).astype(np.float32)
        p = probabilities(z / fit_temperature(z, y, "multiclass"), "multiclass").max()
        assert p == pytest.approx((n + 1) / (n + 2), abs=1e-3)  # Laplace's rule of succession
