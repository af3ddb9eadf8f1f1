"""Calibrating anew on few cases: known shifts are found, noise is not, and nobody is made worse by more than noise."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.model.head import Head, probabilities
from medloupe.training.adapt.recalibrate import (
    KINDS,
    Calibration,
    choose_calibration,
    cross_fit_calibrations,
    fit_calibration,
    row_log_losses,
)
from synthetic import one_hot


def cases(
    seed: int, n: int, prior: tuple[float, ...] = (0.5, 0.5), surer: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, K) that are calibrated where all classes are as common, times `surer`, and truth (n, K) drawn from
    prior."""
    rng, k = np.random.default_rng(seed), len(prior)
    truth = rng.choice(k, n, p=prior)
    truth[: 2 * k] = np.arange(2 * k) % k
    x = rng.normal(size=(n, k))
    x[np.arange(n), truth] += 1.6
    return (1.6 * surer * x).astype(np.float32), one_hot(truth, k)


def several(seed: int, n: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Two findings: logits (n, 2) whose first is off by -shift, and truth of 1/0 with some unknown."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, 2))
    y = (rng.random((n, 2)) < probabilities(z, "multilabel")).astype(np.float32)
    y[rng.random((n, 2)) < 0.1] = np.nan
    z[:, 0] -= shift
    return z.astype(np.float32), y


def lost(z: np.ndarray, y: np.ndarray, task: str = "multiclass") -> float:
    summed, known = row_log_losses(z, y, task)
    return float(summed.sum() / known.sum())


def chosen(z: np.ndarray, y: np.ndarray, seed: int = 0) -> Calibration:
    own = np.arange(len(z))
    kind, _ = choose_calibration(z, y, own, task="multiclass", seed=seed)
    return fit_calibration(z, y, own, task="multiclass", kind=kind)


# ------------------------------------------------------------------ what is known


@pytest.mark.parametrize("prior", [(0.9, 0.1), (0.6, 0.25, 0.1, 0.05)])
def test_a_shift_of_prevalence_is_found(prior: tuple[float, ...]) -> None:
    z, y = cases(1, 4000, prior)
    made = fit_calibration(z, y, np.arange(len(z)), task="multiclass", kind=KINDS[1])
    expected = np.log(np.array(prior)) - np.log(prior).mean()
    assert made.shift == pytest.approx(expected, abs=0.15)
    assert made.shift.sum() == pytest.approx(0, abs=1e-6)
    assert (made.scale == 1).all()
    p = probabilities(made.apply(z), "multiclass")
    assert p.mean(0) == pytest.approx(y.mean(0), abs=0.005)  # as many expected as there are


def test_a_temperature_is_found() -> None:
    z, y = cases(2, 4000, surer=2.0)
    made = fit_calibration(z, y, np.arange(len(z)), task="multiclass", kind=KINDS[2])
    assert made.scale == pytest.approx([0.5, 0.5], abs=0.05)
    assert made.shift == pytest.approx([0, 0], abs=0.1)


def test_labels_of_several_are_shifted_each_for_itself() -> None:
    z, y = several(3, 4000, shift=1.5)
    made = fit_calibration(z, y, np.arange(len(z)), task="multilabel", kind=KINDS[1])
    assert made.shift == pytest.approx([1.5, 0], abs=0.15)
    made = fit_calibration(z, y, np.arange(len(z)), task="multilabel", kind=KINDS[2])
    assert made.shift == pytest.approx([1.5, 0], abs=0.25)
    assert made.scale == pytest.approx([1, 1], abs=0.1)
    kind, _ = choose_calibration(z, y, np.arange(len(z)), task="multilabel")
    assert kind == KINDS[1]


def test_the_minimum_is_one() -> None:
    """No small step in any direction makes the penalised log loss smaller: twice the data, nearly the same answer."""
    z, y = cases(4, 400, (0.8, 0.2), surer=1.5)
    groups = np.arange(len(z))
    made = fit_calibration(z, y, groups, task="multiclass", kind=KINDS[2])
    best = lost(made.apply(z), y)
    for da, db in ((0.05, 0), (-0.05, 0), (0, 0.1), (0, -0.1)):
        other = Calibration(kind="", scale=made.scale + da, shift=made.shift + np.array([db, -db]))
        assert lost(other.apply(z), y) > best - 1e-3
    doubled = fit_calibration(np.r_[z, z], np.r_[y, y], np.r_[groups, groups + 1000], task="multiclass", kind=KINDS[2])
    assert doubled.shift == pytest.approx(made.shift, abs=0.05)


# ----------------------------------------------------------------- what is noise


def test_what_is_calibrated_stays_as_it_is() -> None:
    kinds = Counter(chosen(*cases(seed, 60), seed=seed).kind for seed in range(40))
    assert kinds["unchanged"] >= 32, kinds


def test_what_is_shifted_does_not() -> None:
    kinds = Counter(chosen(*cases(seed, 100, (0.92, 0.08)), seed=seed).kind for seed in range(20))
    assert kinds["unchanged"] <= 3, kinds


@pytest.mark.parametrize(
    ("prior", "surer"), [((0.5, 0.5), 1.0), ((0.9, 0.1), 1.0), ((0.5, 0.5), 2.0), ((0.8, 0.2), 1.6)]
)
def test_new_cases_are_never_told_worse_by_more_than_noise(prior: tuple[float, float], surer: float) -> None:
    held_z, held_y = cases(10_000, 4000, prior, surer)
    before = lost(held_z, held_y)
    changes = [
        lost(chosen(*cases(seed, 60, prior, surer), seed=seed).apply(held_z), held_y) - before for seed in range(25)
    ]
    assert np.mean(changes) < 0.01
    assert np.quantile(changes, 0.9) < 0.05
    if prior[0] > 0.8 or surer >= 2:
        assert np.mean(changes) < -0.01  # and where something is wrong, it helps


def test_fifty_cases_do_not_run_away() -> None:
    """Told apart without a mistake, the likelihood alone would make the model infinitely sure."""
    truth = np.arange(50) % 2
    z = np.where(one_hot(truth, 2) == 1, 3.0, -3.0).astype(np.float32)
    made = fit_calibration(z, one_hot(truth, 2), np.arange(50), task="multiclass", kind=KINDS[2])
    assert 1 <= made.scale[0] < 2
    assert np.abs(made.shift).max() < 0.1


def test_many_images_of_few_patients_count_as_few() -> None:
    z, y = cases(5, 300, (0.95, 0.05))
    alone = fit_calibration(z, y, np.arange(300), task="multiclass", kind=KINDS[1])
    together = fit_calibration(z, y, np.arange(300) // 50, task="multiclass", kind=KINDS[1])
    assert abs(together.shift[0]) < 0.7 * abs(alone.shift[0])


def test_a_model_that_ranks_backwards_is_not_turned_round() -> None:
    z, y = cases(6, 200)
    made = fit_calibration(-z, y, np.arange(200), task="multiclass", kind=KINDS[2])
    assert made.scale[0] == pytest.approx(0.1)


# ------------------------------------------------------------------- few of a label


def test_a_class_that_does_not_come_here_keeps_its_odds() -> None:
    z, y = cases(7, 120, (0.7, 0.2, 0.1))
    without = y[:, 2] == 0
    made = fit_calibration(z[without], y[without], np.arange(without.sum()), task="multiclass", kind=KINDS[2])
    assert made.shift[2] == 0
    assert made.shift[0] > made.shift[1]
    one = fit_calibration(
        z[y[:, 0] == 1], y[y[:, 0] == 1], np.arange(int(y[:, 0].sum())), task="multiclass", kind=KINDS[2]
    )
    assert (one.scale == 1).all() and (one.shift == 0).all()


def test_a_finding_without_cases_for_or_against_is_left_alone() -> None:
    z, y = several(8, 80, shift=2)
    y[:, 1] = np.where(y[:, 1] == 1, np.nan, y[:, 1])
    made = fit_calibration(z, y, np.arange(80), task="multilabel", kind=KINDS[2])
    assert (made.scale[1], made.shift[1]) == (1, 0)
    assert made.shift[0] > 0.5


def test_too_few_for_two_folds() -> None:
    z, y = cases(9, 40)
    assert choose_calibration(z, y, np.zeros(40, int), task="multiclass") == ("unchanged", ())
    with pytest.raises(ValueError, match="two groups"):
        next(cross_fit_calibrations(z, y, np.zeros(40, int), task="multiclass"))


def test_parts_cover_every_row_once_a_repeat_and_groups_stay_whole() -> None:
    z, y = cases(11, 90)
    groups = np.arange(90) // 2
    seen = np.zeros((3, 90), int)
    for part in cross_fit_calibrations(z, y, groups, task="multiclass", repeats=3):
        seen[part.repeat, part.own] += 1
        assert not set(groups[part.own]) & set(groups[part.others])
        assert len(part.own) + len(part.others) == 90
    assert (seen == 1).all()


# ------------------------------------------------------------------------- folding


@given(st.integers(0, 2**32 - 1), st.sampled_from(["multiclass", "multilabel"]))
def test_folding_into_the_head_is_exact(seed: int, task: str) -> None:
    rng = np.random.default_rng(seed)
    head = Head(
        weight=rng.normal(size=(3, 5)).astype(np.float32),
        bias=rng.normal(size=3).astype(np.float32),
        task="multilabel" if task == "multilabel" else "multiclass",
    )
    scale = np.full(3, rng.uniform(0.3, 2)) if task == "multiclass" else rng.uniform(0.3, 2, 3)
    made = Calibration(kind=KINDS[2], scale=scale, shift=rng.normal(0, 2, 3))
    e = rng.normal(size=(20, 5)).astype(np.float32)
    expected = probabilities(made.apply(head.logits(e)), task)
    assert made.fold_into(head).probabilities(e) == pytest.approx(expected, abs=1e-5)
    assert Calibration.unchanged(3).fold_into(head) is head
