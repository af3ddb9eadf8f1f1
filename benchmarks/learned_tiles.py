"""What learning from tiles brings where things are tiny on large pictures, beside learning from pictures as a whole.

    python benchmarks/learned_tiles.py [--seeds 0,1,2] [--pictures 8] [--kept 8] [--steps 1200] > table.md

Pictures are drawn (tests/support/discs.py): 1,120 × 160 pixels with forty cells of 14 to 17 pixels, of two kinds that
differ in some pixels at their middle. To be quick all is at half of the usual sizes: pictures are fitted to at most 320
pixels as a whole, tiles to 160. Each detector is trained by `medloupe.train` with the steps that it usually has, or
so many (at most sixty passes over the pictures or tiles, as ever), and answers pictures drawn afterwards, as it would
answer them in use; those are judged by faster-coco-eval on its scores.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MEDLOUPE_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import numpy as np

import medloupe
from discs import draw_cells, write_cells
from medloupe.metrics.average_precision import reference_precisions
from medloupe.metrics.matching import Detections, Truths
from medloupe.model.bundle import Model
from medloupe.training.detect import boxed, loop, tiles
from medloupe.training.pipeline import detection

LABELS = ("plain", "dotted")


def judge(model: Model, kept: int, seed: int) -> str:
    """Answer drawn pictures, and judge what is found: mAP50 / AP75 / mAP, and how many were looked at in tiles."""
    rng, said, truths, in_tiles = np.random.default_rng(1000 + seed), [], [], 0
    for _ in range(kept):
        pixels, rows = draw_cells(rng, 40)
        answer = model.predict(pixels)
        found = [b for b in answer.boxes or () if answer.state != "refused"]
        in_tiles += answer.tiling is not None and answer.tiling.tiles > 1
        said.append(
            Detections(
                boxes=np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in found], np.float32).reshape(-1, 4),
                scores=np.array([b.score for b in found]),
                labels=np.array([LABELS.index(b.label) for b in found], np.int64),
            )
        )
        corners = np.column_stack([rows[:, 1:3], rows[:, 1:3] + rows[:, 3:]]).astype(np.float32)
        truths.append(Truths(boxes=corners, labels=rows[:, 0].astype(np.int64)))
    at = reference_precisions(said, truths, len(LABELS), [(0, 1e10)])[:, 0].mean(0)
    return f"{at[0]:.3f} / {at[5]:.3f} / {at.mean():.3f} | {in_tiles} of {kept}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--kept", type=int, default=8)
    parser.add_argument("--steps", type=int, default=loop.STEPS)
    asked = parser.parse_args()
    print("| seed | learned | px | out of fold: mAP50 | drawn afterwards: mAP50 / AP75 / mAP | in tiles | seconds |")
    print("|---|---|---|---|---|---|---|")
    for seed in map(int, asked.seeds.split(",")):
        with tempfile.TemporaryDirectory() as temporary:
            root = write_cells(Path(temporary) / "cells", asked.pictures, seed=seed)
            for name, plan in (("from tiles", tiles.plan_tiles), ("as a whole", lambda *given: None)):
                os.environ["MEDLOUPE_HOME"] = str(Path(temporary) / name.replace(" ", "-"))
                with (
                    mock.patch.object(loop, "STEPS", asked.steps),
                    mock.patch.object(tiles, "TILE", 160),
                    mock.patch.object(boxed, "SIZES", (224, 320)),
                    mock.patch.object(detection, "plan_tiles", plan),
                ):
                    began = time.process_time()
                    model = medloupe.train(medloupe.read(root), name="cells", seed=seed)
                    spent = time.process_time() - began
                size, own = model.card["backbone"]["input_size"], model.card["metrics"]["map50"]
                out = f"{own['value']:.3f} ({own['low']:.3f}–{own['high']:.3f})"
                print(
                    f"| {seed} | {name} | {size} | {out} | {judge(model, asked.kept, seed)} | {spent:.0f} |", flush=True
                )


if __name__ == "__main__":
    main()
