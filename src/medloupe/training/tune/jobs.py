"""Run several trainings side by side, each in a process of its own with one core, each resumable after a kill.

Threads that train one network together wait for each other at every layer; on a machine that others use too, that
wastes most of it. The folds of a cross-validation are independent, so each gets a process.

A job is a folder:

    job.json, rows.npz      what to do: recipe, paths of the mapped inputs; rows, targets
    checkpoint.pt           after every epoch
    field.npz               with field views: which there are, and where their activations stand
    done.npz, history.json  the result; there when the job is done, never before
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medloupe.embed.field import FieldFeatures
from medloupe.embed.field_cuts import FieldCuts
from medloupe.embed.tail import join_outputs
from medloupe.errors import FinetuneError
from medloupe.graphs.module import import_torch
from medloupe.jobs.engines import open_pool
from medloupe.jobs.pool import Lost
from medloupe.settings import setting, threads
from medloupe.training.tune.loop import Trained
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry
from medloupe.utils.files import exclusive_lock, write_atomically
from medloupe.utils.progress import Progress

JOB_MODULE = "medloupe.training.tune.job"  # does one job, in a process of its own
ALPHAS = (0.5, 1.0)  # how far from the pretrained weights to the tuned ones: what is tried


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInputs:
    """What all jobs of a data set read.

    Attributes
    ----------
    backbone : Path
        Its ONNX file.
    start : Path or None
        An ONNX tail to start from instead of the backbone's own.
    files : tuple of Path
        Mapped, each of one shape: the views of the activations for a tail, else the fitted pictures.
    shape : tuple of int
        Of each file.
    embeddings : np.ndarray
        float32 (N, U), before training, of what the head sees.
    symmetry : Symmetry
        Which changes leave a picture what it is.
    field : FieldCuts or None
        Of V field views, which every job embeds, and those learn from whose recipe says so.
    """

    backbone: Path
    start: Path | None
    files: tuple[Path, ...]
    shape: tuple[int, ...]
    embeddings: np.ndarray
    symmetry: Symmetry
    field: FieldCuts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training.

    Attributes
    ----------
    name : str
        Of its folder.
    rows, checked : np.ndarray
        int, trained on, and stopped by.
    recipe : Recipe
        How it is trained.
    seed : int
        Of its randomness.
    alphas : tuple of float
        At which to embed, of the way from the pretrained weights (0) to the tuned ones (1).
    asked : np.ndarray or None
        Rows to embed (None: all); the others' embeddings are 0.
    """

    name: str
    rows: np.ndarray
    checked: np.ndarray
    recipe: Recipe
    seed: int
    alphas: tuple[float, ...] = ALPHAS
    asked: np.ndarray | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob(Trained):
    """A finished job: what its training gave, and what the network makes of the pictures.

    Attributes
    ----------
    name : str
        Of the job.
    embeddings : dict of float to np.ndarray
        By alpha, float32 (N, U) of all rows.
    field : dict of float to np.ndarray
        By alpha, float16 (V, U) of field views; empty where there are none.
    """

    name: str
    embeddings: dict[float, np.ndarray]
    field: dict[float, np.ndarray] = field(default_factory=dict)

    def see_views(self, views: FieldFeatures, alpha: float) -> FieldFeatures:
        """Give field views, V by the untuned network, as the tuned one at an alpha sees them."""
        if alpha == 0:
            return views
        upper = self.field[alpha].astype(np.float32)
        return replace(views, embeddings=join_outputs(upper, views.shared), untuned=views.shared)


