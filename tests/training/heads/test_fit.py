"""Linear heads: chosen, calibrated and judged without a look at what they are judged on."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.errors import DataError
from medloupe.training.heads import fit as heads
from medloupe.training.heads import row_weights
from medloupe.training.heads.fit import (
    FittedHead,
    Fitter,
    HeadChoice,
    _ByFolds,
    _select_across_folds,
    build_head,
    fit,
)
from medloupe.training.heads.ranking import macro_auc
from medloupe.training.heads.refit import refit
from medloupe.training.heads.row_weights import balanced_sample_weights
from medloupe.training.heads.solver import mean_and_scale
from synthetic import one_hot

N, D = 150, 24


def data(seed: int = 0, k: int = 2, strength: float = 2.0, n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (n, D), classes (n,) and groups of three; one feature a class tells it, the rest is noise."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) // 3
    classes = rng.integers(0, k, n)
    x = rng.normal(size=(n, D)) + strength * np.eye(k, D)[classes]
    return (x * rng.uniform(0.01, 3, D) + rng.normal(size=D)).astype(np.float32), classes, groups


def fitted(x: np.ndarray, y: np.ndarray, groups: np.ndarray, **options) -> FittedHead:
    return fit(x, y, groups, **{"task": "multiclass", "levels": (x.shape[1],), "repeats": 2, **options})


def auc_out_of_fold(found: FittedHead, y: np.ndarray) -> float:
    return float(np.mean([macro_auc(p, y) for p in found.out_of_fold]))


def test_learns_what_can_be_learned():
    x, classes, groups = data(strength=4)
    y = one_hot(classes, 2)
    found = fitted(x, y, groups)
    assert auc_out_of_fold(found, y) > 0.97
    fresh, truth, _ = data(seed=0, strength=4)
    assert (found.head.probabilities(fresh).argmax(1) == truth).mean() > 0.93


def test_finds_nothing_in_noise():
    x, classes, groups = data(strength=0)
    y = one_hot(classes, 2)
    found = fitted(x, y, groups)
    assert 0.35 < auc_out_of_fold(found, y) < 0.65
    assert np.abs(found.out_of_fold - 0.5).max() < 0.45  # and says so


@pytest.mark.parametrize("k", [2, 3, 5])
def test_shapes_and_sums(k: int):
    x, classes, groups = data(k=k)
    found = fitted(x, one_hot(classes, k), groups)
    assert found.head.weight.shape == (k, D)
    assert found.head.weight.dtype == found.head.bias.dtype == np.float32
    assert found.folds.shape == (2, N)
    assert found.out_of_fold.shape == (2, N, k)
    np.testing.assert_allclose(found.out_of_fold.sum(2), 1, atol=1e-5)
    np.testing.assert_allclose(found.head.probabilities(x).sum(1), 1, atol=1e-5)
    assert found.temperature.shape == (k,)
    assert len(np.unique(found.temperature)) == 1


def test_groups_never_straddle_a_fold():
    x, classes, groups = data()
    found = fitted(x, one_hot(classes, 2), groups)
    for fold in found.folds:
        assert all(len(np.unique(fold[groups == g])) == 1 for g in np.unique(groups))
    assert (found.folds[0] != found.folds[1]).any()


def memorised(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Forty patients of four nearly identical images; the label is a coin thrown for each patient."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(40), 4)
    patient = rng.normal(size=(40, 60))
    x = (patient[groups] + 0.05 * rng.normal(size=(160, 60))).astype(np.float32)
    return x, rng.permutation(np.arange(40) % 2)[groups], groups


def test_out_of_fold_never_uses_its_own_group():
    x, classes, groups = memorised()
    y = one_hot(classes, 2)
    honest = fitted(x, y, groups)
    assert macro_auc(honest.head.logits(x), y) > 0.9  # learned by heart
    assert auc_out_of_fold(honest, y) < 0.65
    naive = fitted(x, y, np.arange(160))
    assert auc_out_of_fold(naive, y) > 0.9  # so the leak is there to be found


def test_a_row_out_of_fold_does_not_depend_on_its_own_label():
    x, classes, groups = data()
    y = one_hot(classes, 2)
    fitter = Fitter(x, y, "multiclass", (D,))
    fold = fitted(x, y, groups).folds[0]
    choice = HeadChoice(c=1e-3, levels=(0,))
    before = fitter.out_of_fold(fold, [choice])[0]
    own = fold == 2
    y2 = y.copy()
    y2[own] = 1 - y2[own]
    fitter = Fitter(x, y2, "multiclass", (D,))
    np.testing.assert_array_equal(fitter.out_of_fold(fold, [choice])[0][own], before[own])


def test_scaling_does_not_look_at_the_fold_left_out():
    x, classes, groups = data()
    y = one_hot(classes, 2)
    fold = fitted(x, y, groups).folds[0]
    choice = HeadChoice(c=1e-3, levels=(0,))
    first = Fitter(x, y, "multiclass", (D,)).solve([(fold != 0, choice)])[0]
    x2 = x.copy()
    x2[fold == 0] *= 100
    second = Fitter(x2, y, "multiclass", (D,)).solve([(fold != 0, choice)])[0]
    np.testing.assert_allclose(first.weight, second.weight, atol=1e-7)


def test_the_folded_head_is_the_scaled_solution_tempered():
    x, classes, groups = data(k=3)
    y = one_hot(classes, 3)
    found = fitted(x, y, groups)
    solution = refit(x, y, [np.arange(N)], found.choice, task="multiclass", levels=(D,))[0]
    by_hand = (x @ solution.weight + solution.bias) / found.temperature
    np.testing.assert_allclose(found.head.logits(x), by_hand, rtol=1e-4, atol=1e-4)
    plain = build_head(solution, np.ones(3, np.float32), "multiclass")
    np.testing.assert_allclose(plain.logits(x), x @ solution.weight + solution.bias, rtol=1e-5, atol=1e-5)


def test_depends_on_the_arguments_alone():
    x, classes, groups = data()
    y = one_hot(classes, 2)
    first, second = fitted(x, y, groups, seed=5), fitted(x, y, groups, seed=5)
    np.testing.assert_array_equal(first.head.weight, second.head.weight)
    np.testing.assert_array_equal(first.out_of_fold, second.out_of_fold)
    np.testing.assert_array_equal(first.folds, second.folds)
    assert first.candidates == second.candidates
    other = fitted(x, y, groups, seed=6)
    assert (other.folds != first.folds).any()


def test_the_levels_that_tell_are_chosen():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 300)
    noise = rng.normal(size=(300, 300))
    signal = rng.normal(size=(300, 6)) + 0.8 * classes[:, None]
    x = np.concatenate([noise, signal], 1).astype(np.float32)
    y = one_hot(classes, 2)
    found = fitted(x, y, np.arange(300), levels=(300, 6), repeats=1)
    assert found.choice.levels == (1,)
    assert (found.head.weight[:, :300] == 0).all()
    assert {c.levels for c, _ in found.candidates} == {(0, 1), (0,), (1,)}
    assert all(0 <= auc <= 1 for _, auc in found.candidates)


def test_among_equally_good_the_strongest_penalty_is_chosen():
    x, classes, groups = data(strength=20)  # whatever the penalty, the AUC is 1
    found = fitted(x, one_hot(classes, 2), groups)
    assert found.choice.c == min(c.c for c, _ in found.candidates)


@pytest.mark.parametrize(
    ("classes", "groups"),
    [([0] * 10, range(10)), ([0] * 9 + [1], range(10)), ([0] * 5 + [1] * 5, [0, 1, 2, 3, 4, 5, 5, 5, 5, 5])],
)
def test_too_few_is_said(classes: list[int], groups: list[int]):
    x = np.random.default_rng(0).normal(size=(10, D)).astype(np.float32)
    with pytest.raises(DataError, match="cannot be cross-validated") as error:
        fitted(x, one_hot(np.array(classes), 2), np.array(groups))
    assert "two patients" in error.value.hint


def test_the_fewest_that_will_do():
    x = np.random.default_rng(0).normal(size=(4, D)).astype(np.float32)
    found = fitted(x, one_hot(np.array([0, 0, 1, 1]), 2), np.arange(4))
    assert np.isfinite(found.out_of_fold).all()
    assert np.isfinite(found.head.weight).all()


def test_a_class_of_one_case_does_not_stop_the_others():
    x, classes, groups = data(strength=4)
    classes = classes.copy()
    classes[0] = 2
    y = one_hot(classes, 3)
    found = fitted(x, y, groups)
    assert np.isfinite(found.out_of_fold).all()
    assert macro_auc(found.out_of_fold[0][:, :2], y[:, :2]) > 0.95


def test_several_labels_with_missing_ones():
    rng = np.random.default_rng(0)
    truth = (rng.random((N, 3)) < 0.5).astype(np.float32)
    x = (rng.normal(size=(N, D)) + 3 * np.pad(truth, ((0, 0), (0, D - 3)))).astype(np.float32)
    y = truth.copy()
    y[rng.random((N, 3)) < 0.4] = np.nan
    found = fitted(x, y, np.arange(N), task="multilabel")
    assert found.head.task == "multilabel"
    assert macro_auc(found.out_of_fold[0], truth) > 0.93  # also where the label was missing
    assert (found.out_of_fold >= 0).all()
    assert (found.out_of_fold <= 1).all()
    assert not np.allclose(found.out_of_fold[0].sum(1), 1)


def test_a_label_never_present_does_no_harm():
    x, classes, groups = data(strength=4)
    y = np.column_stack([classes, np.zeros(N), np.full(N, np.nan)]).astype(np.float32)
    found = fitted(x, y, groups, task="multilabel")
    assert np.isfinite(found.out_of_fold).all()
    assert found.out_of_fold[0][:, 1].max() < 0.2
    assert found.temperature[1] == 1


def test_constant_features_are_left_out():
    x, classes, groups = data()
    x[:, 3] = 6.0
    x[:, 4] = 0.0
    found = fitted(x, one_hot(classes, 2), groups)
    assert (found.head.weight[:, [3, 4]] == 0).all()
    mean, scale = mean_and_scale(x, np.ones(N, bool))
    assert np.isinf(scale[[3, 4]]).all()
    assert mean[3] == 6


# Calibration


# What is chosen without the fold it is judged on


def test_the_choice_for_a_fold_does_not_look_at_it():
    """Of two choices the one that is perfect on a single fold, and wrong elsewhere, is not taken for that fold."""
    rng = np.random.default_rng(0)
    y = one_hot(np.arange(90) % 2, 2)
    fold = np.repeat(np.arange(3), 30)
    fair = (2 * y - 1 + rng.normal(0, 1.5, y.shape)).astype(np.float32)
    tempting = np.where((fold == 1)[:, None], 10 * y, rng.normal(size=y.shape)).astype(np.float32)
    choices = [HeadChoice(c=1e-3, levels=(0,)), HeadChoice(c=1e-4, levels=(0,))]
    searched = np.stack([fair, tempting])
    found = _select_across_folds(searched, fold, _ByFolds(searched, y, choices, "multiclass").choose)
    np.testing.assert_array_equal(found[fold == 1], fair[fold == 1])


def test_very_many_records_are_dealt_once(monkeypatch: pytest.MonkeyPatch):
    x, y, groups = data()[0], one_hot(data()[1], 2), data()[2]
    assert len(fitted(x, y, groups, repeats=None).folds) == heads.REPEATS
    monkeypatch.setattr(heads, "LARGE_SET", len(x) - 1)
    once = fitted(x, y, groups, repeats=None)
    assert once.folds.shape == (1, len(x))
    assert once.out_of_fold.shape[0] == 1
    assert len(fitted(x, y, groups, repeats=2).folds) == 2


def crowded(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Twelve groups of 150; two of them are full of the rare class, which all others hardly have."""
    monkeypatch.setattr(row_weights, "LARGE_SET", 1000)
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 150)
    classes = (rng.random(len(groups)) < np.where(groups < 2, 0.6, 0.03)).astype(int)
    x = rng.normal(size=(len(groups), D)) + 2 * np.eye(2, D)[classes]
    return x.astype(np.float32), one_hot(classes, 2), groups


