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
from medloupe.embed.tail import Tail, find_upper_part, has_upper_part, join_outputs, load_graph
from medloupe.errors import FinetuneError
from medloupe.graphs.module import import_torch, randomise_weights
from medloupe.settings import home, threads
from medloupe.training.tune.activations import cuts, explained, fitted_pixels, make_room, missing
from medloupe.training.tune.budget import Taken, given_up, trainings_within, views_within
from medloupe.training.tune.jobs import SHARES, Done, Inputs, Job, at_once, run
from medloupe.training.tune.recipe import DEFAULTS, Recipe
from medloupe.training.tune.views import PROBED, Symmetry, centre, changes, symmetry
from medloupe.utils.files import write_atomically
from medloupe.utils.sourcecode import source_digest

if TYPE_CHECKING:
    from onnx import ModelProto

FOLDS = 3
CHECKED = 0.12  # share of a training part's groups that only stops the training
_RUNS = "medloupe.training.tune.job"  # in a process of its own
_TRIED = 3  # batches by which the time is estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Networks tuned on a data set, and what they make of it.

    kind: what was trained. fitting: rows of the features that trainings drew from. fold: int (n,), the fold of each of
    them. of_fold: a training for each fold, on the others. final: the one on all of fitting. base: float32 (N, D), the
    untuned embeddings. width: how many of their leading numbers a tail replaces; D for a whole network.
    words: what was done, in sentences. seconds: of everything, on this machine.
    """

    kind: Literal["tail", "full"]
    fitting: np.ndarray
    fold: np.ndarray
    of_fold: tuple[Done, ...]
    final: Done
    base: np.ndarray
    width: int
    recipe: Recipe
    symmetry: Symmetry
    start: Tail | None
    words: str
    seconds: float

    def embeddings(self, fold: int | None, share: float) -> np.ndarray:
        """float32 (N, D) by the network of a fold (None: the final one) at a share of the way from the untuned."""
        if share == 0:
            return self.base
        done = self.final if fold is None else self.of_fold[fold]
        return join_outputs(done.embeddings[share], self.base)

    @property
    def shares(self) -> tuple[float, ...]:
        return tuple(sorted(self.final.embeddings))


def recipe_for(kind: Literal["tail", "full"], count: int) -> Recipe:
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
) -> Tuned:
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

    def jobs_of(taken: Taken) -> list[Job]:
        fold = folds(y, groups, taken.folds, seed)
        parts = [(f"fold-{f}", plan.fitting[fold != f], seed + f) for f in range(taken.folds)]
        parts.append(("final", plan.fitting, seed))
        return [_job(name, rows, plan.groups, taken.recipe, s, features.data.targets) for name, rows, s in parts]

    asked = Taken(recipe=recipe, folds=count)
    key = key_of(features, plan, backbone, jobs_of(asked), start) + (f"-{minutes:g}" if minutes else "")
    folder = home() / "cache" / "tuning" / key
    decided = folder / "taken.json"  # a second run must not decide otherwise: it goes on where the first was
    taken = Taken.from_json(json.loads(decided.read_text())) if decided.exists() else None
    model = load_graph(backbone)
    allowed, a_view = timed_probe(features, backbone, plan.groups, seed)
    if taken is not None:
        recipe = taken.recipe
    elif minutes is not None and recipe.kind == "tail":
        left = minutes * 60 - (time.perf_counter() - started)
        recipe = views_within(recipe, lambda views: missing(features, backbone, allowed, views), a_view, left)
    inputs, width = inputs_of(features, backbone, model, recipe, allowed, start, say, base)
    if taken is None:
        if minutes is None:
            taken = asked
        else:
            each = seconds_an_image(inputs, recipe, model, features)
            left = minutes * 60 - (time.perf_counter() - started)
            taken = _taken(asked, recipe, len(plan.fitting), each, minutes, left)
        with explained(folder, 10**8):
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(decided, json.dumps(taken.as_json()).encode())
            make_room(folder)
    jobs = jobs_of(taken)
    data = features.data
    done = run(jobs, inputs, data.targets, data.task, folder, lambda at, of: say("fine-tuning", at, of))
    # where trainings were taken up from before, what they took then
    spent = max(time.perf_counter() - started, sum(d.seconds for d in done) / min(at_once(), len(done)))
    return Tuned(
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


def tuned_graph(backbone: Backbone, tuned: Tuned, share: float) -> ModelProto:
    """The final network at a share of the way: a tail's graph, or the whole backbone's."""
    import onnx

    from medloupe.embed.tail import extract_upper_part, merge_weights
    from medloupe.graphs.module import replace_weights
    from medloupe.graphs.nodes import read_constants
    from medloupe.training.tune.loop import between

    own = onnx.load(tuned.start.path, load_external_data=False) if tuned.start is not None else None
    if tuned.kind == "tail":
        graph = own or extract_upper_part(load_graph(backbone))
    else:
        graph = merge_weights(load_graph(backbone), own) if own is not None else load_graph(backbone)
    held = {name.replace(".", "_"): value for name, value in read_constants(graph).items()}
    return replace_weights(graph, between(tuned.final.weights, held, share))


def probed(features: Features, backbone: Backbone, groups: np.ndarray, seed: int) -> Symmetry:
    """Which changes leave these pictures what they are, asked of some of them, one a group."""
    from medloupe.graphs.session import open_session
    from medloupe.graphs.session import run as answer
    from medloupe.imaging.decode import load

    rng = np.random.default_rng(seed)
    first = np.unique(groups, return_index=True)[1]
    rows = np.sort(rng.permutation(first)[:PROBED])
    network, size = open_session(backbone.path, threads=threads()), backbone.card.input_size
    found = []
    for row in rows:
        facts = features.facts[row]
        middle = centre(load(features.data.records[row].picture, size), int(facts["width"]), int(facts["height"]))
        found.append(answer(network, ["embedding"], np.stack(changes(middle)))[0])
    return symmetry(list(np.stack(found).transpose(1, 0, 2)), np.arange(len(rows)), seed)


def timed_probe(features: Features, backbone: Backbone, groups: np.ndarray, seed: int) -> tuple[Symmetry, float]:
    """As probed, and the seconds that making and embedding one view took."""
    started = time.perf_counter()
    allowed = probed(features, backbone, groups, seed)
    looks = len(changes(np.empty((1, 1, 3)))) * min(PROBED, len(np.unique(groups)))
    return allowed, (time.perf_counter() - started) / looks


def inputs_of(
    features: Features,
    backbone: Backbone,
    model: ModelProto,
    recipe: Recipe,
    allowed: Symmetry,
    start: Tail | None,
    say: Callable[[str, int, int], None],
    base: np.ndarray | None = None,
) -> tuple[Inputs, int]:
    """What all jobs read, on the disk; and how many leading numbers of the embedding are trained. base: float32 (N, D),
    the embeddings that training starts from, where they are not the backbone's."""
    above = find_upper_part(model).width if recipe.kind == "tail" or has_upper_part(model) else backbone.card.dimension
    seen = np.ascontiguousarray((features.embeddings if base is None else base)[:, :above])

    def tell(done: int, total: int) -> None:
        say("preparing", done, total)

    if recipe.kind == "tail":
        cached = cuts(features, backbone, allowed, recipe.views, tell)
        files, shape, width = cached.files, cached.maps[0].shape, above
    else:
        path, shape = fitted_pixels(features, backbone, tell)
        files, width = (path,), backbone.card.dimension
    inputs = Inputs(
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
    return Job(name=name, rows=rows, checked=checked, recipe=recipe, seed=seed, shares=SHARES)


def seconds_an_image(inputs: Inputs, recipe: Recipe, model: ModelProto, features: Features) -> float:
    """Of training, on one core: a few batches on throw-away weights."""
    from medloupe.training.tune.loader import source_of
    from medloupe.training.tune.loop import train, trainable

    torch = import_torch()
    rows = np.arange(min(len(features.data), recipe.batch * _TRIED))
    source = source_of(inputs.files, inputs.shape, inputs.embeddings, inputs.symmetry, recipe)
    module = trainable(model, recipe)
    if recipe.kind == "scratch":
        randomise_weights(module, 0)
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


def _taken(asked: Taken, recipe: Recipe, n: int, each: float, minutes: float, left: float) -> Taken:
    """What of the asked fits into the seconds left, with the views of recipe. each: seconds to train on a picture."""
    cores = at_once()

    def needs(epochs: int, folds: int) -> float:
        rounds = n * (folds - 1) + n  # every fold's others, and all
        looks = n * each / 2 * len(SHARES)
        side_by_side = min(cores, folds + 1)
        longest = n * each * epochs + looks  # the final one, on all
        return max(longest, (rounds * each * epochs + (folds + 1) * looks) / side_by_side)

    taken = trainings_within(Taken(recipe=recipe, folds=asked.folds), n, needs, minutes, left)
    return replace(taken, words=given_up(asked, taken, minutes))


def key_of(
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
        key.update(repr((job.name, job.recipe, job.seed, job.shares, job.rows.tolist())).encode())
    return key.hexdigest()[:24]
