"""Compare with the same network without pretraining, an honest baseline: what these pictures alone teach it.

Two pictures come of it: both networks epoch by epoch on one split, and how good both are with few images a class.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.data.split import Plan, sample_rows
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.tail import load_graph
from medloupe.graphs.module import import_torch
from medloupe.settings import home
from medloupe.training.heads.ranking import ranking_scores
from medloupe.training.options import Options
from medloupe.training.scratch.few import DRAWS, SIZES, feasible_sizes, linear_scores, mean_auc, nested_subsets
from medloupe.training.scratch.plan import (
    ScratchPlan,
    batch_size,
    describe_omissions,
    few_images_recipe,
    plan_trainings,
)
from medloupe.training.tune.activations import count_missing
from medloupe.training.tune.inputs import cache_key, measure_seconds_an_image, prepare_inputs, probe_symmetry
from medloupe.training.tune.jobfolder import FinishedJob, Job, TrainingInputs
from medloupe.training.tune.jobs import parallel_jobs, run_jobs
from medloupe.training.tune.loop import overfitting_epoch
from medloupe.training.tune.recipe import DEFAULTS, Recipe
from medloupe.training.tune.run import default_recipe
from medloupe.training.tune.split import hold_out
from medloupe.training.tune.views import Symmetry
from medloupe.utils.files import write_atomically
from medloupe.utils.progress import StageProgress

MINUTES = 15.0  # where nothing is said
MOST_HELD = 400  # pictures that judge; more would only take time
SMALL = 128  # pixels to a side at which a larger network is trained where time is short
RANDOM = "from scratch"
_TAIL = 1 / 3  # of a training step's time, to train the upper stages alone
_VIEW = 1 / 6  # likewise, to make one view and what the lower stages make of it
_MARGIN = 1.15  # trainings side by side disturb each other


def compare_with_scratch(
    features: Features, plan: Plan, network: Backbone, options: Options, say: StageProgress
) -> dict[str, Any]:
    """Compare the pretrained network with the same network from random weights; a killed run goes on where it was.

    The pretrained network is trained whole where options.finetune is "full", else its upper stages. All is judged on
    one fold of plan.fitting that shares no group with what is trained on.

    Parameters
    ----------
    features : Features
        Of the network as it is.
    plan : Plan
        Groups, and the rows that trainings may draw from.
    network : Backbone
        With a map before the pooling.
    options : Options
        Of them finetune, seed and minutes: it takes about so many, or MINUTES; what was given up for that is said.
    say : StageProgress
        Called with the stages "preparing" and "scratch".

    Returns
    -------
    dict
        {"histories": [pretrained, from scratch], "compared": words, "few_images": ...} as the report shows them.

    Raises
    ------
    FinetuneError
        Where PyTorch is missing, the network cannot be trained, or the data has too few groups.
    StoreError
        When the disk is full.
    """
    import_torch()
    comparison = _prepare(features, plan, network, options)
    kept = comparison.folder / "result.json"
    if kept.exists():
        return json.loads(kept.read_text())
    found = _compare(comparison, say)
    write_atomically(kept, json.dumps(found).encode())
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """What is compared: rows that judge (held), to learn from (rest) and in subsets; usual: the pretrained's recipe."""

    features: Features
    plan: Plan
    network: Backbone
    held: np.ndarray
    rest: np.ndarray
    subsets: dict[int, np.ndarray]
    usual: Recipe
    seed: int
    seconds: float
    folder: Path

    @property
    def sizes(self) -> dict[int, int]:
        """Images in all by images a class."""
        return {n: len(rows) for n, rows in self.subsets.items()}

    def inputs(self, recipe: Recipe, side: int, allowed: Symmetry, say: StageProgress) -> TrainingInputs:
        """Prepare what a recipe reads, of pictures of so many pixels to a side."""
        sized = replace(self.network, card=replace(self.network.card, input_size=side))
        return prepare_inputs(self.features, sized, load_graph(self.network), recipe, allowed, None, say)[0]


