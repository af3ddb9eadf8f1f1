"""Data sets made up on the spot, small enough to train on in a second, and the command line run in this process."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIDE = 64  # pixels


def tissue(number: int, sick: bool) -> np.ndarray:
    """uint8 (64, 64, 3): cloudy tissue, different for every number; sick has bright spots in it, some of them faint."""
    rng = np.random.default_rng([number, int(sick)])
    coarse = Image.fromarray(rng.integers(60, 150, (8, 8), dtype=np.uint8))
    picture = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(float)
    picture = picture + rng.normal(0, 6, (SIDE, SIDE))
    if sick:
        yy, xx = np.mgrid[:SIDE, :SIDE]
        for x, y in rng.integers(10, SIDE - 10, (6, 2)):
            picture += rng.uniform(40, 110) * (np.hypot(xx - x, yy - y) < rng.integers(3, 6))
    grey = np.clip(picture, 0, 255).astype(np.uint8)
    return np.stack([grey, grey, grey], 2)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def folders(
    root: Path,
    each: int = 14,
    *,
    first: int = 0,
    classes: Sequence[str] = ("normal", "sick"),
    splits: Sequence[str] = (),
) -> Path:
    """A folder a class with `each` images; the last class is sick. With splits, as many again under each of them."""
    for s, split in enumerate(splits or [""]):
        for k, label in enumerate(classes):
            for i in range(each):
                number = first + 1000 * s + 10_000 * (k if len(classes) > 2 else 0) + i
                save(root / split / label / f"{i:03}.png", tissue(number, sick=k == len(classes) - 1))
    return root


def table(root: Path, rows: Iterable[dict[str, Any]], pictures: Sequence[np.ndarray]) -> Path:
    """images/000.png, … and labels.csv beside them, whose column `file` is filled in here."""
    listed = list(rows)
    for i, (row, pixels) in enumerate(zip(listed, pictures, strict=True)):
        save(root / "images" / f"{i:03}.png", pixels)
        row["file"] = f"images/{i:03}.png"
    with (root / "labels.csv").open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(listed[0]))
        writer.writeheader()
        writer.writerows(listed)
    return root


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """stdout, every line of it JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    def failed(self, *said: str, code: int | None = None) -> str:
        """Asserts a failure with one message on stderr that says all this, and nothing on stdout; returns it.

        code: by default 1, or 74 where the disk or the database is to blame.
        """
        assert self.code in ((1, 74) if code is None else (code,)), (self.code, self.err)
        assert self.out == ""
        assert "Traceback" not in self.err
        assert sum(line.startswith("medloupe: ") for line in self.err.splitlines()) == 1, self.err
        for text in said:
            assert text in self.err
        return self.err


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Ran:
    """`medloupe` with these arguments, in this process."""
    from medloupe.cli.app import main

    capsys.readouterr()
    try:
        main([str(a) for a in arguments])
        code = 0
    except SystemExit as e:
        code = int(e.code or 0)
    said = capsys.readouterr()
    return Ran(code, said.out, said.err)
