"""Search for a better recipe of fine-tuning, within a time.

Every trial is one short training, judged by grouped validation inside the part of the data that trainings may draw
from.

Sources: Bergstra et al., "Algorithms for hyper-parameter optimization" (NeurIPS 2011) for the sampler; Breiman et al.,
"Classification and regression trees" (1984) for keeping the simpler of two whose difference is within its error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.data.split import Plan, sample_rows
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.tail import load_graph
from medloupe.errors import FinetuneError
from medloupe.graphs.module import import_torch
from medloupe.metrics.weighted import Ranking, average, bootstrap_weights
from medloupe.settings import home, setting, threads
from medloupe.training.options import Options
from medloupe.training.tune.activations import count_missing
from medloupe.training.tune.budget import limit_views
from medloupe.training.tune.inputs import cache_key, measure_seconds_an_image, prepare_inputs, time_symmetry_probe
from medloupe.training.tune.jobs import parallel_jobs
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.space import searched_values, suggest_recipe
from medloupe.training.tune.split import hold_out
from medloupe.training.tune.study import search_together
from medloupe.training.tune.studystore import STARTUP, agree_on_plan, import_optuna, is_shared, read_plan
from medloupe.training.tune.trials import TrialOutcome, TrialSetup, TriedRecipe, run_trials
from medloupe.utils.files import write_atomically
from medloupe.utils.progress import StageProgress

MINUTES = 10.0  # where nothing is said
WANTED = 10  # trials that should find time
_FEWEST = 2  # trials whatever the time: the usual recipe alone is no search
FEWEST_ROWS = 300
MOST_VIEWS = 6
_APART = 101  # added to the seed of the split
_DRAWS = 200
_LEAST = 8  # trainings on every picture, about, that judging in two folds and shipping take


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTask:
    """What a recipe is searched for.

    Attributes
    ----------
    features, shared : Features
        With the tail that is started from, and without.
    plan : Plan
        Groups, and the rows that trainings may draw from.
    network : Backbone
        That is tuned.
    recipe : Recipe
        The usual one, which is tried first.
    options : Options
        Of them start, seed and minutes: half of the minutes are for the search, or MINUTES.
    """

    features: Features
    shared: Features
    plan: Plan
    network: Backbone
    recipe: Recipe
    options: Options


def search(task: SearchTask, say: StageProgress) -> tuple[Recipe, dict[str, Any]]:
    """Find a recipe at least as good as the usual one; a killed search goes on where it was.

    Parameters
    ----------
    task : SearchTask
        Data, network and time.
    say : StageProgress
        Called with the stages "preparing" and "searching", the latter in per cent of the time.

    Returns
    -------
    tuple of (Recipe, dict)
        The recipe, and every trial as the report shows it.

    Raises
    ------
    FinetuneError
        Where PyTorch or Optuna is missing, the network cannot be trained, the data has too few groups, or every trial
        failed.
    StoreError
        When the disk is full.
    """
    import_optuna()
    began = time.perf_counter()
    setup = prepare_trials(task, say)
    recipe = replace(task.recipe, views=min(task.recipe.views, setup.views))
    if is_shared():
        ended = setup.folder / f"ended-{task.options.minutes}.json"
        tried = search_together(setup.folder.name, setup, recipe, setting("MEDLOUPE_ENGINE"), ended, say)
        seconds = round(time.perf_counter() - began, 1)
    else:
        tried, seconds = _search_alone(setup, recipe, task.options.seed, say)
    say("searching", 100, 100)
    outcomes = [t.outcome for t in tried]
    best = choose_trial(
        outcomes, task.features.data.targets[setup.judging], setup.groups[setup.judging], task.options.seed
    )
    return tried[best].recipe, {
        "trials": [_describe(i, t) for i, t in enumerate(tried)],
        "best": best,
        "rows": len(setup.rows),
        "judged_on": len(setup.judging),
        "epochs": setup.epochs,
        "seconds": seconds,
        "words": _words(tried, best, setup, task.plan),
    }


def _search_alone(setup: TrialSetup, recipe: Recipe, seed: int, say: StageProgress) -> tuple[list[TriedRecipe], float]:
    """Search in a study of this process: recipes, the usual one first, and seconds, as they were when it was done."""
    optuna = import_optuna()
    began = time.perf_counter()
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(searched_values(recipe))
    side_by_side = min(2, parallel_jobs())
    tried: list[TriedRecipe] = []
    spent = longest = 0.0
    ended = setup.folder / "ended.json"  # what was found once stays found, so that the training after it can go on
    end: dict[str, Any] | None = json.loads(ended.read_text()) if ended.exists() else None
    while len(tried) < (end["trials"] if end else _FEWEST) or (not end and spent + longest <= setup.budget):
        asked = [study.ask() for _ in range(side_by_side)]
        suggested = [suggest_recipe(trial, recipe, setup.views) for trial in asked]
        started = time.perf_counter()
        found = run_trials(setup, [replace(r, epochs=setup.epochs, patience=setup.epochs) for r in suggested])
        # trials taken up from before count as long as they took then
        lasted = max(time.perf_counter() - started, *(o.seconds for o in found))
        spent, longest = spent + lasted, max(longest, lasted)
        for trial, outcome in zip(asked, found, strict=True):
            failed = not np.isfinite(outcome.auc)
            study.tell(trial, None if failed else outcome.auc, optuna.trial.TrialState.FAIL if failed else None)
        tried += map(TriedRecipe.of, suggested, found)
        say("searching", min(100, round(100 * spent / max(setup.budget, 1e-9))), 100)
    if end is None:
        end = {"trials": len(tried), "seconds": round(time.perf_counter() - began, 1)}
        write_atomically(ended, json.dumps(end).encode())
    return tried, end["seconds"]


def _describe(number: int, tried: TriedRecipe) -> dict[str, Any]:
    """Describe a trial as the report shows it."""
    outcome = tried.outcome
    complete = bool(np.isfinite(outcome.auc))
    return {
        "number": number,
        "params": {**searched_values(tried.recipe), "share": outcome.alpha if complete else None},
        "auc": outcome.auc if complete else None,
        "seconds": round(outcome.seconds, 1),
        "state": tried.state,
    }


def search_card(found: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the card keeps of a search: all but the trials one by one."""
    first, best = found["trials"][0], found["trials"][found["best"]]
    kept = {name: found[name] for name in ("best", "rows", "judged_on", "epochs", "seconds", "words")}
    return {
        "trials": len(found["trials"]),
        **kept,
        "params": best["params"],
        "auc": best["auc"],
        "default": first["auc"],
    }


