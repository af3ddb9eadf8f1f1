"""Another hospital: the check-ups in the box on a second source of the same disease, as they come and fitted to it.

    python benchmarks/external.py [--data ../shared/data] [--only pneumonia,oct] [--write] > table.md

Each check-up is judged on every other source that the data has (SOURCES), but for what it learned from, by its own
labels, calibration and lines: `medloupe evaluate`. Then it is fitted to CASES cases of that source drawn at random,
whole patients: `medloupe adapt`, whose "after" is judged on cases that took no part. Beside it stands what its card
says of its own pictures. Where a set has one class alone only the share flagged is told. --write keeps the rows in
benchmarks/external.json, those of check-ups not asked for as they were; scripts/checkups_page.py writes the table in
docs/checkups.md from it. A check-up that is made anew is judged again by naming it with --only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import medloupe
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import scan_dataset
from medloupe.data.split import assign_folds
from medloupe.embed.features import embed
from medloupe.errors import DataError
from medloupe.evaluation.external import Validation, validate
from medloupe.evaluation.external_boxes import validate_detector
from medloupe.metrics import weighted
from medloupe.metrics.weighted import Metric
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.starter import shipped
from medloupe.training.adapt.run import adapt
from starters import STARTERS

KEPT = Path(__file__).with_suffix(".json")
CASES = 150
Keep = Callable[[Record], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Another source of a check-up's question.

    folders: read one after the other. relabel: the check-up's label of each of the data's; what is not named is left
    out. title: as people call it. caution: what makes its figures say less, or nothing of the check-up's own patients.
    keep: which records. most: so many of each folder at most, drawn by whole patients.
    """

    folders: tuple[str, ...]
    title: str
    relabel: Mapping[str, str]
    caution: str = ""
    keep: Keep | None = None
    most: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    def read(self, data: Path, labels: tuple[str, ...]) -> Dataset:
        """Read it with the check-up's labels."""
        parts = [medloupe.read(data / name, **self.options) for name in self.folders]
        records = []
        for name, part in zip(self.folders, parts, strict=True):
            mine = [
                replace(r, id=f"{name}/{r.id}", labels=told, split=None)
                for r in part.records
                if (self.keep is None or self.keep(r)) and (told := self._told(r))
            ]
            records += _draw(mine, self.most) if self.most else mine
        return replace(parts[0], root=data / self.folders[0], records=tuple(records), labels=labels)

    def _told(self, record: Record) -> dict[str, int]:
        return {self.relabel[n]: 1 for n, v in record.labels.items() if v and n in self.relabel}


def _draw(records: list[Record], most: int) -> list[Record]:
    """Draw about `most` records at random, whole patients."""
    groups = np.unique([r.patient or r.id for r in records], return_inverse=True)[1]
    order = np.random.default_rng(0).permutation(groups.max() + 1)[groups]
    cut = np.sort(order)[min(most, len(order)) - 1]
    return [r for r, place in zip(records, order, strict=True) if place <= cut]


_ADULTS = "adults, whom it is not for"
_BY_CLASS = "each class from another collection: part of it may be the collection"
SOURCES: Mapping[str, tuple[Source, ...]] = {
    "pneumonia": (
        Source(
            folders=("chest_findings",),
            title="NIH ChestX-ray14 (USA)",
            relabel={"No_findings": "NORMAL", "Pneumonia": "PNEUMONIA"},
            caution=f"{_ADULTS}; labels by text mining",
        ),
        Source(
            folders=("covid_cxr",),
            title="ieee8023 (many hospitals)",
            relabel={"No Finding": "NORMAL", "other_pneumonia": "PNEUMONIA", "COVID-19": "PNEUMONIA"},
            caution=f"{_ADULTS}; few normal",
        ),
        Source(
            folders=("chest_adult",),
            title="RSNA normal, BIMCV COVID-19",
            relabel={"normal": "NORMAL", "covid": "PNEUMONIA"},
            caution=f"{_ADULTS}; {_BY_CLASS}",
            most=600,
        ),
    ),
    "covid": (
        Source(
            folders=("chest_adult", "chest_findings"),
            title="BIMCV COVID-19, NIH pneumonia",
            relabel={"covid": "COVID-19", "Pneumonia": "other_pneumonia"},
            caution=_BY_CLASS,
            most=400,
        ),
    ),
    "oct": (
        Source(
            folders=("oct",),
            title="OCT-C8 (mostly the same source)",
            relabel={"CNV": "CNV", "NORMAL": "NORMAL"},
            keep=lambda r: r.columns.get("source") == "oct_c8_train",
        ),
        Source(
            folders=("oct_four", "oct_tiny"),
            title="OCT2017, other patients",
            relabel={"CNV": "CNV", "NORMAL": "NORMAL"},
            caution="few pictures of the same source",
        ),
    ),
    "brain-tumour": (
        Source(
            folders=("brain_boxes",),
            title="brain_boxes (tumours alone)",
            relabel={"tumor": "glioma"},
            caution="no slice without a tumour, and which kind is not told: the share flagged alone",
            most=200,
        ),
    ),
    "retina": (
        Source(
            folders=("fundus_idrid",),
            title="IDRiD (India)",
            relabel={n: n for n in ("0_no_dr", "1_mild", "2_moderate", "3_severe", "4_proliferative")},
        ),
    ),
    "retina-referable": (
        Source(
            folders=("fundus_idrid",),
            title="IDRiD (India)",
            relabel={
                **dict.fromkeys(("0_no_dr", "1_mild"), "not_referable"),
                **dict.fromkeys(("2_moderate", "3_severe", "4_proliferative"), "referable"),
            },
        ),
    ),
    "heart_size": (Source(folders=("chest_nodule",), title="JSRT (Japan)", relabel={}, options={"task": "detection"}),),
}
"""Of each check-up the other sources at hand; of those not named there is none."""

