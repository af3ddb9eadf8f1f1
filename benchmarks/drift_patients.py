"""What counting patients instead of pictures would do for the watch: drift.py's replay, one row a patient.

    python benchmarks/drift_patients.py [--data ../shared/data] [--seeds 5]

As drift.py, by training, but pictures of one group that come one after the other are brought to their mean, in training
and afterwards, and a batch is 25 groups. It needs to know when answering whose a picture is, which medloupe does not.
Pictures are counted until the alarm. Sets whose folds hold fewer than 25 groups give none.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from drift import BEFORE, ORDERS, PAIRS, WINDOW, Pictures, arrive, load
from medloupe.metrics.drift import BATCH, DriftReference, fit_moments, measure_distance, watch_batches
from medloupe.model.drift import watch_features
from medloupe.model.gaussian import Gaussian
from medloupe.model.novelty import AXES

FOLDS, DRAWS = 5, 4
FOLLOWED = 400  # pictures from elsewhere


def mean_by(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Means of rows (N, p) by group, in the order of the groups' names."""
    inverse = np.unique(groups, return_inverse=True)[1].ravel()
    sums = np.zeros((int(inverse.max()) + 1, rows.shape[1]))
    np.add.at(sums, inverse, rows)
    return sums / np.bincount(inverse)[:, None]


def cross_fit(z: np.ndarray, fold: np.ndarray, whole: Gaussian) -> np.ndarray:
    """Numbers of sketches by a Gaussian fitted to them, the two distances by others that were not."""
    features = watch_features(whole, z)
    for f in np.unique(fold):
        held = fold == f
        features[held, -2:] = watch_features(Gaussian.fit(z[~held], len(whole.spread)), z[held])[:, -2:]
    return features


def fit(own: Pictures, train: np.ndarray, gaussian: Gaussian, rng: np.random.Generator) -> DriftReference | None:
    """A reference of one row a group."""
    z, groups, targets = own.z[train], own.groups[train], own.targets[train]
    names, at = np.unique(groups, return_inverse=True)
    shown = np.round(mean_by(targets, groups))
    fold, found = rng.permutation(len(names)) % FOLDS, []
    for f in range(FOLDS):
        mine = fold[at] != f
        fitted = Gaussian.fit(z[mine], len(gaussian.spread))
        rows = mean_by(cross_fit(z[mine], fold[at][mine], fitted), groups[mine])
        means, precision = fit_moments(rows, np.arange(len(rows)), shown[fold != f])
        unseen = mean_by(watch_features(fitted, z[~mine]), groups[~mine])
        for _ in range(DRAWS):
            order = rng.permutation(len(unseen))
            batches = (unseen[order[i : i + BATCH]] for i in range(0, len(order) - BATCH + 1, BATCH))
            found += [measure_distance(batch.mean(0), means, precision) * BATCH for batch in batches]
    if len(found) < 2 * DRAWS:
        return None
    rows = mean_by(cross_fit(z, fold[at], gaussian), groups)
    return DriftReference.fit(rows, np.arange(len(rows)), shown, found)


def alarms(reference: DriftReference, features: np.ndarray, groups: np.ndarray) -> list[int]:
    """Pictures seen when alarms begin."""
    runs = np.split(np.arange(len(features)), np.flatnonzero(groups[1:] != groups[:-1]) + 1)
    p, seen = [], []
    for i in range(0, len(runs) - BATCH + 1, BATCH):
        part = runs[i : i + BATCH]
        p.append(reference.p_value(np.stack([features[rows].mean(0) for rows in part])))
        seen.append(int(part[-1][-1]) + 1)
    found, before = [], False
    for at, state in zip(seen, watch_batches(p), strict=True):
        if state.alarm and not before:
            found.append(at)
        before = state.alarm
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    print("| learned from | windows of 100 | false alarms | then: pictures until the alarm |\n|---|---|---|---|")
    for source in dict.fromkeys(a for a, _, _ in PAIRS):
        own, windows, false = load(asked.data, source), 0, 0
        took: dict[str, list[int | None]] = {}
        for seed in range(asked.seeds):
            rng = np.random.default_rng(seed)
            names = rng.permutation(np.unique(own.groups))
            train = np.isin(own.groups, names[: round(0.6 * len(names))])
            axes = max(1, min(AXES, len(np.unique(own.groups[train])) // 4))
            gaussian = Gaussian.fit(own.z[train], axes)
            if (reference := fit(own, train, gaussian, rng)) is None:
                continue
            for turn in range(ORDERS):
                order = arrive(own.groups, np.flatnonzero(~train), rng)
                seen, whose = watch_features(gaussian, own.z[order]), own.groups[order]
                windows += len(order) // WINDOW
                false += len(alarms(reference, seen, whose))
                for other in (b for a, b, _ in PAIRS if a == source and turn == 0):
                    there = load(asked.data, other)
                    then = arrive(there.groups, np.arange(len(there.z)), rng)[:FOLLOWED]
                    rows = np.concatenate([seen[:BEFORE], watch_features(gaussian, there.z[then])])
                    both = np.concatenate([whose[:BEFORE], [f"elsewhere {g}" for g in there.groups[then]]])
                    later = [n - BEFORE for n in alarms(reference, rows, both) if n > BEFORE]
                    took.setdefault(f"{other.folder} {other.part}".strip(), []).append(later[0] if later else None)
        told = "; ".join(f"{k}: {', '.join(str(n) for n in v)}" for k, v in took.items())
        print(f"| {source.folder} {source.part} | {windows} | {false} | {told} |", flush=True)


if __name__ == "__main__":
    main()
