"""Search for a recipe together: programs and workers that share a study in a PostgreSQL database.

A search alone (search.py) is small and repeatable. A shared one is for those who have many machines: each worker asks
the database which recipe to try next, knows what all others found, and ends a trial early whose loss after one, three,
nine … epochs is not among the best third of those that came as far, once a few have ended. Where a worker is killed its
trial is taken up by another, from its checkpoint. Which recipes are tried depends on who ends when, so that no two such
searches are alike.

Source: Li et al., "A system for massively parallel hyperparameter tuning" (MLSys 2020) for asynchronous successive
halving; Optuna keeps the study.
"""

from __future__ import annotations

import base64
import json
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import ExtraError, FinetuneError
from medloupe.jobs.engines import open_pool
from medloupe.settings import setting, threads
from medloupe.training.tune.jobfolder import (
    FinishedJob,
    Job,
    close_job,
    explain_failure,
    read_result,
    start_job,
    write_job,
)
from medloupe.training.tune.jobs import parallel_jobs
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.space import searched_values, suggest_recipe
from medloupe.training.tune.trials import TrialOutcome, TrialSetup, TriedRecipe, judge_trial, plan_job, run_trials
from medloupe.utils.files import write_atomically
from medloupe.utils.progress import StageProgress

if TYPE_CHECKING:
    import optuna

FEWEST = 2  # trials of this program, whatever the time
_STARTUP = 6  # trials drawn at random, and run to their end, before sampler and halving draw conclusions
_REDUCTION = 3  # of a rung's trials one in so many goes on
_HEARTBEAT, _GRACE = 20, 90  # seconds between two signs of life of a worker, and after which it counts as lost
_RETRIES = 2  # of a trial whose worker was lost
_EXAMPLE = "Expected postgresql://user:password@host/database, or leave it unset: then each program searches alone."


def is_shared() -> bool:
    """Tell whether searches are shared (MEDLOUPE_STUDIES)."""
    return bool(setting("MEDLOUPE_STUDIES"))


def import_optuna() -> Any:
    """Import Optuna, quiet.

    Raises
    ------
    FinetuneError
        Where it is not installed.
    """
    try:
        import optuna
    except ImportError as e:
        raise FinetuneError(
            "The search for a recipe needs Optuna, which is not installed.", "Run: pip install 'medloupe[finetune]'"
        ) from e
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def open_study(name: str) -> optuna.Study:
    """Open the study of this name in the database that MEDLOUPE_STUDIES names, or begin it.

    Raises
    ------
    FinetuneError
        That is no URL of a PostgreSQL database, or it cannot be reached.
    ExtraError
        What reaches PostgreSQL is not installed.
    """
    optuna = import_optuna()
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, SQLAlchemyError
    from sqlalchemy.pool import NullPool

    try:
        url = make_url(setting("MEDLOUPE_STUDIES"))
    except (ArgumentError, ValueError) as e:
        raise FinetuneError("MEDLOUPE_STUDIES is no database URL.", _EXAMPLE) from e
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise FinetuneError(f"MEDLOUPE_STUDIES names the database {url.get_backend_name()!r}.", _EXAMPLE)
    url = url.set(drivername="postgresql+psycopg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of signs of life
        try:
            storage = optuna.storages.RDBStorage(
                url.render_as_string(hide_password=False),
                # asked a few times a minute: a connection each time outlives a database that was restarted
                engine_kwargs={"poolclass": NullPool, "connect_args": {"connect_timeout": 10}},
                heartbeat_interval=_HEARTBEAT,
                grace_period=_GRACE,
                heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=_RETRIES),
            )
        except ImportError as e:
            raise ExtraError("What reaches PostgreSQL is not installed.", "pip install 'medloupe[postgres]'") from e
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as e:
            told = url.render_as_string(hide_password=True)
            raise FinetuneError(f"The database of shared searches, {told}, cannot be reached.", _EXAMPLE) from e
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(n_startup_trials=_STARTUP),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=_REDUCTION),
        load_if_exists=True,
    )


def read_plan(name: str) -> dict[str, Any] | None:
    """Give the size of all trials of a study, where a program has measured it already."""
    plan = open_study(name).user_attrs.get("plan")
    return None if plan is None else dict(plan)


