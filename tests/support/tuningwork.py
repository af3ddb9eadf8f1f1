"""Trainings of a tiny network as jobs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import tunable
from medloupe.embed.tail import find_upper_part
from medloupe.graphs.session import open_session, run
from medloupe.training.tune.activations import Activations, cache_activations
from medloupe.training.tune.jobfolder import Job, TrainingInputs
from medloupe.training.tune.loader import ActivationSource
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry

STILL = Symmetry(mirror=False, turn=False)


N = 24


ROWS, CHECKED = np.arange(16), np.arange(16, N)


QUICK = Recipe(epochs=2, batch=8, views=2)


LONG = Recipe(epochs=40, batch=8, views=2, patience=999)


LONGER = replace(LONG, epochs=150)  # one must not have ended when the other begins


def activation_source(folder: Path, sick: np.ndarray) -> ActivationSource:
    """Activations of one picture for each entry, bool, of which some are sick."""
    network = tunable.backbone(folder)
    images = np.stack([tunable.picture(i, bool(s)) for i, s in enumerate(sick)])
    cut, embedding = run(open_session(network.path), ["cut", "embedding"], images)
    maps = cut.transpose(0, 2, 3, 1).astype(np.float16)
    return ActivationSource(Activations(maps=(maps,)), embedding[:, : tunable.UPPER], 1)


def prepared(folder: Path) -> dict[str, Any]:
    """Arguments of `run` but the jobs; a home must be in force."""
    network = tunable.backbone(folder / "backbone")
    features = tunable.features(network, N)
    cached = cache_activations(features, network, STILL, 2)
    assert find_upper_part(tunable.graph()).width == tunable.UPPER
    inputs = TrainingInputs(
        backbone=network.path,
        start=None,
        files=cached.files,
        shape=cached.maps[0].shape,
        embeddings=np.ascontiguousarray(features.embeddings[:, : tunable.UPPER]),
        symmetry=STILL,
    )
    return {"inputs": inputs, "targets": features.data.targets, "task": "multiclass", "folder": folder / "jobs"}


def job(name: str = "one", recipe: Recipe = QUICK, **other: Any) -> Job:
    return Job(**{"name": name, "rows": ROWS, "checked": CHECKED, "recipe": recipe, "seed": 3, **other})
