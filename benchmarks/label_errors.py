"""How many wrong labels are found: planted ones, and pictures that radiologists call normal.

    python benchmarks/label_errors.py planted --cleanlab PYTHON [--data ../shared/data] [--seeds 5] > table.md
    python benchmarks/label_errors.py key --cleanlab PYTHON [--data ../shared/data] > table.md

Planted: 5 % of the labels of a set are turned into another at random, and the ranking is asked for as many labels as
were turned. All methods get the same embeddings and the same groups (patients, copies), left out of fold. Plain
self-confidence is the probability, out of fold, of the label given, from medloupe's own fit (searched, calibrated);
cleanlab gets the same probabilities. Recall: of the turned labels those among the first so many; since as many are
asked for as were turned, it is also the precision at that length. Of cleanlab's flags, whose number it chooses itself,
precision and recall stand apart. PYTHON is one that has cleanlab 2.9 (`pip install cleanlab==2.9.0`).

The method was chosen on breast_ultrasound, oct, cervical_cells, fundus_idrid and ecg_images. The four others had
been looked at once with a first method, which was behind self-confidence on skin (.580 against .664:
classes are uneven there) and which the sets of choice then mended.

Key: pictures of NIH ChestX-ray14 whose text-mined label is a finding and that RSNA's radiologists call normal.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medloupe.data.reading import read
from medloupe.data.scan import scan_dataset
from medloupe.embed import registry
from medloupe.embed.features import Features, embed
from medloupe.metrics.weighted import Ranking
from medloupe.training.audit.findings import audit
from medloupe.training.audit.label_errors import score_labels
from medloupe.training.heads.fit import fit

SETS = ("chest_pneumonia", "skin", "brain_mri", "breast_idc")
CHOSEN_ON = ("breast_ultrasound", "oct", "cervical_cells", "fundus_idrid", "ecg_images")
SHARE = 0.05
KEY = "chest_adult/chest_findings_called_normal.csv"


def embedded(data: Path, **told: str) -> tuple[Features, np.ndarray, tuple[int, ...]]:
    """Embed a set; give its features, the groups of the audit and the levels of the network."""
    dataset = read(data, **told)
    network = registry.backbone(registry.choose_backbone_name(dataset))
    features = embed(scan_dataset(dataset), network)
    return features, audit(features).groups, network.card.levels


def turn(targets: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Turn a share of one-hot labels (N, K) into others; give them, and which were turned, bool (N,)."""
    rng = np.random.default_rng(seed)
    n, k = targets.shape
    turned = rng.choice(n, round(SHARE * n), replace=False)
    labels = targets.argmax(1)
    labels[turned] = (labels[turned] + rng.integers(1, k, len(turned))) % k
    return np.eye(k, dtype=np.float32)[labels], np.isin(np.arange(n), turned)


