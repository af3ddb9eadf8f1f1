"""Who trains in training.py: medloupe with and without fine-tuning, and the peers in peers/train_*.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from holdout import Parts, labelled, medloupe, predicted

_FOLDER = Path(__file__).with_name("peers")
NAME = "bench"
"""Of the models that are trained."""

COLD = "medloupe, cold"
WARM = "medloupe, warm"
SEED = "medloupe, warm, another seed"
TITLES = {
    "loop": "PyTorch loop, frozen",
    "loop-all": "PyTorch loop, all layers",
    "pixels": "scikit-learn, pixels, logistic regression",
    "forest": "scikit-learn, pixels, random forest",
    "fastai": "fastai, fine_tune",
    "keras": "Keras, small network from scratch",
    "autogluon": "AutoGluon MultiModal",
    "flaml": "FLAML, pixels",
}
"""Of the peers, by the name that --peer and --only know them by."""

_SCRIPTS: dict[str, tuple[str, ...]] = {
    "loop": ("train_loop.py",),
    "loop-all": ("train_loop.py", "--all"),
    "pixels": ("train_sklearn.py", "--model", "logistic"),
    "forest": ("train_sklearn.py", "--model", "forest"),
    "fastai": ("train_fastai.py",),
    "keras": ("train_keras.py",),
    "autogluon": ("train_autogluon.py",),
    "flaml": ("train_flaml.py",),
}
_SIX_EPOCHS = {"loop", "loop-all", "fastai"}  # what --epochs is for; the others stop by rules of their own
ELSEWHERE = ("fastai", "keras", "autogluon", "flaml")
"""What needs packages that medloupe's environment lacks."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """train: seconds from the start of the process to the trained model; medloupe's include judging it, the report and
    the ONNX file. ask: seconds for the held-out images. cpu: seconds of processor time of both. epochs: seconds of
    each. answers: by file, by label."""

    name: str
    train: float
    ask: float | None
    cpu: float
    answers: Mapping[str, Mapping[str, float]]
    epochs: Sequence[float] = field(default_factory=tuple)


def finetunings() -> list[str]:
    """Those of `tail` and `full` that this medloupe offers."""
    command = [sys.executable, "-m", "medloupe", "train", "--help"]
    environment = {**os.environ, "COLUMNS": "200"}  # the option and its choices on one line
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    offered = re.search(r"--finetune[^\n]*", said)
    return [kind for kind in ("tail", "full") if offered and re.search(rf"\b{kind}\b", offered[0])]


def linear(parts: Parts, home: Path) -> list[Outcome]:
    """In an empty home; the same command again; and once more with a seed for which no outcome is kept."""
    outcomes = []
    for name, seed in ((COLD, "0"), (WARM, "0"), (SEED, "1")):
        before = _spent()
        _, seconds = medloupe(home, "train", str(parts.open), "--name", NAME, "--seed", seed, "--json")
        if name == WARM:
            outcomes.append(Outcome(name, seconds, None, _spent() - before, outcomes[0].answers))
        else:
            outcomes.append(_asked(name, parts, home, seconds, before))
    return outcomes


def finetuned(kind: str, parts: Parts, home: Path) -> list[Outcome]:
    """In an empty home: embedding, caching, training, judging and export."""
    before = _spent()
    _, seconds = medloupe(home, "train", str(parts.open), "--name", NAME, "--finetune", kind, "--json")
    images = len(labelled(parts.open))
    return [_asked(f"medloupe, {kind}", parts, home, seconds, before, epoch_seconds(home, images))]


def epoch_seconds(home: Path, images: int) -> list[float]:
    """Seconds in which the machine would train once on so many images, from every training that was done in this home.

    They ran side by side, one a core, unless a GPU took one after the other (training/tune/jobs.py), and each kept its
    seconds and the images that it was trained on.
    """
    from medloupe.settings import threads

    trainings = [json.loads(f.read_text()) for f in sorted(home.glob("cache/tuning/*/*/history.json"))]
    at_once = 1 if _gpu() else min(threads(), max(1, len(trainings)))
    return [images * t["seconds"] / t["images"] / at_once for t in trainings if t["images"]]


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def peer(name: str, python: str, parts: Parts, folder: Path, epochs: int, seed: int) -> list[Outcome]:
    """One of TITLES under this interpreter. Raises SystemExit with what it said, where it fails."""
    script, *options = _SCRIPTS[name]
    told = ["--epochs", str(epochs)] if name in _SIX_EPOCHS else []
    out = folder / f"{name}.json"
    command = [
        *(python, "-W", "ignore", script, str(parts.open), str(parts.aside), str(out)),
        *("--seed", str(seed), *told, *options),
    ]
    before, started = _spent(), time.perf_counter()
    environment = {"KERAS_BACKEND": "torch", **os.environ}
    done = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True, check=False, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    result = json.loads(out.read_text())
    train, ask, cpu = seconds - result["ask"], result["ask"], _spent() - before
    return [Outcome(TITLES[name], train, ask, cpu, result["probabilities"], result["epochs"])]


def _spent() -> float:
    """Processor seconds of the processes started here that have ended, and of theirs."""
    t = os.times()
    return t.children_user + t.children_system


def _asked(name: str, parts: Parts, home: Path, train: float, before: float, epochs: Sequence[float] = ()) -> Outcome:
    answers, seconds = predicted(home, NAME, parts.aside)
    probabilities = {file: a["probabilities"] for file, a in answers.items()}
    return Outcome(name, train, seconds, _spent() - before, probabilities, epochs)
