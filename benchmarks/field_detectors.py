"""How detectors fare on photographs: boxes, counts and measurements, direct against photographed and cut out unasked.

    python benchmarks/field_detectors.py [--data ../shared/data] [--pictures 40] [--sent direct,mild] > table.md

`blood_cells` is judged on its own test part, which it had not learned from; `heart_size`, which learned from all of its
pictures, on those of another collection (JSRT) where people drew heart and lungs. Each picture is photographed by
field_family.py at each severity and sent whole; nobody says that it is a photograph, and what the app cuts out is
looked at. Boxes are held against the drawn ones where these lie in the photograph. "Answered" is what is neither
refused nor unusable by the rules of a detector that photographs do not stop; errors are told of these, too. Withheld
pictures count with the boxes that they would have got in all figures but those. Intervals: 95 %, by bootstrap over
patients or pictures.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import field_family
import medloupe
from medloupe.data.contents import read_content
from medloupe.evaluation.box_panel import BoxPanel, assemble_box_panel
from medloupe.imaging.decode import decode
from medloupe.imaging.perspective import apply, homography, rectangle
from medloupe.inference.pictures import Predictor
from medloupe.metrics import weighted
from medloupe.metrics.detection import judge_detections
from medloupe.metrics.matching import Detections, Truths
from medloupe.metrics.weighted import Metric
from medloupe.model.bundle import Model
from medloupe.model.prediction import Prediction
from medloupe.starter import shipped

PICTURES = 40
LONGER = 900  # pixels of a photograph
SETS = {"blood_cells": "blood_cells", "heart_size": "chest_nodule"}
ANSWERED = ("flagged", "unclear", "clear", "answered")
COLUMNS = (
    "check-up",
    "sent",
    "pictures",
    "found to be one",
    "answered",
    "mAP50",
    "marked of those there are",
    "false marks a picture",
    "counts off (mean share)",
    "of answered",
    "CTR off",
    "of answered",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was said of one picture, and the truth where it lies in what was sent."""

    said: Prediction
    answered: bool
    truth: Truths
    size: tuple[int, int]


def ask(model: Model, panel: BoxPanel, severity: str) -> list[Told]:
    """Send pictures as they are or photograph them, and ask about each."""
    # answered as if photographs were no reason to withhold: that is what is to be decided
    field = {**(model.card.get("field") or {}), "weight": 1.0}
    open_to_all = replace(model, card={**model.card, "field": field})
    asked = Predictor(open_to_all, network_threads=1)
    always = Predictor(replace(open_to_all, novelty=None, card={**open_to_all.card, "quality": None}))
    found = []
    for i, (record, truth) in enumerate(zip(panel.records, panel.truths, strict=True)):
        sent = read_content(record.picture)
        image = decode(sent)
        size = image.shape[1], image.shape[0]
        if severity:
            rng = np.random.default_rng([i, field_family.SEVERITIES.index(severity)])
            scene = field_family.SCENES[int(rng.integers(3))]  # none through an eyepiece
            pixels, corners = field_family.photograph(image, rng, scene, severity, longer=LONGER)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "JPEG", quality=92)
            sent, truth = file.getvalue(), _move(truth, size, corners)
            size = pixels.shape[1], pixels.shape[0]
        said = asked.predict(sent)
        answered = said.state in ANSWERED
        told = said if answered else always.predict(sent)
        found.append(Told(said=told, answered=answered, truth=truth, size=size))
    return found


def _move(truth: Truths, size: tuple[int, int], corners: np.ndarray) -> Truths:
    """Move drawn boxes (m, 4) to where they lie in a photograph: what encloses them."""
    matrix = homography(rectangle(*size), corners)
    x0, y0, x1, y1 = np.asarray(truth.boxes, float).reshape(-1, 4).T
    places = np.stack([np.column_stack(c) for c in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))], 1)  # (m, 4, 2)
    moved = apply(matrix, places.reshape(-1, 2)).reshape(-1, 4, 2)
    return replace(truth, boxes=np.column_stack([moved.min(1), moved.max(1)]).astype(np.float32))


