"""Every metric against a slow reference, and the intervals against what they claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, roc_auc_score

from medloupe.metrics import weighted
from medloupe.metrics.weighted import (
    Metric,
    Ranking,
    bootstrap_intervals,
    widen_auc_interval,
    widen_share_interval,
    wilson,
)

quick = settings(deadline=None, max_examples=60)


def point(metric: weighted.Weighted, n: int) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(metric(np.ones((1, n), np.float32))[0])


def width(m: Metric) -> float:
    assert m["low"] is not None
    assert m["high"] is not None
    return m["high"] - m["low"]


@st.composite
def ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with ties, truth with both sides, whole weights that leave both sides some."""
    n = draw(st.integers(4, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    scores = rng.integers(0, draw(st.sampled_from([2, 5, 1000])), n).astype(np.float32) / 7
    truth = rng.integers(0, 2, n).astype(np.float32)
    weights = rng.integers(0, 4, n)
    truth[:2], weights[:2] = (0, 1), 1
    return scores, truth, weights


@quick
@given(ranked())
def test_ranking_agrees_with_scikit_learn(case: tuple[np.ndarray, np.ndarray, np.ndarray]):
    scores, truth, _ = case
    ranking = Ranking(scores, truth)
    assert point(ranking.auc, len(truth)) == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    precision = average_precision_score(truth, scores)
    assert point(ranking.average_precision, len(truth)) == pytest.approx(precision, abs=1e-6)


@quick
@given(ranked())
def test_a_weight_is_a_repeated_row(case: tuple[np.ndarray, np.ndarray, np.ndarray]):
    scores, truth, weights = case
    again = np.repeat(np.arange(len(truth)), weights)
    both = np.stack([weights, np.ones_like(weights)]).astype(np.float32)
    ranking = Ranking(scores, truth)
    repeated = roc_auc_score(truth[again], scores[again]), average_precision_score(truth[again], scores[again])
    assert ranking.auc(both)[0] == pytest.approx(repeated[0], abs=1e-6)
    assert ranking.average_precision(both)[0] == pytest.approx(repeated[1], abs=1e-6)
    assert ranking.auc(both)[1] == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)


def test_missing_truth_takes_no_part_in_a_ranking():
    scores = np.array([0.9, 0.1, 0.5, 0.7, 0.2], np.float32)
    truth = np.array([1, 0, np.nan, 0, 1], np.float32)
    assert point(Ranking(scores, truth).auc, 5) == pytest.approx(0.75)
    assert np.isnan(point(Ranking(scores, np.full(5, np.nan)).auc, 5))
    assert np.isnan(point(Ranking(scores, np.full(5, np.nan)).average_precision, 5))
    for one_sided in (np.zeros(5), np.ones(5)):
        assert np.isnan(point(Ranking(scores, one_sided).auc, 5))


def test_a_large_ranking_keeps_its_precision():
    rng = np.random.default_rng(0)
    truth = (rng.random(200_000) < 0.5).astype(np.float32)
    scores = (rng.normal(size=200_000) + truth).astype(np.float32)
    assert point(Ranking(scores, truth).auc, len(truth)) == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)


@quick
@given(st.integers(0, 2**31), st.integers(1, 50))
def test_f1_share_and_brier_agree_with_references(seed: int, n: int):
    rng = np.random.default_rng(seed)
    called, truth = rng.random(n) < 0.4, rng.random(n) < 0.5
    if (called | truth).any():
        assert point(weighted.f1(called, truth), n) == pytest.approx(f1_score(truth, called, zero_division=0))
    else:
        assert np.isnan(point(weighted.f1(called, truth), n))
    if truth.any():
        assert point(weighted.share(called, truth), n) == pytest.approx(called[truth].mean())
    else:
        assert np.isnan(point(weighted.share(called, truth), n))
    p = rng.random((n, 1)).astype(np.float32)
    assert point(weighted.brier(p, truth[:, None].astype(float)), n) == pytest.approx(
        brier_score_loss(truth, p[:, 0], pos_label=1, labels=[0, 1]) if n else 0, abs=1e-5
    )


def test_brier_sums_over_labels_and_leaves_missing_ones_out():
    p = np.array([[0.5, 0.5], [1, 0], [0.2, 0.9]], np.float32)
    truth = np.array([[1, 0], [0, np.nan], [np.nan, np.nan]])
    assert point(weighted.brier(p, truth), 3) == pytest.approx((0.5 + 1) / 2)


def slow_ece(confidence: np.ndarray, right: np.ndarray) -> float:
    total = 0.0
    for b in range(10):
        own = (confidence >= b / 10) & ((confidence < (b + 1) / 10) | (b == 9))
        if own.any():
            total += abs(confidence[own].mean() - right[own].mean()) * own.mean()
    return total


