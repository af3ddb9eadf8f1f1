"""Searches for a recipe that share a study: what they try, hear of, end early and take up, over a real PostgreSQL."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("optuna")
pytest.importorskip("torch")

import optuna
from sqlalchemy.pool import NullPool

import tunable
from medloupe.data.split import plan_split
from medloupe.errors import FinetuneError
from medloupe.training.options import Options
from medloupe.training.tune import study as shared
from medloupe.training.tune import studystore
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.search import SearchTask, prepare_trials, search
from medloupe.training.tune.space import searched_values
from postgres import Server

RECIPE = Recipe(epochs=3, views=2, batch=8)


def nothing(stage: str, done: int, total: int) -> None:
    pass


def make_task(folder: Path, minutes: float = 0.2) -> SearchTask:
    network = tunable.backbone(folder)
    features = tunable.features(network, 48, patients=24)
    groups = np.array([int((r.patient or "").strip("p")) for r in features.data.records])
    return SearchTask(
        features=features,
        shared=features,
        plan=plan_split(features.data, groups),
        network=network,
        recipe=RECIPE,
        options=Options(finetune="tail", search=True, minutes=minutes),
    )


@pytest.fixture
def studies(postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Searches are shared in an empty database."""
    monkeypatch.setenv("MEDLOUPE_STUDIES", postgres_url)
    return postgres_url


def open_latest() -> Any:
    """The one study of the database, as tests look at it."""
    url = os.environ["MEDLOUPE_STUDIES"].replace("postgresql:", "postgresql+psycopg:")
    storage = optuna.storages.RDBStorage(url, engine_kwargs={"poolclass": NullPool})
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


@pytest.mark.slow
@pytest.mark.usefixtures("studies")
def test_two_searches_share_what_they_find(tmp_path: Path) -> None:
    task = make_task(tmp_path)
    recipe, found = search(task, nothing)
    first = found["trials"][0]
    assert {n: v for n, v in first["params"].items() if n != "share"} == searched_values(RECIPE)
    assert len(found["trials"]) >= 2 and {t["state"] for t in found["trials"]} <= {"complete", "ended early"}
    assert all(0 <= t["auc"] <= 1 for t in found["trials"] if t["state"] == "complete")
    study = open_latest()
    assert study.user_attrs["plan"]["epochs"] == found["epochs"]
    assert sorted(study.trials[0].intermediate_values) == list(range(1, found["epochs"] + 1))

    again, same = search(task, nothing)  # the same training, taken up again: no more is tried
    assert again == recipe and same["trials"] == found["trials"]

    other = replace(task, options=replace(task.options, minutes=0.25))  # another program, after it
    _, more = search(other, nothing)
    known = [t["params"] for t in found["trials"]]
    assert [t["params"] for t in more["trials"]][: len(known)] == known
    assert len(more["trials"]) > len(known)
    assert more["epochs"] == found["epochs"]


@pytest.mark.slow
@pytest.mark.usefixtures("studies", "ray_here")
def test_workers_of_a_cluster_share_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_ENGINE", "ray")
    _, found = search(make_task(tmp_path), nothing)
    assert found["trials"][0]["state"] == "complete"
    assert len(open_latest().trials) == len(found["trials"]) >= 2


@pytest.mark.slow
@pytest.mark.usefixtures("studies")
def test_a_trial_that_falls_behind_is_ended_early(tmp_path: Path) -> None:
    task = make_task(tmp_path, minutes=1)
    setup = prepare_trials(task, nothing)
    study = studystore.open_study(setup.folder.name)

    def learn_nearly_without_loss(trial: Any) -> float:
        shared.suggest_recipe(trial, RECIPE, setup.views)
        trial.report(-1e-6, 1)
        trial.should_prune()
        return 0.6

    study.optimize(learn_nearly_without_loss, n_trials=6)
    shared.StudyWorker(name=setup.folder.name, setup=setup, usual=RECIPE)()(0)
    last = study.trials[-1]
    assert last.state == optuna.trial.TrialState.PRUNED
    assert list(last.intermediate_values) == [1]
    assert not [place for place in setup.folder.glob("trial-*") if place.is_dir()]