def run_jobs(
    jobs: Sequence[Job],
    inputs: TrainingInputs,
    targets: np.ndarray,
    task: str,
    folder: Path,
    progress: Progress | None = None,
) -> list[FinishedJob]:
    """Do all jobs, as many at once as there are cores; what was done or begun under `folder` before is taken up.

    Parameters
    ----------
    jobs : sequence of Job
        Of different names.
    inputs : TrainingInputs
        What all of them read.
    targets : np.ndarray
        float32 (N, K) of 1, 0 and NaN.
    task : str
        "multiclass" or "multilabel".
    folder : Path
        Where each has a folder.
    progress : Progress or None
        Called with images trained on, of all.

    Returns
    -------
    list of FinishedJob
        In the order of jobs.

    Raises
    ------
    FinetuneError
        When a job fails; what was done stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / "lock"):  # two that train the same: the second finds it done
        return _run_pending(jobs, inputs, targets, task, folder, parallel_jobs(), progress)


def parallel_jobs() -> int:
    """Count the trainings that run side by side: one a core; a GPU takes one after the other.

    Raises
    ------
    FinetuneError
        When PyTorch is not installed.
    """
    return 1 if import_torch().cuda.is_available() else threads()


def _run_pending(
    jobs: Sequence[Job],
    inputs: TrainingInputs,
    targets: np.ndarray,
    task: str,
    folder: Path,
    cores: int,
    progress: Progress | None,
) -> list[FinishedJob]:
    by_place = {folder / job.name: job for job in jobs}
    queue = [place for place in by_place if not (place / "history.json").exists()]
    for place in queue:
        _write_job(place, by_place[place], inputs, targets, task)
    total = {place: job.recipe.epochs * max(1, len(job.rows)) for place, job in by_place.items()}
    seen = {place: 0 if place in queue else total[place] for place in by_place}
    queue.sort(key=lambda place: -total[place])  # begun last, the longest would run on alone
    if queue and setting("MEDLOUPE_ENGINE") != "local":
        for place in _run_by_pool(queue):
            seen[place] = total[place]
            if progress:
                progress(sum(seen.values()), sum(total.values()))
        queue = []
    running: dict[Path, subprocess.Popen[str]] = {}
    try:
        while queue or running:
            while queue and len(running) < cores:
                place = queue.pop(0)
                # few jobs share all cores among them
                running[place] = _start(place, max(1, threads() // min(cores, len(queue) + len(running) + 1)))
            for place in _wait_for_word(running, seen):
                seen[place] = total[place]  # some stop early
            if progress:
                progress(min(sum(seen.values()), sum(total.values())), sum(total.values()))
    finally:
        for process in running.values():
            process.kill()
            _close(process)
    return [_read_result(folder / job.name) for job in jobs]


@dataclass(frozen=True, slots=True)
class JobRunner:
    """Does jobs in a worker of another machine, to which their folders are known, each in a process of its own."""

    def __call__(self) -> Callable[[str], int]:
        """Give what does one."""
        return self.do

    def do(self, place: str) -> int:
        """Do the job of a folder; the exit status. Where the worker ends, so does the job, which goes on elsewhere."""
        process = _start(Path(place), 1)
        assert process.stdout
        for _ in process.stdout:  # how far it is
            pass
        status = process.wait()
        _close(process)
        return status


def _run_by_pool(queue: Sequence[Path]) -> Iterator[Path]:
    """Do jobs by the engine in force; yields each that is done."""
    with open_pool(setting("MEDLOUPE_ENGINE"), JobRunner()) as pool:
        for place, status in pool.run(map(str, queue)):
            if isinstance(status, Lost) or status:
                raise _failed(Path(place), -9 if isinstance(status, Lost) else status)
            yield Path(place)


def _write_job(place: Path, job: Job, inputs: TrainingInputs, targets: np.ndarray, task: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    said = {
        "recipe": job.recipe.as_json(),
        "seed": job.seed,
        "shares": list(job.alphas),
        "task": task,
        "backbone": str(inputs.backbone),
        "start": str(inputs.start) if inputs.start else None,
        "files": [str(p) for p in inputs.files],
        "shape": list(inputs.shape),
        "symmetry": inputs.symmetry.as_json(),
        "field": None if inputs.field is None else {"file": str(inputs.field.path), "shape": inputs.field.shape},
    }
    if (views := inputs.field) is not None:
        with (place / "field.npz").open("wb") as f:
            np.savez(f, rows=views.rows, places=views.places, hard=views.hard)
    with (place / "rows.npz").open("wb") as f:
        asked = np.arange(len(targets)) if job.asked is None else job.asked
        np.savez(f, rows=job.rows, checked=job.checked, asked=asked, targets=targets, embeddings=inputs.embeddings)
    write_atomically(place / "job.json", json.dumps(said).encode())


def _start(place: Path, cores: int) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(cores),
        "MKL_NUM_THREADS": str(cores),
        # memory given back to the system costs more than it saves: a training asks for the same blocks at every step
        "MALLOC_TRIM_THRESHOLD_": str(2**30),
        "MALLOC_MMAP_THRESHOLD_": str(2**30),
        "MALLOC_TOP_PAD_": str(2**26),
    }
    with (place / "log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", JOB_MODULE, str(place)],
            env=environment,
            stdin=subprocess.PIPE,  # its end tells the job that this process is gone
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def _close(process: subprocess.Popen[str]) -> int:
    """Close the pipes of a process and wait for its end; return its exit status."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    return process.wait()


def _wait_for_word(running: dict[Path, subprocess.Popen[str]], seen: dict[Path, int]) -> list[Path]:
    """Wait for a word of any job; return those that are done."""
    finished: list[Path] = []
    with selectors.DefaultSelector() as selector:
        for place, process in running.items():
            assert process.stdout
            selector.register(process.stdout, selectors.EVENT_READ, place)
        for key, _ in selector.select(timeout=5):
            place: Path = key.data
            line = running[place].stdout.readline()  # type: ignore[union-attr]
            if line.startswith("at "):
                seen[place] = int(line.split()[1])
            elif not line:
                finished.append(place)
                _end(running.pop(place), place)
    return finished


def _end(process: subprocess.Popen[str], place: Path) -> None:
    """Wait for a job's process, and raise FinetuneError with its last words if it failed."""
    status = process.wait()
    _close(process)
    if status:
        raise _failed(place, status)


def _failed(place: Path, status: int) -> FinetuneError:
    said = (place / "log").read_text(errors="replace").strip().splitlines()
    return FinetuneError(
        f"A training ended with exit status {status}"
        + (f": {said[-1][:300]}" if said else ", perhaps for want of memory."),
        "What was trained so far is kept; the same command goes on from there. Close other programs if memory is short,"
        " or use --finetune none.",
    )


def _read_result(place: Path) -> FinishedJob:
    said = json.loads((place / "history.json").read_text())
    with np.load(place / "done.npz", allow_pickle=False) as held:
        return FinishedJob(
            name=place.name,
            embeddings={float(k[3:]): held[k] for k in held.files if k.startswith("at_")},
            field={float(k[6:]): held[k] for k in held.files if k.startswith("field_")},
            weights={k[2:]: held[k] for k in held.files if k.startswith("w_")},
            head=(held["head_weight"], held["head_bias"]),
            history=said["history"],
            seconds=said["seconds"],
            images=said["images"],
            stopped=said["stopped"],
        )