@quick
@given(st.integers(0, 2**31), st.integers(1, 80))
def test_calibration_error_agrees_with_a_slow_reference(seed: int, n: int):
    rng = np.random.default_rng(seed)
    confidence = rng.choice([0.05, 0.33, 0.99, 1.0, *rng.random(5)], n)
    right = rng.random(n) < confidence
    found = point(weighted.calibration_error(confidence, right, np.arange(n)), n)
    assert found == pytest.approx(slow_ece(confidence, right), abs=1e-5)
    # several statements a row: the same as many rows
    rows = np.sort(rng.integers(0, max(1, n // 3), n))
    found = point(weighted.calibration_error(confidence, right, rows), int(rows.max()) + 3)
    assert found == pytest.approx(slow_ece(confidence, right), abs=1e-5)


def test_an_average_is_over_what_is_defined():
    def constant(value: float) -> weighted.Weighted:
        return lambda weights: np.full(len(weights), value)

    assert point(weighted.average([constant(0.2), constant(np.nan), constant(0.4)]), 3) == pytest.approx(0.3)
    assert np.isnan(point(weighted.average([constant(np.nan)]), 3))
    assert np.isnan(point(weighted.average([]), 3))


# The bootstrap


def example(groups: int, copies: int = 1, seed: int = 0) -> tuple[Ranking, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = (np.arange(groups) % 2).astype(np.float32)
    scores = (rng.normal(size=groups) + truth).astype(np.float32)
    group = np.repeat(np.arange(groups), copies)
    return Ranking(np.repeat(scores, copies), np.repeat(truth, copies)), group


def test_replicates_draw_whole_groups():
    groups = np.array([4, 4, 9, 2, 9, 4])
    chunks = list(weighted.bootstrap_weights(groups, 0, count=50))
    weights = np.concatenate(chunks)
    assert weights.shape == (51, 6)
    assert (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, 2] == weights[:, 4]).all()
    assert (weights[:, [0, 2, 3]].sum(1) == 3).all()
    assert len(np.unique(weights[1:], axis=0)) > 5


def test_intervals_bracket_the_point_and_are_deterministic():
    ranking, groups = example(60)
    first = bootstrap_intervals({"auc": ranking.auc, "ap": ranking.average_precision}, groups)
    assert first == bootstrap_intervals({"auc": ranking.auc, "ap": ranking.average_precision}, groups)
    assert first != bootstrap_intervals({"auc": ranking.auc, "ap": ranking.average_precision}, groups, seed=1)
    for m in first.values():
        assert m["low"] < m["value"] < m["high"]  # type: ignore[operator]


def test_chunks_do_not_change_the_interval(monkeypatch: pytest.MonkeyPatch):
    ranking, groups = example(60)
    whole = bootstrap_intervals({"auc": ranking.auc}, groups)["auc"]
    monkeypatch.setattr(weighted, "_CHUNK_BYTES", 4 * 60 * 7)
    parts = bootstrap_intervals({"auc": ranking.auc}, groups)["auc"]
    assert parts["value"] == whole["value"]
    assert width(parts) == pytest.approx(width(whole), rel=0.15)


def test_copies_in_a_group_do_not_narrow_the_interval():
    ranking, groups = example(60)
    honest = width(bootstrap_intervals({"auc": ranking.auc}, groups)["auc"])
    ranking, groups = example(60, copies=10)
    assert width(bootstrap_intervals({"auc": ranking.auc}, groups)["auc"]) == pytest.approx(honest, rel=0.1)
    naive = width(bootstrap_intervals({"auc": ranking.auc}, np.arange(600))["auc"])
    assert naive < 0.5 * honest  # what resampling images instead of patients would claim


def test_what_cannot_be_computed_is_none():
    nothing = Ranking(np.zeros(5), np.zeros(5))
    assert bootstrap_intervals({"auc": nothing.auc}, np.arange(5))["auc"] == {"value": None, "low": None, "high": None}
    truth = np.r_[1.0, np.zeros(9)]
    lonely = Ranking(np.arange(10.0), truth)  # 35 % of the replicates lack the one case
    assert bootstrap_intervals({"auc": lonely.auc}, np.arange(10))["auc"]["low"] is not None
    two = Ranking(np.array([1.0, 0.0]), np.array([1.0, 0.0]))  # half lack one side
    m = bootstrap_intervals({"auc": two.auc}, np.array([0, 1]), seed=3)["auc"]
    assert m["value"] == 1


@pytest.mark.parametrize(("shift", "n"), [(0.9, 60), (0.0, 40)])
def test_intervals_cover_the_truth_nearly_as_often_as_they_say(shift: float, n: int):
    from math import erf

    true_auc = 0.5 * (1 + erf(shift / 2))  # of two normal distributions of variance 1
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(150):
        truth = (np.arange(n) % 2).astype(np.float32)
        ranking = Ranking(rng.normal(size=n) + shift * truth, truth)
        m = widen_auc_interval(
            bootstrap_intervals({"auc": ranking.auc}, np.arange(n), seed=trial)["auc"], n // 2, n // 2
        )
        covered += m["low"] <= true_auc <= m["high"]  # type: ignore[operator]
    assert covered / 150 >= 0.9


def test_intervals_of_clustered_data_cover_the_truth():
    rng = np.random.default_rng(1)
    covered = 0
    for trial in range(150):
        patient = rng.random(40) < 0.5 + rng.normal(0, 0.3, 40)  # a patient's five images succeed or fail together
        hit = np.repeat(patient, 5)
        m = bootstrap_intervals(
            {"s": weighted.share(hit, np.ones(200, bool))}, np.repeat(np.arange(40), 5), seed=trial
        )["s"]
        covered += m["low"] <= 0.5 <= m["high"]  # type: ignore[operator]
    assert covered / 150 >= 0.88


# Small numbers


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),  # Newcombe (Statistics in Medicine 1998), table I and others of his
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (10, 10, 0.7225, 1.0),
    ],
)
def test_wilson_against_published_numbers(hits: int, n: int, low: float, high: float):
    assert wilson(hits, n) == pytest.approx((low, high), abs=6e-5)


