"""Prepare what trainings read: which views a picture may have, activations or pixels on the disk, and their name."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from medloupe.data.split import Plan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.field_cuts import FieldCuts
from medloupe.embed.tail import Tail, find_upper_part, has_upper_part
from medloupe.graphs.module import import_torch, randomise_weights
from medloupe.graphs.session import open_session, run
from medloupe.imaging.decode import load
from medloupe.settings import threads
from medloupe.training.tune.activations import cache_activations, cache_pixels
from medloupe.training.tune.jobfolder import JOB_MODULE, Job, TrainingInputs
from medloupe.training.tune.loader import open_source
from medloupe.training.tune.loop import Examples, train
from medloupe.training.tune.network import extract_trainable
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import PROBE_PICTURES, Symmetry, crop_centre, judge_symmetry, symmetry_variants
from medloupe.utils.progress import StageProgress
from medloupe.utils.sourcecode import source_digest

if TYPE_CHECKING:
    from onnx import ModelProto

_TRIED = 3  # batches by which the time is estimated


def probe_symmetry(features: Features, backbone: Backbone, groups: np.ndarray, seed: int) -> Symmetry:
    """Find which changes leave these pictures what they are, asked of some of them, one a group: int (N,)."""
    rng = np.random.default_rng(seed)
    first = np.unique(groups, return_index=True)[1]
    rows = np.sort(rng.permutation(first)[:PROBE_PICTURES])
    network, size = open_session(backbone.path, threads=threads()), backbone.card.input_size
    found = []
    for row in rows:
        facts = features.facts[row]
        middle = crop_centre(load(features.data.records[row].picture, size), int(facts["width"]), int(facts["height"]))
        found.append(run(network, ["embedding"], np.stack(symmetry_variants(middle)))[0])
    return judge_symmetry(list(np.stack(found).transpose(1, 0, 2)), np.arange(len(rows)), seed)


def time_symmetry_probe(
    features: Features, backbone: Backbone, groups: np.ndarray, seed: int
) -> tuple[Symmetry, float]:
    """Find what probe_symmetry does, and the seconds that making and embedding one view took."""
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
    say: StageProgress,
    base: np.ndarray | None = None,
    field: FieldCuts | None = None,
) -> tuple[TrainingInputs, int]:
    """Put what all jobs read on the disk.

    Parameters
    ----------
    features : Features
        Of the backbone as it is, float32 (N, D).
    model : ModelProto
        The backbone's graph.
    recipe : Recipe
        Its kind and views decide what is cached.
    allowed : Symmetry
        Which changes the views may have.
    start : Tail or None
        A tail to start from.
    say : StageProgress
        Called while it is prepared.
    base : np.ndarray or None
        float32 (N, D), the embeddings that training starts from, where they are not the backbone's.
    field : FieldCuts or None
        Of field views.

    Returns
    -------
    tuple of (TrainingInputs, int)
        The inputs, and how many leading numbers of the embedding are trained.

    Raises
    ------
    StoreError
        When the disk is full.
    """
    above = find_upper_part(model).width if recipe.kind == "tail" or has_upper_part(model) else backbone.card.dimension
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
        field=field,
    )
    return inputs, width


def measure_seconds_an_image(inputs: TrainingInputs, recipe: Recipe, model: ModelProto, features: Features) -> float:
    """Measure how long a training step takes an image, in seconds on one core: a few batches on throw-away weights."""
    torch = import_torch()
    rows = np.arange(min(len(features.data), recipe.batch * _TRIED))
    source = open_source(inputs.files, inputs.shape, inputs.embeddings, inputs.symmetry, recipe, inputs.field)
    module = extract_trainable(model, recipe)
    if recipe.kind == "scratch":
        randomise_weights(module, 0)
    before = torch.get_num_threads()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    try:
        short = replace(recipe, epochs=1)
        data = features.data
        both = Examples(source=source, targets=data.targets, rows=rows, checked=rows[:0], task=data.task)
        train(module, replace(both, rows=rows[: recipe.batch]), short, seed=0)  # the first steps also set up
        done = train(module, both, short, seed=0)
    finally:
        torch.set_num_threads(before)
    return done.seconds / max(1, done.images)


def cache_key(
    features: Features,
    plan: Plan,
    backbone: Backbone,
    jobs: Sequence[Job],
    start: Tail | None,
    *also: str,
) -> str:
    """Name a folder by everything that the trainings depend on, so that nothing stale is taken up.

    Parameters
    ----------
    features, plan, backbone, jobs, start
        Data, split, network and trainings.
    *also : str
        More modules whose code, with all that they import, decides on it.
    """
    key = hashlib.sha256(backbone.sha256.encode())
    key.update(source_digest(__name__, JOB_MODULE, *also).encode())
    key.update(features.data.task.encode())
    for digest in features.digests:
        key.update(digest)
    key.update(np.ascontiguousarray(features.data.targets).tobytes() + plan.groups.tobytes() + plan.fitting.tobytes())
    key.update((start.sha256 if start else "").encode())
    for job in jobs:
        key.update(repr((job.name, job.recipe, job.seed, job.alphas, job.rows.tolist())).encode())
    return key.hexdigest()[:24]
