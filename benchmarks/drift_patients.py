"""A change of site where requests say whose pictures are, so that each patient counts once: drift.py's replay.

    python benchmarks/drift_patients.py [--data ../shared/data] [--seeds 5]

As drift.py, by training, but as medloupe watches pictures of known patients: a patient counts by one of the patient's
pictures, 25 patients are a batch, and they are held against what the model file keeps of the patients of the training.
Pictures are counted until the alarm. Sets with fewer than 50 groups in training keep none, and have no row.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from drift import BEFORE, ORDERS, PAIRS, WINDOW, arrive, load
from medloupe.model.drift import fit_patients, watch_features
from medloupe.model.gaussian import Gaussian
from medloupe.model.novelty import AXES, Novelty
from medloupe.watch.pictures import ObservedPicture, watch_site

FOLLOWED = 400  # pictures from elsewhere


def make_novelty(gaussian: Gaussian, z: np.ndarray, groups: np.ndarray, targets: np.ndarray, seed: int) -> Novelty:
    """Make what a model file keeps of pictures of this training, as far as they are watched by it."""
    return Novelty(
        levels=(z.shape[1],),
        mean=gaussian.mean,
        axes=gaussian.axes,
        spread=gaussian.spread,
        noise=gaussian.noise,
        limit=1.0,
        own_refused=0.0,
        patients=fit_patients(z, groups, targets, gaussian, seed),
    )


def alarms(novelty: Novelty, features: np.ndarray, groups: np.ndarray) -> list[int]:
    """Numbers of pictures seen when alarms begin; a batch is full when another patient comes."""
    kept = np.nan_to_num(np.clip(features, -6e4, 6e4)).astype("<f2")
    seen = [ObservedPicture(f"{i:06}", kept[i].tobytes(), str(whose)) for i, whose in enumerate(groups)]
    (watch,) = watch_site("", novelty, seen, 1)
    above = [False, *(value >= 1 for value in watch.evidence)]
    return [int(at) + 1 for at, now, before in zip(watch.at, above[1:], above[:-1], strict=True) if now and not before]


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
            novelty = make_novelty(gaussian, own.z[train], own.groups[train], own.targets[train], seed)
            if novelty.patients is None:
                continue
            for turn in range(ORDERS):
                order = arrive(own.groups, np.flatnonzero(~train), rng)
                seen, whose = watch_features(gaussian, own.z[order]), own.groups[order]
                windows += len(order) // WINDOW
                false += len(alarms(novelty, seen, whose))
                for other in (b for a, b, _ in PAIRS if a == source and turn == 0):
                    there = load(asked.data, other)
                    then = arrive(there.groups, np.arange(len(there.z)), rng)[:FOLLOWED]
                    rows = np.concatenate([seen[:BEFORE], watch_features(gaussian, there.z[then])])
                    both = np.concatenate([whose[:BEFORE], [f"elsewhere {g}" for g in there.groups[then]]])
                    later = [n - BEFORE for n in alarms(novelty, rows, both) if n > BEFORE]
                    took.setdefault(f"{other.folder} {other.part}".strip(), []).append(later[0] if later else None)
        told = "; ".join(f"{k}: {', '.join(str(n) for n in v)}" for k, v in took.items())
        if windows:
            print(f"| {source.folder} {source.part} | {windows} | {false} | {told} |", flush=True)


if __name__ == "__main__":
    main()
