"""Data sets of generated ECGs as people bring them: cut beats, and twelve leads; and models trained on them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ecgmaker
import medloupe
from ecgmaker import SINUS, VENTRICULAR, Beat
from medloupe.data.records import Dataset
from medloupe.model.bundle import Model
from once import once
from readers_cases import twelve_arrays


def beats(folder: Path, recordings: int = 10, seconds: float = 60, rate: int = 250) -> Path:
    """Sinus beats (N), early ones of the same shape (S) and early ones from the ventricles (V), which differ from
    recording to recording in rate and height; in a folder as MIT-BIH's are stored."""
    parts: dict[str, list] = {}
    for k in range(recordings):
        random = np.random.default_rng(k)
        made: list[Beat] = []
        kinds: list[int] = []
        for i, beat in enumerate(ecgmaker.even(seconds, random.uniform(55, 90), spread=0.04, seed=k)):
            kind = 2 if i % 5 == 4 else 1 if i % 7 == 6 else 0
            early = random.uniform(0.2, 0.3) if kind else 0.0
            made.append(Beat(beat.at - early, VENTRICULAR if kind == 2 else SINUS))
            kinds.append(kind)
        strip = ecgmaker.ecg(made, seconds, rate, ("MLII",), noise=0.03, wander=0.1, seed=k)
        signal = np.pad(strip.samples[0] * random.uniform(0.7, 1.3) * 200, 200)
        at = np.rint([beat.at * rate for beat in made]).astype(int)
        before, after = round(0.25 * rate), round(0.461 * rate)
        intervals = np.diff(at)
        for name, values in {
            "X": np.stack([signal[200 + r - before : 200 + r + after] for r in at]).round().astype(np.int16),
            "y": np.array(kinds, np.int8),
            "record_id": np.full(len(at), 100 + k),
            "subject_id": np.full(len(at), 100 + k),
            "sample": at,
            "rr_pre": np.append(0, intervals),
            "rr_post": np.append(intervals, 0),
        }.items():
            parts.setdefault(name, []).append(values)
    whole = {name: np.concatenate(values) for name, values in parts.items()}
    folder.mkdir(parents=True)
    alone = {"fs": rate, "adu_per_mv": 200, "pre_samples": round(0.25 * rate), "class_names": np.array(list("NSVF"))}
    np.savez(folder / "beats.npz", allow_pickle=True, **whole, **{n: np.asarray(v) for n, v in alone.items()})
    return folder


def twelve(folder: Path, n: int = 40) -> Path:
    """Whole ECGs of two findings, in a folder as PTB-XL's are stored."""
    folder.mkdir(parents=True)
    np.savez(folder / "ecgs.npz", allow_pickle=True, **twelve_arrays(n))
    return folder


def part(data: Dataset, n: int) -> Dataset:
    """The first records."""
    return replace(data, records=data.records[:n])


@dataclass(frozen=True, slots=True)
class Learned:
    """A model of ECGs, the data that it was trained on, and the home it is kept in."""

    home: Path
    data: Dataset
    model: Model


@pytest.fixture(scope="session")
def of_beats(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """`rhythm`, trained on `beats`. For reading only."""
    return _learned(tmp_path_factory, "rhythm", lambda root: beats(root / "beats"))


@pytest.fixture(scope="session")
def of_twelve(tmp_path_factory: pytest.TempPathFactory) -> Learned:
    """`rest`, trained on `twelve`. For reading only."""
    return _learned(tmp_path_factory, "rest", lambda root: twelve(root / "twelve"), clinical=())


def _learned(factory: pytest.TempPathFactory, name: str, data_in: Callable[[Path], Path], **options: Any) -> Learned:
    """Trained once a run; every worker has a copy of the home."""

    def train(root: Path) -> tuple[Dataset, Model]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MEDLOUPE_HOME", str(root / "home"))
            data = medloupe.read(data_in(root))
            return data, medloupe.train(data, name=name, **options)

    folder, (data, model) = once(factory, name, train)
    home = factory.mktemp(name) / "home"
    shutil.copytree(folder / "home", home)
    return Learned(home, data, model)
