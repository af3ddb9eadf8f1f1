"""A head is judged on what neither it nor its choices have seen."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.data.split import plan_split
from medloupe.embed.features import Features
from medloupe.training.heads.ranking import macro_auc
from medloupe.training.heads.verdict import Verdict, judge
from synthetic import features, of_targets, one_hot

D = 16


def example(
    n: int = 120, k: int = 2, strength: float = 2.0, seed: int = 0, **columns: list
) -> tuple[Features, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, k, n)
    x = (rng.normal(size=(n, D)) + strength * np.eye(k, D)[classes]).astype(np.float32)
    return features(of_targets(one_hot(classes, k), **columns), x), np.arange(n)


def verdict(found: Features, groups: np.ndarray, **options) -> Verdict:
    given = {"levels": (found.embeddings.shape[1],), "seed": 0, "sensitivity": 0.9}
    return judge(found, plan_split(found.data, groups), **{**given, **options})


def test_without_a_test_split_the_headline_is_out_of_fold():
    found, groups = example()
    v = verdict(found, groups)
    assert v.secondary is None
    np.testing.assert_array_equal(v.rows, np.arange(120))
    np.testing.assert_array_equal(v.judged.probabilities, v.fitted.out_of_fold)
    assert v.judged.probabilities.shape == (3, 120, 2)
    assert v.limits.shape == (2,)
    assert v.rule.lines.shape == v.rule.sought.shape == (2,)
    assert v.head.weight.shape == (2, D)


def test_with_a_test_split_the_headline_is_its_own():
    found, groups = example(160, split=["train"] * 100 + ["test"] * 60)
    v = verdict(found, groups)
    np.testing.assert_array_equal(v.rows, np.arange(100, 160))
    assert v.judged.probabilities.shape == (1, 60, 2)
    assert v.secondary is not None
    assert v.secondary.probabilities.shape[1] == len(v.everything) == 160
    assert macro_auc(v.judged.probabilities[0], v.judged.targets) > 0.85
    np.testing.assert_array_equal(v.judged.targets, found.data.targets[100:])


def test_the_headline_does_not_depend_on_the_labels_of_the_test_split():
    splits = ["train"] * 100 + ["test"] * 60
    found, groups = example(160, split=splits)
    y = found.data.targets
    y[100:] = np.roll(y[100:], 1, axis=0)
    other = features(of_targets(y, split=splits), found.embeddings)
    first, second = verdict(found, groups).judged, verdict(other, groups).judged
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    np.testing.assert_array_equal(first.flags, second.flags)
    np.testing.assert_array_equal(first.answers, second.answers)


def test_the_headline_does_not_depend_on_leaking_records():
    splits = ["train"] * 100 + ["test"] * 60
    found, groups = example(160, split=splits)
    groups[:10] = groups[110:120]
    x = found.embeddings.copy()
    x[:10] *= 50
    other = features(found.data, x)
    first, second = verdict(found, groups).judged, verdict(other, groups).judged
    np.testing.assert_array_equal(first.probabilities, second.probabilities)


def test_memorised_patients_do_not_help():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 4)
    x = (rng.normal(size=(40, 60))[groups] + 0.05 * rng.normal(size=(160, 60))).astype(np.float32)
    y = one_hot(rng.permutation(np.arange(40) % 2)[groups], 2)
    v = verdict(features(of_targets(y), x), groups)
    assert np.mean([macro_auc(p, y) for p in v.judged.probabilities]) < 0.65
    assert v.learning[-1]["auc"]["value"] < 0.65


def test_unlabelled_records_are_neither_fitted_nor_judged():
    found, groups = example()
    y = found.data.targets
    y[[5, 50]] = np.nan
    x = found.embeddings.copy()
    x[[5, 50]] = 1000
    v = verdict(features(of_targets(y), x), groups)
    assert len(v.everything) == 118
    assert not np.isin([5, 50], v.everything).any()
    assert v.judged.targets.shape == (118, 2)
    assert not np.isnan(v.judged.targets).any()
    assert macro_auc(v.judged.probabilities[0], v.judged.targets) > 0.85


def test_a_skewed_set_is_still_told_apart():
    rng = np.random.default_rng(0)
    classes = (np.arange(300) < 30).astype(int)
    x = (rng.normal(size=(300, D)) + 1.5 * np.eye(2, D)[classes]).astype(np.float32)
    v = verdict(features(of_targets(one_hot(classes, 2)), x), np.arange(300))
    truth = classes == 1
    p, answer = v.judged.probabilities[0], v.judged.answers[0]
    over = v.judged.flags[0, :, 1]
    by_line = (over[truth].mean() + (~over)[~truth].mean()) / 2
    plain = ((answer == 1)[truth].mean() + (answer == 0)[~truth].mean()) / 2
    np.testing.assert_array_equal(answer, p.argmax(1))
    assert by_line > plain + 0.1, "by its line, since the most probable label is nearly always the common one"


def test_the_operating_point_reaches_its_sensitivity_unseen():
    found, groups = example(400)
    for sensitivity in (0.8, 0.95):
        v = verdict(found, groups, sensitivity=sensitivity)
        truth = v.judged.targets[:, 1] == 1
        assert v.judged.flags[:, truth, 1].mean() == pytest.approx(sensitivity, abs=0.06)


def test_several_labels():
    rng = np.random.default_rng(0)
    y = (rng.random((150, 3)) < 0.4).astype(np.float32)
    x = (rng.normal(size=(150, D)) + 2 * np.pad(y, ((0, 0), (0, D - 3)))).astype(np.float32)
    y[rng.random((150, 3)) < 0.2] = np.nan
    v = verdict(features(of_targets(y, task="multilabel"), x), np.arange(150))
    assert v.judged.flags.shape == (3, 150, 3)
    assert v.judged.task == "multilabel"
    assert macro_auc(v.judged.probabilities[0], v.judged.targets) > 0.85


@pytest.mark.parametrize("split", [None, ["train"] * 240 + ["test"] * 80])
def test_the_learning_curve_grows(split: list[str] | None):
    found, groups = example(320, strength=1.3, **({"split": split} if split else {}))
    learning = verdict(found, groups).learning
    sizes = [point["n"] for point in learning]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == (240 if split else 256)
    assert sizes[0] >= 15
    aucs = [point["auc"]["value"] for point in learning]
    assert aucs[-1] > aucs[0]
    for point in learning:
        assert point["auc"]["low"] <= point["auc"]["value"] <= point["auc"]["high"]


def test_a_very_small_set_has_one_point():
    found, groups = example(20, strength=5)
    assert len(verdict(found, groups).learning) == 1


def test_depends_on_the_arguments_alone():
    found, groups = example()
    first, second = verdict(found, groups), verdict(found, groups)
    np.testing.assert_array_equal(first.head.weight, second.head.weight)
    assert first.learning == second.learning
    np.testing.assert_array_equal(first.judged.flags, second.judged.flags)


def test_what_a_leaking_split_would_have_claimed_stands_apart():
    """Each patient of the test split has an image in the training part; the label is a coin thrown for each patient."""
    rng = np.random.default_rng(0)
    groups = np.r_[np.repeat(np.arange(60), 2), np.arange(60)]
    x = (rng.normal(size=(60, 80))[groups] + 0.05 * rng.normal(size=(180, 80))).astype(np.float32)
    y = one_hot(rng.permutation(np.arange(60) % 2)[groups], 2)
    strangers = np.arange(100)
    more = (rng.normal(size=(100, 80))).astype(np.float32)
    splits = ["train"] * 120 + ["test"] * 60 + ["train"] * 100
    found = features(of_targets(np.r_[y, one_hot(strangers % 2, 2)], split=splits), np.r_[x, more])
    v = verdict(found, np.r_[groups, 100 + strangers])
    assert v.leaky is not None
    assert macro_auc(v.leaky.probabilities[0], v.leaky.targets) > 0.9
    assert macro_auc(v.judged.probabilities[0], v.judged.targets) < 0.7


def test_without_leaks_there_is_nothing_to_set_apart():
    found, groups = example(160, split=["train"] * 100 + ["test"] * 60)
    assert verdict(found, groups).leaky is None
    assert verdict(*example()).leaky is None