def _prepare(features: Features, plan: Plan, network: Backbone, options: Options) -> _Comparison:
    """Split the rows, and name the folder by everything that the outcome depends on."""
    y, groups, seed = features.data.targets, plan.groups, options.seed
    first, rest = hold_out(
        plan, y, seed, purpose="compare with a network from scratch", otherwise="leave --compare out"
    )
    kind = "full" if options.finetune == "full" else "tail"
    # the views of a tail are made already where one was tuned; else two do
    usual = default_recipe(kind, len(rest))
    usual = replace(usual, views=usual.views if options.finetune in ("tail", "auto") else 2)
    seconds = 60 * (options.minutes if options.minutes is not None else MINUTES)
    key = cache_key(features, plan, network, [], None, __name__)
    folder = home() / "cache" / "scratch" / f"{key}-{kind}-{usual.views}-{seed}-{seconds:g}"
    folder.mkdir(parents=True, exist_ok=True)
    return _Comparison(
        features=features,
        plan=plan,
        network=network,
        held=sample_rows(first, y, groups, MOST_HELD, seed),
        rest=rest,
        subsets=nested_subsets(rest, y, groups, feasible_sizes(rest, y), features.data.task, seed),
        usual=usual,
        seed=seed,
        seconds=seconds,
        folder=folder,
    )


def _compare(c: _Comparison, say: StageProgress) -> dict[str, Any]:
    """Plan within the time, train both networks, and describe what came of it."""
    targets, task, side = c.features.data.targets, c.features.data.task, c.network.card.input_size
    allowed = probe_symmetry(c.features, c.network, c.plan.groups, c.seed)
    started = time.perf_counter()
    planned = _decide_once(c.folder, lambda: _measure_and_plan(c, allowed, say))
    rows = sample_rows(c.rest, targets, c.plan.groups, planned.rows, c.seed)
    jobs, tuned = _jobs(planned, c.usual, rows, c.subsets, c.held, c.seed)
    ahead = sum(j.recipe.epochs * len(j.rows) for j in jobs)
    total = ahead + tuned.recipe.epochs * len(rows)
    read = c.inputs(DEFAULTS["scratch"], planned.side, allowed, say)
    done = run_jobs(jobs, read, targets, task, c.folder, lambda at, _: say("scratch", at, total))
    read = c.inputs(tuned.recipe, side, allowed, say)
    (other,) = run_jobs([tuned], read, targets, task, c.folder, lambda at, _: say("scratch", ahead + at, total))
    few_done = dict(zip(planned.sizes[::-1], done[1:], strict=True))
    less = describe_omissions(planned, c.sizes, len(rows), len(c.rest), side)
    whole = "the whole" if c.usual.kind == "full" else "the upper stages"
    found: dict[str, Any] = {
        "histories": [
            {"name": name, "epochs": d.history, "parts_at": overfitting_epoch(d.history)}
            for name, d in (("pretrained", other), (RANDOM, done[0]))
        ],
        "compared": (
            f"For comparison {whole} of the pretrained network and the same network from random weights were trained"
            f" on the same {len(rows):,} pictures and judged on the same {len(c.held):,} others. {less}".strip()
        ),
        "few_images": {
            "curves": _curves(c, few_done),
            "words": " ".join(filter(None, (_words(c.sizes, len(c.held)), less))),
            **asdict(planned),
            "sizes": list(planned.sizes),
            "seconds": round(time.perf_counter() - started, 1),
        },
    }
    for job in (*jobs, tuned):
        shutil.rmtree(c.folder / job.name, ignore_errors=True)
    return found


