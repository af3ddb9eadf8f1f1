"""Groups never straddle; folds are even; a test split is kept where it can judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.data.split import (
    FEWEST_CASES,
    SMALLEST_TEST,
    assign_folds,
    count_folds,
    join_groups,
    plan_split,
    rows_with_same_value,
    sample_rows,
)
from synthetic import of_records, of_targets, one_hot

quick = settings(deadline=None, max_examples=60)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Targets (N, K) with missing entries, and groups (N,)."""
    n, k = draw(st.integers(2, 60)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    targets = (rng.random((n, k)) < draw(st.floats(0.05, 0.95))).astype(np.float32)
    targets[rng.random((n, k)) < draw(st.sampled_from([0, 0.3]))] = np.nan
    return targets, rng.integers(0, draw(st.integers(1, n)), n)


@quick
@given(cases(), st.integers(2, 6), st.integers(0, 99))
def test_no_group_lies_in_two_folds(case: tuple[np.ndarray, np.ndarray], count: int, seed: int):
    targets, groups = case
    fold = assign_folds(targets, groups, count, seed)
    assert fold.shape == groups.shape
    assert ((fold >= 0) & (fold < count)).all()
    for g in np.unique(groups):
        assert len(np.unique(fold[groups == g])) == 1
    np.testing.assert_array_equal(fold, assign_folds(targets, groups, count, seed))


@quick
@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.integers(2, 5), st.integers(0, 99))
def test_labels_are_spread_evenly(sizes: list[int], count: int, seed: int):
    classes = np.repeat(np.arange(len(sizes)), sizes)
    fold = assign_folds(one_hot(classes, len(sizes)), np.arange(len(classes)), count, seed)
    for k in range(len(sizes)):
        each = np.bincount(fold[classes == k], minlength=count)
        assert np.ptp(each) <= 1 or np.ptp(each) <= 2 < sizes[k] / count, each


@quick
@given(st.integers(0, 2**31), st.integers(2, 5))
def test_with_groups_labels_are_spread_within_the_size_of_a_group(seed: int, count: int):
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(60), rng.integers(1, 5, 60))
    classes = rng.integers(0, 2, 60)[groups]  # a patient has one diagnosis
    fold = assign_folds(one_hot(classes, 2), groups, count, seed)
    for k in range(2):
        assert np.ptp(np.bincount(fold[classes == k], minlength=count)) <= 2 * 4


def test_a_rare_label_reaches_as_many_folds_as_it_has_groups():
    classes = np.r_[np.zeros(200, int), np.ones(5, int)]
    for seed in range(10):
        fold = assign_folds(one_hot(classes, 2), np.arange(205), 5, seed)
        assert sorted(fold[200:]) == [0, 1, 2, 3, 4]


def test_another_seed_deals_otherwise():
    y, groups = one_hot(np.arange(50) % 2, 2), np.arange(50)
    assert (assign_folds(y, groups, 5, 0) != assign_folds(y, groups, 5, 1)).any()


# Groups


def closure(n: int, parts: Sequence[Sequence[Sequence[int]]]) -> list[set[int]]:
    """By repetition until nothing changes."""
    sets = [{i} for i in range(n)] + [set(rows) for part in parts for rows in part]
    changed = True
    while changed:
        changed = False
        for i in range(len(sets)):
            for j in range(i + 1, len(sets)):
                if sets[i] & sets[j]:
                    sets[i] |= sets.pop(j)
                    changed = True
                    break
            if changed:
                break
    return sets


@quick
@given(st.data())
def test_joining_is_the_closure(data: st.DataObject):
    n = data.draw(st.integers(1, 12))
    rows = st.lists(st.integers(0, n - 1), min_size=1, max_size=4)
    parts = data.draw(st.lists(st.lists(rows, max_size=4), max_size=3))
    groups = join_groups(n, *parts)
    found = {frozenset(np.flatnonzero(groups == g).tolist()) for g in np.unique(groups)}
    assert found == {frozenset(s) for s in closure(n, parts)}
    assert sorted(set(groups.tolist())) == list(range(len(found)))


def test_joining_long_chains_is_quick():
    n = 100_000
    chain = [(i, i + 1) for i in reversed(range(n - 1))]
    assert (join_groups(n, chain) == 0).all()


