"""What the training peers share: the folder's table read, pictures opened, answers written for training.py.

Every peer is run as `python train_NAME.py OPEN ASIDE OUT.json [options]`: it learns from OPEN/labels.csv, is asked
about the files of ASIDE/labels.csv and writes {"ask": seconds, "epochs": [seconds], "probabilities": {file: {label:
p}}}.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser of what all peers take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("open", type=Path)
    parser.add_argument("aside", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def table(folder: Path) -> tuple[list[str], list[str]]:
    """The files and their labels."""
    with (folder / "labels.csv").open(encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    return [r["file"] for r in rows], [r["label"] for r in rows]


def thumbs(folder: Path, files: Sequence[str], side: int = 32) -> np.ndarray:
    """Grey pixels float32 (N, side * side) in 0..1."""
    pixels = [np.asarray(Image.open(folder / f).convert("L").resize((side, side))) for f in files]
    return np.stack(pixels).reshape(len(files), -1).astype(np.float32) / 255


def pictures(folder: Path, files: Sequence[str], side: int) -> np.ndarray:
    """RGB pixels uint8 (N, side, side, 3)."""
    return np.stack([np.asarray(Image.open(folder / f).convert("RGB").resize((side, side))) for f in files])


def write(
    out: Path, files: Sequence[str], labels: Sequence[str], p: np.ndarray, ask: float, epochs: Sequence[float] = ()
) -> None:
    """p: (N, K) in the order of files and labels. ask: seconds that the answers took."""
    answers = {f: dict(zip(labels, row, strict=True)) for f, row in zip(files, p.tolist(), strict=True)}
    out.write_text(json.dumps({"ask": ask, "epochs": list(epochs), "probabilities": answers}))