def choose_trial(outcomes: list[TrialOutcome], targets: np.ndarray, groups: np.ndarray, seed: int) -> int:
    """Choose the best trial, or the first (the usual recipe) unless the best is ahead by more than the error.

    That error is the standard error of their difference, over groups.

    Parameters
    ----------
    outcomes : list of TrialOutcome
        The usual recipe's first.
    targets, groups : np.ndarray
        (n, K) and int (n,), of the rows that were judged.
    seed : int
        Of the bootstrap.

    Returns
    -------
    int
        Its place among the outcomes.

    Raises
    ------
    FinetuneError
        Where every trial failed.
    """
    aucs = np.array([o.auc for o in outcomes])
    if not np.isfinite(aucs).any():
        raise FinetuneError(
            "Every trial of the search failed: the trainings gave no numbers.",
            "Leave --search out; if that fails too, use --finetune none.",
        )
    best = int(np.nanargmax(aucs))
    if best == 0 or not np.isfinite(aucs[0]):
        return best
    first, ahead = (_weighted_auc(outcomes[i].scores, targets) for i in (0, best))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.concatenate([ahead(w) - first(w) for w in bootstrap_weights(groups, seed, _DRAWS)])[1:]
    error = float(np.std(apart[np.isfinite(apart)])) if np.isfinite(apart).any() else np.inf
    return best if aucs[best] - aucs[0] > error else 0


