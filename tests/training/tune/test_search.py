"""The search for a recipe: what it tries, what it keeps, what it says."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")

import tunable
from medloupe.data.split import Plan, plan_split
from medloupe.embed.features import Features
from medloupe.errors import FinetuneError
from medloupe.training.options import Options
from medloupe.training.tune import trials
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.search import SearchTask, choose_trial, prepare_trials, search, search_card
from medloupe.training.tune.trials import TrialOutcome, run_trials
from synthetic import one_hot

RECIPE = Recipe(epochs=2, views=2, batch=8)


def nothing(stage: str, done: int, total: int) -> None:
    pass


def example(folder: Path, patients: int = 24, n: int = 48) -> tuple[Features, Plan, Any]:
    network = tunable.backbone(folder)
    features = tunable.features(network, n, patients=patients)
    groups = np.array([int((r.patient or "").strip("p")) for r in features.data.records])
    return features, plan_split(features.data, groups), network


def task(features: Features, judged: Plan, network: Any, options: Options) -> SearchTask:
    return SearchTask(features=features, shared=features, plan=judged, network=network, recipe=RECIPE, options=options)


@pytest.mark.slow
def test_every_trial_is_recorded_and_a_second_search_takes_them_up(home: Path, tmp_path: Path) -> None:
    features, judged, network = example(tmp_path)
    options = Options(finetune="tail", search=True, minutes=0.3)
    recipe, found = search(task(features, judged, network, options), nothing)
    usual = {n: v for n, v in found["trials"][0]["params"].items() if n != "share"}
    assert usual == {name: getattr(RECIPE, name) for name in usual}  # the usual recipe comes first
    assert {"depth", "rate", "decay", "head_rate", "mixup", "smoothing", "balance", "views"} == set(usual)
    assert found["trials"][1]["params"] != found["trials"][0]["params"]
    for number, trial in enumerate(found["trials"]):
        assert (trial["number"], trial["state"]) == (number, "complete")
        assert 0 <= trial["auc"] <= 1
        assert trial["seconds"] >= 0
        assert trial["params"]["share"] in (0.5, 1.0)
        assert 1 <= trial["params"]["views"] <= 6
    taken = found["trials"][found["best"]]["params"]
    assert {name: getattr(recipe, name) for name in usual} == {name: taken[name] for name in usual}
    assert recipe.epochs == RECIPE.epochs  # trials may be shorter; what follows is not
    assert not list((home / "cache" / "search").rglob("done.npz"))  # nothing large stays behind

    _, again = search(task(features, judged, network, options), nothing)
    known = len(found["trials"])
    assert again == found  # seconds as they were then: nothing was trained once more
    (ended,) = (home / "cache" / "search").rglob("ended.json")
    ended.unlink()  # as if it had been killed before its end
    _, again = search(task(features, judged, network, options), nothing)
    assert again["trials"][:known] == found["trials"]

    card = search_card(found)
    assert card["trials"] == known
    assert card["params"] == taken
    assert card["default"] == found["trials"][0]["auc"]
    assert "same pictures" in card["words"]
    assert "a little too good" in card["words"]


@pytest.mark.slow
def test_a_training_that_comes_apart_fails_alone(home: Path, tmp_path: Path) -> None:
    features, judged, network = example(tmp_path)
    options = Options(finetune="tail", search=True, minutes=1)
    ground = prepare_trials(task(features, judged, network, options), nothing)
    good, bad = run_trials(ground, [RECIPE, replace(RECIPE, rate=1e30, mixup=0.1)])
    assert 0 <= good.auc <= 1
    assert good.scores.shape == (len(ground.judging), 2)
    assert np.isnan(bad.auc)


@pytest.mark.slow
def test_a_training_that_is_cut_off_is_tried_again(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, judged, network = example(tmp_path)
    options = Options(finetune="tail", search=True, minutes=1)
    ground = prepare_trials(task(features, judged, network, options), nothing)

    def killed(*_: Any) -> None:
        raise FinetuneError("A training ended with exit status -9, perhaps for want of memory.")

    with monkeypatch.context() as patched:
        patched.setattr(trials, "run_jobs", killed)
        (cut_off,) = run_trials(ground, [RECIPE])
    assert np.isnan(cut_off.auc)
    assert not [p for p in ground.folder.iterdir() if p.is_dir()]
    (again,) = run_trials(ground, [RECIPE])
    assert 0 <= again.auc <= 1


def test_trials_learn_from_and_are_judged_on_different_patients_of_the_training_part(
    home: Path, tmp_path: Path
) -> None:
    features, judged, network = example(tmp_path)
    groups = judged.groups
    without_test = replace(judged, fitting=np.flatnonzero(groups >= 6), test=np.flatnonzero(groups < 6))
    options = Options(finetune="tail", search=True, minutes=1)
    ground = prepare_trials(task(features, without_test, network, options), nothing)
    assert len(ground.rows) and len(ground.judging)
    assert set(ground.rows) | set(ground.judging) <= set(without_test.fitting)
    assert not set(groups[ground.rows]) & set(groups[ground.judging])
    assert ground.budget <= 30  # half of the minute: the other half is for the training that follows
    assert 2 <= ground.epochs <= RECIPE.epochs
    again = prepare_trials(task(features, without_test, network, options), nothing)
    np.testing.assert_array_equal(ground.rows, again.rows)
    assert ground.budget == again.budget  # decided once, not measured anew


def outcome(auc: float, scores: np.ndarray) -> TrialOutcome:
    return TrialOutcome(auc=auc, alpha=1.0, seconds=1.0, scores=scores.astype(np.float32))


def test_the_usual_recipe_stays_unless_another_is_ahead_by_more_than_the_error() -> None:
    rng = np.random.default_rng(0)
    y = one_hot(np.arange(200) % 2, 2)
    groups = np.arange(200)

    def made(strength: float, auc: float) -> TrialOutcome:
        z = rng.normal(size=200) + strength * y[:, 1]
        return outcome(auc, np.column_stack([-z, z]))

    usual, clear, near = made(1.0, 0.76), made(4.0, 0.99), made(1.0, 0.765)
    assert choose_trial([usual, near], y, groups, 0) == 0
    assert choose_trial([usual, near, clear], y, groups, 0) == 2
    assert choose_trial([clear, usual], y, groups, 0) == 0
    failed = outcome(np.nan, np.empty((0, 0)))
    assert choose_trial([failed, usual], y, groups, 0) == 1
    with pytest.raises(FinetuneError, match="Every trial"):
        choose_trial([failed, failed], y, groups, 0)


def test_what_is_missing_is_said(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features, judged, network = example(tmp_path, patients=2, n=8)
    options = Options(finetune="tail", search=True)
    with pytest.raises(FinetuneError, match="too few patients"):
        search(task(features, judged, network, options), nothing)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(FinetuneError, match="Optuna") as e:
        search(task(features, judged, network, options), nothing)
    assert "medloupe[finetune]" in e.value.hint
