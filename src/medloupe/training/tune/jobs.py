"""Run several trainings side by side, each in a process of its own with one core, each resumable after a kill.

Threads that train one network together wait for each other at every layer; on a machine that others use too, that
wastes most of it. The folds of a cross-validation are independent, so each gets a process. jobfolder.py says what a job
is.
"""

from __future__ import annotations

import selectors
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medloupe.graphs.module import import_torch
from medloupe.jobs.engines import open_pool
from medloupe.jobs.pool import Lost
from medloupe.settings import setting, threads
from medloupe.training.tune.jobfolder import (
    FinishedJob,
    Job,
    TrainingInputs,
    close_job,
    explain_failure,
    read_result,
    start_job,
    write_job,
)
from medloupe.utils.files import exclusive_lock
from medloupe.utils.progress import Progress


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
        write_job(place, by_place[place], inputs, targets, task)
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
                running[place] = start_job(place, max(1, threads() // min(cores, len(queue) + len(running) + 1)))
            for place in _wait_for_word(running, seen):
                seen[place] = total[place]  # some stop early
            if progress:
                progress(min(sum(seen.values()), sum(total.values())), sum(total.values()))
    finally:
        for process in running.values():
            process.kill()
            close_job(process)
    return [read_result(folder / job.name) for job in jobs]


@dataclass(frozen=True, slots=True)
class JobRunner:
    """Does jobs in a worker of another machine, to which their folders are known, each in a process of its own."""

    def __call__(self) -> Callable[[str], int]:
        """Give what does one."""
        return self.do

    def do(self, place: str) -> int:
        """Do the job of a folder; the exit status. Where the worker ends, so does the job, which goes on elsewhere."""
        process = start_job(Path(place), 1)
        assert process.stdout
        for _ in process.stdout:  # how far it is
            pass
        status = process.wait()
        close_job(process)
        return status


def _run_by_pool(queue: Sequence[Path]) -> Iterator[Path]:
    """Do jobs by the engine in force; yields each that is done."""
    with open_pool(setting("MEDLOUPE_ENGINE"), JobRunner(), gpu=True) as pool:
        for place, status in pool.run(map(str, queue)):
            if isinstance(status, Lost) or status:
                raise explain_failure(Path(place), -9 if isinstance(status, Lost) else status)
            yield Path(place)


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
    close_job(process)
    if status:
        raise explain_failure(place, status)
