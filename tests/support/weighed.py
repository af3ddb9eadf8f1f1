"""Patients made up with a picture, a table and notes, of which the truth is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medloupe.embed.features import Features
from medloupe.inputs.clinical import Column
from medloupe.inputs.notes import Notes
from medloupe.training.fusion.encoding import EncodedInputs
from medloupe.training.heads.fit import FittedHead, fit
from medloupe.training.options import Options
from synthetic import features, of_targets, one_hot

D = 8
NOISE = ("came by bus", "waited an hour", "brother of another patient", "asked for water", "lives in the south")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patients:
    """N patients, each a group: embeddings (N, D), targets (N, K), and what is known of them."""

    embeddings: np.ndarray
    targets: np.ndarray
    groups: np.ndarray
    rows: tuple[dict[str, str], ...]
    task: str

    def fitted(self, repeats: int = 2) -> FittedHead:
        """The head on the picture alone."""
        return fit(self.embeddings, self.targets, self.groups, task=self.task, levels=(D,), repeats=repeats)

    def encoded(self, *columns: str, notes: bool = False) -> tuple[EncodedInputs, tuple[Column, ...], Notes | None]:
        """Columns, and the notes, as learned from all rows."""
        found = tuple(c for name in columns if (c := Column.fit(name, [r.get(name) for r in self.rows])))
        text = Notes.fit([r.get("notes") for r in self.rows], dimension=8) if notes else None
        return EncodedInputs.encode(found, text, self.rows), found, text

    def features(self, **changes: Any) -> Features:
        """As if embedded. changes: of the records, one entry each (split, patient)."""
        data = of_targets(self.targets, self.task, columns=self.rows, **changes)
        return features(data, self.embeddings)


def patients(
    n: int = 400,
    *,
    k: int = 2,
    image: float = 0.8,
    table: float = 1.0,
    missing: float = 0.1,
    seed: int = 0,
    task: str = "multiclass",
) -> Patients:
    """A class shifts the picture by `image` and the age by 12 `table` years; sex and noise know nothing; the notes of
    the last class mostly speak of fever, those of others seldom."""
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, k, n)
    x = (rng.normal(size=(n, D)) + image * np.eye(k, D)[classes]).astype(np.float32)
    age = 50 + 12 * table * (classes - (k - 1) / 2) + rng.normal(0, 12, n)
    rows = []
    for i in range(n):
        row = {
            "age": f"{age[i]:.0f}",
            "sex": "MF"[int(rng.integers(2))],
            "noise": f"{rng.normal():.3f}",
            "notes": " ".join(rng.choice(NOISE, 2)) + f" {rng.integers(10_000)}",
        }
        if rng.random() < (0.7 if classes[i] == k - 1 else 0.1):
            row["notes"] += " fever and cough"
        rows.append({name: v for name, v in row.items() if name == "notes" or rng.random() >= missing})
    y = one_hot(classes, k)
    return Patients(embeddings=x, targets=y, groups=np.arange(n), rows=tuple(rows), task=task)


def asked(*columns: str, **more: Any) -> Options:
    return Options(clinical=tuple(columns), **more)


def with_column(found: Patients, name: str, values: list[str | None]) -> Patients:
    """The same with one column more."""
    rows = tuple({**r, name: v} if v else r for r, v in zip(found.rows, values, strict=True))
    return replace(found, rows=rows)
