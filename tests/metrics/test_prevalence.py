"""Counts corrected for how often flags err."""

import numpy as np
import pytest

from medloupe.metrics.prevalence import (
    ErrorRate,
    count_interval,
    estimate_count,
    is_telling,
    most_by_mistake,
)

SURE = ErrorRate(mean=0.03, spread=0.005)
DIFFERING = ErrorRate(mean=0.03, spread=0.03)
MISSES = ErrorRate(mean=0.06, spread=0.03)


def test_a_perfect_check_up_counts_what_it_flags():
    never = ErrorRate(mean=1e-9, spread=1e-9)
    assert estimate_count(7, 200, never, never) == pytest.approx(7)
    assert count_interval(7, 200, never, never) == (7, 7)


def test_few_flags_among_many_are_explained_by_mistakes():
    low, high = count_interval(2, 200, MISSES, SURE)  # specificity .97: six by mistake are usual
    assert low == 0
    assert high >= 1
    assert estimate_count(2, 200, MISSES, SURE) == 0
    assert most_by_mistake(200, SURE) > 6


def test_fewer_flags_than_mistakes_alone_would_make_exclude_nothing_more_than_none():
    assert count_interval(0, 200, MISSES, SURE)[1] >= 1


def test_many_flags_show_that_there_are_some():
    low, high = count_interval(60, 200, MISSES, SURE)
    assert 40 <= low < estimate_count(60, 200, MISSES, SURE) < high <= 80


def test_what_differs_between_patients_widens_the_interval():
    wide, narrow = (count_interval(30, 200, MISSES, rate) for rate in (DIFFERING, SURE))
    assert wide[0] < narrow[0]
    assert most_by_mistake(200, DIFFERING) > most_by_mistake(200, SURE)


@pytest.mark.parametrize("mistakes", [SURE, DIFFERING])
def test_intervals_hold_the_truth_as_often_as_they_say(mistakes):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        n = int(rng.integers(30, 300))
        k = int(rng.integers(0, n // 4))
        flagged = rng.binomial(k, 1 - rng.beta(*MISSES.shape)) + rng.binomial(n - k, rng.beta(*mistakes.shape))
        low, high = count_interval(int(flagged), n, MISSES, mistakes)
        held += low <= k <= high
    assert held / 300 >= 0.93


def test_an_interval_lies_within_what_there_is():
    for flagged, n in ((0, 1), (1, 1), (0, 5), (5, 5), (4000, 4000), (400, 4000)):
        low, high = count_interval(flagged, n, MISSES, SURE)
        assert 0 <= low <= estimate_count(flagged, n, MISSES, SURE) + 1 <= high + 2
        assert high <= n


def test_rates_are_read_from_figures_with_what_differs_between_patients():
    figure = {"value": 0.97, "low": 0.95, "high": 0.98}
    told = ErrorRate.from_figure(figure, 3000, 100)
    assert told.mean == pytest.approx(0.03)
    assert told.spread > (0.98 - 0.95) / 3.92
    assert ErrorRate.from_figure(figure).spread > told.spread * 0.9  # not told on how many: at its widest
    perfect = ErrorRate.from_figure({"value": 1.0, "low": 1.0, "high": 1.0}, 50, 10)
    assert 0 < perfect.mean < 0.02


def test_flags_without_skill_say_nothing():
    half = ErrorRate(mean=0.5, spread=0.1)
    assert not is_telling(half, half)
    with pytest.raises(ValueError, match="say nothing"):
        estimate_count(3, 10, half, half)
