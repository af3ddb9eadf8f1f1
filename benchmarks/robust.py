"""Robust against ordinary training on a source that neither has seen, nested: that source takes no part in choosing.

    python benchmarks/robust.py [--data ../shared/data] [--sets chest,oct] [--pictures 150] [--seeds 3] > table.md

Data sets that ask the same question stand for hospitals (chest: normal or an infection of the lung, from four
collections) or are told apart by a column (oct: three parts of two releases). For each source
that is left out, a head is fitted and chosen on the others twice: by leaving these out one at a time, as `train
--robust` does, and in folds over patients that mix them, as `train` does; both answer the source left out. That takes
three sources. Of each source about so many pictures are drawn, whole patients, another draw for each seed; so the
seeds show how far chance goes. Linear heads on the shared network; with --field on field views of the pictures, too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import medloupe
from medloupe.data.records import Dataset
from medloupe.data.scan import scan_dataset
from medloupe.data.source_column import find_source_column
from medloupe.data.split import plan_split, sample_rows
from medloupe.embed.features import embed
from medloupe.embed.registry import backbone, choose_backbone_name
from medloupe.metrics.weighted import Metric
from medloupe.training.audit.findings import audit
from medloupe.training.heads.source_verdict import SourceVerdict, judge_sources
from medloupe.training.options import Options
from medloupe.training.pipeline.field import see_field

CHEST = {
    "chest_pneumonia": {"NORMAL": "normal", "PNEUMONIA": "infection"},
    "chest_findings": {"No_findings": "normal", "Pneumonia": "infection"},
    "chest_adult": {"normal": "normal", "covid": "infection", "tuberculosis": "infection"},
    "covid_cxr": {"No Finding": "normal", "COVID-19": "infection", "other_pneumonia": "infection"},
}


def _chest(data: Path) -> Dataset:
    """Four collections of chest X-rays, of children and adults, as one."""
    parts = {name: medloupe.read(data / name) for name in CHEST}
    records = []
    for name, part in parts.items():
        for r in part.records:
            label = next((CHEST[name][n] for n, v in r.labels.items() if v and n in CHEST[name]), None)
            if label is not None:
                patient = None if r.patient is None else f"{name} {r.patient}"
                told = {"labels": {label: 1}, "patient": patient, "split": None, "columns": {"source": name}}
                records.append(replace(r, id=f"{name}/{r.id}", **told))
    first = next(iter(parts.values()))
    return replace(first, records=tuple(records), labels=("normal", "infection"), task="multiclass")


SETS: Mapping[str, tuple[str, Callable[[Path], Dataset]]] = {
    "chest": ("normal or an infection of the lung", _chest),
    "oct": ("CNV or normal", lambda data: medloupe.read(data / "oct")),
}


def judge(data: Dataset, pictures: int, seed: int, field: bool) -> SourceVerdict:
    """Draw pictures of each source and judge both ways to choose on each source left out."""
    column = find_source_column(data)
    rng = np.random.default_rng(seed)
    rows = []
    for name in sorted(set(column.told) - {""}):
        mine = np.array([i for i, told in enumerate(column.told) if told == name])
        groups = np.unique([data.records[i].patient or data.records[i].id for i in mine], return_inverse=True)[1]
        groups = rng.permutation(groups.max() + 1)[groups]
        rows.append(mine[sample_rows(np.arange(len(mine)), data.targets[mine], groups, pictures, seed)])
    kept = np.sort(np.concatenate(rows))
    data = replace(data, records=tuple(replace(data.records[i], split=None) for i in kept))
    network = backbone(choose_backbone_name(data))
    features = embed(scan_dataset(data), network)
    plan = plan_split(features.data, audit(features, seed).groups)
    seen = see_field(features, plan.groups, network, Options(seed=seed), lambda *_: None) if field else None
    told = find_source_column(features.data).told
    views = None if seen is None else seen[0]
    return judge_sources(features, plan, told, levels=network.card.levels, seed=seed, views=views)


def tell(metric: Metric, *, signed: bool = False) -> str:
    if metric["value"] is None:
        return "–"
    sign = "+" if signed else ""
    ends = "" if metric["low"] is None else f" ({metric['low']:{sign}.3f} to {metric['high']:{sign}.3f})"
    return f"{metric['value']:{sign}.3f}{ends}"


def main() -> None:
    """Judge the sets asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default="chest,oct")
    parser.add_argument("--pictures", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--field", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    print("| question | seed | left out | n / groups | robust AUC | ordinary AUC | difference | ECE | c |")
    print("|" + 9 * "---|")
    for name in asked.sets.split(","):
        called, read = SETS[name]
        data = read(asked.data)
        for seed in range(asked.first, asked.first + asked.seeds):
            began = time.process_time()
            found = judge(data, asked.pictures, seed, asked.field)
            for row in found.rows:
                c = ", ".join(f"{v:.1e}" for v in row.c)
                cells = [tell(row.auc), tell(row.ordinary), tell(row.gain, signed=True), tell(row.ece), c]
                print(f"| {called} | {seed} | {row.name} | {row.n} / {row.groups} | " + " | ".join(cells) + " |")
            cells = [tell(found.auc), tell(found.ordinary), tell(found.gain, signed=True), "", ""]
            print(f"| {called} | {seed} | mean of sources | | " + " | ".join(cells) + " |")
            print(f"<!-- {name}, seed {seed}: {time.process_time() - began:.0f} processor seconds -->", flush=True)


if __name__ == "__main__":
    main()
