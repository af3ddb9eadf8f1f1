"""What the contract of the kinds of data is tried on: of each kind files, a faulty one, a small set, a home."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import ecgmaker
import ecgsaved
from generated import tissue
from lungsounds import writing
from places import ROOT

ADDED = "lungsounds"
SUPPORT = ROOT / "tests" / "support"


def environment() -> dict[str, str]:
    """The environment of a process that knows the kind added from outside."""
    return {"MEDLOUPE_KINDS": ADDED, "PYTHONPATH": os.pathsep.join([str(SUPPORT), str(ROOT / "src")])}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind. file: (folder, number, class 0 or 1) writes a file. broken: bytes that cannot be read, under the suffix
    of its files. faulty: (folder) writes a file that can be read but is of no use, or None where there is none. says:
    what is wrong with it."""

    name: str
    file: Callable[[Path, int, int], Path]
    suffix: str
    broken: bytes
    faulty: Callable[[Path], Path] | None = None
    says: str = ""

    def folder(self, root: Path, each: int = 16) -> Path:
        """A set in class folders."""
        for k, name in enumerate(("first", "second")):
            (root / name).mkdir(parents=True)
            for i in range(each):
                self.file(root / name, 2 * i + k, k)
        return root


def _picture(folder: Path, number: int, kind: int) -> Path:
    path = folder / f"p{number:03d}.png"
    Image.fromarray(tissue(number, bool(kind))).save(path)
    return path


def _ecg(folder: Path, number: int, kind: int) -> Path:
    made = ecgmaker.ecg(
        ecgmaker.even(6, 55 + number % 7 + 45 * kind), 6, 250, ("I", "II", "V1"), noise=0.01, seed=number
    )
    return ecgsaved.save(folder, {f"p{number:03d}.csv": ecgsaved.csv(made)})


def _flat(folder: Path) -> Path:
    made = ecgmaker.ecg(ecgmaker.even(6, 60), 6, 250, ("I", "II", "V1"), noise=0.0, seed=0)
    silent = type(made)(samples=np.zeros_like(made.samples), rate=made.rate, leads=made.leads)
    return ecgsaved.save(folder, {"flat.csv": ecgsaved.csv(silent)})


def _sound(folder: Path, number: int, kind: int) -> Path:
    path = folder / f"p{number:03d}.wav"
    path.write_bytes(writing.breath(number, bool(kind)))
    return path


def _silent(folder: Path) -> Path:
    path = folder / "silent.wav"
    path.write_bytes(writing.wav(np.zeros(4000)))
    return path


CASES = {
    case.name: case
    for case in (
        Case(name="image", file=_picture, suffix=".png", broken=b"\x89PNG\r\n\x1a\nnothing", says="damaged"),
        Case(name="ecg", file=_ecg, suffix=".csv", broken=b"a,b\nx,y\n", faulty=_flat, says="is flat"),
        Case(name="sound", file=_sound, suffix=".wav", broken=b"RIFF\x10\0\0\0WAVEjunk", faulty=_silent, says="silent"),
    )
}