def _weighted_auc(scores: np.ndarray, targets: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return average([Ranking(s, t).auc for s, t in zip(scores.T, targets.T, strict=True)])


def prepare_trials(task: SearchTask, say: StageProgress) -> TrialSetup:
    """Decide on split, inputs and size of all trials: measured once, and the same when a killed search goes on.

    Raises
    ------
    FinetuneError, StoreError
        As search does.
    """
    import_torch()
    features, plan, options, recipe = task.shared, task.plan, task.options, task.recipe
    y, seed = task.features.data.targets, options.seed
    # split another way than what judges the outcome
    own, rest = hold_out(plan, y, seed + _APART, purpose="search for a recipe", otherwise="leave --search out")
    model = load_graph(task.network)
    budget = 60 * (options.minutes / 2 if options.minutes is not None else MINUTES)
    key = cache_key(features, plan, task.network, [], options.start, __name__)
    shared = is_shared()
    name = f"{key}-{recipe.kind}-{seed}-{'shared' if shared else f'{budget:g}'}"
    folder = home() / "cache" / "search" / name
    kept = folder / "plan.json"  # a resumed search must not measure anew, and then plan other trials
    told = json.loads(kept.read_text()) if kept.exists() else None
    started = time.perf_counter()
    allowed, each = time_symmetry_probe(features, task.network, plan.groups, seed)
    if shared and told is None:
        told = read_plan(name)
    most = replace(recipe, views=told["views"] if told else max(recipe.views, MOST_VIEWS))
    if told is None and recipe.kind == "tail":
        most = limit_views(most, lambda views: count_missing(features, task.network, allowed, views), each, budget)
    base = task.features.embeddings
    inputs, _ = prepare_inputs(features, task.network, model, most, allowed, options.start, say, base)
    if told is None:
        each = measure_seconds_an_image(inputs, recipe, model, features) / max(1, min(2, threads()))
        left = budget - (time.perf_counter() - started)
        if options.minutes is not None:  # the least that can follow must still find time
            left = min(left, 2 * budget - _LEAST * len(plan.fitting) * each - (time.perf_counter() - started))
        left = max(0.0, left)
        epochs, n = _trial_size(recipe.epochs, len(rest), len(own), each, left / WANTED)
        told = {"views": most.views, "epochs": epochs, "rows": n, "seconds": left}
        if shared:
            told = agree_on_plan(name, told)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps(told).encode())
    return TrialSetup(
        inputs=inputs,
        features=features,
        groups=plan.groups,
        rows=sample_rows(rest, y, plan.groups, told["rows"], seed),
        judging=np.sort(own),
        base=base,
        levels=task.network.card.levels,
        epochs=told["epochs"],
        seed=seed,
        views=most.views,
        budget=max(0.0, budget - (time.perf_counter() - started)) if shared else told["seconds"],
        folder=folder,
    )


def _trial_size(epochs: int, rows: int, own: int, each: float, seconds: float) -> tuple[int, int]:
    """Choose epochs and rows of a trial that takes about `seconds`; each: seconds an image trained on.

    Looking at a picture twice (halfway and tuned) takes about as long as two thirds of a step on it.
    """
    for n in (rows, max(FEWEST_ROWS, rows // 2), max(FEWEST_ROWS, rows // 4)):
        for e in range(epochs, 1, -1):
            if e * each * min(n, rows) + (min(n, rows) + own) * each * 2 / 3 <= seconds:
                return e, n
    return 2, FEWEST_ROWS


def _words(tried: list[TriedRecipe], best: int, setup: TrialSetup, plan: Plan) -> str:
    first, ahead = tried[0].outcome.auc, tried[best].outcome.auc
    count, early = len(tried), sum(t.state == "ended early" for t in tried)
    if best:
        found = f"The best had AUC {ahead:.3f}, the usual recipe {first:.3f} on the same pictures, so it was taken."
    elif count == 1:
        found = "There was time for the usual recipe only."
    else:
        found = "None was ahead of the usual recipe by more than the error of the difference, so that was kept."
    judged = (
        "The figures on the test split are free of that."
        if plan.test is not None
        else "There is no test split that would be free of that; pictures from elsewhere are (medloupe evaluate)."
    )
    return (
        f"{count} {'recipe was' if count == 1 else 'recipes were'} tried, each in a training of {setup.epochs} epochs"
        f" on {len(setup.rows):,} pictures, judged on {len(setup.judging):,} of other patients."
        + (f" {early} of them {'was' if early == 1 else 'were'} ended early." if early else "")
        + f" {found} The recipe was"
        " chosen on the same pictures that cross-validation judges by, though split another way, so cross-validated"
        f" figures may be a little too good. {judged}"
    )
