"""Whether pictures change: exact cases, alarms that are rare without a change, and soon with one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medloupe.metrics.drift import (
    BATCH,
    CALM,
    LIMIT,
    MOST_EVIDENCE,
    DriftReference,
    fit_moments,
    gamma_tail,
    measure_distance,
    to_e_value,
    watch_batches,
)


def test_the_tail_of_a_chi_square_is_near_its_table() -> None:
    """Critical values of chi-square with 10 degrees of freedom (mean 10, variance 20) at 5, 1 and 0.1 %."""
    for value, p in ((18.307, 0.05), (23.209, 0.01), (29.588, 0.001)):
        assert gamma_tail(value, 10, 20) == pytest.approx(p, rel=0.07)


def test_e_values_have_a_mean_of_at_most_one() -> None:
    p = (np.arange(200_000) + 0.5) / 200_000
    assert np.mean([to_e_value(float(x)) for x in p]) <= 1
    assert to_e_value(1e-200) == MOST_EVIDENCE < LIMIT, "one batch alone is no alarm"
    assert to_e_value(1.0) == pytest.approx(0.5, abs=0.01)


def test_a_distance_to_a_mixture_of_classes() -> None:
    means, precision = np.array([[0.0, 0.0], [2.0, 0.0]]), np.eye(2)
    assert measure_distance(np.array([0.5, 0.0]), means, precision) == pytest.approx(0, abs=1e-6)
    assert measure_distance(np.array([0.5, 3.0]), means, precision) == pytest.approx(9, abs=1e-6)
    assert measure_distance(np.array([4.0, 0.0]), means, precision) == pytest.approx(4, abs=1e-6)
    three = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    assert measure_distance(np.array([0.6, 0.7]), three, precision) == pytest.approx(0, abs=1e-4)
    assert measure_distance(np.array([2.0, 2.0]), three, precision) == pytest.approx(2, abs=1e-4)


def test_moments_count_whole_groups() -> None:
    """Ten copies of each of 100 values vary ten times as much in sum as 1,000 values of their own."""
    rng = np.random.default_rng(0)
    own = rng.standard_normal((100, 2))
    copied = np.repeat(own, 10, axis=0)
    _, apart = fit_moments(copied, np.arange(1000))
    _, together = fit_moments(copied, np.repeat(np.arange(100), 10))
    assert apart[0, 0] / together[0, 0] == pytest.approx(10, rel=0.05)


def _draw(rng: np.random.Generator, n: int, shift: float = 0.0, p: int = 12) -> np.ndarray:
    return rng.standard_t(8, (n, p)) + shift


def test_alarms_are_rare_without_a_change_and_soon_with_one() -> None:
    false, batches, found = 0, 0, []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        reference = DriftReference.of_first(_draw(rng, 400))
        assert reference is not None
        same = _draw(rng, 40 * BATCH)
        p = [reference.p_value(same[i : i + BATCH]) for i in range(0, len(same), BATCH)]
        batches += len(p)
        false += any(state.alarm for state in watch_batches(p))
        other = _draw(rng, 8 * BATCH, shift=0.6)
        p += [reference.p_value(other[i : i + BATCH]) for i in range(0, len(other), BATCH)]
        alarms = [i for i, state in enumerate(watch_batches(p)) if state.alarm]
        found.append(alarms[0] - 40 + 1 if alarms else math.inf)
    assert batches == 800
    assert false <= 1
    assert max(found) <= 8, "within 200 pictures"


def test_an_alarm_is_told_from_when_on_and_is_over() -> None:
    quiet, loud = [0.5] * 10, [1e-9] * 3
    states = list(watch_batches([*quiet, *loud, *[0.4] * CALM]))
    assert [s.alarm for s in states] == [False] * 11 + [True] * (2 + CALM - 1) + [False]
    assert {s.since for s in states if s.alarm} == {10}


def test_looking_more_often_changes_nothing() -> None:
    """What stands after n batches is the same however often it was asked for before."""
    p = np.random.default_rng(1).uniform(size=60).tolist()
    whole = list(watch_batches(p))
    assert [list(watch_batches(p[: n + 1]))[-1] for n in range(60)] == whole


def test_too_few_first_answers_make_no_reference() -> None:
    assert DriftReference.of_first(np.zeros((2 * BATCH * 4 - 1, 3))) is None


def test_examples_that_are_all_the_same_make_no_reference_and_no_error() -> None:
    same = np.full((200, 8), 0.5)
    assert DriftReference.of_first(same) is None
    _, precision = fit_moments(same, np.arange(200))
    assert np.isfinite(precision).all()
