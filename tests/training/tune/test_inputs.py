"""What trainings read: measured, and named by all that they depend on."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tunable
from medloupe.data.split import Plan
from medloupe.embed import tail
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.training.tune import inputs, run
from medloupe.training.tune.inputs import cache_key
from medloupe.training.tune.jobfolder import JOB_MODULE
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry
from medloupe.utils.sourcecode import imported_by

pytest.importorskip("torch")
N = 48
QUICK = Recipe(epochs=1, rate=3e-3, head_rate=3e-2, batch=8, views=2)
GROUPS = (np.arange(N) // 4 * 2 + np.arange(N) % 2).astype(np.int64)  # two pictures of one class each
PLAN = Plan(groups=GROUPS, fitting=np.arange(40), test=np.arange(40, N), leaking=np.empty(0, np.int64), notes=())


@pytest.fixture
def network(home: Path, tmp_path: Path) -> Backbone:
    return tunable.backbone(tmp_path / "backbone")


@pytest.fixture
def features(network: Backbone) -> Features:
    return tunable.features(network, N)


def test_no_module_that_a_training_runs_on_is_forgotten_in_its_name() -> None:
    """What a job has imported once it has trained is what its name was made from."""
    named = imported_by(run.__name__, JOB_MODULE)
    code = f"import sys, {JOB_MODULE}, medloupe.training.tune.loop\n"
    code += "print(*(m for m in sys.modules if m.startswith('medloupe.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {m for m in done.stdout.split() if not hasattr(sys.modules.get(m), "__path__")}
    assert {
        "medloupe.training.tune.loop",
        "medloupe.training.tune.objective",
        "medloupe.training.tune.loader",
    } <= loaded
    packages = {m for m in loaded if Path(str(find_spec(m).origin)).name == "__init__.py"}
    assert loaded - packages <= named


def test_the_time_is_measured(features: Features, network: Backbone) -> None:
    model = tail.load_graph(network)
    read, width = inputs.prepare_inputs(
        features, network, model, QUICK, Symmetry(mirror=True, turn=True), None, lambda *at: None
    )
    assert width == tunable.UPPER
    assert 1e-6 < inputs.measure_seconds_an_image(read, QUICK, model, features) < 1


def test_all_that_a_training_depends_on_names_it(features: Features, network: Backbone, tmp_path: Path) -> None:
    def named(**other: Any) -> str:
        given: dict[str, Any] = {"features": features, "plan": PLAN, "backbone": network, "jobs": [], "start": None}
        return cache_key(**{**given, **other})

    y = features.data.targets.copy()
    assert named() == named()
    job = run._job("final", PLAN.fitting, GROUPS, QUICK, 0, y)
    start = tail.write_tail(tail.extract_upper_part(tail.load_graph(network)), tmp_path)
    others = [
        named(features=tunable.features(network, N, first=500)),
        named(plan=replace(PLAN, groups=np.arange(N))),
        named(plan=replace(PLAN, fitting=np.arange(30))),
        named(backbone=replace(network, sha256="0" * 64)),
        named(jobs=[job]),
        named(jobs=[replace(job, seed=1)]),
        named(jobs=[replace(job, recipe=replace(QUICK, rate=1e-5))]),
        named(start=start),
    ]
    assert len({named(), *others}) == len(others) + 1
