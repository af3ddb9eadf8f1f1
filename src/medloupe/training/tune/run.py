"""Fine-tuning as a whole: folds by patient, one training each, one on all, and what they saw of every picture.

A tuned network may be judged only by pictures that it did not learn from. So for every fold a network is trained on the
other folds, and what is compared (linear head, tuned, halfway between) is compared on predictions made that way.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medloupe.data.split import Plan, fold_count, folds
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.tail import Tail, graph_of, has_upper, joined, upper
from medloupe.errors import FinetuneError
from medloupe.graphs.module import import_torch, randomised
from medloupe.settings import home, threads
from medloupe.training.tune.activations import (
    cache_activations,
    cache_pixels,
    count_missing,
    evict_caches,
    explain_disk_errors,
)
from medloupe.training.tune.budget import TuningPlan, describe_reductions, limit_trainings, limit_views
from medloupe.training.tune.jobs import ALPHAS, FinishedJob, Job, TrainingInputs, parallel_jobs, run_jobs
from medloupe.training.tune.recipe import DEFAULTS, Recipe
from medloupe.training.tune.views import PROBE_PICTURES, Symmetry, crop_centre, judge_symmetry, symmetry_variants
from medloupe.utils.files import write_atomically
from medloupe.utils.sourcecode import source_digest

if TYPE_CHECKING:
    from onnx import ModelProto

FOLDS = 3
CHECKED = 0.12  # share of a training part's groups that only stops the training
_RUNS = "medloupe.training.tune.job"  # in a process of its own
_TRIED = 3  # batches by which the time is estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedNetworks:
    """Networks tuned on a data set, and what they make of it.

    kind: what was trained. fitting: rows of the features that trainings drew from. fold: int (n,), the fold of each of
    them. of_fold: a training for each fold, on the others. final: the one on all of fitting. base: float32 (N, D), the
    untuned embeddings. width: how many of their leading numbers a tail replaces; D for a whole network.
    words: what was done, in sentences. seconds: of everything, on this machine.
    """

    kind: Literal["tail", "full"]
    fitting: np.ndarray
    fold: np.ndarray
    of_fold: tuple[FinishedJob, ...]
    final: FinishedJob
    base: np.ndarray
    width: int
    recipe: Recipe
    judge_symmetry: Symmetry
    start: Tail | None
    words: str
    seconds: float

    def embeddings(self, fold: int | None, alpha: float) -> np.ndarray:
        """float32 (N, D) by the network of a fold (None: the final one) at a share of the way from the untuned."""
        if alpha == 0:
            return self.base
        done = self.final if fold is None else self.of_fold[fold]
        return joined(done.embeddings[alpha], self.base)

    @property
    def alphas(self) -> tuple[float, ...]:
        return tuple(sorted(self.final.embeddings))


def default_recipe(kind: Literal["tail", "full"], count: int) -> Recipe:
    """The default recipe; small sets are seen more often, so that steps enough are made."""
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
    progress: Callable[[str, int, int], None] | None = None,
) -> TunedNetworks:
    """Tune a network on each fold's others and on all of plan.fitting.

    start: a tail to go on from. base: embeddings (N, D) with it, if there is one. minutes: fewer epochs and folds are
    taken to stay within. Raises FinetuneError when PyTorch is missing, the network cannot be trained, or even the least
    would take longer than minutes; StoreError when the disk is full. A killed run goes on where it was.
    """
    started = time.perf_counter()
    import_torch()
    say = progress or (lambda stage, done, total: None)
    y = features.data.targets[plan.fitting]
    groups = plan.groups[plan.fitting]
    count = fold_count(y, groups, FOLDS)
    if not count:
        raise FinetuneError(
            "The data has too few patients or groups to judge a tuned network: two with and two without a label are"
            " needed.",
            "Bring more patients, or use --finetune none.",
        )
    base = features.embeddings if base is None else base

    def jobs_of(taken: TuningPlan) -> list[Job]:
        fold = folds(y, groups, taken.folds, seed)
        parts = [(f"fold-{f}", plan.fitting[fold != f], seed + f) for f in range(taken.folds)]
        parts.append(("final", plan.fitting, seed))
        return [_job(name, rows, plan.groups, taken.recipe, s, features.data.targets) for name, rows, s in parts]

    asked = TuningPlan(recipe=recipe, folds=count)
    key = cache_key(features, plan, backbone, jobs_of(asked), start) + (f"-{minutes:g}" if minutes else "")
    folder = home() / "cache" / "tuning" / key
    decided = folder / "taken.json"  # a second run must not decide otherwise: it goes on where the first was
    taken = TuningPlan.from_json(json.loads(decided.read_text())) if decided.exists() else None
    model = graph_of(backbone)
    allowed, a_view = time_symmetry_probe(features, backbone, plan.groups, seed)
    if taken is not None:
        recipe = taken.recipe
    elif minutes is not None and recipe.kind == "tail":
        left = minutes * 60 - (time.perf_counter() - started)
        recipe = limit_views(recipe, lambda views: count_missing(features, backbone, allowed, views), a_view, left)
    inputs, width = prepare_inputs(features, backbone, model, recipe, allowed, start, say, base)
    if taken is None:
        if minutes is None:
            taken = asked
        else:
            each = measure_seconds_an_image(inputs, recipe, model, features)
            left = minutes * 60 - (time.perf_counter() - started)
            taken = _limit_plan(asked, recipe, len(plan.fitting), each, minutes, left)
        with explain_disk_errors(folder, 10**8):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(decided, json.dumps(taken.as_json()).encode())
            evict_caches(folder)
    jobs = jobs_of(taken)
    data = features.data
    done = run_jobs(jobs, inputs, data.targets, data.task, folder, lambda at, of: say("fine-tuning", at, of))
    # where trainings were taken up from before, what they took then
    spent = max(time.perf_counter() - started, sum(d.seconds for d in done) / min(parallel_jobs(), len(done)))
    return TunedNetworks(
        kind="tail" if recipe.kind == "tail" else "full",
        fitting=plan.fitting,
        fold=folds(y, groups, taken.folds, seed),
        of_fold=tuple(done[:-1]),
        final=done[-1],
        base=base,
        width=width,
        recipe=taken.recipe,
        symmetry=allowed,
        start=start,
        words=taken.words,
        seconds=round(spent, 1),
    )


def build_tuned_graph(backbone: Backbone, tuned: TunedNetworks, alpha: float) -> ModelProto:
    """The final network at a share of the way: a tail's graph, or the whole backbone's."""
    import onnx

    from medloupe.embed.tail import merged, split_off
    from medloupe.graphs.module import with_weights
    from medloupe.graphs.nodes import constants
    from medloupe.training.tune.loop import interpolate_weights

    own = onnx.load(tuned.start.path, load_external_data=False) if tuned.start is not None else None
    if tuned.kind == "tail":
        graph = own or split_off(graph_of(backbone))
    else:
        graph = merged(graph_of(backbone), own) if own is not None else graph_of(backbone)
    held = {name.replace(".", "_"): value for name, value in constants(graph).items()}
    return with_weights(graph, interpolate_weights(tuned.final.weights, held, alpha))


def probe_symmetry(features: Features, backbone: Backbone, groups: np.ndarray, seed: int) -> Symmetry:
    """Which changes leave these pictures what they are, asked of some of them, one a group."""
    from medloupe.graphs.session import run as answer
    from medloupe.graphs.session import session
    from medloupe.imaging.decode import load

    rng = np.random.default_rng(seed)
    first = np.unique(groups, return_index=True)[1]
    rows = np.sort(rng.permutation(first)[:PROBE_PICTURES])
    network, size = session(backbone.path, threads=threads()), backbone.card.input_size
    found = []
    for row in rows:
        facts = features.facts[row]
        middle = crop_centre(load(features.data.records[row].picture, size), int(facts["width"]), int(facts["height"]))
        found.append(answer(network, ["embedding"], np.stack(symmetry_variants(middle)))[0])
    return judge_symmetry(list(np.stack(found).transpose(1, 0, 2)), np.arange(len(rows)), seed)


def time_symmetry_probe(
    features: Features, backbone: Backbone, groups: np.ndarray, seed: int
) -> tuple[Symmetry, float]:
    """As probed, and the seconds that making and embedding one view took."""
    started = time.perf_counter()
    allowed = probe_symmetry(features, backbone, groups, seed)
    looks = len(symmetry_variants(np.empty((1, 1, 3)))) * min(PROBE_PICTURES, len(np.unique(groups)))
    return allowed, (time.perf_counter() - started) / looks


def prepare_inputs(
    features: Features,
    backbone: Backbone,
    model: ModelProto,
    recipe: Recipe,
    allowed: Symmetry,
    start: Tail | None,
    say: Callable[[str, int, int], None],
    base: np.ndarray | None = None,
) -> tuple[TrainingInputs, int]:
    """What all jobs read, on the disk; and how many leading numbers of the embedding are trained. base: float32 (N, D),
    the embeddings that training starts from, where they are not the backbone's."""
    above = upper(model).width if recipe.kind == "tail" or has_upper(model) else backbone.card.dimension
    seen = np.ascontiguousarray((features.embeddings if base is None else base)[:, :above])

    def tell(done: int, total: int) -> None:
        say("preparing", done, total)

    if recipe.kind == "tail":
        cached = cache_activations(features, backbone, allowed, recipe.views, tell)
        files, shape, width = cached.files, cached.maps[0].shape, above
    else:
        path, shape = cache_pixels(features, backbone, tell)
        files, width = (path,), backbone.card.dimension
    inputs = TrainingInputs(
        backbone=backbone.path,
        start=start.path if start else None,
        files=files,
        shape=shape,
        embeddings=seen,
        symmetry=allowed,
    )
    return inputs, width


