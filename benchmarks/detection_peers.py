"""Other people's detectors on the same pictures for the same minutes: trained, asked about the test part, judged.

    python benchmarks/detection_peers.py [--data ../shared/data/blood_cells] [--minutes 5] [--python PYTHON]
        [--only ssdlite,fcos,yolov8n] [--answers OUT.json,...] > table.md

Each learns in a process of its own, on one thread, from the pictures outside the official test part
(peers/detect_*.py), and is judged on that part by faster-coco-eval: all boxes of a picture count, raw scores, intervals
by bootstrap over pictures. PYTHON is that of an environment with torch, torchvision and ultralytics (peers/README.md);
--answers judges what was written before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from medloupe.metrics.average_precision import reference_precisions
from medloupe.metrics.matching import Detections, Truths

sys.path.insert(0, str(Path(__file__).with_name("peers")))

from detect_data import Boxes, boxes

PEERS = {
    "ssdlite": ("detect_torchvision.py", "--network", "ssdlite"),
    "fcos": ("detect_torchvision.py", "--network", "fcos", "--size", "224"),
    "yolov8n": ("detect_ultralytics.py",),
}
DRAWS = 200


def ask(name: str, python: str, data: Path, minutes: float, folder: Path) -> Path:
    """Train one and let it answer; where its answers lie."""
    out = folder / f"{name}.json"
    script, *options = PEERS[name]
    path = Path(__file__).with_name("peers") / script
    command = [python, str(path), str(data), str(out), "--minutes", str(minutes), *options]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=sys.stderr)
    return out


def judge(answers: dict[str, list[list]], data: Boxes) -> tuple[str, list[str]]:
    """mAP50 and mAP over all labels with intervals, and each label's AP50."""
    said, truths = [], []
    for name in data.asked:
        found, true = answers[name], np.array(data.of.get(name, []), np.float64).reshape(-1, 5)
        table = np.array([row[1:] for row in found], np.float64).reshape(-1, 5)
        numbers = np.array([data.labels.index(row[0]) for row in found], np.int64)
        said.append(Detections(boxes=corners(table[:, :4]), scores=table[:, 4], labels=numbers))
        truths.append(Truths(boxes=corners(true[:, 1:]), labels=true[:, 0].astype(np.int64)))
    rng, n = np.random.default_rng(0), len(said)
    drawn = [np.arange(n), *(rng.integers(0, n, n) for _ in range(DRAWS))]
    at = np.array(
        [
            reference_precisions([said[i] for i in rows], [truths[i] for i in rows], len(data.labels), [(0, 1e10)])[
                :, 0
            ]
            for rows in drawn
        ]
    )  # (draws, labels, overlaps)
    kept = at[~np.isnan(at[..., 0]).any(1)]  # a draw may hold no box of a label
    whole = [kept[..., 0].mean(1), kept.mean((1, 2))]
    figures = [f"{v[0]:.3f} ({np.quantile(v[1:], 0.025):.3f}–{np.quantile(v[1:], 0.975):.3f})" for v in whole]
    return " | ".join(figures), [f"{label} {at[0, k, 0]:.3f}" for k, label in enumerate(data.labels)]


def corners(table: np.ndarray) -> np.ndarray:
    """x, y, width, height → two corners."""
    return np.concatenate([table[:, :2], table[:, :2] + table[:, 2:]], 1).astype(np.float32)


def main() -> None:
    here = Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=here / "shared" / "data" / "blood_cells")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", default=",".join(PEERS))
    parser.add_argument("--answers", default="")
    told = parser.parse_args()
    data = boxes(told.data)
    print("| detector | minutes | passes | mAP50 | mAP | AP50 by label |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        given = [Path(name) for name in told.answers.split(",") if name]
        paths = given or (
            ask(name, told.python, told.data, told.minutes, Path(temporary)) for name in told.only.split(",")
        )
        for path in paths:
            answer = json.loads(path.read_text())
            figures, each = judge(answer["found"], data)
            row = f"| {answer['name']} | {answer['minutes']:.1f} | {answer['passes']:.1f} | {figures} |"
            print(f"{row} {', '.join(each)} |", flush=True)


if __name__ == "__main__":
    main()