def ask_cleanlab(python: str, labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Ask cleanlab for the rows that it flags, the worst first."""
    peer = Path(__file__).parent / "peers" / "find_cleanlab.py"
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(asked, labels=labels, probabilities=probabilities)
        subprocess.run([python, str(peer), str(asked), str(answered)], check=True, stdout=subprocess.DEVNULL)
        return np.load(answered)["ranked"]


def measure(
    features: Features, groups: np.ndarray, levels: tuple[int, ...], seed: int, python: str
) -> dict[str, float]:
    """Plant errors and measure what each method finds of them."""
    x, (targets, turned) = features.embeddings, turn(np.nan_to_num(features.data.targets), seed)
    m, labels = int(turned.sum()), targets.argmax(1)
    p = fit(x, targets, groups, task="multiclass", levels=levels, seed=seed, repeats=1).out_of_fold[0].astype(float)
    confidence = np.argsort(p[np.arange(len(p)), labels], kind="stable")
    flagged = ask_cleanlab(python, labels, p / p.sum(1, keepdims=True))
    own = np.argsort(score_labels(x, targets, groups, task="multiclass", seed=seed)[np.arange(len(p)), labels])
    return {
        "medloupe": turned[own[:m]].mean(),
        "self-confidence": turned[confidence[:m]].mean(),
        "cleanlab": turned[flagged[:m]].sum() / m,
        "medloupe, first half": turned[own[: m // 2]].mean(),
        "self-confidence, first half": turned[confidence[: m // 2]].mean(),
        "cleanlab, precision of flags": turned[flagged].mean() if len(flagged) else float("nan"),
        "cleanlab, recall of flags": turned[flagged].sum() / m,
        "planted": m,
    }


def planted(data: Path, seeds: int, python: str, names: tuple[str, ...]) -> None:
    """Print the table of planted errors: mean and standard deviation over seeds."""
    head = True
    for name in names:
        features, groups, levels = embedded(data / name)
        found = [measure(features, groups, levels, seed, python) for seed in range(seeds)]
        if head:
            print("| set | labels |", " | ".join(found[0]), "|")
            print("|---|---|" + "---|" * len(found[0]))
            head = False
        cells = [f"{np.mean(v):.3f} ± {np.std(v):.3f}" for v in ([f[k] for f in found] for k in found[0])]
        cells[-1] = f"{found[0]['planted']:.0f}"
        print(f"| {name} | {len(features.data):,} |", " | ".join(cells), "|", flush=True)


def key(data: Path, python: str) -> None:
    """Print at which ranks the pictures stand that radiologists call normal, among those with the label Pneumonia."""
    with (data / KEY).open(encoding="utf-8") as lines:
        known = {row["file"] for row in csv.DictReader(lines) if row["set"] == "chest_findings"}
    features, groups, levels = embedded(data / "chest_findings", labels="label")
    targets, ids = features.data.targets, [r.id for r in features.data.records]
    wrong, x = np.array([i in known for i in ids]), features.embeddings
    labels = targets.argmax(1)
    p = fit(x, targets, groups, task="multiclass", levels=levels, repeats=1).out_of_fold[0].astype(float)
    scores = -score_labels(x, targets, groups, task="multiclass")[np.arange(len(p)), labels]
    flagged = ask_cleanlab(python, labels, p / p.sum(1, keepdims=True))
    last = np.full(len(p), -1.0)
    last[flagged] = len(flagged) - np.arange(len(flagged))
    by = {"medloupe": scores, "self-confidence": -p[np.arange(len(p)), labels], "cleanlab": last}
    counts = {name: int((wrong & (labels == k)).sum()) for k, name in enumerate(features.data.labels)}
    print(f"{wrong.sum()} of {len(wrong)} pictures are called normal by radiologists; by label here: {counts}\n")
    finding = np.array([name != "No_findings" for name in features.data.labels])[labels]
    told = " | ".join(f"{m}: found at that number (chance), AUC" for m in by)
    print(f"| ranked among | pictures | in the key | {told} |")
    print("|---|---|---|" + "---|" * len(by))
    among: Mapping[str, np.ndarray] = {
        "all with a finding": finding,
        **{f"labelled {n}": labels == k for k, n in enumerate(features.data.labels) if counts[n] >= 10},
    }
    for name, mask in among.items():
        m = int((wrong & mask).sum())
        cells = []
        for s in by.values():
            first = np.flatnonzero(mask)[np.argsort(-s[mask], kind="stable")[:m]]
            auc = Ranking(s[mask], wrong[mask].astype(float)).auc(np.ones((1, int(mask.sum())), np.float32))[0]
            cells.append(f"{wrong[first].sum()} of {m} ({m * m / mask.sum():.1f}), {auc:.2f}")
        print(f"| {name} | {mask.sum()} | {m} |", " | ".join(cells), "|")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("planted", "key"))
    parser.add_argument("--cleanlab", required=True, metavar="PYTHON")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sets", default=",".join((*SETS, *CHOSEN_ON)))
    told = parser.parse_args()
    if told.what == "planted":
        planted(told.data, told.seeds, told.cleanlab, tuple(told.sets.split(",")))
    else:
        key(told.data, told.cleanlab)


if __name__ == "__main__":
    main()
