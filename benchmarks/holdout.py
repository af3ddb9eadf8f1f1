"""Groups put aside from the whole of a training, and the judge of who is asked about them: scikit-learn, not medloupe.

A data set here is a folder with labels.csv (columns `file` and `label`, perhaps `patient_id`).
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Row = dict[str, str]
FOLDS = 5


def medloupe(home: Path, *arguments: str) -> tuple[str, float]:
    """stdout of the command, and its seconds."""
    started = time.perf_counter()
    environment = {**os.environ, "MEDLOUPE_HOME": str(home)}
    command = [sys.executable, "-m", "medloupe", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout, time.perf_counter() - started


def labelled(data: Path) -> list[Row]:
    """The rows of labels.csv that name a class."""
    with (data / "labels.csv").open(encoding="utf-8") as f:
        return [r for r in csv.DictReader(f) if r["label"] != "unknown"]


def grouped(data: Path, rows: Sequence[Row]) -> np.ndarray:
    """Patients where they are named; else what the audit holds together."""
    if "patient_id" in rows[0]:
        return np.array([r["patient_id"] or f"file {i}" for i, r in enumerate(rows)])
    import medloupe
    from medloupe.data.scan import scan_dataset
    from medloupe.embed.features import embed
    from medloupe.embed.registry import backbone
    from medloupe.training.audit.findings import audit

    features = embed(scan_dataset(medloupe.read(data)), backbone())
    number = dict(zip((r.id for r in features.data.records), audit(features).groups.tolist(), strict=True))
    return np.array([str(number[r["file"]]) for r in rows])


def some(groups: np.ndarray, n: int, seed: int) -> np.ndarray:
    """bool (N,): whole groups, in a random order, until there are n records."""
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    reached = np.cumsum([np.count_nonzero(groups == g) for g in order])
    return np.isin(groups, order[: np.searchsorted(reached, n) + 1])


def fifths(groups: np.ndarray, seed: int) -> list[set[str]]:
    """Five disjoint sets of groups, equal in number but for the remainder of the division, which is in none."""
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    n = len(order) // FOLDS
    return [set(order[i * n : (i + 1) * n].tolist()) for i in range(FOLDS)]


@dataclass(frozen=True, slots=True)
class Parts:
    """open: what may be learnt from. aside: what is asked about, with these rows of these groups."""

    open: Path
    aside: Path
    rows: list[Row]
    groups: np.ndarray


def put_aside(data: Path, rows: Sequence[Row], groups: np.ndarray, aside: set[str], folder: Path) -> Parts:
    """The two parts as folders of links in `folder`, each with its labels.csv."""
    inside = np.isin(groups, list(aside))
    for name, chosen in (("open", ~inside), ("aside", inside)):
        place = folder / name
        part = [rows[i] for i in np.flatnonzero(chosen).tolist()]
        for r in part:
            (place / r["file"]).parent.mkdir(parents=True, exist_ok=True)
            (place / r["file"]).symlink_to((data / r["file"]).resolve())
        with (place / "labels.csv").open("w", newline="", encoding="utf-8") as f:
            writer = csv.DictWriter(f, list(rows[0]))
            writer.writeheader()
            writer.writerows(part)
    return Parts(folder / "open", folder / "aside", [rows[i] for i in np.flatnonzero(inside).tolist()], groups[inside])


def predicted(home: Path, model: str, folder: Path) -> tuple[dict[str, dict], float]:
    """What `medloupe predict --json` answers, by the file's path in the folder, and the command's seconds."""
    out, seconds = medloupe(home, "predict", model, str(folder), "--json")
    return {str(Path(a["file"]).relative_to(folder)): a for a in map(json.loads, out.splitlines())}, seconds


def truth(rows: Iterable[Row], labels: Sequence[str]) -> np.ndarray:
    """int (N,): the label's place in `labels`."""
    return np.array([labels.index(r["label"]) for r in rows])


def probabilities(rows: Iterable[Row], labels: Sequence[str], answers: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """(N, K) of answers by file and label; a class that was never seen has none."""
    return np.array([[answers[r["file"]].get(k, 0.0) for k in labels] for r in rows])


def auc(y: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Mean over the classes present of one against the rest. y: int (N,). p: (N, K)."""
    from sklearn.metrics import roc_auc_score

    return float(np.mean([roc_auc_score(y == k, p[:, k], sample_weight=weights) for k in np.unique(y)]))


def resampled(groups: np.ndarray, y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """How often each record is in each of n bootstraps over groups, int (n, N); none of them lacks a class of y."""
    rng, classes = np.random.default_rng(seed), np.unique(y)
    _, member = np.unique(groups, return_inverse=True)
    drawn: list[np.ndarray] = []
    for _ in range(20 * n):  # few groups: some draws miss a class
        times = np.bincount(rng.integers(0, member.max() + 1, member.max() + 1), minlength=member.max() + 1)[member]
        if len(np.unique(y[times > 0])) == len(classes):
            drawn.append(times)
        if len(drawn) == n:
            break
    return np.array(drawn).reshape(-1, len(y))