def test_rows_of_a_shared_value():
    assert rows_with_same_value(["a", None, "b", "a", None, "c", "b", "a"]) == [[0, 3, 7], [2, 6]]
    assert rows_with_same_value([]) == []


# How many folds


@pytest.mark.parametrize(
    ("classes", "groups", "count"),
    [
        ([0, 0, 0, 0], [0, 1, 2, 3], 0),  # one class
        ([0, 0, 0, 1], [0, 1, 2, 3], 0),  # one case
        ([0, 0, 1, 1], [0, 1, 2, 2], 0),  # two cases of one patient
        ([0, 0, 1, 1], [0, 1, 2, 3], 2),
        ([0, 0, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5], 3),
        ([0] * 9 + [1] * 9, list(range(18)), 5),
        ([0, 0, 0, 1, 1, 1, 2], list(range(7)), 3),  # the best represented label decides
    ],
)
def test_fold_count(classes: list[int], groups: list[int], count: int):
    assert count_folds(one_hot(np.array(classes), max(classes) + 1), np.array(groups)) == count


def test_fold_count_of_missing_labels():
    y = np.full((20, 2), np.nan, np.float32)
    assert count_folds(y, np.arange(20)) == 0
    assert count_folds(np.empty((0, 2), np.float32), np.empty(0, int)) == 0
    y[:4, 0] = [1, 1, 0, 0]
    assert count_folds(y, np.arange(20)) == 2
    assert count_folds(y, np.arange(20), most=1) == 0


@quick
@given(cases())
def test_the_counted_folds_can_all_be_judged(case: tuple[np.ndarray, np.ndarray]):
    targets, groups = case
    count = count_folds(targets, groups)
    assert count <= 5
    if count:
        assert len(np.unique(groups)) >= count


# Plans


def classes_of(n: int) -> np.ndarray:
    return one_hot(np.arange(n) % 2, 2)


def splits_of(**sizes: int) -> list[str | None]:
    return [name if name != "none" else None for name, n in sizes.items() for _ in range(n)]


def test_the_official_test_split_is_kept():
    made = plan_split(of_targets(classes_of(140), split=splits_of(train=80, test=60)), np.arange(140))
    assert made.test is not None
    np.testing.assert_array_equal(made.test, np.arange(80, 140))
    np.testing.assert_array_equal(made.fitting, np.arange(80))
    assert len(made.leaking) == 0
    assert made.notes == ()


def test_what_leaks_into_the_test_split_is_left_out():
    groups = np.arange(140)
    groups[:10] = groups[100:110]
    made = plan_split(of_targets(classes_of(140), split=splits_of(train=80, test=60)), groups)
    assert made.test is not None
    np.testing.assert_array_equal(made.leaking, np.arange(10))
    np.testing.assert_array_equal(made.fitting, np.arange(10, 80))
    assert not np.isin(groups[made.fitting], groups[made.test]).any()


def test_a_validation_split_and_rows_without_one_are_training_data():
    made = plan_split(of_targets(classes_of(160), split=splits_of(train=40, val=40, none=20, test=60)), np.arange(160))
    np.testing.assert_array_equal(made.fitting, np.arange(100))


def test_unlabelled_rows_take_no_part():
    y = classes_of(160)
    y[[3, 120]] = np.nan
    made = plan_split(of_targets(y, split=splits_of(train=80, test=80)), np.arange(160))
    assert made.test is not None
    assert 3 not in made.fitting
    assert 120 not in made.test
    assert len(made.fitting) + len(made.test) == 158


def test_without_a_test_split_all_labelled_rows_are_fitted():
    made = plan_split(of_targets(classes_of(40)), np.arange(40))
    assert made.test is None
    assert len(made.fitting) == 40
    assert made.notes == ()


def test_a_small_test_split_is_rejected_by_its_groups():
    groups = np.arange(200)
    groups[100:] = 100 + np.arange(100) % (SMALLEST_TEST - 1)
    made = plan_split(of_targets(classes_of(200), split=splits_of(train=100, test=100)), groups)
    assert made.test is None
    assert len(made.fitting) == 200
    assert f"only {SMALLEST_TEST - 1} independent cases" in made.notes[0]
    assert "Cross-validation is used instead" in made.notes[0]


