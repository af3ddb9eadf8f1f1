"""What is kept of pictures and of a training to be watched by: small, exact enough, and read back trusting nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medloupe.metrics.drift import BATCH
from medloupe.model.drift import (
    FEWEST,
    count_numbers,
    fit_patients,
    fit_reference,
    mean_by_group,
    observe,
    pack_reference,
    read_observed,
    unpack_reference,
    watch_features,
)
from medloupe.model.gaussian import Gaussian
from medloupe.model.novelty import Novelty

WIDTH = 96


def sketches(rng: np.random.Generator, n: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Sketches (n, W) of two classes, and their one-hot labels."""
    sick = rng.random(n) < 0.5
    z = rng.standard_normal((n, WIDTH)) * np.linspace(2, 0.2, WIDTH)
    z[:, 3] += 4 * sick
    z[:, 40] += shift
    return z.astype(np.float32), np.stack([~sick, sick], 1).astype(float)


@pytest.fixture(scope="module")
def fitted() -> tuple[Gaussian, np.ndarray, np.ndarray]:
    z, targets = sketches(np.random.default_rng(0), 500)
    return Gaussian.fit(z, 12), z, targets


def test_a_picture_is_kept_as_few_numbers(fitted: tuple[Gaussian, np.ndarray, np.ndarray]) -> None:
    gaussian, z, _ = fitted
    stored = observe(gaussian, z[0])
    assert len(stored) == 2 * count_numbers(12) == 44
    assert read_observed(stored) == pytest.approx(watch_features(gaussian, z[:1])[0], abs=0.01)


def test_a_change_is_far_and_a_changed_mix_of_classes_is_not(fitted: tuple[Gaussian, np.ndarray, np.ndarray]) -> None:
    gaussian, z, targets = fitted
    reference = fit_reference(z, np.arange(len(z)), targets, gaussian)
    assert reference is not None
    rng = np.random.default_rng(3)
    same, label = sketches(rng, 2000)
    features = watch_features(gaussian, same)
    usual = [reference.p_value(features[i : i + BATCH]) for i in range(0, 2000, BATCH)]
    assert np.mean(np.array(usual) < 0.05) < 0.15
    sick = features[label[:, 1] == 1]
    alone = [reference.p_value(sick[i : i + BATCH]) for i in range(0, len(sick) - BATCH, BATCH)]
    assert np.median(alone) > 0.05, "only one class comes: that is no other kind of picture"
    other = watch_features(gaussian, sketches(rng, 200, shift=4)[0])
    changed = [reference.p_value(other[i : i + BATCH]) for i in range(0, 200, BATCH)]
    assert np.median(changed) < 1e-4 and max(changed) < 0.01


def test_a_reference_is_read_back(fitted: tuple[Gaussian, np.ndarray, np.ndarray]) -> None:
    gaussian, z, targets = fitted
    reference = fit_reference(z, np.arange(len(z)), targets, gaussian)
    assert reference is not None
    stored = pack_reference(reference)
    assert stored.nbytes < 4000
    again = unpack_reference(stored, 12)
    batch = watch_features(gaussian, z[:BATCH])
    assert again.p_value(batch) == pytest.approx(reference.p_value(batch), rel=1e-3)
    for wrong in (
        stored[:-1],
        stored[None],
        np.array([]),
        np.where(np.arange(len(stored)) == 2, -1, stored),
        stored * np.nan,
    ):
        with pytest.raises(ValueError, match="reference"):
            unpack_reference(np.asarray(wrong, np.float32), 12)
    with pytest.raises(ValueError, match="reference"):
        unpack_reference(stored, 11)


def test_it_travels_with_novelty() -> None:
    z, targets = sketches(np.random.default_rng(1), 200)
    novelty = Novelty.fit(z, np.arange(200), (WIDTH,))
    assert novelty is not None and Novelty.from_json(novelty.as_json()).reference is None, "as models of before"
    reference = fit_reference(z, np.arange(200), targets, novelty.gaussian)
    patients = fit_patients(z, np.arange(200) // 2, targets, novelty.gaussian)
    assert patients is not None and Novelty.from_json(replace(novelty, patients=patients).as_json()).reference is None
    own = replace(novelty, reference=reference, patients=patients)
    for again in (Novelty.from_json(own.as_json()), Novelty.from_arrays(own.as_arrays())):
        assert again is not None and again.reference is not None and reference is not None
        assert again.reference.mean == pytest.approx(reference.mean, rel=1e-6)
        assert again.reference.means == pytest.approx(reference.means, abs=1e-4)
        assert again.patients is not None
        assert again.patients.means == pytest.approx(patients.means, abs=1e-4)


def test_of_few_groups_there_is_none() -> None:
    z, targets = sketches(np.random.default_rng(2), 400)
    groups = np.arange(400) % (FEWEST - 1)
    assert fit_reference(z, groups, targets, Gaussian.fit(z, 4)) is None
    assert fit_patients(z, np.arange(400) % (2 * BATCH - 1), targets, Gaussian.fit(z, 4)) is None


@pytest.mark.parametrize("count", [2 * BATCH, 60, 3 * BATCH, 140])
def test_of_few_patients_there_are_finite_numbers(count: int) -> None:
    z, targets = sketches(np.random.default_rng(5), 400)
    made = fit_patients(z, np.arange(400) % count, targets, Gaussian.fit(z, 12))
    assert made is not None
    assert np.isfinite(made.precision).all() and np.isfinite(made.means).all() and made.mean > 0


def test_rows_of_a_group_are_brought_to_their_mean() -> None:
    rows = np.array([[1.0, 0.0], [5.0, 5.0], [3.0, 2.0]])
    assert mean_by_group(rows, np.array(["b", "a", "b"])) == pytest.approx(np.array([[5.0, 5.0], [2.0, 1.0]]))
