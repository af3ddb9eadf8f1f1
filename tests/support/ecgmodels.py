"""Check-ups of ECGs on the shipped backbones, their heads fitted on generated ECGs; and a server that has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ecgmaker
from live import Live, running
from medloupe.data.labels import tell_roles
from medloupe.ecg.beats import RHYTHM
from medloupe.ecg.signal import TWELVE, Signal
from medloupe.embed.backbone import Backbone
from medloupe.embed.network import Network
from medloupe.embed.registry import ECG_BEATS, ECG_TWELVE, backbone
from medloupe.embed.windows import compute_typical_window, cut_beat_windows
from medloupe.inputs.clinical import Column
from medloupe.inputs.extras import Extras
from medloupe.model.bundle import Model
from medloupe.model.head import Head
from medloupe.model.novelty import Novelty
from medloupe.modelfile.writer import write_onnx
from medloupe.store.models import Store

TWO = ("MLII", "V1")


def recording(seed: int, seconds: float = 20, rate: float = 360, leads: tuple[str, ...] = TWO) -> Signal:
    """Every fifth beat ventricular, a little noise and wander."""
    random = np.random.default_rng(seed)
    made = ecgmaker.even(seconds, bpm=random.uniform(58, 95), spread=0.03, seed=seed)
    made = ecgmaker.with_ectopics(made, early=0.2)
    return ecgmaker.ecg(made, seconds, rate, leads, noise=0.01, wander=0.1, seed=seed)


def standard(seed: int, blocked: bool = False, rate: float = 500, seconds: float = 10) -> Signal:
    """Twelve leads of sinus beats, or of a left bundle branch block."""
    random = np.random.default_rng(seed)
    made = ecgmaker.even(seconds, bpm=random.uniform(55, 95), spread=0.02, seed=seed)
    made = [replace(b, waves=ecgmaker.LEFT_BLOCK if blocked else ecgmaker.SINUS) for b in made]
    return ecgmaker.ecg(made, seconds, rate, TWELVE, noise=0.012, wander=0.08, seed=seed)


@cache
def beats_model(rhythm: bool = True) -> Model:
    """N or V of each beat. rhythm: it reads the heart rate beside it, and the person's age."""
    base = backbone(ECG_BEATS)
    network = Network(base, threads=1)
    embeddings, labels, groups = [], [], []
    for seed in range(40):
        taken = cut_beat_windows(recording(seed), base.card)
        embeddings.append(network.see(taken.windows).embedding)
        labels += [int(k % 5 == 4) for k in range(len(taken.peaks))]
        groups += [seed] * len(taken.peaks)
    made = _model("beats", "Heartbeats", base, np.concatenate(embeddings), np.array(labels), groups, ["N", "V"])
    return replace(made, extras=_extras()) if rhythm else made


@cache
def twelve_model() -> Model:
    """Sinus beats or a left bundle branch block, each found or not."""
    base = backbone(ECG_TWELVE)
    network = Network(base, threads=1)
    labels = [seed % 2 for seed in range(50)]
    windows = np.stack([compute_typical_window(standard(seed, bool(seed % 2)), base.card)[0] for seed in range(50)])
    found = network.see(windows).embedding
    return _model("leads", "Twelve leads", base, found, np.array(labels), range(50), ["SINUS", "BLOCK"], "multilabel")


def _extras() -> Extras:
    random = np.random.default_rng(0)
    columns = [
        Column.fit(RHYTHM[0], [f"{x:.3f}" for x in random.normal(1, 0.1, 200)]),
        Column.fit("age", [str(a) for a in random.integers(20, 90, 200)]),
    ]
    fitted = tuple(c for c in columns if c is not None)
    width = sum(c.width for c in fitted)
    return Extras(columns=fitted, notes=None, weight=random.normal(0, 0.2, (2, width)).astype(np.float32))


def _model(
    name: str,
    title: str,
    base: Backbone,
    embeddings: np.ndarray,
    y: np.ndarray,
    groups: Sequence[int],
    labels: list[str],
    task: Any = "multiclass",
) -> Model:
    """A linear discriminant with a ridge."""
    first, second = embeddings[y == 0].mean(0), embeddings[y == 1].mean(0)
    within = embeddings - np.where(y[:, None] == 1, second, first)
    axis = np.linalg.solve(within.T @ within / len(y) + 0.05 * np.eye(len(first)), second - first)
    apart = float(axis @ (second - first))
    axis *= 6 / apart
    bias = -float(axis @ (first + second)) / 2
    head = Head(
        weight=np.stack([-axis, axis]).astype(np.float32) / (1 if task == "multilabel" else 2),
        bias=np.array([-bias, bias], np.float32) / (1 if task == "multilabel" else 2),
        task=task,
    )
    point = {"threshold": 0.5, "sensitivity": {"value": 0.9}, "specificity": {"value": 0.95}}
    fares = {"sensitivity": {"value": 0.85}, "specificity": {"value": 0.97}, "ppv": {"value": 0.8}}
    rows = [{"label": name, "operating_point": point, **fares} for name in labels]
    card = {
        "format": 1,
        "name": name,
        "title": title,
        "version": 1,
        "task": task,
        "modality": "ecg",
        "labels": labels,
        "roles": tell_roles(labels, normal=labels[:1], sought=labels[1:]).as_json(),
        "per_label": rows,
        "backbone": base.as_json(),
        "data": {"name": "generated", "labelled": len(y)},
        "limits": ["It knows only what was generated."],
    }
    novelty = Novelty.fit(embeddings.astype(np.float32), np.array(groups), base.card.levels)
    return Model(backbone=base, head=head, card=card, novelty=novelty)


def write_files(folder: Path, model: Model) -> None:
    write_onnx(model, folder / "model.onnx")


def store(home: Path) -> Store:
    """A home with both: `beats` in two versions, the second as one file, and `leads`."""
    made = Store(home)
    model = beats_model()
    added = made.add(model, write_files=write_files)
    assert added.onnx is not None
    made.add(
        replace(model, onnx=added.onnx, backbone=replace(model.backbone, path=added.onnx)), write_files=write_files
    )
    made.add(twelve_model(), write_files=write_files)
    return made


@pytest.fixture(scope="session")
def ecg_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For reading only."""
    home = tmp_path_factory.mktemp("ecgs") / "home"
    store(home).engine.dispose()
    return home


@pytest.fixture(scope="session")
def ecg_live(ecg_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A server with check-ups of ECGs and of pictures, which keeps what it is sent."""
    with running(ecg_home, "--keep-images") as server:
        yield server


def crackle(leads: tuple[str, ...], seed: int, seconds: float = 20, rate: float = 360) -> Signal:
    """Spikes at random among noise: something stands out of it, and it is no ECG."""
    heights = np.random.default_rng(seed).standard_cauchy((len(leads), round(seconds * rate)))
    samples = np.clip(0.2 * heights, -6, 6).astype(np.float32)
    return Signal(samples=samples, rate=rate, leads=leads, source="made")
