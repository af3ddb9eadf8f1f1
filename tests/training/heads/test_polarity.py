"""What tells a picture from its negative, by sketches."""

from __future__ import annotations

import numpy as np

from medloupe.model.polarity_boundary import MARGIN, PolarityBoundary
from medloupe.training.heads.polarity import fit_polarity

W = 64


def sketches(count: int, shift: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and negatives that share what a clinic and a patient bring, and differ along one direction."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(0, 0.2, (count, W)) + rng.normal(0, 1, W)  # far larger than the difference
    way = np.random.default_rng(9).normal(0, 0.02, W)
    noise = rng.normal(0, 0.01, (2, count, W))
    return (shared + shift * way + noise[0]).astype(np.float32), (shared - shift * way + noise[1]).astype(np.float32)


def test_it_holds_in_another_clinic() -> None:
    fitted = fit_polarity(*sketches(100, 1.0, 1), np.arange(100))
    assert fitted is not None
    assert fitted.pictures == 100
    assert fitted.wrong == 0
    z, negatives = sketches(200, 1.0, 2)
    right, swapped = fitted.boundary.margin(z, negatives), fitted.boundary.margin(negatives, z)
    assert np.allclose(right, -swapped, atol=1e-4)
    assert (right > MARGIN).mean() > 0.95
    assert not (right < -MARGIN).any()


def test_what_cannot_be_told_apart_is_left(seed: int = 3) -> None:
    assert fit_polarity(*sketches(100, 0.0, seed), np.arange(100)) is None


def test_folds_keep_a_patient_together() -> None:
    """Copies of ten patients whose difference is each its own cannot be told in another patient."""
    rng = np.random.default_rng(4)
    way = np.repeat(rng.normal(0, 1, (10, W)), 20, 0)
    z = (way + rng.normal(0, 0.01, way.shape)).astype(np.float32)
    assert fit_polarity(z, -z, np.repeat(np.arange(10), 20)) is None
    assert fit_polarity(z, -z, np.arange(200)) is not None


def test_it_is_read_back_and_not_believed() -> None:
    boundary = PolarityBoundary(weight=np.arange(W, dtype=np.float32))
    assert (PolarityBoundary.from_array(boundary.as_array(), W).weight == boundary.weight).all()
    for wrong in (np.zeros(W + 1), np.full(W, np.nan), np.zeros((1, W))):
        try:
            PolarityBoundary.from_array(wrong, W)
        except ValueError as e:
            assert f"{W} numbers" in str(e)
        else:
            raise AssertionError(wrong.shape)
