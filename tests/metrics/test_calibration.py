"""Figures of calibration against known answers and scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as theirs

from medloupe.metrics import calibration, weighted
from medloupe.model.head import probabilities
from synthetic import one_hot


def made(
    seed: int = 0, n: int = 3000, off: float = 0.0, surer: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (n,) that are off by a known shift and scale of their logits, the truth, and all-one weights."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, n)
    truth = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(np.float32)
    return 1 / (1 + np.exp(-(surer * z + off))), truth, np.ones((1, n), np.float32)


def test_what_is_right_has_slope_1_and_intercept_0() -> None:
    p, truth, ones = made()
    assert calibration.slope(p, truth)(ones)[0] == pytest.approx(1, abs=0.1)
    assert calibration.intercept(p, truth)(ones)[0] == pytest.approx(0, abs=0.1)


def test_too_sure_and_too_often() -> None:
    p, truth, ones = made(surer=2)
    assert calibration.slope(p, truth)(ones)[0] == pytest.approx(0.5, abs=0.05)
    p, truth, ones = made(off=1)
    assert calibration.intercept(p, truth)(ones)[0] == pytest.approx(-1, abs=0.1)


def test_slope_is_scikit_learns_and_follows_the_weights() -> None:
    p, truth, ones = made(1, 400, surer=1.7)
    x = np.log(p / (1 - p))[:, None]
    weights = np.stack([ones[0], np.random.default_rng(0).integers(0, 3, 400)]).astype(np.float32)
    expected = [LogisticRegression(C=1e8, tol=1e-9).fit(x, truth, sample_weight=w).coef_[0, 0] for w in weights]
    assert calibration.slope(p, truth)(weights) == pytest.approx(expected, rel=1e-3)


def test_what_cannot_be_told() -> None:
    p = np.linspace(0.01, 0.99, 60)
    ones = np.ones((1, 60), np.float32)
    assert np.isnan(calibration.slope(p, (p > 0.5).astype(float))(ones)[0])  # told apart without a mistake
    assert np.isnan(calibration.slope(p, np.ones(60))(ones)[0])
    assert np.isnan(calibration.intercept(p, np.zeros(60))(ones)[0])
    unknown = np.where(np.arange(60) % 2, np.nan, (np.arange(60) % 3 == 0).astype(float))
    kept = ~np.isnan(unknown)
    part = calibration.slope(p[kept], unknown[kept])(ones[:, : kept.sum()])
    assert calibration.slope(p, unknown)(ones) == pytest.approx(part)


def test_log_loss_is_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    p = probabilities(rng.normal(size=(50, 3)), "multiclass")
    truth = rng.integers(0, 3, 50)
    ones = np.ones((1, 50), np.float32)
    assert calibration.log_loss(p, one_hot(truth, 3), "multiclass")(ones)[0] == pytest.approx(theirs(truth, p))
    q = rng.uniform(0.01, 0.99, (50, 2))
    y = (rng.random((50, 2)) < 0.3).astype(float)
    expected = (theirs(y[:, 0], q[:, 0]) + theirs(y[:, 1], q[:, 1])) / 2
    assert calibration.log_loss(q, y, "multilabel")(ones)[0] == pytest.approx(expected)
    y[:25, 1] = np.nan
    expected = (50 * theirs(y[:, 0], q[:, 0]) + 25 * theirs(y[25:, 1], q[25:, 1])) / 75
    assert calibration.log_loss(q, y, "multilabel")(ones)[0] == pytest.approx(expected)


@pytest.mark.parametrize(("share", "half"), [(0.9, 0.1), (0.9, 0.05), (0.95, 0.05), (0.5, 0.1)])
def test_cases_needed_is_where_wilson_gets_there(share: float, half: float) -> None:
    n = calibration.cases_needed(share, half)

    def width(n: int) -> float:
        low, high = weighted.wilson(share * n, n)
        return (high - low) / 2

    assert width(n) <= half + 1e-9 < width(n - 1) + 1e-6
    with pytest.raises(ValueError, match="100,000"):
        calibration.cases_needed(0.5, 1e-4)