def _jobs(
    planned: ScratchPlan,
    usual: Recipe,
    rows: np.ndarray,
    subsets: Mapping[int, np.ndarray],
    held: np.ndarray,
    seed: int,
) -> tuple[list[Job], Job]:
    """Make the trainings from random weights, on `rows` and each subset, and that of the pretrained network on `rows`.

    Without mixing and softening, so that losses on what is learned from and on what is kept aside are of one kind.
    """
    bare = {
        "mixup": 0.0,
        "smoothing": 0.0,
        "epochs": planned.epochs,
        "patience": planned.epochs,
        "batch": batch_size(len(rows)),
    }
    history = Job(
        name="history",
        rows=rows,
        checked=held,
        recipe=replace(DEFAULTS["scratch"], **bare),
        seed=seed,
        alphas=(1.0,),
        asked=held[:0],
    )
    of_few = [
        Job(
            name=f"few-{n}",
            rows=subsets[n],
            checked=held[:0],
            recipe=few_images_recipe(len(subsets[n]), planned.share),
            seed=seed,
            alphas=(1.0,),
            asked=held,
        )
        for n in planned.sizes[::-1]  # the longest first
    ]
    return [history, *of_few], replace(history, name="pretrained", recipe=replace(usual, **bare))


def _decide_once(folder: Path, make: Callable[[], ScratchPlan]) -> ScratchPlan:
    """Plan when a run begins: one that goes on after a kill must not measure anew, and then decide otherwise."""
    kept = folder / "outline.json"
    if kept.exists():
        told = json.loads(kept.read_text())
        return ScratchPlan(**{**told, "sizes": tuple(told["sizes"])})
    planned = make()
    write_atomically(kept, json.dumps(asdict(planned)).encode())
    return planned


def _measure_and_plan(c: _Comparison, allowed: Symmetry, say: StageProgress) -> ScratchPlan:
    """Measure how fast a training is here, and plan."""
    full = c.network.card.input_size
    small = min(SMALL, full)
    views = count_missing(c.features, c.network, allowed, c.usual.views) if c.usual.kind == "tail" else 0
    recipe, started = DEFAULTS["scratch"], time.perf_counter()
    read = c.inputs(recipe, small, allowed, say)
    each = measure_seconds_an_image(read, recipe, load_graph(c.network), c.features) * _MARGIN
    cores = parallel_jobs()
    of_tuned = (_TAIL if c.usual.kind == "tail" else 1) * (full / small) ** 2
    sides = {side: each / cores * (side / small) ** 2 for side in (full, small)}
    spent = time.perf_counter() - started + views * sides[full] * _VIEW
    left = max(c.seconds / 2, c.seconds - spent)
    return plan_trainings(sides, each / cores * of_tuned, c.sizes, len(c.rest), len(c.held), left)


def _curves(c: _Comparison, done: Mapping[int, FinishedJob]) -> list[dict[str, Any]]:
    """Draw AUC by images a class: of heads on the pretrained network, several subsets each, and from scratch."""
    x, y, groups, task = c.features.embeddings, c.features.data.targets, c.plan.groups, c.features.data.task
    held, levels = c.held, c.network.card.levels
    heads: dict[int, list[np.ndarray]] = {n: [] for n in sorted(done)}
    for draw in range(DRAWS):  # the first draw is what the other network learned from
        for n, part in nested_subsets(c.rest, y, groups, sorted(done), task, c.seed + draw).items():
            heads[n].append(linear_scores(x[part], y[part], groups[part], x[held], task, levels, c.seed))
    from_nothing = {n: [_scores(done[n], held, task)] for n in sorted(done)}
    return [
        {
            "name": name,
            "points": [{"n": n, "auc": mean_auc(z, y[held], groups[held], c.seed)} for n, z in found.items()],
        }
        for name, found in (("pretrained, linear head", heads), (RANDOM, from_nothing))
    ]


def _scores(done: FinishedJob, rows: np.ndarray, task: str) -> np.ndarray:
    """Score rows by the head that was trained with the network."""
    weight, bias = done.head
    return ranking_scores(done.embeddings[1.0][rows][:, : weight.shape[1]] @ weight.T + bias, task)


def _words(sizes: Mapping[int, int], held: int) -> str:
    said = [
        f"Judged on {held:,} pictures kept aside, with no patient on both sides: the pretrained network with a linear"
        f" head, as the mean over {DRAWS} draws of the pictures to learn from, the one from scratch with one draw."
    ]
    if short := [n for n in SIZES if n not in sizes]:
        said.append(f"The set has too few pictures for {' or '.join(map(str, short))} a class.")
    return " ".join(said)
