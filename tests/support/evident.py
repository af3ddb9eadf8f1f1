"""Versions with predictions to be compared by."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from medloupe.metrics.evidence import FILE, Evidence
from medloupe.model.bundle import Model
from medloupe.store.database import writing_session
from medloupe.store.models import Store
from medloupe.store.tables import AuditRow, ModelRow
from storing import write_files


def judged(skill: float, noise: int = 1, n: int = 200) -> Callable[[Path, Model], None]:
    """Files with evidence of that skill."""

    def write(folder: Path, model: Model) -> None:
        write_files(folder, model)
        (folder / FILE).write_bytes(evidence(skill, n, noise=noise).as_bytes())

    return write


LABELS = ("ill", "well")


def evidence(
    skill: float,
    n: int = 200,
    *,
    seed: int = 0,
    noise: int = 1,
    repeats: int = 2,
    labels: tuple[str, ...] = LABELS,
    task: str = "multiclass",
    first: int = 0,
    groups: np.ndarray | None = None,
) -> Evidence:
    """Predictions for n records whose truth depends on seed alone; the greater the skill, the better they rank."""
    truth = np.random.default_rng(seed).random(first + n)[first:] < 0.4
    rng = np.random.default_rng([seed, noise])
    score = skill * truth + rng.normal(size=(repeats, n))
    p = (1 / (1 + np.exp(-score))).astype(np.float32)
    both = np.stack([p, 1 - p], 2)
    return Evidence(
        labels=labels,
        task=task,
        digests=np.arange(first, first + n, dtype=np.uint64),
        groups=np.arange(n) if groups is None else groups,
        targets=np.stack([truth, ~truth], 1).astype(np.float32),
        probabilities=both,
        announced=(both > 0.5).mean(0, dtype=np.float32),
    )


def changed(e: Evidence, **fields: Any) -> Evidence:
    return Evidence(**{name: fields.get(name, getattr(e, name)) for name in Evidence.__dataclass_fields__})


def audited(store: Store) -> list[dict[str, Any]]:
    """The audit log."""
    with Session(store.engine) as session:
        rows = session.scalars(select(AuditRow).order_by(AuditRow.id)).all()
        return [{k: getattr(r, k) for k in ("at", "actor", "action", "object", "request_id", "detail")} for r in rows]


def assert_consistent(store: Store, acknowledged: int) -> None:
    """Rows, history and audit log tell one story, with all that was acknowledged in it, and production answers."""
    with writing_session(store.engine) as session:  # a server may still be committing what the killed one sent
        session.execute(select(ModelRow).with_for_update()).all()
    history = store.history("lungs")
    assert len(history) >= acknowledged
    assert all(b.previous == a.version for a, b in pairwise(history))
    assert store.production()["lungs"][0] == history[-1].version == store.get("lungs").version
    noted = [a for a in audited(store) if a["action"] in ("promote", "rollback")]
    assert [int(a["object"].partition("@")[2]) for a in noted] == [c.version for c in history[1:]]
