"""Generated ECGs as what people send: bytes by name, in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import ecgwriters
from medloupe.ecg.signal import Signal


def csv(signal: Signal, *, rate: bool = True) -> bytes:
    """A column a lead. rate: told in the first line."""
    return ecgwriters.text(signal, before=f"# fs={signal.rate:g}\n" if rate else "")


def npz(signal: Signal) -> bytes:
    return ecgwriters.npz(signal=signal.samples, fs=signal.rate, lead_names=np.array(signal.leads))


def wfdb(signal: Signal, stem: str = "rec") -> dict[str, bytes]:
    """Format 16, a thousand units a millivolt."""
    n = signal.samples.shape[1]
    lines = [f"{stem} {len(signal.leads)} {signal.rate:g} {n}"]
    lines += [f"{stem}.dat 16 1000/mV 16 0 0 0 0 {name}" for name in signal.leads]
    stored = np.rint(signal.samples.T * 1000).astype("<i2")
    return {f"{stem}.hea": ("\n".join(lines) + "\n").encode(), f"{stem}.dat": stored.tobytes()}


def save(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes files into a folder; the first one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder / next(iter(files))
