"""Heads taught by field views: they learn what photographs show, and direct pictures lose nothing by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medloupe.embed.field import FieldFeatures
from medloupe.imaging.quality import MEASURES
from medloupe.training.heads.field import FieldCandidate, choose_weight, refit_with_views, teach
from medloupe.training.heads.fit import FittedHead, HeadChoice, fit
from medloupe.training.heads.line_examples import LineExamples
from medloupe.training.heads.ranking import macro_auc

N, D = 240, 24
LEVELS = (D,)


def pictures(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings with a class in their first numbers, one-hot truth, and groups of two."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, N)
    x = rng.normal(0, 1, (N, D)).astype(np.float32)
    x[:, :4] += 1.6 * (2 * y[:, None] - 1)
    return x, np.eye(2, dtype=np.float32)[y], np.arange(N) // 2


def views_of(x: np.ndarray, y: np.ndarray, *, sign: float, shown: slice, seed: int = 1) -> FieldFeatures:
    """Two views a picture that show the class in other numbers, and `sign` of it where direct pictures have it."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(len(x)), 2)
    side = 2 * y[rows, 1:] - 1
    made = rng.normal(0, 1, (len(rows), D)).astype(np.float32)
    made[:, :4] += 1.6 * sign * side
    made[:, shown] += 1.2 * side
    return FieldFeatures(
        rows=rows,
        kinds=np.tile(np.array(["whole", "straight"]), len(x)),
        severities=rng.choice(["mild", "medium", "hard"], len(rows)),
        surfaces=np.full(len(rows), "screen"),
        embeddings=made,
        measures=np.zeros((len(rows), len(MEASURES))),
    )