def test_no_group_outvotes_the_others(monkeypatch: pytest.MonkeyPatch):
    _, y, groups = crowded(monkeypatch)
    weights = balanced_sample_weights(y, groups, "multiclass")
    assert weights is not None
    assert weights.mean() == pytest.approx(1, abs=1e-5)
    rare = y[:, 1] == 1
    of_two, of_ten = weights[rare & (groups < 2)], weights[rare & (groups >= 2)]
    assert of_ten.min() > of_two.max()
    assert of_two.sum() / of_ten.sum() < (groups[rare] < 2).sum() / (groups[rare] >= 2).sum()
    count = [(rare & (groups == g)).sum() for g in (0, 5)]
    ratio = weights[rare & (groups == 5)][0] / weights[rare & (groups == 0)][0]
    assert ratio == pytest.approx((count[0] / count[1]) ** 0.5, rel=1e-4)
    assert balanced_sample_weights(y, groups, "multilabel") is None
    assert balanced_sample_weights(y, np.arange(len(y)), "multiclass") is None
    assert balanced_sample_weights(y[:900], groups[:900], "multiclass") is None
    unknown = y.copy()
    unknown[::7] = np.nan
    some = balanced_sample_weights(unknown, groups, "multiclass")
    assert some is not None and np.isfinite(some).all()


def test_weights_leave_classes_about_as_common_as_they_are(monkeypatch: pytest.MonkeyPatch):
    x, y, groups = crowded(monkeypatch)
    weights = balanced_sample_weights(y, groups, "multiclass")
    assert weights is not None
    true, weighed = y[:, 1].mean(), float(weights @ y[:, 1] / weights.sum())
    assert weighed > 2 * true
    said = fitted(x, y, groups).head.probabilities(x)[:, 1].mean()
    assert abs(said - true) < 0.25 * (weighed - true)
    unknown = y.copy()
    unknown[::7] = np.nan  # rows without a label have no say in it
    rows = np.flatnonzero(~np.isnan(unknown[:, 0]))
    choice = fitted(x, y, groups).choice
    solutions = [
        refit(
            x,
            truth,
            [rows],
            choice,
            task="multiclass",
            levels=(D,),
            weights=balanced_sample_weights(truth, groups, "multiclass"),
        )[0]
        for truth in (unknown, y)
    ]
    assert np.isfinite(solutions[0].weight).all()
    np.testing.assert_allclose(solutions[0].weight, solutions[1].weight, atol=0.1 * np.abs(solutions[1].weight).max())
