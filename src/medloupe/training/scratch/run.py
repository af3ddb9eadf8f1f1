"""The same network without pretraining, as an honest baseline: what would these pictures alone have taught it?

Two pictures come of it: both networks epoch by epoch on one split, and how good both are with few images a class.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.split import Plan, fold_count, folds, thinned
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.tail import load_graph
from medloupe.errors import FinetuneError
from medloupe.graphs.module import import_torch
from medloupe.settings import home
from medloupe.training.heads.fit import rankable
from medloupe.training.options import Options
from medloupe.training.scratch.few import DRAWS, SIZES, auc_of, linear, nested, sizes_in
from medloupe.training.scratch.plan import Outline, batch_of, few, given_up, outlined
from medloupe.training.tune.activations import missing
from medloupe.training.tune.jobs import Done, Inputs, Job, at_once, run
from medloupe.training.tune.loop import parts_at
from medloupe.training.tune.recipe import DEFAULTS, Recipe
from medloupe.training.tune.run import inputs_of, key_of, probed, recipe_for, seconds_an_image
from medloupe.utils.files import write_atomically

MINUTES = 15.0  # where nothing is said
FOLDS = 3
MOST_HELD = 400  # pictures that judge; more would only take time
SMALL = 128  # pixels to a side at which a larger network is trained where time is short
RANDOM = "from scratch"
_TAIL = 1 / 3  # of a training step's time, to train the upper stages alone
_VIEW = 1 / 6  # likewise, to make one view and what the lower stages make of it
_MARGIN = 1.15  # trainings side by side disturb each other
Progress = Callable[[str, int, int], None]


def scratch(features: Features, plan: Plan, network: Backbone, options: Options, say: Progress) -> dict[str, Any]:
    """{"histories": [pretrained, from scratch], "compared": words, "few_images": …} as the report shows them.

    The pretrained network is trained whole where options.finetune is "full", else its upper stages. All is judged on
    one fold of plan.fitting that shares no group with what is trained on. Takes about options.minutes, or MINUTES; what
    was given up for that is said. A killed run goes on where it was. Raises FinetuneError where PyTorch is missing, the
    network cannot be trained, or the data has too few groups; StoreError when the disk is full.
    """
    import_torch()
    y, groups, seed = features.data.targets, plan.groups, options.seed
    count = fold_count(y[plan.fitting], groups[plan.fitting], FOLDS)
    if not count:
        raise FinetuneError(
            "The data has too few patients or groups to compare with a network from scratch: two with and two without a"
            " label are needed.",
            "Bring more patients, or leave --compare out.",
        )
    fold = folds(y[plan.fitting], groups[plan.fitting], count, seed)
    held = thinned(plan.fitting[fold == 0], y, groups, MOST_HELD, seed)
    rest = plan.fitting[fold != 0]
    subsets = nested(rest, y, groups, sizes_in(rest, y), features.data.task, seed)
    kind = "full" if options.finetune == "full" else "tail"
    # the views of a tail are made already where one was tuned; else two do
    usual = recipe_for(kind, len(rest))
    usual = replace(usual, views=usual.views if options.finetune in ("tail", "auto") else 2)
    seconds = 60 * (options.minutes if options.minutes is not None else MINUTES)
    key = key_of(features, plan, network, [], None, __name__)
    key += f"-{kind}-{usual.views}-{seed}-{seconds:g}"
    folder = home() / "cache" / "scratch" / key
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "result.json"
    if kept.exists():
        return json.loads(kept.read_text())
    allowed = probed(features, network, groups, seed)

    def inputs(recipe: Recipe, side: int) -> Inputs:
        sized = replace(network, card=replace(network.card, input_size=side))
        return inputs_of(features, sized, load_graph(network), recipe, allowed, None, say)[0]

    started = time.perf_counter()
    sizes = {n: len(subsets[n]) for n in subsets}
    views = missing(features, network, allowed, usual.views) if kind == "tail" else 0
    outline = _kept_outline(
        folder, lambda: _outlined(features, network, inputs, usual, views, sizes, len(rest), len(held), seconds)
    )
    rows = thinned(rest, y, groups, outline.rows, seed)
    jobs, tuned = _jobs(outline, usual, rows, subsets, held, seed)
    ahead = sum(j.recipe.epochs * len(j.rows) for j in jobs)
    total = ahead + tuned.recipe.epochs * len(rows)
    data, task = features.data.targets, features.data.task
    read = inputs(DEFAULTS["scratch"], outline.side)
    done = run(jobs, read, data, task, folder, lambda at, _: say("scratch", at, total))
    read = inputs(tuned.recipe, network.card.input_size)
    (other,) = run([tuned], read, data, task, folder, lambda at, _: say("scratch", ahead + at, total))
    found: dict[str, Any] = {
        "histories": [
            {"name": name, "epochs": d.history, "parts_at": parts_at(d.history)}
            for name, d in (("pretrained", other), (RANDOM, done[0]))
        ]
    }
    few_done = dict(zip(outline.sizes[::-1], done[1:], strict=True))
    less = given_up(outline, sizes, len(rows), len(rest), network.card.input_size)
    what = "the whole of the pretrained network" if kind == "full" else "the upper stages of the pretrained network"
    found["compared"] = (
        f"For comparison {what} and the same network from random weights were trained on the same {len(rows):,}"
        f" pictures and judged on the same {len(held):,} others. {less}".strip()
    )
    found["few_images"] = {
        "curves": _curves(features, plan, network.card.levels, few_done, rest, held, seed),
        "words": " ".join(filter(None, (_words(sizes, len(held)), less))),
        **asdict(outline),
        "sizes": list(outline.sizes),
        "seconds": round(time.perf_counter() - started, 1),
    }
    write_atomically(kept, json.dumps(found).encode())
    for job in (*jobs, tuned):
        shutil.rmtree(folder / job.name, ignore_errors=True)
    return found


def _jobs(
    outline: Outline, usual: Recipe, rows: np.ndarray, subsets: Mapping[int, np.ndarray], held: np.ndarray, seed: int
) -> tuple[list[Job], Job]:
    """The trainings from random weights, on `rows` and on each subset, and the one of the pretrained network on `rows`.

    Without mixing and softening, so that losses on what is learned from and on what is kept aside are of one kind.
    """
    bare = {
        "mixup": 0.0,
        "smoothing": 0.0,
        "epochs": outline.epochs,
        "patience": outline.epochs,
        "batch": batch_of(len(rows)),
    }
    history = Job(
        name="history",
        rows=rows,
        checked=held,
        recipe=replace(DEFAULTS["scratch"], **bare),
        seed=seed,
        shares=(1.0,),
        asked=held[:0],
    )
    of_few = [
        Job(
            name=f"few-{n}",
            rows=subsets[n],
            checked=held[:0],
            recipe=few(len(subsets[n]), outline.share),
            seed=seed,
            shares=(1.0,),
            asked=held,
        )
        for n in outline.sizes[::-1]  # the longest first
    ]
    return [history, *of_few], replace(history, name="pretrained", recipe=replace(usual, **bare))


def _kept_outline(folder: Path, make: Callable[[], Outline]) -> Outline:
    """As decided when the run began: one that goes on after a kill must not measure anew, and then decide otherwise."""
    kept = folder / "outline.json"
    if kept.exists():
        told = json.loads(kept.read_text())
        return Outline(**{**told, "sizes": tuple(told["sizes"])})
    outline = make()
    write_atomically(kept, json.dumps(asdict(outline)).encode())
    return outline


def _outlined(
    features: Features,
    network: Backbone,
    inputs: Callable[[Recipe, int], Inputs],
    tuned: Recipe,
    views: int,
    sizes: Mapping[int, int],
    rest: int,
    held: int,
    seconds: float,
) -> Outline:
    """Measure how fast a training is here, and plan. views: of pictures that have yet to be made."""
    full = network.card.input_size
    small = min(SMALL, full)
    recipe, started = DEFAULTS["scratch"], time.perf_counter()
    each = seconds_an_image(inputs(recipe, small), recipe, load_graph(network), features) * _MARGIN
    cores = at_once()
    of_tuned = (_TAIL if tuned.kind == "tail" else 1) * (full / small) ** 2
    sides = {side: each / cores * (side / small) ** 2 for side in (full, small)}
    spent = time.perf_counter() - started + views * sides[full] * _VIEW
    return outlined(sides, each / cores * of_tuned, sizes, rest, held, max(seconds / 2, seconds - spent))


def _curves(
    features: Features,
    plan: Plan,
    levels: tuple[int, ...],
    done: Mapping[int, Done],
    rest: np.ndarray,
    held: np.ndarray,
    seed: int,
) -> list[dict[str, Any]]:
    """AUC by images a class: of linear heads on the pretrained network, several subsets each, and from scratch."""
    x, y, groups, task = features.embeddings, features.data.targets, plan.groups, features.data.task
    heads: dict[int, list[np.ndarray]] = {n: [] for n in sorted(done)}
    for draw in range(DRAWS):  # the first draw is what the other network learned from
        for n, part in nested(rest, y, groups, sorted(done), task, seed + draw).items():
            heads[n].append(linear(x[part], y[part], groups[part], x[held], task, levels, seed))
    from_nothing = {n: [_scores(done[n], held, task)] for n in sorted(done)}
    return [
        {"name": name, "points": [{"n": n, "auc": auc_of(z, y[held], groups[held], seed)} for n, z in found.items()]}
        for name, found in (("pretrained, linear head", heads), (RANDOM, from_nothing))
    ]


def _scores(done: Done, rows: np.ndarray, task: str) -> np.ndarray:
    """By the head that was trained with the network."""
    weight, bias = done.head
    return rankable(done.embeddings[1.0][rows][:, : weight.shape[1]] @ weight.T + bias, task)


def _words(sizes: Mapping[int, int], held: int) -> str:
    said = [
        f"Judged on {held:,} pictures kept aside, with no patient on both sides: the pretrained network with a linear"
        f" head, as the mean over {DRAWS} draws of the pictures to learn from, the one from scratch with one draw."
    ]
    if short := [n for n in SIZES if n not in sizes]:
        said.append(f"The set has too few pictures for {' or '.join(map(str, short))} a class.")
    return " ".join(said)