def _job(name: str, rows: np.ndarray, groups: np.ndarray, recipe: Recipe, seed: int, targets: np.ndarray) -> Job:
    """Part of the groups only stops the training; with too few, none does, and it runs to its end."""
    count = round(1 / CHECKED)
    checked = np.empty(0, np.int64)
    if fold_count(targets[rows], groups[rows], count) == count:
        fold = folds(targets[rows], groups[rows], count, seed)
        checked, rows = rows[fold == 0], rows[fold != 0]
    return Job(name=name, rows=rows, checked=checked, recipe=recipe, seed=seed, alphas=ALPHAS)


def measure_seconds_an_image(inputs: TrainingInputs, recipe: Recipe, model: ModelProto, features: Features) -> float:
    """Of training, on one core: a few batches on throw-away weights."""
    from medloupe.training.tune.loader import open_source
    from medloupe.training.tune.loop import extract_trainable, train

    torch = import_torch()
    rows = np.arange(min(len(features.data), recipe.batch * _TRIED))
    source = open_source(inputs.files, inputs.shape, inputs.embeddings, inputs.symmetry, recipe)
    module = extract_trainable(model, recipe)
    if recipe.kind == "scratch":
        randomised(module, 0)
    before = torch.get_num_threads()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    try:
        short = replace(recipe, epochs=1)
        y = features.data.targets
        args: dict[str, Any] = {"task": features.data.task, "seed": 0}
        train(module, source, y, rows[: recipe.batch], rows[:0], short, **args)  # the first steps also set up
        done = train(module, source, y, rows, rows[:0], short, **args)
    finally:
        torch.set_num_threads(before)
    return done.seconds / max(1, done.images)


