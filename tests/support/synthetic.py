"""Pictures, targets, features and judged predictions with known answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from medloupe.data.labels import Roles
from medloupe.data.records import Dataset, Record
from medloupe.embed.cache import FACTS, THUMB
from medloupe.embed.features import Features
from medloupe.metrics.tables import Judged


def scene(seed: int, size: int = 96, common: int | None = None) -> np.ndarray:
    """A picture uint8 (size, size, 3) of soft patches; those with one `common` share most of their anatomy."""

    def patches(number: int, places: int) -> np.ndarray:
        coarse = np.random.default_rng(number).integers(0, 256, (places, places, 3), np.uint8)
        return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC), float)

    own = 0.7 * patches(seed, 6) + 0.3 * patches(seed + 10_000, 24)
    if common is not None:
        own = 0.6 * patches(common + 20_000, 4) + 0.4 * own
    return np.clip(own, 0, 255).astype(np.uint8)


def radiograph(seed: int, size: int = 224) -> np.ndarray:
    """A grey picture uint8 (size, size, 3) of overlapping organs under film grain, each seed another person's."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:size, :size] / size
    picture = np.full((size, size), 60.0)
    for _ in range(9):
        x, y = rng.uniform(0.15, 0.85, 2)
        a, b = rng.uniform(0.05, 0.3, 2)
        turn = rng.uniform(0, np.pi)
        u = (xx - x) * np.cos(turn) + (yy - y) * np.sin(turn)
        v = (yy - y) * np.cos(turn) - (xx - x) * np.sin(turn)
        picture += rng.uniform(-60, 90) / (1 + np.exp(40 * ((u / a) ** 2 + (v / b) ** 2 - 1).clip(-1, 1)))
    grain = Image.fromarray(rng.normal(0, 14, (size // 2, size // 2)).astype(np.float32))
    picture += np.asarray(grain.resize((size, size), Image.Resampling.BICUBIC))
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def folder(root: Path, count: int, size: int = 32, kind: str = "png") -> Path:
    """`count` different pictures, root/0000.png and so on."""
    root.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        Image.fromarray(scene(i, size)).save(root / f"{i:04d}.{kind}")
    return root


def of_records(
    records: Sequence[Record], labels: Sequence[str], root: Path = Path(), task: Any = "multiclass"
) -> Dataset:
    return Dataset(name="set", root=root, records=tuple(records), labels=tuple(labels), task=task, reader="folders")


def of_files(root: Path) -> Dataset:
    """The files of one folder, labelled a and b in turn."""
    names = sorted(p.name for p in root.iterdir())
    records = [Record(id=name, image=root / name, labels={"ab"[i % 2]: 1}) for i, name in enumerate(names)]
    return of_records(records, "ab", root)


def of_targets(targets: np.ndarray, task: str = "multiclass", **columns: Sequence[Any]) -> Dataset:
    """Records of one black pixel with these targets (N, K); columns: patient, split, ..., one entry a record."""
    names = [f"class{k}" for k in range(targets.shape[1])]

    def labels(row: np.ndarray) -> dict[str, int]:
        stated = {name: int(v) for name, v in zip(names, row, strict=True) if not np.isnan(v)}
        return stated if task == "multilabel" else {name: v for name, v in stated.items() if v}

    records = [
        Record(
            id=f"{i:05d}",
            image=np.zeros((1, 1), np.uint8),
            labels=labels(row),
            **{name: values[i] for name, values in columns.items()},
        )
        for i, row in enumerate(targets)
    ]
    return of_records(records, names, task=task)


def features(data: Dataset, embeddings: np.ndarray, facts: np.ndarray | None = None) -> Features:
    """Features as if embedded; every record's content differs."""
    n = len(data)
    if facts is None:
        facts = np.zeros(n, FACTS)
        facts["width"], facts["height"], facts["bytes"] = 64, 64, 1000
        facts["thumb"] = np.random.default_rng(0).integers(0, 256, (n, THUMB, THUMB, 3))
    digests = tuple(i.to_bytes(32, "big") for i in range(n))
    return Features(data=data, embeddings=embeddings, facts=facts, digests=digests, unreadable=(), decoded=n)


def one_hot(classes: np.ndarray, k: int) -> np.ndarray:
    return np.eye(k, dtype=np.float32)[classes]


def judged(probabilities: np.ndarray, targets: np.ndarray, **changes: Any) -> Judged:
    """One repeat, every row its own group, flagged at 0.5, the most probable class announced."""
    p = np.asarray(probabilities, np.float32)
    p = p if p.ndim == 3 else p[None]
    given = {
        "probabilities": p,
        "flags": p >= 0.5,
        "targets": np.asarray(targets, np.float32),
        "groups": np.arange(p.shape[1]),
        "labels": tuple(f"class{k}" for k in range(p.shape[2])),
        "task": "multiclass",
    }
    given["roles"] = Roles(labels=changes.get("labels", given["labels"]))
    return Judged(**{**given, **changes})
