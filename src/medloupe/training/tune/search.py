"""Looking for a better recipe of fine-tuning, within a time: every trial is one short training, judged by grouped
validation inside the part of the data that trainings may draw from.

Sources: Bergstra et al., "Algorithms for hyper-parameter optimization" (NeurIPS 2011) for the sampler; Breiman et al.,
"Classification and regression trees" (1984) for keeping the simpler of two whose difference is within its error.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.split import Plan, fold_count, folds, thinned
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.tail import load_graph
from medloupe.errors import FinetuneError
from medloupe.graphs.module import import_torch
from medloupe.metrics.weighted import Ranking, average, replicates
from medloupe.settings import home, threads
from medloupe.training.options import Options
from medloupe.training.tune.jobs import at_once
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.trials import Ground, Outcome, tried
from medloupe.utils.files import write_atomically

if TYPE_CHECKING:
    import optuna

MINUTES = 10.0  # where nothing is said
FOLDS = 3
WANTED = 10  # trials that should find time
FEWEST_ROWS = 300
MOST_VIEWS = 6
_APART = 101  # added to the seed, so that the search splits the data another way than what judges its outcome
_DRAWS = 200
_LEAST = 8  # trainings on every picture, about, that judging in two folds and shipping take
_STARTUP = 6  # trials drawn at random before the sampler draws conclusions
Progress = Callable[[str, int, int], None]


def search(
    features: Features,
    shared: Features,
    plan: Plan,
    network: Backbone,
    recipe: Recipe,
    options: Options,
    say: Progress,
) -> tuple[Recipe, dict[str, Any]]:
    """A recipe at least as good as `recipe`, which is tried first, and every trial as the report shows it.

    features, shared: with the tail that is started from, and without. Takes half of options.minutes, or MINUTES; a
    killed search goes on where it was. Raises FinetuneError where PyTorch or Optuna is missing, the network cannot be
    trained, or the data has too few groups; StoreError when the disk is full.
    """
    optuna = import_optuna()
    began = time.perf_counter()
    ground = prepared(features, shared, plan, network, recipe, options, say)
    sampler = optuna.samplers.TPESampler(seed=options.seed, n_startup_trials=_STARTUP)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    recipe = replace(recipe, views=min(recipe.views, ground.views))
    study.enqueue_trial(_params(recipe))
    side_by_side = min(2, at_once())
    outcomes: list[Outcome] = []
    recipes: list[Recipe] = []
    spent = longest = 0.0
    ended = ground.folder / "ended.json"  # what was found once stays found, so that the training after it can go on
    end: dict[str, Any] | None = json.loads(ended.read_text()) if ended.exists() else None
    while len(outcomes) < end["trials"] if end else not outcomes or spent + longest <= ground.budget:
        asked = [study.ask() for _ in range(side_by_side)]
        suggested = [_suggested(trial, recipe, ground.views) for trial in asked]
        started = time.perf_counter()
        found = tried(ground, [replace(r, epochs=ground.epochs, patience=ground.epochs) for r in suggested])
        # trials taken up from before count as long as they took then
        lasted = max(time.perf_counter() - started, *(o.seconds for o in found))
        spent, longest = spent + lasted, max(longest, lasted)
        for trial, outcome in zip(asked, found, strict=True):
            failed = not np.isfinite(outcome.auc)
            study.tell(trial, None if failed else outcome.auc, optuna.trial.TrialState.FAIL if failed else None)
        outcomes += found
        recipes += suggested
        say("searching", min(100, round(100 * spent / max(ground.budget, 1e-9))), 100)
    say("searching", 100, 100)
    best = chosen(outcomes, features.data.targets[ground.own], ground.groups[ground.own], options.seed)
    if end is None:
        end = {"trials": len(outcomes), "seconds": round(time.perf_counter() - began, 1)}
        write_atomically(ended, json.dumps(end).encode())
    trials = [
        {
            "number": i,
            "params": {**_params(r), "share": o.share if np.isfinite(o.auc) else None},
            "auc": o.auc if np.isfinite(o.auc) else None,
            "seconds": round(o.seconds, 1),
            "state": "complete" if np.isfinite(o.auc) else "failed",
        }
        for i, (r, o) in enumerate(zip(recipes, outcomes, strict=True))
    ]
    return recipes[best], {
        "trials": trials,
        "best": best,
        "rows": len(ground.rows),
        "judged_on": len(ground.own),
        "epochs": ground.epochs,
        "seconds": end["seconds"],
        "words": _words(outcomes, best, ground, plan),
    }


def card_of(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the card keeps of a search: all but the trials one by one."""
    first, best = found["trials"][0], found["trials"][found["best"]]
    kept = {name: found[name] for name in ("best", "rows", "judged_on", "epochs", "seconds", "words")}
    return {
        "trials": len(found["trials"]),
        **kept,
        "params": best["params"],
        "auc": best["auc"],
        "default": first["auc"],
    }