@pytest.mark.parametrize("side", ["test", "train"])
@pytest.mark.parametrize("cases", [0, 1, FEWEST_CASES - 1])
def test_a_one_sided_test_split_is_rejected(side: str, cases: int):
    ill = {"train": 30, "test": 30, side: cases}
    y = one_hot(np.r_[np.arange(80) < ill["train"], np.arange(80) < ill["test"]].astype(int), 2)
    made = plan_split(of_targets(y, split=splits_of(train=80, test=80)), np.arange(160))
    assert made.test is None
    where = "it" if side == "test" else "the rest"
    assert f"{where} holds {cases or 'no'} case{'s' if cases != 1 else ''}" in made.notes[0]


def test_a_test_split_that_shares_all_cases_with_the_training_part_is_rejected():
    classes = np.r_[np.arange(80) < 20, np.arange(80) < 20].astype(int)
    groups = np.arange(160)
    groups[:20] = groups[80:100]  # every case of the training part is a copy of one in the test part
    made = plan_split(of_targets(one_hot(classes, 2), split=splits_of(train=80, test=80)), groups)
    assert made.test is None
    assert "less what it shares with the test, holds no cases" in made.notes[0]
    assert len(made.leaking) == 0


def test_a_label_that_is_rare_everywhere_does_not_forbid_the_test_split():
    classes = np.arange(160) % 2
    classes[[0, 1, 80, 81]] = 2  # two on either side, of four
    made = plan_split(of_targets(one_hot(classes, 3), split=splits_of(train=80, test=80)), np.arange(160))
    assert made.test is not None


def test_no_records():
    made = plan_split(of_records([], "ab"), np.empty(0, int))
    assert made.test is None
    assert len(made.fitting) == 0


@quick
@given(st.integers(0, 2**31))
def test_plans_never_let_a_group_straddle(seed: int):
    rng = np.random.default_rng(seed)
    n = 200
    splits = rng.choice(["train", "val", "test"], n, p=[0.5, 0.1, 0.4]).tolist()
    y = one_hot(rng.integers(0, 2, n), 2)
    y[rng.random(n) < 0.1] = np.nan
    groups = rng.integers(0, int(rng.integers(60, 400)), n)
    made = plan_split(of_targets(y, split=splits), groups)
    labelled = set(np.flatnonzero(~np.isnan(y).all(1)))
    if made.test is None:
        assert set(made.fitting) == labelled
    else:
        assert not np.isin(groups[made.fitting], groups[made.test]).any()
        assert np.isin(groups[made.leaking], groups[made.test]).all()
        assert {*made.fitting, *made.test, *made.leaking} == labelled
        assert len(made.fitting) + len(made.test) + len(made.leaking) == len(labelled)


def test_thinned_rows_keep_groups_whole_and_labels_in_proportion():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(300), 2)
    y = np.eye(2, dtype=np.float32)[(groups % 5 == 0).astype(int)]
    rows = np.sort(rng.permutation(600)[:500])
    few = sample_rows(rows, y, groups, 100, 0)
    assert 80 <= len(few) <= 120
    assert set(few) <= set(rows)
    np.testing.assert_array_equal(few, rows[np.isin(groups[rows], groups[few])])
    assert abs(y[few, 1].mean() - y[rows, 1].mean()) < 0.06
    np.testing.assert_array_equal(sample_rows(rows[::-1], y, groups, 500, 0), rows)


@pytest.mark.parametrize(
    ("groups", "each", "keeps"), [(12, 150, True), (9, 150, False), (12, 50, False), (30, 2, True)]
)
def test_few_groups_of_very_many_records_can_judge(groups: int, each: int, keeps: bool):
    """As recordings of thousands of beats, of which a test split has a dozen or two."""
    n = 2 * groups * each
    group = np.arange(n) // each
    split = np.where(group < groups, "train", "test")
    data = of_targets(one_hot(np.arange(n) % 2, 2), split=split.tolist())
    found = plan_split(data, group)
    assert (found.test is not None) == keeps
    if keeps:
        assert found.test is not None
        assert len(found.test) == len(found.fitting) == n // 2
    else:
        assert f"only {groups} independent cases" in found.notes[0]
