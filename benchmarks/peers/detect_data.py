"""What the detection peers share: the folder's boxes read, the clock of the processor, what was found written.

Every peer is run as `python detect_NAME.py DATA OUT.json`: it learns from the pictures of DATA/labels.csv that are not
of the split `test`, for so many minutes of the processor, is asked about those that are, and writes {"minutes": those
spent, "passes": over the pictures, "found": {file: [[label, x, y, width, height, score]]}} in pixels of the pictures.
`../detection_peers.py` judges it.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

Found = dict[str, list[list[str | float]]]


@dataclass(frozen=True)
class Boxes:
    """learned, asked: files. labels: their names. of: by file (label's number, x, y, width, height) in pixels."""

    learned: list[str]
    asked: list[str]
    labels: list[str]
    of: dict[str, list[tuple[int, float, float, float, float]]]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser of what all peers take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0, help="of the processor, for training alone")
    parser.add_argument("--size", type=int, default=320, help="pixels of the shorter side, or of both")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def boxes(folder: Path) -> Boxes:
    """All of a folder with labels.csv and boxes.csv; boxes of no size are left out."""
    with (folder / "labels.csv").open(encoding="utf-8") as f:
        split = {r["file"]: r["split"] for r in csv.DictReader(f)}
    with (folder / "boxes.csv").open(encoding="utf-8") as f:
        rows = [r for r in csv.DictReader(f) if float(r["w"]) > 0 and float(r["h"]) > 0]
    labels = sorted({r["label"] for r in rows})
    of = defaultdict(list)
    for r in rows:
        of[r["file"]].append((labels.index(r["label"]), *(float(r[k]) for k in ("x", "y", "w", "h"))))
    learned = [name for name, part in split.items() if part != "test" and name in of]
    return Boxes(learned, [name for name, part in split.items() if part == "test"], labels, dict(of))


class Clock:
    """Minutes of the processor since it was made, of the process and its children, and a line now and then."""

    def __init__(self, minutes: float) -> None:
        self.minutes, self.before, self.told = minutes, self._now(), time.monotonic()

    def _now(self) -> float:
        return sum(os.times()[:4]) / 60

    def spent(self) -> float:
        return self._now() - self.before

    def left(self) -> bool:
        return self.spent() < self.minutes

    def say(self, text: str) -> None:
        """At most every half minute."""
        if time.monotonic() - self.told > 30:
            self.told = time.monotonic()
            print(f"{self.spent():.1f} min: {text}", file=sys.stderr, flush=True)


def write(out: Path, minutes: float, passes: float, found: Found, name: str) -> None:
    out.write_text(json.dumps({"name": name, "minutes": minutes, "passes": passes, "found": found}))
