"""The trials of a search: short trainings on one part of the data, judged on another, kept as they finish."""

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
from medloupe.training.heads.fit import PENALTIES, Choice, Fitter, macro_auc, rankable
from medloupe.training.tune.jobs import Inputs, Job, run
from medloupe.training.tune.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What all trials share. rows, own: learned from, and judged on; no group is in both. base: float32 (N, D), the
    untuned embeddings. epochs: of each trial. views: that are cached. budget: seconds. folder: where trials lie."""

    inputs: Inputs
    features: Features
    groups: np.ndarray
    rows: np.ndarray
    own: np.ndarray
    base: np.ndarray
    levels: tuple[int, ...]
    epochs: int
    views: int
    seed: int
    budget: float
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one trial. scores: float32 (own, K) of the rows it was judged on; empty where it failed. auc: NaN then.
    share: how far from the untuned weights to the tuned ones the best head stood."""

    auc: float
    share: float
    seconds: float
    scores: np.ndarray


def tried(ground: Ground, recipes: Sequence[Recipe]) -> list[Outcome]:
    """Trials side by side, or from before. One that fails takes no other with it. One whose weights came apart is kept
    as failed; one whose process ended, as for want of memory, is not, and a later run tries it again."""
    jobs = [
        Job(
            name=hashlib.sha256(repr((r, ground.seed, ground.rows.tolist())).encode()).hexdigest()[:24],
            rows=ground.rows,
            checked=np.empty(0, np.int64),
            recipe=r,
            seed=ground.seed,
            asked=np.sort(np.concatenate([ground.rows, ground.own])),
        )
        for r in recipes
    ]
    todo = [j for j in {j.name: j for j in jobs}.values() if not (ground.folder / f"{j.name}.npz").exists()]
    if todo:
        try:
            _done(ground, todo)
        except FinetuneError:
            for job in todo:  # which of them was it?
                with suppress(FinetuneError):
                    _done(ground, [job])
                shutil.rmtree(ground.folder / job.name, ignore_errors=True)
    return [_kept(ground.folder / f"{j.name}.npz") for j in jobs]


def _done(ground: Ground, jobs: list[Job]) -> None:
    data = ground.features.data
    for name, done in zip(
        [j.name for j in jobs], run(jobs, ground.inputs, data.targets, data.task, ground.folder), strict=True
    ):
        started = time.perf_counter()
        auc, share, scores = _judged(ground, done.embeddings)
        seconds = done.seconds + time.perf_counter() - started
        _keep(ground, name, Outcome(auc=auc, share=share, seconds=seconds, scores=scores))
        shutil.rmtree(ground.folder / name, ignore_errors=True)  # dozens of megabytes that nobody asks for again


def _judged(ground: Ground, embeddings: Mapping[float, np.ndarray]) -> tuple[float, float, np.ndarray]:
    """AUC on `own` of the best of a few linear heads at the best share of the way, that share, and its scores."""
    data, rows, own = ground.features.data, ground.rows, ground.own
    every, best = tuple(range(len(ground.levels))), (np.nan, 0.0, np.empty((0, 0), np.float32))
    for share, tuned in embeddings.items():
        x = join_outputs(tuned, ground.base)
        if not (np.isfinite(x[rows]).all() and np.isfinite(x[own]).all()):  # the training came apart
            continue
        fitter = Fitter(x[rows], data.targets[rows], data.task, ground.levels)
        choices = [Choice(penalty=c * 1000 / len(rows), levels=every, share=share) for c in PENALTIES]
        for solution in fitter.solve([(np.ones(len(rows), bool), c) for c in choices]):
            scores = rankable(x[own] @ solution.weight + solution.bias, data.task)
            auc = macro_auc(scores, data.targets[own])
            if not best[0] >= auc:
                best = (auc, share, np.asarray(scores, np.float32))
    return best


def _keep(ground: Ground, name: str, outcome: Outcome) -> None:
    part = ground.folder / f"{name}.part"
    with part.open("wb") as f:
        np.savez(f, auc=outcome.auc, share=outcome.share, seconds=outcome.seconds, scores=outcome.scores)
    part.replace(ground.folder / f"{name}.npz")


def _kept(path: Path) -> Outcome:
    if not path.exists():
        return Outcome(auc=np.nan, share=0.0, seconds=0.0, scores=np.empty((0, 0)))
    with np.load(path, allow_pickle=False) as held:
        figures = {name: float(held[name]) for name in ("auc", "share", "seconds")}
        return Outcome(scores=held["scores"], **figures)
