"""Size, latency and accuracy of check-ups in single precision, half precision and 8 bits.

    MEDLOUPE_HOME=... python benchmarks/precision.py NAME [NAME ...] [--rounds 60] [--json FILE] > table.md

For each model of the store `medloupe export` writes three files. Sizes are of these files; latencies of one picture on
one thread, the three sessions interleaved round by round, ratios taken within each round. Accuracy is what the gate
saw: cross-validation on the training images, each judged by a head without its group. A model that the gate refuses is
written with --force and marked. Training images are read from where they were at training (data.json).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import medloupe
from medloupe.errors import CompressionRefusedError
from medloupe.graphs.latency import measure_pace
from medloupe.graphs.session import open_session, run
from medloupe.inference.find import find_model
from medloupe.training.compress.export import export

PRECISIONS = ("fp32", "fp16", "int8")


def measured(name: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Everything about one model."""
    paths = {precision: folder / f"{precision}.onnx" for precision in PRECISIONS}
    refused = ""
    for precision, path in paths.items():
        try:
            export(name, path, precision=precision)
        except CompressionRefusedError as e:
            refused = e.message
            export(name, path, precision=precision, force=True)
    said = medloupe.load(paths["int8"]).card["precision"]
    size = find_model(name).backbone.card.input_size
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    opened = [open_session(path, threads=1) for path in paths.values()]
    pace = measure_pace([lambda s=s: run(s, ["probabilities"], pixels) for s in opened], rounds)
    sensitivity = said["fp32"]["sensitivity"]
    falls = {label: sensitivity[label] - said["int8"]["sensitivity"][label] for label in sensitivity}
    worst = max(falls, key=falls.__getitem__)
    return {
        "name": name,
        "bytes": {p: path.stat().st_size for p, path in paths.items()},
        "ms": dict(zip(PRECISIONS, pace.milliseconds, strict=True)),
        "times_faster": dict(zip(PRECISIONS, pace.times_faster, strict=True)),
        "auc": {p: said[p]["auc"] for p in ("fp32", "int8")},
        "worst": [worst, falls[worst]],
        "agreement": said["int8"]["agreement"],
        "images": said["judged"]["images"],
        "calibrated_on": said["calibration"]["of"],
        "refused": refused,
    }


def row(m: dict[str, Any]) -> str:
    """A line of the table; fp16 computes as fp32 does, so its accuracy is the same."""
    mb = " / ".join(f"{m['bytes'][p] / 1e6:.2f}" for p in PRECISIONS)
    ms = " / ".join(f"{m['ms'][p]:.1f}" for p in PRECISIONS)
    own = "own" if m["calibrated_on"].startswith("the training") else "shared"
    label, fall = m["worst"]
    return (
        f"| {m['name']} | {m['images']:,} | {mb} | {ms} | {m['times_faster']['int8']:.2f} | {m['auc']['fp32']:.4f} |"
        f" {m['auc']['int8']:.4f} | {label} {-fall:+.3f} | {m['agreement']:.1%} | {own} |"
        f" {'refused' if m['refused'] else 'accepted'} |"
    )


def processor() -> str:
    """Its name, and whether it multiplies bytes in one step."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    name = next((line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")), "")
    return f"{name}, {'with' if 'vnni' in text else 'without'} VNNI, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", type=Path, help="also write all figures here")
    told = parser.parse_args()
    print(f"{processor()}; ONNX Runtime {onnxruntime.__version__}, one thread, one picture.\n")
    print(
        "| check-up | images | MB fp32 / fp16 / int8 | ms fp32 / fp16 / int8 | int8 times faster | AUC fp32 |"
        " AUC int8 | worst change of a sensitivity | same answer | calibrated on | gate |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    found = []
    for name in told.names:
        with tempfile.TemporaryDirectory() as folder:
            found.append(measured(name, Path(folder), told.rounds))
        print(row(found[-1]), flush=True)
    for m in found:
        if m["refused"]:
            print(f"\n{m['refused']}")
    if told.json:
        told.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
