"""Views, epochs and folds are given up in this order, and what was given up is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medloupe.errors import FinetuneError
from medloupe.training.tune.budget import TuningPlan, describe_reductions, limit_trainings, limit_views
from medloupe.training.tune.recipe import Recipe

ASKED = TuningPlan(recipe=Recipe(epochs=8, views=6), folds=3)


def needs(epochs: int, folds: int) -> float:
    return 10.0 * epochs * folds  # seconds


@pytest.mark.parametrize(
    ("seconds", "views"), [(1200, 6), (1199, 5), (400, 2), (399, 1), (100, 1)]
)  # 100 pictures of a second each
def test_views_may_take_half_of_the_time(seconds: float, views: int) -> None:
    assert limit_views(ASKED.recipe, lambda v: 100 * v, 1.0, seconds).views == views


def test_views_that_are_cached_cost_nothing() -> None:
    assert limit_views(ASKED.recipe, lambda v: max(0, v - 4) * 100, 1.0, 0.0).views == 4
    assert limit_views(ASKED.recipe, lambda v: 0, 1.0, -5.0).views == 6


def test_too_little_time_to_look_at_every_picture_once() -> None:
    with pytest.raises(FinetuneError, match=r"Preparing 6,000 pictures.*100 minutes") as caught:
        limit_views(ASKED.recipe, lambda v: 6000 * v, 1.0, 5999)
    assert "--minutes 301" in caught.value.hint


@pytest.mark.parametrize(("left", "epochs", "folds"), [(240, 8, 3), (239, 7, 3), (60, 2, 3), (59, 2, 2), (40, 2, 2)])
def test_epochs_go_before_folds(left: float, epochs: int, folds: int) -> None:
    taken = limit_trainings(ASKED, 500, needs, 10, left)
    assert (taken.recipe.epochs, taken.folds) == (epochs, folds)


def test_what_cannot_fit_is_refused_with_what_would_do() -> None:
    with pytest.raises(
        FinetuneError, match=r"\(tail\) 1,500 pictures takes at least 1\.5 minutes.*1 minute is"
    ) as caught:
        limit_trainings(ASKED, 1500, needs, 1, 10)  # 30 seconds short
    assert "--minutes 2" in caught.value.hint
    with pytest.raises(FinetuneError, match=r"0\.01 minutes are"):
        limit_trainings(ASKED, 1500, needs, 0.01, 0)


def test_a_recipe_of_one_epoch_may_stay_one() -> None:
    single = TuningPlan(recipe=Recipe(epochs=1), folds=2)
    assert limit_trainings(single, 5, needs, 1, 20).recipe.epochs == 1


def test_the_words_name_what_was_given_up() -> None:
    assert describe_reductions(ASKED, ASKED, 5) == ""
    fewer = TuningPlan(recipe=replace(ASKED.recipe, epochs=4, views=2), folds=2)
    said = describe_reductions(ASKED, fewer, 5)
    assert said.startswith("To stay within 5 minutes")
    for part in ("4 instead of 8 epochs", "2 folds instead of 3", "2 views of each picture instead of 6"):
        assert part in said


def test_it_is_kept_whole() -> None:
    taken = TuningPlan(recipe=replace(ASKED.recipe, epochs=4), folds=2, words="less")
    assert TuningPlan.from_json(taken.as_json()) == taken
