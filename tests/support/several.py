"""Models with several inputs: columns and notes fitted on generated patients, weights drawn at random."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import tiny
from medloupe.inputs.clinical import Column
from medloupe.inputs.extras import Extras
from medloupe.inputs.notes import Notes
from medloupe.model.bundle import Model

GIVEN = {"age": "63", "sex": "F", "place": "upper arm", "history": "fever and a dry cough since Monday"}
PLACES = ["back", "face", "upper arm", "leg", "scalp"]


def extras(labels: int, *, notes: bool = True, clinical: bool = True, missing: bool = True, seed: int = 0) -> Extras:
    """Columns age, sex and place, and notes in the column `history`. missing: a tenth of the ages is not known."""
    rng = np.random.default_rng(seed)
    ages: list[str | None] = [str(a) for a in rng.integers(18, 90, 200)]
    ages[: 20 * missing] = [None] * (20 * missing)
    fitted = (
        Column.fit("age", ages),
        Column.fit("sex", [str(s) for s in rng.choice(["F", "M"], 200)]),
        Column.fit("place", [str(p) for p in rng.choice(PLACES, 200)]),
    )
    columns = tuple(c for c in fitted if c is not None) if clinical else ()
    words = "fever cough dry wet pain since Monday weeks none smoker itching growing stable".split()  # noqa: SIM905
    texts = [" ".join(rng.choice(words, 6)) for _ in range(60)]
    read = Notes.fit(texts, dimension=5, mask=("covid*",), column="history") if notes else None
    width = sum(c.width for c in columns) + (read.width if read else 0)
    weight = rng.normal(0, 0.6, (labels, width)).astype(np.float32)
    return Extras(columns=columns, notes=read, weight=weight)


def model(folder: Path, task: Any = "multiclass", **options: Any) -> Model:
    """The tiny model with extras; options: of extras."""
    made = tiny.model(folder, task)
    card = {**made.card, "backbone": made.backbone.as_json()}
    return replace(made, card=card, extras=extras(len(tiny.LABELS), **options))
