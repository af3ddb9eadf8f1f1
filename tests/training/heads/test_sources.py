"""Where sources are left out, no patient of the source that judges teaches or chooses anything."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures
from medloupe.errors import DataError
from medloupe.training.heads import sources as module
from medloupe.training.heads.field import teach
from medloupe.training.heads.fit import fit
from medloupe.training.heads.source_verdict import check_sources, judge_sources
from medloupe.training.heads.sources import OTHERS, part_by_source
from medloupe.training.heads.verdict import judge
from synthetic import features, of_targets, one_hot

LEVELS = (8, 8)


def told(*sizes: int) -> list[str]:
    """Sources a, b, c … of so many rows."""
    return [name for name, n in zip("abcdefghijkl", sizes, strict=False) for _ in range(n)]


def test_each_part_is_taught_by_other_sources_and_other_patients():
    sources = told(60, 40, 30)
    n = len(sources)
    y, groups = one_hot(np.arange(n) % 2, 2), np.arange(n) // 2
    groups[[0, 1]] = groups[100]  # a patient of a and c
    parts = part_by_source(sources, y, groups)
    assert parts.names == ("a", "b", "c")
    assert set(parts.of) == {0, 1, 2}
    assert (parts.part >= 0).all()
    for p, taught in enumerate(parts.taught):
        judged = parts.part == p
        assert judged.any()
        assert not np.isin(groups[taught], groups[judged]).any()
        assert (parts.source[judged] == parts.of[p]).all()
        assert not (taught & (parts.source == parts.of[p])).any()
    assert parts.of.count(1) == 1  # nobody of b stands elsewhere
    assert parts.of.count(0) > 1


def test_patients_that_all_stand_in_both_sources_are_dealt():
    sources = told(40, 40)
    y, groups = one_hot(np.arange(80) % 2, 2), np.tile(np.arange(40), 2)
    parts = part_by_source(sources, y, groups)
    for p, taught in enumerate(parts.taught):
        assert taught.sum() >= 20
        assert not np.isin(groups[taught], groups[parts.part == p]).any()


def test_a_source_with_one_class_teaches_and_does_not_judge():
    sources = [*told(40, 40), *(["one"] * 40), *([""] * 10)]
    y = one_hot(np.r_[np.arange(80) % 2, np.ones(40, int), np.arange(10) % 2], 2)
    parts = part_by_source(sources, y, np.arange(130))
    assert parts.names == ("a", "b")
    assert (parts.part[80:] == -1).all()
    assert all(taught[80:].all() for taught in parts.taught)


def test_many_sources_the_smallest_judge_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST", 3)
    sources = told(40, 30, 20, 16, 14)
    y = one_hot(np.arange(120) % 2, 2)
    parts = part_by_source(sources, y, np.arange(120))
    assert parts.names == ("a", "b", OTHERS)
    assert (parts.source == 2).sum() == 50


def test_every_source_counts_the_same():
    sources = told(200, 20)
    y = one_hot(np.arange(220) % 2, 2)
    parts = part_by_source(sources, y, np.arange(220))
    right, wrong = 2 * y - 1, 1 - 2 * y
    mixed = np.where((parts.source == 0)[:, None], right, wrong)
    np.testing.assert_allclose(parts.score(np.stack([right, mixed]), y, "multiclass"), [1.0, 0.5])
    np.testing.assert_allclose(parts.score(mixed[None], y, "multiclass", parts.source == 0), [1.0])


def test_what_chance_explains_is_not_taken():
    sources = told(120, 120)
    rng = np.random.default_rng(0)
    classes = np.arange(240) % 2
    y, groups = one_hot(classes, 2), np.arange(240)
    parts = part_by_source(sources, y, groups)
    z = y + rng.normal(0, 1, (240, 1)) * [1, -1]
    noisy, better = z + rng.normal(0, 0.05, z.shape), z + 2 * y
    assert not parts.surely_gains(np.stack([z, z]), y, groups, "multiclass")
    assert not parts.surely_gains(np.stack([better, noisy]), y, groups, "multiclass")
    assert parts.surely_gains(np.stack([noisy, better]), y, groups, "multiclass")
    none = np.zeros(240, bool)
    assert not parts.surely_gains(np.stack([noisy, better]), y, groups, "multiclass", none | (groups < 2))


def clinics(seed: int = 0, n: int = 240) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Three sources; a strong feature tells the class by another sign in the smallest, a weak one holds everywhere."""
    rng = np.random.default_rng(seed)
    source = np.array([0, 0, 0, 1, 1, 2])[np.arange(n) % 6]
    classes = rng.integers(0, 2, n)
    x = rng.normal(size=(n, 16))
    x[:, 0] += 4 * (2 * classes - 1) * np.array([1, 1, -1])[source]
    x[:, 9] += 0.6 * (2 * classes - 1)
    return x.astype(np.float32), classes, ["abc"[s] for s in source]


