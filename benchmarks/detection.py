"""How well places are found, how long that takes to learn, and what it adds to a pass of the network.

    python benchmarks/detection.py [--data ../shared/data] [--sets blood_cells,brain_boxes] [--minutes M] > table.md

For each set `medloupe train` runs in an empty home; the figures are those of the model's own card: of the official test
part where there is one that can judge, else out of fold. Processor seconds are those of the training process, on one
thread; milliseconds are medians of one picture on one thread: through the file, and the network alone at its size.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from holdout import medloupe
from medloupe.embed.maps import resize_backbone
from medloupe.embed.registry import backbone

RUNS = 40


def figure(metric: dict[str, float | None] | None) -> str:
    if not metric or metric["value"] is None:
        return "–"
    if metric["low"] is None:
        return f"{metric['value']:.3f}"
    return f"{metric['value']:.3f} ({metric['low']:.3f}–{metric['high']:.3f})"


def milliseconds(onnx: Path, outputs: list[str]) -> float:
    """Measure the median time of one picture on one thread."""
    from medloupe.graphs.session import open_session, run

    opened = open_session(onnx, threads=1)
    size = opened.get_inputs()[0].shape[1]
    pixels = np.random.default_rng(0).integers(0, 255, (1, size, size, 3), np.uint8)
    spent = []
    for _ in range(RUNS):
        began = time.perf_counter()
        run(opened, outputs, pixels)
        spent.append(1000 * (time.perf_counter() - began))
    return float(np.median(spent[5:]))


def rows(data: Path, options: tuple[str, ...]) -> list[str]:
    """Train on a set, and write its rows: all labels together, then each."""
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        out, _ = medloupe(home, "train", str(data), "--name", "bench", "--json", *options)
        told = json.loads(out.splitlines()[-1])
        card = json.loads(medloupe(home, "models", "show", "bench@1", "--json")[0])
        onnx = Path(told["onnx"])
        with_boxes = milliseconds(onnx, ["embedding", "boxes"])
        without = milliseconds(resize_backbone(backbone(), card["detection"]["input_size"]).path, ["embedding"])
        size = onnx.stat().st_size / 1e6
    m, judged = told["metrics"], card["split"]
    by = f"test part, {judged['test']:,}" if judged["test"] else f"out of fold, {judged['train']:,}"
    made = [
        f"| {data.name} | {by} | {card['detection']['input_size']} | {figure(m['map50'])} | {figure(m['map'])} |"
        f" {figure(m['sensitivity'])} | {figure(m['false_marks'])} | {figure(m['ece'])} |"
        f" {card['seconds']['processor'] / 60:.1f} | {size:.1f} | {without:.1f} | {with_boxes / without - 1:.0%} |"
    ]
    made += [
        f"| – {row['label']} | {row['boxes']:,} boxes |  | {figure(row['map50'])} | {figure(row['map'])} |"
        f" {figure(row['sensitivity'])} | {figure(row['false_marks'])} |"
        f" counts off by {figure(row['count_median_error'])} |  |  |  |  |"
        for row in card["detection"]["per_label"]
    ]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", default="blood_cells,brain_boxes")
    parser.add_argument("--minutes")
    parser.add_argument("--finetune")
    asked = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("MEDLOUPE_THREADS", "1")
    options = tuple(
        part for flag in ("minutes", "finetune") if (v := getattr(asked, flag)) for part in (f"--{flag}", v)
    )
    print(
        "| data | judged by | px | mAP50 | mAP | found | false marks a picture | ECE | minutes | MB | ms | boxes add |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for name in asked.sets.split(","):
        print("\n".join(rows(asked.data / name, options)), flush=True)


if __name__ == "__main__":
    main()