def test_wilson_without_data_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


@quick
@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_brackets_the_share(n: int, p: float):
    low, high = wilson(p * n, n)
    assert 0 <= low <= p + 1e-12
    assert p - 1e-12 <= high <= 1


def metric(value: Any, low: Any = None, high: Any = None) -> Metric:
    return Metric(value=value, low=low, high=high)


def test_a_perfect_auc_of_few_cases_is_not_certain():
    m = widen_auc_interval(metric(1.0, 1.0, 1.0), 15, 15)
    assert m["value"] == 1.0
    assert 0.85 < m["low"] < 0.98  # type: ignore[operator]
    assert m["high"] == pytest.approx(1.0, abs=1e-3)
    fewer, more = (widen_auc_interval(metric(1.0, 1.0, 1.0), n, n)["low"] for n in (5, 500))
    assert fewer < m["low"] < more  # type: ignore[operator]
    assert more > 0.995  # type: ignore[operator]


def test_a_worst_auc_of_few_cases_is_not_certain_either():
    m = widen_auc_interval(metric(0.0, 0.0, 0.0), 15, 15)
    assert 0.02 < m["high"] < 0.15  # type: ignore[operator]


@quick
@given(st.floats(0, 1), st.integers(1, 300), st.integers(1, 300))
def test_widening_only_widens(value: float, positives: int, negatives: int):
    low, high = max(0.0, value - 0.05), min(1.0, value + 0.05)
    for m in (
        widen_auc_interval(metric(value, low, high), positives, negatives),
        widen_share_interval(metric(value, low, high), positives),
    ):
        assert m["value"] == value
        assert 0 <= m["low"] <= low  # type: ignore[operator]
        assert high <= m["high"] <= 1  # type: ignore[operator]


def test_hanley_and_mcneil_stays_close_to_the_bootstrap_where_there_is_much_data():
    ranking, groups = example(2000)
    plain = bootstrap_intervals({"auc": ranking.auc}, groups)["auc"]
    assert width(widen_auc_interval(plain, 1000, 1000)) == pytest.approx(width(plain), rel=0.2)


def test_nothing_to_widen():
    assert widen_auc_interval(metric(None), 5, 5) == metric(None)
    assert widen_auc_interval(metric(0.5), 0, 5) == metric(0.5)
    assert widen_share_interval(metric(None), 5) == metric(None)
    assert widen_share_interval(metric(0.5), 10)["low"] == pytest.approx(wilson(5, 10)[0])


def test_very_many_rows_are_drawn_less_often():
    rng = np.random.default_rng(0)
    n = weighted.MANY + 1
    groups = np.arange(n) % 40
    drawn = np.concatenate([w[:, :1] for w in weighted.bootstrap_weights(groups, 0)])
    assert len(drawn) == 1 + weighted.FEWER
    assert sum(len(w) for w in weighted.bootstrap_weights(groups[:-1], 0)) == 1 + weighted.REPLICATES
    truth = (rng.random(n) < 0.3).astype(np.float32)
    ranked = Ranking(truth + rng.normal(0, 1, n), truth)
    few, many = weighted.bootstrap_intervals({"auc": ranked.auc}, groups)["auc"], None
    values = np.concatenate([ranked.auc(w) for w in weighted.bootstrap_weights(groups, 1, weighted.REPLICATES)])
    many = weighted.summarise(values)
    assert few["value"] == pytest.approx(many["value"])
    assert width(few) == pytest.approx(width(many), rel=0.25)


def test_a_summary_needs_half_of_its_replicates():
    values = np.full(1 + weighted.FEWER, 0.7)
    assert weighted.summarise(values)["low"] == pytest.approx(0.7)
    values[1 : 1 + weighted.FEWER // 2] = np.nan
    assert weighted.summarise(values)["low"] == pytest.approx(0.7)
    values[1 + weighted.FEWER // 2] = np.nan
    assert weighted.summarise(values) == {"value": pytest.approx(0.7), "low": None, "high": None}