def features_of(x: np.ndarray, y: np.ndarray) -> Features:
    return features(of_targets(y), x)


def plan_of(n: int, test: np.ndarray | None = None) -> Plan:
    every = np.arange(n)
    fitting = every if test is None else np.setdiff1d(every, test)
    return Plan(groups=every, fitting=fitting, test=test, leaking=np.empty(0, np.int64), notes=())


def test_what_holds_elsewhere_is_chosen():
    """By folds that mix sources the sign that differs looks useful; with sources left out the levels without it win."""
    x, classes, sources = clinics()
    y = one_hot(classes, 2)
    parts = part_by_source(sources, y, np.arange(len(y)))
    usual = fit(x, y, np.arange(len(y)), task="multiclass", levels=LEVELS, repeats=1)
    robust = fit(x, y, np.arange(len(y)), task="multiclass", levels=LEVELS, repeats=1, sources=parts)
    assert 0 in usual.choice.levels
    assert robust.choice.levels == (1,)


def test_the_source_that_judges_changes_no_head_that_answers_it():
    x, classes, sources = clinics()
    y, plan = one_hot(classes, 2), plan_of(len(classes))
    found = judge_sources(features_of(x, y), plan, sources, levels=LEVELS, seed=0)
    assert [row.name for row in found.rows] == ["a", "b", "c"]
    assert found.nested
    there = np.array(sources) == "a"
    turned = np.where(there[:, None], 1 - y, y)  # all labels of a are wrong now
    after = judge_sources(features_of(x, turned), plan, sources, levels=LEVELS, seed=0)
    assert after.rows[0].c == found.rows[0].c
    assert after.rows[0].auc["value"] == pytest.approx(1 - (found.rows[0].auc["value"] or 0), abs=1e-6)


def test_a_test_split_takes_no_part_in_figures_of_sources():
    x, classes, sources = clinics()
    y = one_hot(classes, 2)
    plan = plan_of(len(y), np.arange(180, 240))
    found = judge_sources(features_of(x, y), plan, sources, levels=LEVELS, seed=0)
    turned = y.copy()
    turned[180:] = 1 - turned[180:]
    assert judge_sources(features_of(x, turned), plan, sources, levels=LEVELS, seed=0) == found
    assert sum(row.n for row in found.rows) == 180


def test_of_two_sources_none_is_left_to_choose_by():
    x, classes, sources = clinics()
    two = np.array(sources) != "c"
    y = one_hot(classes[two], 2)
    kept = [s for s in sources if s != "c"]
    found = judge_sources(features_of(x[two], y), plan_of(len(y)), kept, levels=LEVELS, seed=0)
    assert not found.nested
    assert all(row.gain["value"] == 0 for row in found.rows)


@pytest.mark.parametrize("sources", [["a"] * 40, ["a"] * 36 + ["b"] * 4])
def test_one_source_is_refused(sources: list[str]):
    y = one_hot(np.arange(40) % 2, 2)
    with pytest.raises(DataError, match="five patients"):
        check_sources(sources, plan_of(40), y, 0)


def test_a_verdict_has_both_figures():
    x, classes, sources = clinics()
    known = features_of(x, one_hot(classes, 2))
    plan = plan_of(len(classes))
    found = judge(known, plan, levels=LEVELS, seed=0, sensitivity=0.9, sources=sources)
    assert found.by_source is not None
    assert len(found.by_source.rows) == 3
    plain = judge(known, plan, levels=LEVELS, seed=0, sensitivity=0.9)
    assert plain.by_source is None
    assert plain.fitted.choice != found.fitted.choice


def test_views_are_weighed_by_sources_left_out():
    """Views whose label shows only in a source's own sign cost other sources: by folds they look good."""
    x, classes, sources = clinics()
    y, n = one_hot(classes, 2), len(classes)
    rng = np.random.default_rng(1)
    seen = x + rng.normal(0, 0.5, x.shape).astype(np.float32)
    blank = np.array(["straight"] * n), np.array(["mild"] * n), np.array(["monitor"] * n)
    views = FieldFeatures(
        rows=np.arange(n),
        kinds=blank[0],
        severities=blank[1],
        surfaces=blank[2],
        embeddings=seen,
        measures=np.zeros((n, 1)),
    )
    parts = part_by_source(sources, y, np.arange(n))
    fitted = fit(x, y, np.arange(n), task="multiclass", levels=LEVELS, repeats=1)
    options = {"task": "multiclass", "levels": LEVELS}
    by_source = teach(fitted, x, y, np.arange(n), views, sources=parts, **options)
    by_fold = teach(fitted, x, y, np.arange(n), views, **options)
    assert by_source is not None and by_fold is not None
    losses = [[c.field for c in found[1].candidates] for found in (by_source, by_fold)]
    assert losses[0] != losses[1]  # other rows answered by other heads
    assert min(losses[0]) > min(losses[1])  # a source that was not seen is harder
