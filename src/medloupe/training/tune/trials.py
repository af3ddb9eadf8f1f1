"""Run the trials of a search: short trainings on one part of the data, judged on another, kept as they finish."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medloupe.embed.features import Features
from medloupe.embed.tail import join_outputs
from medloupe.errors import FinetuneError
from medloupe.training.heads.fit import CS, Fitter, scale_choices
from medloupe.training.heads.ranking import macro_auc, ranking_scores
from medloupe.training.tune.jobfolder import Job, TrainingInputs
from medloupe.training.tune.jobs import run_jobs
from medloupe.training.tune.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSetup:
    """What all trials share.

    Attributes
    ----------
    inputs : TrainingInputs
        What trainings read.
    features : Features
        Of the backbone as it is.
    groups : np.ndarray
        int (N,).
    rows, judging : np.ndarray
        Learned from, and judged on; no group is in both.
    base : np.ndarray
        float32 (N, D), the untuned embeddings.
    levels : tuple of int
        How D divides.
    epochs : int
        Of each trial.
    views : int
        That are cached.
    seed : int
        Of each training.
    budget : float
        Seconds for all.
    folder : Path
        Where trials lie.
    """

    inputs: TrainingInputs
    features: Features
    groups: np.ndarray
    rows: np.ndarray
    judging: np.ndarray
    base: np.ndarray
    levels: tuple[int, ...]
    epochs: int
    views: int
    seed: int
    budget: float
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOutcome:
    """What one trial gave.

    Attributes
    ----------
    auc : float
        Macro AUC on the rows `judging`; NaN where it failed.
    alpha : float
        How far from the untuned weights to the tuned ones the best head stood.
    seconds : float
        That training and judging took.
    scores : np.ndarray
        float32 (judging, K) of the rows it was judged on; empty where it failed.
    """

    auc: float
    alpha: float
    seconds: float
    scores: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedRecipe:
    """A recipe that a search tried, and what came of it.

    Attributes
    ----------
    recipe : Recipe
        That was tried.
    outcome : TrialOutcome
        What it gave; without AUC where it was ended early or failed.
    state : str
        "complete", "failed", or of a shared search "ended early".
    """

    recipe: Recipe
    outcome: TrialOutcome
    state: str

    @classmethod
    def of(cls, recipe: Recipe, outcome: TrialOutcome) -> TriedRecipe:
        """Make that of a trial that ran to its end, or failed."""
        return cls(recipe=recipe, outcome=outcome, state="complete" if np.isfinite(outcome.auc) else "failed")


def run_trials(setup: TrialSetup, recipes: Sequence[Recipe]) -> list[TrialOutcome]:
    """Train and judge recipes side by side, or take what was kept before.

    One that fails takes no other with it. One whose weights came apart is kept as failed; one whose process ended, as
    for want of memory, is not, and a later run tries it again.

    Returns
    -------
    list of TrialOutcome
        In the order of the recipes.
    """
    jobs = [plan_job(setup, r) for r in recipes]
    todo = [j for j in {j.name: j for j in jobs}.values() if not (setup.folder / f"{j.name}.npz").exists()]
    if todo:
        try:
            _train_and_keep(setup, todo)
        except FinetuneError:
            for job in todo:  # which of them was it?
                with suppress(FinetuneError):
                    _train_and_keep(setup, [job])
                shutil.rmtree(setup.folder / job.name, ignore_errors=True)
    return [_read_outcome(setup.folder / f"{j.name}.npz") for j in jobs]


def plan_job(setup: TrialSetup, recipe: Recipe) -> Job:
    """Plan the training of one trial."""
    return Job(
        name=hashlib.sha256(repr((recipe, setup.seed, setup.rows.tolist())).encode()).hexdigest()[:24],
        rows=setup.rows,
        checked=np.empty(0, np.int64),
        recipe=recipe,
        seed=setup.seed,
        asked=np.sort(np.concatenate([setup.rows, setup.judging])),
    )


def _train_and_keep(setup: TrialSetup, jobs: list[Job]) -> None:
    data = setup.features.data
    for name, done in zip(
        [j.name for j in jobs], run_jobs(jobs, setup.inputs, data.targets, data.task, setup.folder), strict=True
    ):
        started = time.perf_counter()
        auc, alpha, scores = judge_trial(setup, done.embeddings)
        seconds = done.seconds + time.perf_counter() - started
        _write_outcome(setup, name, TrialOutcome(auc=auc, alpha=alpha, seconds=seconds, scores=scores))
        shutil.rmtree(setup.folder / name, ignore_errors=True)  # dozens of megabytes that nobody asks for again


def judge_trial(setup: TrialSetup, embeddings: Mapping[float, np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Find the best of a few linear heads at the best alpha: its AUC on `judging`, that alpha, and its scores."""
    data, rows, own = setup.features.data, setup.rows, setup.judging
    best = (np.nan, 0.0, np.empty((0, 0), np.float32))
    for alpha, tuned in embeddings.items():
        x = join_outputs(tuned, setup.base)
        if not (np.isfinite(x[rows]).all() and np.isfinite(x[own]).all()):  # the training came apart
            continue
        fitter = Fitter(x[rows], data.targets[rows], data.task, setup.levels)
        choices = scale_choices(CS, len(rows), setup.levels, alpha)
        for solution in fitter.solve([(np.ones(len(rows), bool), c) for c in choices]):
            scores = ranking_scores(x[own] @ solution.weight + solution.bias, data.task)
            auc = macro_auc(scores, data.targets[own])
            if not best[0] >= auc:
                best = (auc, alpha, np.asarray(scores, np.float32))
    return best


def _write_outcome(setup: TrialSetup, name: str, outcome: TrialOutcome) -> None:
    part = setup.folder / f"{name}.part"
    with part.open("wb") as f:
        np.savez(f, auc=outcome.auc, share=outcome.alpha, seconds=outcome.seconds, scores=outcome.scores)
    part.replace(setup.folder / f"{name}.npz")


def _read_outcome(path: Path) -> TrialOutcome:
    if not path.exists():
        return TrialOutcome(auc=np.nan, alpha=0.0, seconds=0.0, scores=np.empty((0, 0)))
    with np.load(path, allow_pickle=False) as held:
        auc, alpha, seconds = (float(held[name]) for name in ("auc", "share", "seconds"))
        return TrialOutcome(auc=auc, alpha=alpha, seconds=seconds, scores=held["scores"])
