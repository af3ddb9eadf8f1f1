"""Lines are chosen together: first the people with nothing, then the findings by danger; nothing by its own fold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.data.labels import Roles, tell_roles
from medloupe.metrics.lines import (
    HOPELESS,
    MOST_PROBABLE,
    UNCLEAR_MOST,
    cross_fit_rules,
    fit_rule,
    reached,
    thresholds,
)
from medloupe.metrics.states import describe_states
from synthetic import judged, one_hot

N = 600
ROLES = tell_roles(("normal", "mild", "bad"), normal=("normal",), sought=("bad", "mild"))


def sick(n: int = N, seed: int = 0, sharp: float = 2.0, shares: tuple[float, ...] = (0.6, 0.25, 0.15)):
    """Probabilities and targets of three classes, told apart the better the sharper; calibrated enough."""
    rng = np.random.default_rng(seed)
    classes = rng.choice(len(shares), n, p=shares)
    z = rng.normal(size=(n, len(shares))) + sharp * np.eye(len(shares))[classes] + np.log(shares)
    p = np.exp(z)
    return (p / p.sum(1, keepdims=True)).astype(np.float32), one_hot(classes, len(shares))


def rule_of(p: np.ndarray, y: np.ndarray, roles: Roles = ROLES, task: str = "multiclass", sensitivity: float = 0.9):
    return fit_rule(p, y, np.arange(len(p)), roles, task, sensitivity=sensitivity)


# Thresholds of one label


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 60), st.floats(0.5, 0.99), st.booleans())
def test_a_threshold_reaches_its_sensitivity_and_is_the_highest_that_does(
    seed: int, n: int, sensitivity: float, ties: bool
):
    rng = np.random.default_rng(seed)
    p = rng.integers(0, 6, (n, 1)) / 6 if ties else rng.random((n, 1))
    y = (rng.random((n, 1)) < 0.5).astype(np.float32)
    limit = thresholds(p, y, sensitivity)[0]
    cases = p[y[:, 0] == 1, 0]
    if not len(cases):
        assert np.isnan(limit)
        return
    assert (cases >= limit).mean() >= sensitivity - 1e-9
    higher = np.unique(cases[cases > limit])
    if len(higher):
        assert (cases >= higher[0]).mean() < sensitivity


def test_nine_of_ten_are_found_at_ninety_percent():
    p = np.arange(10)[:, None] / 10
    assert thresholds(p, np.ones((10, 1)), 0.9)[0] == pytest.approx(0.1)
    assert thresholds(p, np.ones((10, 1)), 0.95)[0] == 0


# The lines together


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.floats(0.2, 4), st.floats(0.05, 0.5))
def test_of_those_without_a_finding_no_more_are_flagged_than_is_allowed(seed: int, sharp: float, allowed: float):
    p, y = sick(seed=seed, sharp=sharp)
    roles = tell_roles(ROLES.labels, normal=("normal",), sought=("bad", "mild"), false_flags=allowed)
    rule = rule_of(p, y, roles)
    free = y[:, 0] == 1
    least = rule.leading(p[free])[:, 1:].any(1).mean()  # what is flagged whatever the lines: the most probable label
    assert rule.flags(p[free]).any(1).mean() <= max(allowed, least) + 1e-9
    assert (rule.lines[1:] <= MOST_PROBABLE).all()


def test_the_most_dangerous_finding_goes_first():
    p, y = sick(4000, sharp=1.2)
    worst_first, mild_first = (
        rule_of(p, y, tell_roles(ROLES.labels, normal=("normal",), sought=order))
        for order in (("bad", "mild"), ("mild", "bad"))
    )

    def found(rule, k: int) -> float:
        return float(rule.flags(p)[y[:, k] == 1, k].mean())

    assert found(worst_first, 2) > found(mild_first, 2) + 0.1
    assert found(mild_first, 1) > found(worst_first, 1) + 0.05
    p, y = sick(4000, sharp=2.5)
    assert found(rule_of(p, y, sensitivity=0.97), 2) == pytest.approx(0.97, abs=0.02), "no further than was asked"


def test_a_most_probable_finding_is_flagged_whatever_its_line():
    p, y = sick()
    rule = rule_of(p, y)
    top = p.argmax(1)
    flags = rule.flags(p)
    for k in (1, 2):
        assert flags[top == k, k].all()
        below = (p[:, k] < rule.lines[k]) & (top != k)
        assert not flags[below, k].any()
    assert not flags[:, 0].any(), "what is normal is never flagged"


def test_flags_do_not_depend_on_their_own_fold():
    p, y = sick(sharp=1.0)
    folds = np.arange(N)[None] % 4
    groups = np.arange(N)
    flags, unclear = cross_fit_rules(p[None], y, groups, folds, ROLES, "multiclass", 0.9)
    own = folds[0] == 1
    y2 = y.copy()
    y2[own] = np.roll(y2[own], 1, axis=1)
    flags2, unclear2 = cross_fit_rules(p[None], y2, groups, folds, ROLES, "multiclass", 0.9)
    np.testing.assert_array_equal(flags[0, own], flags2[0, own])
    np.testing.assert_array_equal(unclear[0, own], unclear2[0, own])
    assert (flags[0, ~own] != flags2[0, ~own]).any()
    rule = fit_rule(p[~own], y[~own], groups[~own], ROLES, "multiclass", sensitivity=0.9)
    np.testing.assert_array_equal(flags[0, own], reached(rule, p[own]))


def test_without_anybody_free_of_findings_only_the_most_probable_is_flagged():
    p, y = sick(shares=(0.5, 0.5))
    roles = tell_roles(("a", "b"), sought=("a", "b"))
    rule = rule_of(p, y, roles)
    assert rule.lines.tolist() == [MOST_PROBABLE, MOST_PROBABLE]
    assert rule.unclear_from is None


def test_a_label_without_cases_has_a_line_that_only_its_being_most_probable_crosses():
    p, y = sick()
    y[:, 2] = 0
    rule = rule_of(p, y)
    assert not (rule.flags(p)[:, 2] & (p.argmax(1) != 2)).any()


def test_several_findings_at_once_are_flagged_by_their_lines():
    rng = np.random.default_rng(0)
    y = (rng.random((N, 3)) < (0.5, 0.2, 0.1)).astype(np.float32)
    p = 1 / (1 + np.exp(-(rng.normal(size=(N, 3)) + 3 * y - 2.5)))
    roles = tell_roles(("a", "b", "c"), sought=("c", "b", "a"))
    rule = fit_rule(p, y, np.arange(N), roles, "multilabel", sensitivity=0.9)
    free = (y == 0).all(1)
    assert rule.flags(p[free]).any(1).mean() <= 0.25 + 1e-9
    low = np.array([[0.03, 0.02, 0.01]])
    assert not rule.flags(low).any(), "the longest of three short bars is no finding"


# What is hopeless, what is unclear


def test_a_finding_whose_calls_are_hardly_ever_right_is_not_announced():
    rng = np.random.default_rng(0)
    n = 5000
    rare = rng.random(n) < 0.01
    p = np.column_stack([np.full(n, 0.9), rng.random(n) * 0.1])  # it knows nothing of the rare one
    y = one_hot(rare.astype(int), 2)
    roles = tell_roles(("normal", "rare"), normal=("normal",), sought=("rare",))
    rule = rule_of(p, y, roles)
    assert rule.announced.tolist() == [True, False]
    assert not rule.flags(np.array([[0.1, 0.9]])).any()
    assert rule.unclear(np.array([[0.1, 0.9]])).all(), "nor is it passed over"
    good = rule_of(np.column_stack([1 - rare * 0.8, rare * 0.8]), y, roles)
    assert good.announced.all()
    assert rare.mean() < HOPELESS


def test_a_person_with_most_of_the_cases_does_not_make_a_finding_worth_announcing():
    rng = np.random.default_rng(0)
    n = 4000
    groups = np.arange(n) % 40
    case = (groups == 7) | (rng.random(n) < 0.01)
    known = groups == 7  # that person's cases are found, nobody else's
    p = np.column_stack([1 - known * 0.9, known * 0.9]) + rng.random((n, 1)) * 1e-3
    roles = tell_roles(("normal", "case"), normal=("normal",), sought=("case",))
    assert not fit_rule(p, one_hot(case.astype(int), 2), groups, roles, "multiclass", sensitivity=0.9).announced[1]


@pytest.mark.parametrize("sharp", [1.5, 3.5])
def test_unclear_answers_are_few_and_wrong_more_often(sharp: float):
    p, y = sick(6000, sharp=sharp)
    rule = rule_of(p[:3000], y[:3000])
    fresh, truth = p[3000:], y[3000:, 0] == 0
    flagged, unclear = rule.flags(fresh).any(1), rule.unclear(fresh)
    assert rule.unclear_from is not None
    assert not (flagged & unclear).any()
    assert 0 < unclear.mean() <= UNCLEAR_MOST + 0.03
    wrong = flagged != truth
    goal = 4 if wrong.mean() <= 0.1 else 1.5
    assert wrong[unclear].mean() >= goal * wrong[~unclear].mean()


def states(p: np.ndarray, y: np.ndarray, ece: float) -> dict:
    rule = rule_of(p, y)
    told = judged(p, y, labels=ROLES.labels, flags=rule.flags(p)[None], unclear=rule.unclear(p)[None], roles=ROLES)
    return describe_states(told, rule, ece=ece)


def test_the_card_says_what_was_given_up():
    p, y = sick(sharp=0.5)
    said = states(p, y, ece=0.2)
    assert (said["weak"], said["calibrated"]) == (True, False)
    assert said["measured"]["flagged_without"]["value"] <= 0.25 + 1e-6
    assert "weak" in said["words"]
    said = states(*sick(sharp=6), ece=0.01)
    assert (said["weak"], said["calibrated"]) == (False, True)


def test_the_surest_answers_are_wrong_least():
    p, y = sick(3000, sharp=1.5)
    said = states(p, y, ece=0.01)
    risks = [row["risk"]["value"] for row in said["risk_coverage"]]
    assert risks[0] == pytest.approx(said["measured"]["wrong"]["value"])
    assert risks[-1] < risks[0] / 2
    assert all(row["risk"]["low"] <= row["risk"]["value"] <= row["risk"]["high"] for row in said["risk_coverage"])
