"""Electrocardiograms with known beats: P, Q, R, S and T as Gaussians along a turning dipole, at any rate.

The same recording comes out at every rate, as each wave is a function of time. A lead is what its direction sees of
the dipole, so the limb leads obey Einthoven and Goldberger exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medloupe.ecg.signal import TWELVE, Signal

# Wave: (seconds from the R peak, width (sigma) in seconds, millivolts along x left, y down, z back).
SINUS = (
    (-0.16, 0.022, (0.10, 0.12, 0.02)),
    (-0.028, 0.010, (-0.08, -0.06, 0.12)),
    (0.0, 0.011, (0.95, 0.90, -0.25)),
    (0.030, 0.011, (-0.12, -0.20, 0.35)),
    (0.27, 0.045, (0.22, 0.25, -0.12)),
)
VENTRICULAR = (
    (0.0, 0.032, (0.50, 1.55, 0.60)),
    (0.085, 0.035, (-0.45, -0.55, -0.30)),
    (0.30, 0.055, (-0.25, -0.50, -0.15)),
)
LEFT_BLOCK = (
    (-0.19, 0.022, (0.09, 0.11, 0.02)),
    (0.0, 0.021, (0.90, 0.45, 0.80)),
    (0.045, 0.020, (0.75, 0.25, 0.60)),
    (0.31, 0.055, (-0.35, -0.20, -0.30)),
)
_CHEST = {"V1": 115, "V2": 95, "V3": 70, "V4": 45, "V5": 20, "V6": 0}  # degrees from x towards the front


@dataclass(frozen=True, slots=True)
class Beat:
    """One beat: its R peak in seconds and its waves."""

    at: float
    waves: tuple = SINUS


def direction(lead: str) -> np.ndarray:
    """What share of each axis of the dipole a lead sees."""
    angle = math.radians(60)
    first, second = np.array([1.0, 0, 0]), np.array([math.cos(angle), math.sin(angle), 0])
    limb = {
        "I": first,
        "II": second,
        "III": second - first,
        "aVR": -(first + second) / 2,
        "aVL": first - second / 2,
        "aVF": second - first / 2,
    }
    if lead in ("MLII", "beat"):
        return second
    if lead in limb:
        return limb[lead]
    turned = math.radians(_CHEST[lead])
    return np.array([math.cos(turned), 0.25, -math.sin(turned)])


def even(seconds: float, bpm: float = 72, first: float = 0.4, spread: float = 0.0, seed: int = 0) -> list[Beat]:
    """Sinus beats up to half a second before the end; spread: of the RR interval, as a share of it."""
    random = np.random.default_rng(seed)
    beats, at = [], first
    while at < seconds - 0.5:
        beats.append(Beat(at))
        at += 60 / bpm * (1 + spread * random.uniform(-1, 1))
    return beats


def with_ectopics(beats: list[Beat], every: int = 5, early: float = 0.3) -> list[Beat]:
    """Each `every`th beat comes early and from the ventricles, with the usual pause after it."""
    return [Beat(b.at - early, VENTRICULAR) if k % every == every - 1 else b for k, b in enumerate(beats)]


def ecg(
    beats: list[Beat],
    seconds: float,
    rate: float,
    leads: tuple[str, ...] = TWELVE,
    *,
    noise: float = 0.0,
    hum: float = 0.0,
    mains: float = 50.0,
    wander: float = 0.0,
    seed: int = 0,
) -> Signal:
    """The recording in mV. noise: its standard deviation; hum and wander: amplitudes."""
    times = np.arange(round(seconds * rate)) / rate
    dipole = np.zeros((3, times.size))
    for beat in beats:
        for at, width, axes in beat.waves:
            near = np.abs(times - beat.at - at) < 6 * width
            wave = np.exp(-(((times[near] - beat.at - at) / width) ** 2) / 2)
            dipole[:, near] += np.outer(axes, wave)
    samples = np.stack([direction(lead) @ dipole for lead in leads])
    random = np.random.default_rng(seed)
    samples += noise * random.standard_normal(samples.shape)
    samples += hum * np.sin(2 * np.pi * mains * times + 0.3)
    samples += wander * np.sin(2 * np.pi * 0.15 * times + 1)
    return Signal(samples=samples.astype(np.float32), rate=rate, leads=leads, source="made")