def agree_on_plan(name: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Give the size of all trials as the first program of a study measured it, which may be this one."""
    study = open_study(name)
    study.set_user_attr("plan", study.user_attrs.get("plan") or dict(measured))
    return dict(study.user_attrs["plan"])


def search_together(
    name: str, setup: TrialSetup, usual: Recipe, engine: str, ended: Path, say: StageProgress
) -> list[TriedRecipe]:
    """Try recipes for the time of `setup`, and give all that any program found, the usual recipe first.

    Parameters
    ----------
    name : str
        Of the study.
    setup : TrialSetup
        What all trials share.
    usual : Recipe
        The recipe that is tried first.
    engine : str
        What workers run on, one trial each at a time: a core of this machine, or of a Ray cluster.
    ended : Path
        File that keeps which trials there were in the end: a later call takes the same, so that the training after it
        can go on.
    say : StageProgress
        Called with "searching", in per cent of the time.

    Raises
    ------
    FinetuneError
        As open_study does.
    """
    study = open_study(name)
    if ended.exists():
        return _read_trials(study, usual, setup, set(json.loads(ended.read_text())))
    if not study.get_trials(deepcopy=False):
        study.enqueue_trial(searched_values(usual), skip_if_exists=True)
    bare = replace(setup.features, embeddings=np.empty((0, 0), np.float32), digests=(), wholes=None)
    start = StudyWorker(name=name, setup=replace(setup, features=bare), usual=usual)
    began = time.perf_counter()

    def due() -> Iterator[int]:
        number = 0
        while number < FEWEST or time.perf_counter() - began < setup.budget:
            yield number
            number += 1

    with open_pool(engine, start, None if engine != "local" else parallel_jobs(), gpu=True) as pool:
        for _ in pool.run(due()):
            say("searching", min(100, round(100 * (time.perf_counter() - began) / max(setup.budget, 1e-9))), 100)
    numbers = [trial.number for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
    write_atomically(ended, json.dumps(numbers).encode())
    return _read_trials(study, usual, setup, set(numbers))


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyWorker:
    """Runs trials of a shared study, one after the other, each training in a process of its own.

    Attributes
    ----------
    name : str
        Of the study.
    setup : TrialSetup
        What all trials share; its folder is one that all workers see.
    usual : Recipe
        From which the space of recipes is drawn.
    """

    name: str
    setup: TrialSetup
    usual: Recipe

    def __call__(self) -> Callable[[int], None]:
        """Give what runs one."""
        study = open_study(self.name)

        def run(_: int) -> None:
            study.optimize(self._try, n_trials=1, catch=(FinetuneError,))

        return run

    def _try(self, trial: optuna.Trial) -> float:
        import optuna

        setup = self.setup
        recipe = suggest_recipe(trial, self.usual, setup.views)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            told = trial.study.get_trials(deepcopy=False)[trial.number]
            before = optuna.storages.RetryHeartbeatStaleTrialCallback.retried_trial_number(told)
        job = replace(
            plan_job(setup, replace(recipe, epochs=setup.epochs, patience=setup.epochs)),
            name=f"trial-{trial.number if before is None else before}",  # one that goes on finds its checkpoint
            watched=setup.judging,
        )
        started = time.perf_counter()
        place = setup.folder / job.name
        try:
            done = self._train(trial, job)
        except optuna.TrialPruned:
            shutil.rmtree(place, ignore_errors=True)
            raise
        auc, alpha, scores = judge_trial(setup, done.embeddings)
        shutil.rmtree(place, ignore_errors=True)
        if not np.isfinite(auc):
            raise FinetuneError("The training gave no numbers.", "Nothing is to be done: others are tried.")
        told = {"share": alpha, "seconds": time.perf_counter() - started, "scores": _pack(scores)}
        for key, value in told.items():
            trial.set_user_attr(key, value)
        return auc

    def _train(self, trial: optuna.Trial, job: Job) -> FinishedJob:
        import optuna

        setup, place = self.setup, self.setup.folder / job.name
        write_job(place, job, setup.inputs, setup.features.data.targets, setup.features.data.task)
        process = start_job(place, threads())
        assert process.stdout
        try:
            for line in process.stdout:
                word, *rest = line.split() or ("",)
                if word == "epoch":
                    epoch, loss = int(rest[0]), float(rest[1])
                    trial.report(-loss, epoch)
                    behind = trial.should_prune()  # asked always: it notes for others how far this one came
                    if behind and epoch < setup.epochs and _count_ended(trial.study) >= _STARTUP:
                        raise optuna.TrialPruned
            status = process.wait()
        finally:
            process.kill()
            close_job(process)
        if status:
            raise explain_failure(place, status)
        return read_result(place)


def _count_ended(study: optuna.Study) -> int:
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _read_trials(study: optuna.Study, usual: Recipe, setup: TrialSetup, numbers: set[int]) -> list[TriedRecipe]:
    """Read trials that ended, by their numbers: the usual recipe, then the others in the order in which they began."""
    import optuna

    states = {
        optuna.trial.TrialState.COMPLETE: "complete",
        optuna.trial.TrialState.PRUNED: "ended early",
        optuna.trial.TrialState.FAIL: "failed",
    }
    found = []
    for trial in study.get_trials(states=tuple(states)):
        if trial.number not in numbers:
            continue
        try:
            recipe = suggest_recipe(optuna.trial.FixedTrial(trial.params), usual, setup.views)
        except ValueError:  # it was lost before it had asked for a recipe
            continue
        found.append(TriedRecipe(recipe=recipe, outcome=_read_outcome(trial), state=states[trial.state]))
    first = next((t for t in found if t.state == "complete" and t.recipe == usual), None)
    if first is None:  # it runs elsewhere, or its worker was lost
        (outcome,) = run_trials(setup, [replace(usual, epochs=setup.epochs, patience=setup.epochs)])
        state = "complete" if np.isfinite(outcome.auc) else "failed"
        first = TriedRecipe(recipe=usual, outcome=outcome, state=state)
    return [first, *(t for t in found if t is not first)]


def _read_outcome(trial: optuna.trial.FrozenTrial) -> TrialOutcome:
    told: Mapping[str, Any] = trial.user_attrs
    if trial.value is None or "scores" not in told:
        spent = 0.0 if trial.duration is None else trial.duration.total_seconds()
        return TrialOutcome(auc=np.nan, alpha=0.0, seconds=spent, scores=np.empty((0, 0), np.float32))
    return TrialOutcome(
        auc=float(trial.value), alpha=told["share"], seconds=told["seconds"], scores=_unpack(told["scores"])
    )


def _pack(scores: np.ndarray) -> dict[str, Any]:
    data = base64.b64encode(scores.astype("<f4").tobytes()).decode()
    return {"rows": len(scores), "data": data}


def _unpack(held: Mapping[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(held["data"]), "<f4").reshape(held["rows"], -1).astype(np.float32)
