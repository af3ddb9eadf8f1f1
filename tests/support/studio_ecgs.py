"""ECGs as people bring them into the studio: sinus rhythm, and the same with ventricular beats."""

from __future__ import annotations

from pathlib import Path

import ecgmaker
import ecgwriters
from medloupe.ecg.signal import Signal

ROLES = {"sinus": "normal", "ectopic": "sought"}


def recording(kind: str, number: int, seconds: float = 10, rate: float = 250) -> Signal:
    """Twelve leads of a made-up person, with or without ventricular beats."""
    beats = ecgmaker.even(seconds, 60 + 1.3 * (number % 20), spread=0.03, seed=number)
    made = ecgmaker.with_ectopics(beats, every=3) if kind == "ectopic" else beats
    return ecgmaker.ecg(made, seconds, rate, noise=0.02, wander=0.05, seed=number)


def wfdb_files(signal: Signal, folder: Path, name: str) -> list[Path]:
    """A recording as .hea and .dat."""
    head = ecgwriters.wfdb_record(signal, folder, name)
    return [head, head.with_suffix(".dat")]


def wfdb_folders(root: Path, each: int) -> Path:
    """A folder for each class, with so many recordings of two files each."""
    for at, kind in enumerate(ROLES):
        for number in range(each):
            wfdb_files(recording(kind, 100 * at + number), root / kind, f"{kind}{number:02}")
    return root