def import_optuna() -> Any:
    """The module optuna, quiet. Raises FinetuneError, saying how to install it, where it is not there."""
    try:
        import optuna
    except ImportError as e:
        raise FinetuneError(
            "The search for a recipe needs Optuna, which is not installed.", "Run: pip install 'medloupe[finetune]'"
        ) from e
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def chosen(outcomes: list[Outcome], targets: np.ndarray, groups: np.ndarray, seed: int) -> int:
    """The best trial, or the first (the default recipe) unless the best is ahead by more than the standard error of
    their difference over groups. targets (n, K) and groups (n,): of the rows that were judged. Raises FinetuneError
    where every trial failed."""
    aucs = np.array([o.auc for o in outcomes])
    if not np.isfinite(aucs).any():
        raise FinetuneError(
            "Every trial of the search failed: the trainings gave no numbers.",
            "Leave --search out; if that fails too, use --finetune none.",
        )
    best = int(np.nanargmax(aucs))
    if best == 0 or not np.isfinite(aucs[0]):
        return best
    first, ahead = (_auc_of(outcomes[i].scores, targets) for i in (0, best))
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.concatenate([ahead(w) - first(w) for w in replicates(groups, seed, _DRAWS)])[1:]
    error = float(np.std(apart[np.isfinite(apart)])) if np.isfinite(apart).any() else np.inf
    return best if aucs[best] - aucs[0] > error else 0


def _auc_of(scores: np.ndarray, targets: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return average([Ranking(s, t).auc for s, t in zip(scores.T, targets.T, strict=True)])


def prepared(
    features: Features,
    shared: Features,
    plan: Plan,
    network: Backbone,
    recipe: Recipe,
    options: Options,
    say: Progress,
) -> Ground:
    """Split, inputs and size of all trials, measured and decided once. Raises as `search`."""
    from medloupe.training.tune.activations import missing
    from medloupe.training.tune.budget import views_within
    from medloupe.training.tune.run import inputs_of, key_of, seconds_an_image, timed_probe

    import_torch()
    model, seed = load_graph(network), options.seed
    y, groups = features.data.targets, plan.groups
    count = fold_count(y[plan.fitting], groups[plan.fitting], FOLDS)
    if not count:
        raise FinetuneError(
            "The data has too few patients or groups to search for a recipe: two with and two without a label are"
            " needed.",
            "Bring more patients, or leave --search out.",
        )
    fold = folds(y[plan.fitting], groups[plan.fitting], count, seed + _APART)
    own, rest = plan.fitting[fold == 0], plan.fitting[fold != 0]
    budget = 60 * (options.minutes / 2 if options.minutes is not None else MINUTES)
    key = key_of(shared, plan, network, [], options.start, __name__)
    folder = home() / "cache" / "search" / f"{key}-{recipe.kind}-{seed}-{budget:g}"
    kept = folder / "plan.json"  # a resumed search must not measure anew, and then plan other trials
    told = json.loads(kept.read_text()) if kept.exists() else None
    started = time.perf_counter()
    allowed, each = timed_probe(shared, network, groups, seed)
    most = replace(recipe, views=told["views"] if told else max(recipe.views, MOST_VIEWS))
    if told is None and recipe.kind == "tail":
        most = views_within(most, lambda views: missing(shared, network, allowed, views), each, budget)
    inputs, _ = inputs_of(shared, network, model, most, allowed, options.start, say, features.embeddings)
    if told is None:
        each = seconds_an_image(inputs, recipe, model, shared) / max(1, min(2, threads()))
        left = budget - (time.perf_counter() - started)
        if options.minutes is not None:  # the least that can follow must still find time
            left = min(left, 2 * budget - _LEAST * len(plan.fitting) * each - (time.perf_counter() - started))
        left = max(0.0, left)
        epochs, n = _size(recipe.epochs, len(rest), len(own), each, left / WANTED)
        told = {"views": most.views, "epochs": epochs, "rows": n, "seconds": left}
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, json.dumps(told).encode())
    return Ground(
        inputs=inputs,
        features=shared,
        groups=groups,
        rows=thinned(rest, y, groups, told["rows"], seed),
        own=np.sort(own),
        base=features.embeddings,
        levels=network.card.levels,
        epochs=told["epochs"],
        seed=seed,
        views=most.views,
        budget=told["seconds"],
        folder=folder,
    )


