"""A training as a folder, and the process that does it.

job.json, rows.npz      what to do: recipe, paths of the mapped inputs; rows, targets
checkpoint.pt           after every epoch
field.npz               with field views: which there are, and where their activations stand
done.npz, history.json  the result; there when the job is done, never before
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medloupe.embed.field import FieldFeatures
from medloupe.embed.field_cuts import FieldCuts
from medloupe.embed.tail import join_outputs
from medloupe.errors import FinetuneError
from medloupe.training.tune.loop import Trained
from medloupe.training.tune.recipe import Recipe
from medloupe.training.tune.views import Symmetry
from medloupe.utils.files import write_atomically

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
        Of V field views: all jobs embed them, some learn from them.
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
    watched : np.ndarray or None
        Rows whose loss is told after every epoch, in a line "epoch N LOSS"; they stop nothing and choose nothing.
    """

    name: str
    rows: np.ndarray
    checked: np.ndarray
    recipe: Recipe
    seed: int
    alphas: tuple[float, ...] = ALPHAS
    asked: np.ndarray | None = None
    watched: np.ndarray | None = None


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
        By alpha, float16 (V, U) of field views, if any.
    """

    name: str
    embeddings: dict[float, np.ndarray]
    field: dict[float, np.ndarray] = field(default_factory=dict)

    def see_views(self, views: FieldFeatures, alpha: float) -> FieldFeatures:
        """Give field views, V by the untuned network, as the tuned one at an alpha sees them."""
        if alpha == 0:
            return views
        seen = join_outputs(self.field[alpha].astype(np.float32), views.shared)
        return replace(views, embeddings=seen, untuned=views.shared)


def write_job(place: Path, job: Job, inputs: TrainingInputs, targets: np.ndarray, task: str) -> None:
    """Write what is to be done into a folder; arguments as run_jobs has them."""
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
        np.savez(place / "field.npz", rows=views.rows, places=views.places, hard=views.hard)
    with (place / "rows.npz").open("wb") as f:
        asked = np.arange(len(targets)) if job.asked is None else job.asked
        watched = np.empty(0, np.int64) if job.watched is None else job.watched
        which = {"rows": job.rows, "checked": job.checked, "asked": asked, "watched": watched}
        np.savez(f, **which, targets=targets, embeddings=inputs.embeddings)
    write_atomically(place / "job.json", json.dumps(said).encode())


def start_job(place: Path, cores: int) -> subprocess.Popen[str]:
    """Start the process that does the job of a folder; it ends when its standard input does."""
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


def close_job(process: subprocess.Popen[str]) -> int:
    """Close the pipes of a process and wait for its end; return its exit status."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    return process.wait()


def explain_failure(place: Path, status: int) -> FinetuneError:
    """Make the error of a job whose process ended with a status other than 0, with its last words."""
    said = (place / "log").read_text(errors="replace").strip().splitlines()
    return FinetuneError(
        f"A training ended with exit status {status}"
        + (f": {said[-1][:300]}" if said else ", perhaps for want of memory."),
        "What was trained so far is kept; the same command goes on from there. Close other programs if memory is short,"
        " or use --finetune none.",
    )


def read_result(place: Path) -> FinishedJob:
    """Read what the job of a folder gave, once its history.json is there."""
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
