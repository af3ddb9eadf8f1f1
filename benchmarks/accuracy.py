"""How good, and how fast: every data set trained from the command line, cold and warm.

    python benchmarks/accuracy.py [--data ../shared/data] [--sets breast_ultrasound,skin] [--holdout] > table.md

For each set `medloupe train` runs in an empty home (cold: every image is decoded and embedded) and again in the same
home (warm). The figures are those of the model's own card. With --holdout a fifth of the groups is first put aside,
the rest trained on, `medloupe predict --json` asked about the fifth, and its answers scored by scikit-learn: nothing of
medloupe judges there.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import numpy as np

from holdout import auc, fifths, grouped, labelled, medloupe, predicted, probabilities, put_aside, truth

SETS = (
    ("chest_pneumonia", ()),
    ("malaria", ()),
    ("brain_mri", ()),
    ("skin", ()),
    ("fundus", ()),
    ("breast_ultrasound", ()),
    ("monkeypox", ()),
    ("cats_dogs", ()),
    ("covid_cxr", ()),
    ("chest_findings", ("--labels", "labels")),
    ("medmnist/breastmnist.npz", ()),
    ("medmnist/pneumoniamnist.npz", ()),
)


def figure(metric: dict[str, float | None]) -> str:
    if metric["value"] is None:
        return "–"
    if metric["low"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} ({metric['low']:.3f}–{metric['high']:.3f})"


def trained(data: Path, options: tuple[str, ...]) -> None:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        out, cold = medloupe(home, "train", str(data), "--name", "bench", "--json", *options)
        _, warm = medloupe(home, "train", str(data), "--name", "bench", "--json", *options)
        metrics = json.loads(out.splitlines()[-1])["metrics"]
        card = json.loads(medloupe(home, "models", "show", "bench@1", "--json")[0])
    n, groups = card["data"]["labelled"], card["data"]["groups"]
    judged = f"test split, {card['split']['test']:,}" if card["split"]["test"] else "cross-validation"
    other = figure(card["secondary"]["metrics"]["auc"]) if card["secondary"] else ""
    print(
        f"| {data.stem} | {n:,} / {groups:,} | {judged} | {figure(metrics['auc'])} | {other} |"
        f" {figure(metrics['balanced_accuracy'])} | {metrics['ece']['value']:.3f} | {cold:.1f} | {warm:.2f} |"
        f" {warm / cold:.1%} |",
        flush=True,
    )


def held_out(data: Path, seed: int) -> dict[str, float]:
    """AUC, balanced accuracy and calibration error on groups that training never saw, scored by scikit-learn."""
    from sklearn.metrics import balanced_accuracy_score

    rows = labelled(data)
    groups = grouped(data, rows)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary) / "home"
        parts = put_aside(data, rows, groups, fifths(groups, seed)[0], Path(temporary))
        medloupe(home, "train", str(parts.open), "--name", "bench", "--json")
        answers, _ = predicted(home, "bench", parts.aside)
    labels = sorted({r["label"] for r in rows})
    chosen = [r for r in parts.rows if "probabilities" in answers.get(r["file"], {})]
    p = probabilities(chosen, labels, {file: a.get("probabilities", {}) for file, a in answers.items()})
    y = truth(chosen, labels)
    sure, right = p.max(1), p.argmax(1) == y
    bins = np.minimum((sure * 10).astype(int), 9)
    ece = sum(abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins))
    announced = [labels.index(answers[r["file"]]["prediction"]) for r in chosen]
    return {
        "auc": auc(y, p),
        "most probable": float(balanced_accuracy_score(y, p.argmax(1))),
        "announced": float(balanced_accuracy_score(y, announced)),
        "ece": float(ece),
    }


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--sets", default="")
    parser.add_argument("--holdout", action="store_true")
    parser.add_argument("--seeds", type=int, default=3, help="with --holdout: how many fifths")
    told = parser.parse_args()
    wanted = [s for s in SETS if not told.sets or s[0] in told.sets.split(",")]
    if not told.holdout:
        print(
            "| data | images / groups | judged by | AUC | AUC, cross-validation | balanced accuracy | ECE"
            " | cold s | warm s | warm / cold |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|")
        for name, options in wanted:
            trained(told.data / name, options)
        return
    print("| data | AUC | balanced accuracy, announced | balanced accuracy, most probable | ECE |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["MEDLOUPE_HOME"] = temporary  # of the grouping here; each training has its own
        for name, options in wanted:
            if options or name.endswith(".npz"):
                continue
            runs = [held_out(told.data / name, seed) for seed in range(told.seeds)]
            cells = []
            for key in ("auc", "announced", "most probable", "ece"):
                values = [r[key] for r in runs]
                cells.append(f"{np.mean(values):.3f} ({min(values):.3f}–{max(values):.3f})")
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