LEARNED = "learned from it"


def judge(name: str, source: Source, data: Path) -> dict[str, Any]:
    """The row of a check-up and a source."""
    model = shipped.load_shipped(name)
    (starter,) = (s for s in STARTERS if s.name == name)
    row: dict[str, Any] = {"check-up": name, "judged": source.title, "caution": source.caution}
    row |= {"own": model.card["data"]["name"], "terms": starter.terms}
    if model.detector is not None:
        return {**row, **_judge_boxes(model, medloupe.read(data / source.folders[0], task="detection"))}
    told = source.read(data, model.labels)
    try:
        found = validate(model, told)
    except DataError as e:
        return {**row, "note": LEARNED if "in the training" in e.message else _name(e, told)}
    classes = {n for r in told.records for n in r.labels}
    row |= {"n": found.as_json()["n"], "groups": found.as_json()["groups"]}
    row |= {"refused": _refused(model, told), **_sides(model, found, len(classes) > 1)}
    return {**row, **(_adapt(model, told) if len(classes) > 1 else {})}


def _sides(model: Model, found: Validation, both: bool) -> dict[str, Any]:
    """Own and external figures; of one class alone the share flagged."""
    there = found.report["card"]
    rows = {}
    for side, card in (("internal", model.card), ("external", there)):
        m = card["metrics"]
        rows[side] = {key: m.get(key) for key in (("auc", "ece") if both or side == "internal" else ())}
        roles = Decision.from_card(model.card).roles
        by_label = {r["label"]: r for r in card["per_label"]}
        points = [by_label[n] for n in roles.by_danger() if roles.of(n) == "sought" and n in by_label][:1]
        rows[side]["lines"] = [
            {"label": r["label"], **{k: r["operating_point"][k] for k in ("sensitivity", "specificity")}}
            for r in points
        ]
    return rows


def _refused(model: Model, told: Dataset) -> Metric:
    """Share of the pictures that are refused as foreign."""
    seen = embed(scan_dataset(told), model.backbone)
    novelty = model.novelty
    if novelty is None:
        return Metric(value=None, low=None, high=None)
    foreign = novelty.score(seen.embeddings) > 1
    groups = np.unique([r.patient or r.id for r in seen.data.records], return_inverse=True)[1]
    part = weighted.share(foreign, np.ones(len(foreign), bool))
    found = weighted.bootstrap_intervals({"refused": part}, groups)["refused"]
    return weighted.widen_share_interval(found, len(np.unique(groups)))


def _adapt(model: Model, told: Dataset) -> dict[str, Any]:
    """How its percentages and its line fare on cases of the source before it is fitted to them and after."""
    y = np.array([[r.labels.get(n, 0) for n in model.labels] for r in told.records], np.float32)
    groups = np.unique([r.patient or r.id for r in told.records], return_inverse=True)[1]
    parts = max(1, round(len(y) / CASES))
    fold = assign_folds(y, groups, parts, 0) if parts > 1 else np.zeros(len(y), int)
    local = replace(told, records=tuple(r for r, f in zip(told.records, fold, strict=True) if f == 0))
    try:
        entry = adapt(model, local).entry
    except DataError as e:
        return {"adapted": None, "why_not": _name(e, local)}
    sides = {side: entry["figures"][side]["ece"] for side in ("before", "after")}
    return {"adapted": {"cases": entry["n"], "kind": entry["calibration"]["kind"], "ece": sides}}


def _name(error: DataError, told: Dataset) -> str:
    """What is wrong, with the data's name instead of where it lies."""
    return error.message.replace(str(told.root), told.root.name)


def _judge_boxes(model: Model, told: Dataset) -> dict[str, Any]:
    found = validate_detector(model, told).report["card"]
    rows = {}
    for side, card in (("internal", model.card), ("external", found)):
        rows[side] = {"map50": card["metrics"]["map50"], "measured": [m["words"] for m in card["measurements"]]}
    return {"n": found["split"]["test"], "groups": found["split"]["groups"], **rows}


def _round(value: Any) -> Any:
    return json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 4))


def main() -> None:
    """Judge the check-ups asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default=",".join(SOURCES))
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    names = asked.only.split(",")
    if unknown := set(names) - set(SOURCES):
        raise SystemExit(f"Of {', '.join(sorted(unknown))} no other source is named in SOURCES.")
    rows = []
    for name in names:
        for source in SOURCES[name]:
            rows.append(_round(judge(name, source, asked.data)))
            print(json.dumps(rows[-1]), flush=True)
            if asked.write:
                kept = json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else []
                kept = [r for r in kept if (r["check-up"], r["judged"]) != (name, source.title)]
                KEPT.write_text(json.dumps([*kept, rows[-1]], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
