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
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.errors import FinetuneError
from medloupe.jobs.engines import open_pool
from medloupe.settings import threads
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
from medloupe.training.tune.studystore import STARTUP, open_study
from medloupe.training.tune.trials import TrialOutcome, TrialSetup, TriedRecipe, judge_trial, plan_job, run_trials
from medloupe.utils.files import exclusive_lock
from medloupe.utils.progress import StageProgress

if TYPE_CHECKING:
    import optuna

FEWEST = 2  # trials of this program, whatever the time
_PAUSE = 5.0  # seconds after which a worker goes on whose trial was lost with the database

log = logging.getLogger("medloupe.training")


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
    return _read_trials(study, usual, setup, set(_keep_first(ended, numbers)))


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
        return lambda _: self._run(study)

    def _run(self, study: optuna.Study) -> None:
        """Run a trial; one that is lost with the database, or was given to another worker meanwhile, is let go."""
        import optuna
        from sqlalchemy.exc import SQLAlchemyError

        try:
            study.optimize(self._try, n_trials=1, catch=(FinetuneError,))
        except (optuna.exceptions.OptunaError, SQLAlchemyError) as e:
            lost: Exception = e
        except ValueError as e:
            if "Cannot tell" not in str(e):  # as Optuna says of a trial that was taken for lost
                raise
            lost = e
        else:
            return
        log.warning("A trial was lost: %s. Others are tried.", type(lost).__name__)
        time.sleep(_PAUSE)

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
        setup, place = self.setup, self.setup.folder / job.name
        with exclusive_lock(setup.folder / f"{job.name}.lock"):  # of one that was taken for lost, and was not
            return self._train_alone(trial, job, place, setup)

    def _train_alone(self, trial: optuna.Trial, job: Job, place: Path, setup: TrialSetup) -> FinishedJob:
        import optuna

        write_job(place, job, setup.inputs, setup.features.data.targets, setup.features.data.task)
        process = start_job(place, threads())
        assert process.stdout
        try:
            for line in process.stdout:
                word, *rest = line.split() or ("",)
                if word == "epoch":
                    epoch, loss = int(rest[0]), float(rest[1])
                    if _fell_behind(trial, epoch, loss) and epoch < setup.epochs:
                        raise optuna.TrialPruned
            status = process.wait()
        finally:
            process.kill()
            close_job(process)
        if status:
            raise explain_failure(place, status)
        return read_result(place)


def _keep_first(path: Path, numbers: list[int]) -> list[int]:
    """Write numbers, and read what stands there: of programs that share a folder, what the first one wrote."""
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.write_text(json.dumps(numbers))
    with suppress(FileExistsError):
        os.link(part, path)
    part.unlink()
    return json.loads(path.read_text())


def _fell_behind(trial: optuna.Trial, epoch: int, loss: float) -> bool:
    """Tell others how far a trial came, and whether it is to end; it is not while the database cannot be reached."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        trial.report(-loss, epoch)
        behind = trial.should_prune()  # asked always: it notes for others how far this one came
        ended = sum(each.state.is_finished() for each in trial.study.get_trials(deepcopy=False))
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as e:
        log.warning("Epoch %d of trial %d was not told: %s", epoch, trial.number, type(e).__name__)
        return False
    return behind and ended >= STARTUP


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
        first = TriedRecipe.of(usual, outcome)
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