def untaught(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> FittedHead:
    return fit(x, y, groups, task="multiclass", levels=LEVELS)


def test_views_teach_what_photographs_show_and_direct_pictures_lose_nothing() -> None:
    x, y, groups = pictures()
    views = views_of(x, y, sign=0, shown=slice(8, 12))
    before = untaught(x, y, groups)
    found = teach(before, x, y, groups, views, task="multiclass", levels=LEVELS)
    assert found is not None
    taught, field = found
    assert field.weight > 0
    truth = y[views.rows]
    assert macro_auc(field.untaught, truth) < 0.62
    assert macro_auc(field.out_of_fold, truth) > 0.95
    assert macro_auc(taught.out_of_fold[0], y) > macro_auc(before.out_of_fold[0], y) - 0.01
    # on pictures and views that neither had seen
    fresh, fresh_y, _ = pictures(7)
    seen = views_of(fresh, fresh_y, sign=0, shown=slice(8, 12), seed=8)
    assert macro_auc(taught.head.logits(seen.embeddings), fresh_y[seen.rows]) > 0.95
    assert macro_auc(before.head.logits(seen.embeddings), fresh_y[seen.rows]) < 0.62
    assert macro_auc(taught.head.logits(fresh), fresh_y) > macro_auc(before.head.logits(fresh), fresh_y) - 0.01


def test_views_that_contradict_direct_pictures_teach_nothing() -> None:
    x, y, groups = pictures()
    views = views_of(x, y, sign=-1, shown=slice(0, 0))
    before = untaught(x, y, groups)
    found = teach(before, x, y, groups, views, task="multiclass", levels=LEVELS)
    assert found is not None
    taught, field = found
    assert field.weight == 0
    assert taught is before
    assert field.candidates[0].lost == 0
    assert all(c.lost > c.error for c in field.candidates[1:])


@pytest.mark.parametrize(
    ("costs", "chosen"),
    [
        (((0.004, 0.005, 0.0), (0.03, 0.005, 0.0)), 1.0),  # within noise, as in a small set
        (((0.006, 0.002, 0.001), (0.03, 0.002, 0.003)), 1.0),  # more than noise, and next to nothing
        (((0.006, 0.002, 0.004), (0.03, 0.002, 0.001)), 0.0),  # more than that, of one or of the other
        (((0.009, 0.002, 0.001), (0.001, 0.002, 0.0)), 3.0),  # nothing goes before next to nothing
    ],
)
def test_views_may_cost_noise_and_where_all_cost_more_next_to_nothing(
    costs: tuple[tuple[float, float, float], ...], chosen: float
) -> None:
    """costs: of weights 1 and 3 the loss of direct pictures, its error, and the AUC lost; 1 fits the views better."""
    candidates = [
        _candidate(0.0, 2.7, 0.0, 0.0, 0.0),
        *map(_candidate, (1.0, 3.0), (0.20, 0.21), *zip(*costs, strict=True)),
    ]
    assert candidates[choose_weight(candidates)].weight == chosen


def _candidate(weight: float, field: float, lost: float, error: float, auc_lost: float) -> FieldCandidate:
    told = {"weight": weight, "freer": 1.0, "direct": 0.1 + lost, "field": field, "lost": lost, "error": error}
    return FieldCandidate(**told, auc_lost=auc_lost, auc_error=0.0005)


def test_no_view_is_answered_by_a_head_that_saw_its_group() -> None:
    """Labels by chance, each group with numbers of its own: what is known of it out of fold is nothing."""
    rng = np.random.default_rng(3)
    x, _, groups = pictures()
    y = np.eye(2, dtype=np.float32)[rng.integers(0, 2, N // 2)[groups]]
    own = rng.normal(0, 3, (N // 2, D)).astype(np.float32)
    x = own[groups] + 0.01 * x
    views = views_of(x, y, sign=0, shown=slice(0, 0))
    views.embeddings[:] = x[views.rows]
    found = teach(untaught(x, y, groups), x, y, groups, views, task="multiclass", levels=LEVELS)
    assert found is not None
    assert 0.3 < macro_auc(found[1].out_of_fold, y[views.rows]) < 0.7


def test_several_labels_are_taught_too() -> None:
    x, y, groups = pictures()
    y = np.column_stack([y[:, 1], np.where(np.arange(N) % 5 == 0, np.nan, y[:, 0])]).astype(np.float32)
    views = views_of(x, np.nan_to_num(np.column_stack([1 - y[:, 0], y[:, 0]])), sign=0, shown=slice(8, 12))
    before = fit(x, y, groups, task="multilabel", levels=LEVELS)
    found = teach(before, x, y, groups, views, task="multilabel", levels=LEVELS)
    assert found is not None
    taught, field = found
    assert field.weight > 0
    assert macro_auc(field.out_of_fold, y[views.rows]) > 0.93 > macro_auc(field.untaught, y[views.rows])
    assert taught.out_of_fold.shape == before.out_of_fold.shape


def test_lines_are_drawn_by_direct_pictures_and_one_view_of_each() -> None:
    x, y, groups = pictures()
    views = views_of(x, y, sign=0, shown=slice(8, 12))
    found = teach(untaught(x, y, groups), x, y, groups, views, task="multiclass", levels=LEVELS)
    assert found is not None
    taught, field = found
    p = taught.out_of_fold[0]
    drawn = LineExamples.gather(p, y, groups, field)
    more = drawn.rows[N:]
    able = np.unique(views.rows[views.severities != "hard"])
    assert np.array_equal(np.sort(more), able)
    assert np.array_equal(drawn.y, y[drawn.rows]) and np.array_equal(drawn.groups, groups[drawn.rows])
    assert np.array_equal(LineExamples.gather(p, y, groups, None).p, p)


@pytest.mark.parametrize("weight", [0.3, 3.0])
def test_a_head_fitted_again_learns_from_its_rows_and_their_views_alone(weight: float) -> None:
    x, y, _ = pictures()
    views = views_of(x, y, sign=0, shown=slice(8, 12))
    choice = HeadChoice(c=0.01, levels=(0,))
    half = np.arange(N) < N // 2
    options = {"weight": weight, "freer": 1.0, "task": "multiclass", "levels": LEVELS}
    (one,) = refit_with_views(x, y, views, [half], choice, **options)
    spoilt = x.copy()
    spoilt[~half] = 99
    views.embeddings[~half[views.rows]] = -99
    (again,) = refit_with_views(spoilt, y, views, [half], choice, **options)
    assert np.allclose(one.weight, again.weight, atol=1e-4) and np.allclose(one.bias, again.bias, atol=1e-3)


def test_rows_keep_their_views_when_some_are_taken() -> None:
    x, y, _ = pictures()
    views = views_of(x, y, sign=0, shown=slice(8, 12))
    rows = np.array([5, 2, 9])
    part = views.within(rows)
    assert len(part.rows) == 6
    for i, row in enumerate(rows.tolist()):
        assert np.array_equal(part.embeddings[part.rows == i], views.embeddings[views.rows == row])


def test_each_fold_is_answered_by_its_own_network() -> None:
    """Networks that tell the classes of the rows that they saw, and nothing of their own fold's."""
    x, y, groups = pictures()
    views = views_of(x, y, sign=0, shown=slice(8, 12))
    before = untaught(x, y, groups)
    fold, side = before.folds[0], 2 * y[:, 1:] - 1
    one = replace(before, folds=before.folds[:1], out_of_fold=before.out_of_fold[:1])
    asked: list[int] = []

    def network(f: int) -> tuple[np.ndarray, np.ndarray]:
        asked.append(f)
        rng = np.random.default_rng(f)
        direct, seen = (rng.normal(0, 1, (n, D)).astype(np.float32) for n in (N, len(views.rows)))
        direct[:, :4] += 3 * side * (fold != f)[:, None]
        seen[:, :4] += (3 * side * (fold != f)[:, None])[views.rows]
        return direct, seen

    found = teach(one, x, y, groups, views, task="multiclass", levels=LEVELS, networks=network)
    assert found is not None
    taught, field = found
    assert set(asked) == set(fold.tolist())
    assert 0.35 < macro_auc(field.out_of_fold, y[views.rows]) < 0.65
    # what ships is fitted on the embeddings that were given
    if field.weight:
        assert macro_auc(taught.head.logits(views.embeddings), y[views.rows]) > 0.9
