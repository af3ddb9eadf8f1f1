"""Fine-tune a network: folds by patient, a training for each and one on all, and what they make of every picture.

A tuned network may be judged only by pictures that it did not learn from. So for every fold a network is trained on the
other folds, and what is compared (linear head, tuned, halfway between) is compared on predictions made that way.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from medloupe.data.split import Plan, assign_folds
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.field import FieldFeatures
from medloupe.embed.field_cuts import FieldCuts
from medloupe.embed.tail import Tail, extract_upper_part, join_outputs, load_graph, merge_weights
from medloupe.errors import FinetuneError
from medloupe.graphs.module import import_torch, replace_weights
from medloupe.graphs.nodes import read_constants
from medloupe.settings import home
from medloupe.training.tune.activations import count_missing, evict_caches, explain_disk_errors
from medloupe.training.tune.budget import TuningPlan, describe_reductions, limit_trainings, limit_views
from medloupe.training.tune.inputs import cache_key, measure_seconds_an_image, prepare_inputs, time_symmetry_probe
from medloupe.training.tune.jobfolder import ALPHAS, FinishedJob, Job
from medloupe.training.tune.jobs import parallel_jobs, run_jobs
from medloupe.training.tune.network import interpolate_weights
from medloupe.training.tune.recipe import DEFAULTS, Recipe
from medloupe.training.tune.share import SHARE, ShareChoice, choose_share
from medloupe.training.tune.split import require_folds, split_off_checked
from medloupe.training.tune.views import Symmetry
from medloupe.utils.files import write_atomically
from medloupe.utils.progress import StageProgress

if TYPE_CHECKING:
    from onnx import ModelProto

FOLDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedNetworks:
    """Networks tuned on a data set, and what they make of it.

    Attributes
    ----------
    kind : str
        What was trained: "tail" or "full".
    fitting : np.ndarray
        int (n,), rows of the features that trainings drew from.
    fold : np.ndarray
        int (n,), the fold of each of them.
    of_fold : tuple of FinishedJob
        A training for each fold, on the others.
    final : FinishedJob
        The one on all of fitting.
    base : np.ndarray
        float32 (N, D), the untuned embeddings.
    width : int
        How many of their leading numbers a tail replaces; D for a whole network.
    recipe : Recipe
        As it was carried out.
    symmetry : Symmetry
        Which views were made.
    start : Tail or None
        That was gone on from.
    words : str
        What was given up for the time, a sentence or "".
    seconds : float
        Of everything, on this machine.
    views : FieldFeatures or None
        Field views of rows of the features, by the untuned network; None where no job saw any.
    share : ShareChoice or None
        How it was decided whether the networks learn from these; None where that was not asked.
    """

    kind: Literal["tail", "full"]
    fitting: np.ndarray
    fold: np.ndarray
    of_fold: tuple[FinishedJob, ...]
    final: FinishedJob
    base: np.ndarray
    width: int
    recipe: Recipe
    symmetry: Symmetry
    start: Tail | None
    words: str
    seconds: float
    views: FieldFeatures | None = None
    share: ShareChoice | None = None

    def see_views(self, fold: int | None, alpha: float) -> FieldFeatures:
        """Give the field views by the network of a fold (None: the final one) at an alpha."""
        assert self.views is not None
        return (self.final if fold is None else self.of_fold[fold]).see_views(self.views, alpha)

    def embeddings(self, fold: int | None, alpha: float) -> np.ndarray:
        """Take the embeddings float32 (N, D) by the network of a fold (None: the final one) at an alpha."""
        if alpha == 0:
            return self.base
        done = self.final if fold is None else self.of_fold[fold]
        return join_outputs(done.embeddings[alpha], self.base)

    @property
    def alphas(self) -> tuple[float, ...]:
        """How far from the untuned weights (0) to the tuned ones (1) there are embeddings, ascending."""
        return tuple(sorted(self.final.embeddings))


def default_recipe(kind: Literal["tail", "full"], count: int) -> Recipe:
    """Choose the default recipe; sets of few pictures (count) are seen more often, so that steps enough are made."""
    recipe = DEFAULTS[kind]
    extra = 8 if count < 500 else 6 if count < 1000 else recipe.epochs
    return replace(recipe, epochs=max(recipe.epochs, extra) if kind == "tail" else recipe.epochs)


def tune(
    features: Features,
    plan: Plan,
    backbone: Backbone,
    recipe: Recipe,
    *,
    seed: int,
    minutes: float | None = None,
    start: Tail | None = None,
    base: np.ndarray | None = None,
    field: tuple[FieldFeatures, FieldCuts] | None = None,
    progress: StageProgress | None = None,
) -> TunedNetworks:
    """Tune a network on each fold's others and on all of plan.fitting; a killed run goes on where it was.

    Parameters
    ----------
    features : Features
        Of the backbone as it is, float32 (N, D).
    plan : Plan
        Groups, and the rows that trainings may draw from.
    recipe : Recipe
        As asked for.
    seed : int
        Of folds and trainings.
    minutes : float or None
        Fewer views, epochs and folds are taken to stay within; None for as long as it takes.
    start : Tail or None
        A tail to go on from.
    base : np.ndarray or None
        float32 (N, D), embeddings with it, if there is one.
    field : tuple of (FieldFeatures, FieldCuts), optional
        Field views to learn from, of a tail; whether that is done is decided on one fold (tune.share).
    progress : StageProgress or None
        Called with the stages "preparing" and "fine-tuning".

    Raises
    ------
    FinetuneError
        When PyTorch is missing, the network cannot be trained, the data has too few groups, or even the least would
        take longer than minutes.
    StoreError
        When the disk is full.
    """
    started = time.perf_counter()
    import_torch()
    say = progress or (lambda stage, done, total: None)
    y = features.data.targets[plan.fitting]
    groups = plan.groups[plan.fitting]
    count = require_folds(y, groups, FOLDS, "judge a tuned network", "use --finetune none")
    base = features.embeddings if base is None else base

    def jobs_of(planned: TuningPlan) -> list[Job]:
        fold = assign_folds(y, groups, planned.folds, seed)
        parts = [(f"fold-{f}", plan.fitting[fold != f], seed + f) for f in range(planned.folds)]
        parts.append(("final", plan.fitting, seed))
        taught = "field-" if planned.recipe.field else ""
        return [
            _job(taught + name, rows, plan.groups, planned.recipe, s, features.data.targets) for name, rows, s in parts
        ]

    asked = TuningPlan(recipe=replace(recipe, field=SHARE if field is not None else 0.0), folds=count)
    recipe = asked.recipe
    key = cache_key(features, plan, backbone, jobs_of(asked), start, __name__) + (f"-{minutes:g}" if minutes else "")
    key += f"-{field[1].path.parent.name}" if field is not None else ""
    folder = home() / "cache" / "tuning" / key
    planned = _read_plan(folder)
    model = load_graph(backbone)
    allowed, a_view = time_symmetry_probe(features, backbone, plan.groups, seed)
    if planned is not None:
        recipe = planned.recipe
    elif minutes is not None and recipe.kind == "tail":
        left = minutes * 60 - (time.perf_counter() - started)
        recipe = limit_views(recipe, lambda views: count_missing(features, backbone, allowed, views), a_view, left)
    inputs, width = prepare_inputs(
        features, backbone, model, recipe, allowed, start, say, base, None if field is None else field[1]
    )
    if planned is None:
        planned = asked
        if minutes is not None:
            each = measure_seconds_an_image(inputs, recipe, model, features)
            left = minutes * 60 - (time.perf_counter() - started)
            views = 0 if field is None else len(field[1].places)
            planned = _limit_plan(asked, recipe, len(plan.fitting), each, minutes, left, views)
        _write_plan(planned, folder)
    data = features.data
    share = None

    def tell(at: int, of: int) -> None:
        say("fine-tuning", at, of)

    if field is not None and planned.recipe.field:
        alone = replace(planned, recipe=replace(planned.recipe, field=0.0))
        pair = [jobs_of(alone)[0], jobs_of(planned)[0]]  # the first fold, without and with views
        first, second = run_jobs(pair, inputs, data.targets, data.task, folder, tell)
        own = assign_folds(y, groups, planned.folds, seed) == 0
        share = choose_share(
            first,
            second,
            base,
            field[0],
            plan.fitting,
            own,
            data.targets,
            plan.groups,
            task=data.task,
            levels=backbone.card.levels,
        )
        planned = planned if share.share else alone
    jobs = jobs_of(planned)
    done = run_jobs(jobs, inputs, data.targets, data.task, folder, tell)
    # where trainings were taken up from before, what they took then
    spent = max(time.perf_counter() - started, sum(d.seconds for d in done) / min(parallel_jobs(), len(done)))
    return TunedNetworks(
        kind="tail" if recipe.kind == "tail" else "full",
        fitting=plan.fitting,
        fold=assign_folds(y, groups, planned.folds, seed),
        of_fold=tuple(done[:-1]),
        final=done[-1],
        base=base,
        width=width,
        recipe=planned.recipe,
        symmetry=allowed,
        start=start,
        words=planned.words,
        seconds=round(spent, 1),
        views=None if field is None else field[0],
        share=share,
    )


def _read_plan(folder: Path) -> TuningPlan | None:
    """Read what a run decided before: a second one must not decide otherwise, so that it goes on where that was."""
    decided = folder / "taken.json"
    return TuningPlan.from_json(json.loads(decided.read_text())) if decided.exists() else None


def _write_plan(planned: TuningPlan, folder: Path) -> None:
    with explain_disk_errors(folder, 10**8):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / "taken.json", json.dumps(planned.as_json()).encode())
        evict_caches(folder)


def build_tuned_graph(backbone: Backbone, tuned: TunedNetworks, alpha: float) -> ModelProto:
    """Build the final network at an alpha of the way, 0 to 1: a tail's graph, or the whole backbone's."""
    import onnx

    own = onnx.load(tuned.start.path, load_external_data=False) if tuned.start is not None else None
    if tuned.kind == "tail":
        graph = own or extract_upper_part(load_graph(backbone))
    else:
        graph = merge_weights(load_graph(backbone), own) if own is not None else load_graph(backbone)
    held = {name.replace(".", "_"): value for name, value in read_constants(graph).items()}
    return replace_weights(graph, interpolate_weights(tuned.final.weights, held, alpha))


def _job(name: str, rows: np.ndarray, groups: np.ndarray, recipe: Recipe, seed: int, targets: np.ndarray) -> Job:
    """Make a job of rows, of whose groups a part only stops the training."""
    learned, checked = split_off_checked(rows, targets, groups, seed)
    return Job(name=name, rows=learned, checked=checked, recipe=recipe, seed=seed, alphas=ALPHAS)


def _limit_plan(
    asked: TuningPlan, recipe: Recipe, n: int, each: float, minutes: float, left: float, views: int = 0
) -> TuningPlan:
    """Plan what fits into the seconds left, with the views of recipe; where little does, without field views.

    each: seconds to train on a picture. views: field views, of all pictures.
    """
    cores = parallel_jobs()

    def fit(recipe: Recipe) -> TuningPlan:
        compared = 1 if recipe.field else 0  # a training of the first fold without views, held against that with them

        def needs(epochs: int, folds: int) -> float:
            rounds = n * (folds - 1) + n  # every fold's others, and all
            rounds += compared * n * (folds - 1) / folds
            looks = (n + views) * each / 2 * len(ALPHAS)
            side_by_side = min(cores, folds + 1)
            longest = n * each * epochs + looks  # the final one, on all
            return max(longest, (rounds * each * epochs + (folds + 1 + compared) * looks) / side_by_side)

        return limit_trainings(TuningPlan(recipe=recipe, folds=asked.folds), n, needs, minutes, left)

    try:
        planned = fit(recipe)
    except FinetuneError:
        if not recipe.field:
            raise
        planned = fit(replace(recipe, field=0.0))
    return replace(planned, words=describe_reductions(asked, planned, minutes))