_WORKER = """
import pickle, sys
from pathlib import Path
from medloupe.training.tune import studystore
studystore._HEARTBEAT, studystore._GRACE = 1, 3
pickle.loads(Path(sys.argv[1]).read_bytes())()(0)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("studies")
def test_a_trial_whose_worker_was_killed_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(studystore, "_HEARTBEAT", 1)
    monkeypatch.setattr(studystore, "_GRACE", 3)
    long = replace(RECIPE, epochs=400)
    task = replace(make_task(tmp_path, minutes=100), recipe=long)
    setup = replace(prepare_trials(task, nothing), epochs=400)
    worker = shared.StudyWorker(name=setup.folder.name, setup=setup, usual=long)
    studystore.open_study(setup.folder.name).enqueue_trial(searched_values(long))
    (tmp_path / "worker").write_bytes(pickle.dumps(worker))
    process = subprocess.Popen([sys.executable, "-c", _WORKER, str(tmp_path / "worker")])
    kept = setup.folder / "trial-0" / "checkpoint.pt"
    until = time.monotonic() + 120
    while not kept.exists():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(5)  # longer than a worker may give no sign of life
    before = _epoch(kept)

    replace(worker, setup=replace(setup, epochs=before + 1))()(0)
    lost, resumed = studystore.open_study(setup.folder.name).trials[:2]
    assert lost.state == optuna.trial.TrialState.FAIL
    assert resumed.state == optuna.trial.TrialState.COMPLETE and resumed.params == lost.params
    assert list(resumed.intermediate_values) == [before + 1]  # not from the beginning
    assert not kept.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("studies")
def test_a_trial_outlives_a_database_that_is_started_anew(postgres_server: Server, tmp_path: Path) -> None:
    long = replace(RECIPE, epochs=200)  # so that it takes longer than the database to start
    task = replace(make_task(tmp_path, minutes=100), recipe=long)
    setup = replace(prepare_trials(task, nothing), epochs=200)
    worker = shared.StudyWorker(name=setup.folder.name, setup=setup, usual=long)()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(worker, 0)
        until = time.monotonic() + 120
        while not (setup.folder / "trial-0" / "checkpoint.pt").exists():
            assert time.monotonic() < until and not running.done()
            time.sleep(0.02)
        postgres_server.stop()
        postgres_server.start()
        running.result(300)
    (trial,) = studystore.open_study(setup.folder.name).trials
    assert trial.state == optuna.trial.TrialState.COMPLETE
    assert max(trial.intermediate_values) == 200


@pytest.mark.usefixtures("studies")
def test_programs_that_begin_together_make_one_study_and_agree() -> None:
    code = (
        "from medloupe.training.tune.studystore import agree_on_plan; import sys;"
        "print(agree_on_plan('one', {'epochs': int(sys.argv[1])}))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(k)], stdout=subprocess.PIPE, text=True) for k in (1, 2, 3)
    ]
    said = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(set(said)) == 1


def _epoch(kept: Path) -> int:
    import torch

    return int(torch.load(kept, weights_only=True)["state"]["epoch"])


@pytest.mark.parametrize("url", ["sqlite:///studies.db", "nothing", "postgresql://localhost:wrong/x"])
def test_what_is_no_postgresql_is_refused(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_STUDIES", url)
    with pytest.raises(FinetuneError, match="MEDLOUPE_STUDIES"):
        studystore.open_study("any")


def test_a_database_that_does_not_answer_is_named_without_its_password(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_STUDIES", "postgresql://ada:secret@127.0.0.1:9/studies")
    with pytest.raises(FinetuneError, match=r"ada:\*\*\*@127\.0\.0\.1:9/studies, cannot be reached"):
        studystore.open_study("any")
    monkeypatch.setenv("MEDLOUPE_STUDIES", "postgresql://127.0.0.1:9/studies?user=ada&password=secret")
    with pytest.raises(FinetuneError, match=r"127\.0\.0\.1:9/studies, cannot be reached") as raised:
        studystore.open_study("any")
    assert "secret" not in str(raised.value)
