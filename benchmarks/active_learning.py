"""How many labels are needed when a person labels what `medloupe select` asks for, against random choice.

    python benchmarks/active_learning.py [--data ../shared/data] [--seeds 10] [--sets …] > table.md

A third of the groups (patients, copies) judges. Of the others 20 records at random are labelled to begin with, the same
for all strategies; then ten are labelled at a time, a head is fitted on all that are labelled, and judged. Full is the
head fitted on all of them. Labels needed: where the AUC, averaged over the seeds, first reaches 95 % (and 98 %) of the
full one, between rounds by a straight line. "ahead": in how many of the seeds the area under the curve of AUC by labels
is larger than that of random choice. The head has one regularisation for all strategies and rounds, by the number of
labels, on the 300 leading axes of the standardised embeddings. The strategy was chosen on breast_ultrasound,
cervical_cells, fundus_idrid and covid_ct; the other sets were looked at once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.embed import registry
from medloupe.embed.features import embed
from medloupe.model.active_learning import measure_uncertainty, select_batch
from medloupe.model.head import probabilities
from medloupe.training.audit.findings import audit
from medloupe.training.heads.ranking import macro_auc, ranking_scores
from medloupe.training.heads.solver import Problem, mean_and_scale, solve

SETS = ("chest_pneumonia", "skin", "brain_mri", "malaria", "breast_idc", "oct")
CHOSEN_ON = ("breast_ultrasound", "cervical_cells", "fundus_idrid", "covid_ct")
START, BATCH, MOST, AXES, C = 20, 10, 300, 300, 3.2e-3
STRATEGIES = ("random", "uncertain", "selected")


def prepare(x: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Standardise by the rows that do not judge, and keep their leading axes."""
    mean, scale = mean_and_scale(x, ~test)
    x = np.asarray((x - mean) / scale, np.float32)
    pool = x[~test]
    values, directions = np.linalg.eigh((pool @ pool.T).astype(np.float64))
    kept = slice(-min(AXES, len(values)), None)
    axes = pool.T @ (directions[:, kept] / np.sqrt(np.maximum(values[kept], 1e-6)))
    return np.asarray(x @ axes, np.float32)


def fit(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a head; give weights and constants."""
    n, d = x.shape
    even = np.ones(d, np.float32)
    problem = Problem(weights=np.ones(n, np.float32), c=C * 1000 / n, mean=0 * even, scale=even)
    solved = solve(x, y, [problem], task="multiclass")[0]
    return solved.weight, solved.bias


def follow(x: np.ndarray, y: np.ndarray, groups: np.ndarray, test: np.ndarray, strategy: str, seed: int) -> list[float]:
    """Label by a strategy; the AUC after each round."""
    rng = np.random.default_rng(1000 + seed)
    px, py, pg = x[~test], y[~test], groups[~test]
    labelled = list(np.random.default_rng(seed).permutation(len(px))[:START])
    curve: list[float] = []
    while True:
        weight, bias = fit(px[labelled], py[labelled])
        curve.append(macro_auc(ranking_scores(x[test] @ weight + bias, "multiclass"), y[test]))
        rest = np.setdiff1d(np.arange(len(px)), labelled)
        if len(labelled) >= MOST or len(rest) < 2 * BATCH:
            return curve
        uncertainty = measure_uncertainty(probabilities(px[rest] @ weight + bias, "multiclass"), "multiclass")
        if strategy == "random":
            chosen = rng.choice(len(rest), BATCH, replace=False)
        elif strategy == "uncertain":
            chosen = np.argsort(-uncertainty, kind="stable")[:BATCH]
        else:
            chosen = select_batch(px[rest], uncertainty, pg[rest], BATCH, seed + len(labelled))
        labelled += rest[chosen].tolist()


def needed(curve: np.ndarray, wanted: float) -> str:
    """Say how many labels a curve needs for an AUC."""
    at = START + BATCH * np.arange(len(curve))
    reached = np.flatnonzero(curve >= wanted)
    if not len(reached):
        return f"> {at[-1]}"
    i = int(reached[0])
    if not i:
        return f"≤ {START}"
    return f"{at[i - 1] + BATCH * (wanted - curve[i - 1]) / (curve[i] - curve[i - 1]):.0f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--sets", default=",".join((*SETS, *CHOSEN_ON)))
    told = parser.parse_args()
    print("| set | full AUC | strategy | for 95 % | for 98 % | AUC at 50, 100, 200 labels | ahead of random |")
    print("|---|---|---|---|---|---|---|")
    for name in told.sets.split(","):
        dataset = read(told.data / name)
        network = registry.backbone(registry.choose_backbone_name(dataset))
        features = embed(scan_dataset(dataset), network)
        groups = audit(features).groups
        rows = np.flatnonzero(~np.isnan(features.data.targets).all(1))
        x, y, groups = features.embeddings[rows], features.data.targets[rows], groups[rows]
        curves: dict[str, list[list[float]]] = {strategy: [] for strategy in STRATEGIES}
        full = []
        for seed in range(told.seeds):
            numbers = np.random.default_rng(seed).permutation(np.unique(groups))
            test = np.isin(groups, numbers[: len(numbers) // 3])
            z = prepare(x, test)
            weight, bias = fit(z[~test], y[~test])
            full.append(macro_auc(ranking_scores(z[test] @ weight + bias, "multiclass"), y[test]))
            for strategy in STRATEGIES:
                curves[strategy].append(follow(z, y, groups, test, strategy, seed))
        for strategy in STRATEGIES:
            n = min(map(len, curves[strategy]))
            mean = np.mean([c[:n] for c in curves[strategy]], 0)
            at = START + BATCH * np.arange(n)
            figures = ", ".join(f"{np.interp(k, at, mean):.3f}" for k in (50, 100, 200))
            pairs = zip(curves[strategy], curves["random"], strict=True)
            ahead = sum(np.mean(a) > np.mean(b) for a, b in pairs)
            said = "" if strategy == "random" else f"{ahead} of {told.seeds}"
            wanted = [needed(mean, share * float(np.mean(full))) for share in (0.95, 0.98)]
            print(
                f"| {name} | {np.mean(full):.3f} | {strategy} | {wanted[0]} | {wanted[1]} | {figures} | {said} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
