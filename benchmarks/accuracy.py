"""How good, and how fast: every data set trained from the command line, cold and warm.

    python benchmarks/accuracy.py [--data ../shared/data] [--sets breast_ultrasound,skin] [--holdout] > table.md

For each set `medloupe train` runs in an empty home (cold: every image is decoded and embedded) and again in the same
home (warm). The figures are those of the model's own card. With --holdout a fifth of the groups is first put aside,
the rest trained on, `medloupe predict --json` asked about the fifth, and its answers scored by scikit-learn: nothing of
medloupe judges there.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

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


def medloupe(home: Path, *arguments: str) -> tuple[str, float]:
    """stdout of the command, and its seconds."""
    started = time.perf_counter()
    environment = {**os.environ, "MEDLOUPE_HOME": str(home)}
    command = [sys.executable, "-m", "medloupe", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout, time.perf_counter() - started


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
    from sklearn.metrics import balanced_accuracy_score, roc_auc_score

    with (data / "labels.csv").open() as f:
        rows = [r for r in csv.DictReader(f) if r["label"] != "unknown"]
    groups = grouped(data, rows)
    rng = np.random.default_rng(seed)
    aside = set(rng.permutation(np.unique(groups))[: len(np.unique(groups)) // 5].tolist())
    with tempfile.TemporaryDirectory() as temporary:
        home, parts = Path(temporary) / "home", {}
        for name in ("open", "aside"):
            chosen = [r for r, g in zip(rows, groups, strict=True) if (g in aside) == (name == "aside")]
            parts[name] = chosen
            place = Path(temporary) / name
            for r in chosen:
                (place / r["file"]).parent.mkdir(parents=True, exist_ok=True)
                (place / r["file"]).symlink_to((data / r["file"]).resolve())
            with (place / "labels.csv").open("w", newline="") as f:
                writer = csv.DictWriter(f, list(rows[0]))
                writer.writeheader()
                writer.writerows(chosen)
        medloupe(home, "train", str(Path(temporary) / "open"), "--name", "bench", "--json")
        out, _ = medloupe(home, "predict", "bench", str(Path(temporary) / "aside"), "--json")
        answers = {
            str(Path(a["file"]).relative_to(Path(temporary) / "aside")): a for a in map(json.loads, out.splitlines())
        }
    labels = sorted({r["label"] for r in rows})
    chosen = [r for r in parts["aside"] if "probabilities" in answers.get(r["file"], {})]
    p = np.array([[answers[r["file"]]["probabilities"][k] for k in labels] for r in chosen])
    y = np.array([labels.index(r["label"]) for r in chosen])
    present = np.unique(y)
    auc = np.mean([roc_auc_score(y == k, p[:, k]) for k in present])
    sure, right = p.max(1), p.argmax(1) == y
    bins = np.minimum((sure * 10).astype(int), 9)
    ece = sum(abs(sure[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins))
    announced = [labels.index(answers[r["file"]]["prediction"]) for r in chosen]
    return {
        "auc": float(auc),
        "most probable": float(balanced_accuracy_score(y, p.argmax(1))),
        "announced": float(balanced_accuracy_score(y, announced)),
        "ece": float(ece),
    }


def grouped(data: Path, rows: list[dict[str, str]]) -> np.ndarray:
    """Patients where they are named; else what the audit holds together."""
    if "patient_id" in rows[0]:
        return np.array([r["patient_id"] or f"file {i}" for i, r in enumerate(rows)])
    import medloupe
    from medloupe.audit import audit
    from medloupe.backbones import backbone
    from medloupe.features import embed, scan

    features = embed(scan(medloupe.read(data)), backbone())
    number = dict(zip((r.id for r in features.data.records), audit(features).groups.tolist(), strict=True))
    return np.array([str(number[r["file"]]) for r in rows])


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