def judge(told: Sequence[Told], panel: BoxPanel) -> list[str]:
    """The cells of a row, from the share found to be photographs on."""
    labels, lines = panel.labels, told[0].said.lines or {}
    detections = [_detections(one.said, labels) for one in told]
    boxes = judge_detections(
        detections,
        [one.truth for one in told],
        labels,
        panel.groups,
        np.array([one.size for one in told]),
        lines={n: lines.get(n, 2.0) for n in labels},
    )
    answered = np.array([one.answered for one in told])
    counts = np.array([_count_error(one, labels) for one in told])
    ratios = np.array([_ratio_error(one, labels) for one in told])
    return [
        f"{np.mean([one.said.photo is not None for one in told]):.0%}",
        f"{answered.mean():.0%}",
        _decimal(boxes["map50"]),
        _decimal(boxes["sensitivity"]),
        _decimal(boxes["false_marks"]),
        *_errors(counts, answered, panel.groups),
        *_errors(ratios, answered, panel.groups),
    ]


def _detections(said: Prediction, labels: Sequence[str]) -> Detections:
    boxes = said.boxes or ()
    return Detections(
        boxes=np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes], np.float32).reshape(-1, 4),
        scores=np.array([b.score for b in boxes], np.float32),
        labels=np.array([labels.index(b.label) for b in boxes], np.int64),
    )


def _count_error(one: Told, labels: Sequence[str]) -> float:
    """By which share the counts of all labels together are off; NaN where fewer than ten were drawn."""
    there = np.bincount(one.truth.labels, minlength=len(labels))
    if there.sum() < 10:
        return np.nan  # a heart and two lungs are not counted
    said = one.said.counts or {}
    return float(sum(abs(said.get(n, 0) - there[k]) for k, n in enumerate(labels)) / there.sum())


def _ratio_error(one: Told, labels: Sequence[str]) -> float:
    """By how much the cardiothoracic ratio is off the one of the drawn boxes; NaN where there is none."""
    measured = [m.value for m in one.said.measurements if m.name == "ctr"]
    if not measured or measured[0] is None:
        return np.nan
    by = {labels[k]: one.truth.boxes[i] for i, k in enumerate(one.truth.labels)}
    lungs = [by[n] for n in ("left_lung", "right_lung")]
    heart = by["heart"]
    truth = (heart[2] - heart[0]) / (max(b[2] for b in lungs) - min(b[0] for b in lungs))
    return float(abs(measured[0] - truth))


def _errors(errors: np.ndarray, answered: np.ndarray, groups: np.ndarray) -> list[str]:
    """The mean error of all that have one, and of those that were answered."""
    cells = []
    for part in (np.isfinite(errors), np.isfinite(errors) & answered):
        if not part.any():
            cells.append("–")
            continue
        values = errors[part]
        found = weighted.bootstrap_intervals({"off": lambda w, v=values: w @ v / w.sum(1)}, groups[part])
        cells.append(f"{_decimal(found['off'])}, n {int(part.sum())}")
    return cells


def _decimal(metric: Metric | None) -> str:
    if metric is None or metric["value"] is None:
        return "–"
    ends = "" if metric["low"] is None else f" ({metric['low']:.3f}–{metric['high']:.3f})"
    return f"{metric['value']:.3f}{ends}"


def main() -> None:
    """Ask the detectors in the box."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--only", default=",".join(SETS))
    parser.add_argument("--pictures", type=int, default=PICTURES)
    parser.add_argument("--sent", default=",".join(("direct", *field_family.SEVERITIES)))
    asked = parser.parse_args()
    os.environ.setdefault("MEDLOUPE_HOME", tempfile.mkdtemp())
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + len(COLUMNS) * "---|")
    for name in asked.only.split(","):
        model = shipped.load_shipped(name)
        data = medloupe.read(asked.data / SETS[name], task="detection")
        if test := tuple(r for r in data.records if r.split == "test"):  # it was trained on the others alone
            data = replace(data, records=test)
        panel = assemble_box_panel(model, data, {}, asked.pictures, 0, lambda *_: None, learned_too=bool(test))
        for sent in asked.sent.split(","):
            told = ask(model, panel, "" if sent == "direct" else sent)
            cells = [name, sent, str(len(told)), *judge(told, panel)]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