def _limit_plan(asked: TuningPlan, recipe: Recipe, n: int, each: float, minutes: float, left: float) -> TuningPlan:
    """What of the asked fits into the seconds left, with the views of recipe. each: seconds to train on a picture."""
    cores = parallel_jobs()

    def needs(epochs: int, folds: int) -> float:
        rounds = n * (folds - 1) + n  # every fold's others, and all
        looks = n * each / 2 * len(ALPHAS)
        side_by_side = min(cores, folds + 1)
        longest = n * each * epochs + looks  # the final one, on all
        return max(longest, (rounds * each * epochs + (folds + 1) * looks) / side_by_side)

    taken = limit_trainings(TuningPlan(recipe=recipe, folds=asked.folds), n, needs, minutes, left)
    return replace(taken, words=describe_reductions(asked, taken, minutes))


def cache_key(
    features: Features,
    plan: Plan,
    backbone: Backbone,
    jobs: Sequence[Job],
    start: Tail | None,
    *also: str,
) -> str:
    """Named by everything that the trainings depend on, so that nothing stale is taken up. also: more modules whose
    code, with all that they import, decides on it."""
    key = hashlib.sha256(backbone.sha256.encode())
    key.update(source_digest(__name__, _RUNS, *also).encode())
    key.update(features.data.task.encode())
    for digest in features.digests:
        key.update(digest)
    key.update(np.ascontiguousarray(features.data.targets).tobytes() + plan.groups.tobytes() + plan.fitting.tobytes())
    key.update((start.sha256 if start else "").encode())
    for job in jobs:
        key.update(repr((job.name, job.recipe, job.seed, job.alphas, job.rows.tolist())).encode())
    return key.hexdigest()[:24]