def _size(epochs: int, rows: int, own: int, each: float, seconds: float) -> tuple[int, int]:
    """Epochs and rows of a trial that takes about `seconds`; each: seconds an image trained on. Looking at a picture
    twice (halfway and tuned) takes about as long as two thirds of a step on it."""
    for n in (rows, max(FEWEST_ROWS, rows // 2), max(FEWEST_ROWS, rows // 4)):
        for e in range(epochs, 1, -1):
            if e * each * min(n, rows) + (min(n, rows) + own) * each * 2 / 3 <= seconds:
                return e, n
    return 2, FEWEST_ROWS


def _params(recipe: Recipe) -> dict[str, Any]:
    """What is searched over, of a recipe. Views are cached for a tail only; otherwise every step sees a new one."""
    names = ["depth", "rate", "decay", "head_rate", "mixup", "smoothing", "balance"]
    return {name: getattr(recipe, name) for name in (*names, *(["views"] if recipe.kind == "tail" else []))}


def _suggested(trial: optuna.Trial, default: Recipe, views: int) -> Recipe:
    def number(name: str, low: float, high: float, *, log: bool = False) -> float:
        usual = getattr(default, name)  # always among the possible, as it is tried first
        value = trial.suggest_float(name, min(low, usual), max(high, usual), log=log)
        return value if value == usual else float(f"{value:.3g}")

    values: dict[str, Any] = {
        "depth": number("depth", 0.25, 1.0),
        "rate": number("rate", 5e-5, 1e-3, log=True),
        "decay": number("decay", 0.6, 1.0),
        "head_rate": number("head_rate", 5e-4, 1e-2, log=True),
        "mixup": number("mixup", 0.0, 0.4),
        "smoothing": number("smoothing", 0.0, 0.2),
        "balance": number("balance", 0.0, 1.0),
    }
    if default.kind == "tail":
        values["views"] = trial.suggest_int("views", 1, views)
    return replace(default, **values)


def _words(outcomes: list[Outcome], best: int, ground: Ground, plan: Plan) -> str:
    first, ahead = outcomes[0].auc, outcomes[best].auc
    count = len(outcomes)
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
        f"{count} {'recipe was' if count == 1 else 'recipes were'} tried, each in a training of {ground.epochs} epochs"
        f" on {len(ground.rows):,} pictures, judged on {len(ground.own):,} of other patients. {found} The recipe was"
        " chosen on the same pictures that cross-validation judges by, though split another way, so cross-validated"
        f" figures may be a little too good. {judged}"
    )
