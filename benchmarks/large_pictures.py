"""How well things are found in pictures much larger than those learned from: as a whole, and in tiles.

    python benchmarks/large_pictures.py MODEL --data ../shared/data/blood_cells --home HOME [--across 5] > table.md

MODEL is a detector in the store of HOME that learned from the training part of the data. Pictures of the test part, of
which none was learned from, are joined to fields of ACROSS x ACROSS; each picture is in one field. What is found in a
field is parted again by the picture in which its middle lies, so that all ways are judged on the same pictures with the
same true boxes, with intervals over these pictures. Then it is counted how often the scale of a picture is told right:
of single pictures enlarged, which show the same in more pixels, and of fields, which show more, also enlarged.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

import medloupe
from medloupe.imaging.decode import decode
from medloupe.inference.find import find_model
from medloupe.inference.pictures import Predictor
from medloupe.metrics.detection import judge_detections
from medloupe.metrics.matching import Detections, Truths
from medloupe.model.decision import Decision
from medloupe.model.prediction import Prediction

Ask = Callable[[np.ndarray], Prediction]


def as_detections(said: Prediction, labels: Sequence[str]) -> Detections:
    boxes = said.boxes or ()
    return Detections(
        boxes=np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in boxes], np.float32).reshape(-1, 4),
        scores=np.array([b.score for b in boxes], np.float64),
        labels=np.array([labels.index(b.label) for b in boxes], np.int64),
    )


def join_field(pictures: Sequence[np.ndarray], across: int) -> tuple[np.ndarray, np.ndarray]:
    """Join pictures of one size in rows; give the field and the corner (x, y) of each."""
    height, width = pictures[0].shape[:2]
    corners = np.array([(i % across * width, i // across * height) for i in range(len(pictures))])
    field = np.zeros((height * -(-len(pictures) // across), width * across, 3), np.uint8)
    for picture, (x, y) in zip(pictures, corners, strict=True):
        field[y : y + height, x : x + width] = picture
    return field, corners


def part(found: Detections, corners: np.ndarray, width: int, height: int) -> list[Detections]:
    """Part what was found in a field by the picture in which its middle lies; boxes are cut off at its edges."""
    middles = (found.boxes[:, :2] + found.boxes[:, 2:]) / 2
    parted = []
    for corner in corners:
        own = ((middles >= corner) & (middles < corner + np.array([width, height]))).all(1)
        boxes = np.clip(found.boxes[own] - np.tile(corner, 2), 0, [width, height] * 2).astype(np.float32)
        parted.append(Detections(boxes=boxes, scores=found.scores[own], labels=found.labels[own]))
    return parted


def figure(metric: dict[str, float | None]) -> str:
    if metric["value"] is None or metric["low"] is None:
        return "–"
    return f"{metric['value']:.3f} ({metric['low']:.3f}–{metric['high']:.3f})"


def enlarge(pixels: np.ndarray, times: float) -> np.ndarray:
    size = (round(pixels.shape[1] * times), round(pixels.shape[0] * times))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("model")
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--home", type=Path, required=True)
    arguments.add_argument("--across", type=int, default=5)
    arguments.add_argument("--most", type=int, default=1000, help="pictures, at most")
    options = arguments.parse_args()
    os.environ["MEDLOUPE_HOME"] = str(options.home)
    model = find_model(options.model)
    labels = model.labels
    data = medloupe.read(options.data, task="detection")
    records = [r for r in data.records if r.split == "test" and isinstance(r.picture, Path)]
    sizes = [decode(r.picture).shape for r in records]
    usual = max(set(sizes), key=sizes.count)
    records = [r for r, size in zip(records, sizes, strict=True) if size == usual][: options.most]
    pictures = [decode(r.picture) for r in records]
    truths = [
        Truths(
            boxes=np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in r.boxes], np.float32).reshape(-1, 4),
            labels=np.array([labels.index(b.label) for b in r.boxes], np.int64),
        )
        for r in records
    ]
    height, width = usual[:2]
    predictor = Predictor(model, network_threads=1)
    whole_only = Predictor(model, network_threads=1)
    whole_only._large = whole_only._full_above = None  # as before there were tiles
    alone = [as_detections(predictor.predict(p), labels) for p in pictures]
    per_field = options.across**2
    fields = [join_field(pictures[i : i + per_field], options.across) for i in range(0, len(pictures), per_field)]

    def ask_fields(ask: Ask) -> tuple[list[Detections], float, list[Prediction]]:
        began, found, said = time.process_time(), [], []
        for field, corners in fields:
            answer = ask(field)
            said.append(answer)
            found += part(as_detections(answer, labels), corners, width, height)
        return found, (time.process_time() - began) / len(fields), said

    shrunk, shrunk_seconds, before = ask_fields(whole_only.predict)
    tiled, tiled_seconds, after = ask_fields(predictor.predict)
    decision = Decision.from_card(model.card)
    lines = {n: float(v) for n, v in zip(labels, decision.thresholds, strict=True)}
    print(
        f"{len(pictures)} test pictures of {width} x {height}, in {len(fields)} fields of {options.across} x"
        f" {options.across}: {fields[0][0].shape[1]} x {fields[0][0].shape[0]} pixels.\n"
    )
    print("| looked at | mAP50 | mAP | " + " | ".join(f"{n}, AP50" for n in labels) + " | found | seconds a field |")
    print("|---|" + "---|" * (len(labels) + 4))
    groups = np.arange(len(pictures))
    for name, found, seconds in (
        ("each picture alone", alone, None),
        ("fields, shrunk whole", shrunk, shrunk_seconds),
        ("fields, in tiles", tiled, tiled_seconds),
    ):
        f = judge_detections(found, truths, labels, groups, np.tile((width, height), (len(pictures), 1)), lines=lines)
        by_label = " | ".join(figure(f["labels"][n]["ap50"]) for n in labels)
        spent = "" if seconds is None else f"{seconds:.1f}"
        print(
            f"| {name} | {figure(f['map50'])} | {figure(f['map'])} | {by_label} | {figure(f['sensitivity'])} |"
            f" {spent} |"
        )
    print("\nStates as a whole:", [p.state for p in before], "; in tiles:", [(p.state, p.tiling) for p in after])
    print("\n| picture | so many | looked at as a whole | in tiles | tile's side / side of a picture |")
    print("|---|---|---|---|---|")
    some = pictures[:: max(1, len(pictures) // 24)]
    for name, made, true_side in (
        *((f"one, {t} times as large", [enlarge(p, t) for p in some], None) for t in (2, 4, 8)),
        *((f"field, {t} times as large", [enlarge(f, t) for f, _ in fields], width * t) for t in (1, 1.5, 2)),
    ):
        told = [predictor.predict(p).tiling for p in made]
        codes = [t.code for t in told if t is not None]
        ratios = [f"{t.side / true_side:.2f}" for t in told if t is not None and true_side and t.tiles > 1]
        as_whole = sum(c in ("whole", "unsure") for c in codes)
        print(
            f"| {name} | {len(made)} | {as_whole} ({codes.count('unsure')} unsure) | {len(codes) - as_whole} |"
            f" {', '.join(ratios)} |"
        )
    print(f"\nPeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB.")


if __name__ == "__main__":
    main()
