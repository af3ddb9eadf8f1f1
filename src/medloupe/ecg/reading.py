"""Describe an ECG beside a model's labels: its beats, how fast and how evenly they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.ecg.quality import require_usable
from medloupe.ecg.signal import Signal, arrange_leads, keep_recorded_leads, remove_noise

_EVEN, _UNEVEN = 0.06, 0.12  # usual change from one RR to the next, over their median
_SLOW, _FAST = 60, 100  # beats a minute, as usual for adults at rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One beat.

    Attributes
    ----------
    second : float
        Of its R peak.
    label : str
        The class announced.
    probability : float
        Of that class.
    """

    second: float
    label: str
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What else there is to say of an ECG.

    Attributes
    ----------
    signal : Signal
        Without wander and hum, on the leads shown.
    heart_rate : float or None
        Beats a minute; None with fewer than three beats.
    regularity : str
        In words, as `describe_regularity` has them.
    peaks : tuple of float
        R peaks, in seconds.
    beats : tuple of Beat
        One by one, of a model of beats.
    attention : ndarray of float32, shape (n,), or None
        0 to 1 at the signal's samples, where the network looked for the label announced; None where it was not asked.
    notes : tuple of str
        Of the signal.
    as_learned : bool
        Whether its leads and rate are those that the model learned from; where not, a note says so.
    """

    signal: Signal
    heart_rate: float | None
    regularity: str
    peaks: tuple[float, ...]
    beats: tuple[Beat, ...] = ()
    attention: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    as_learned: bool = True

    @property
    def counts(self) -> dict[str, int]:
        """How many beats there are of each class."""
        return dict(Counter(beat.label for beat in self.beats).most_common())

    def as_json(self) -> dict[str, Any]:
        """Return all of it without the signal itself."""
        said: dict[str, Any] = {
            "seconds": round(self.signal.seconds, 3),
            "rate": self.signal.rate,
            "leads": list(self.signal.leads),
            "heart_rate": None if self.heart_rate is None else round(self.heart_rate, 1),
            "rhythm": self.regularity,
            "r_peaks": [round(t, 3) for t in self.peaks],
            "notes": list(self.notes),
        }
        if not self.as_learned:
            said["as_learned"] = False
        if self.beats:
            said["counts"] = self.counts
            said["beats"] = [
                {"second": round(b.second, 3), "label": b.label, "probability": round(b.probability, 4)}
                for b in self.beats
            ]
        return said


def restore_reading(signal: Signal, said: Mapping[str, Any]) -> Reading:
    """Restore a Reading from its as_json and the signal it was of.

    Raises
    ------
    SignalError
        Where the signal cannot be used.
    KeyError
        And the like, for another entry.
    """
    clean = remove_noise(require_usable(signal)[0])
    names = tuple(str(name) for name in said["leads"])
    return Reading(
        signal=clean if names == clean.leads else keep_recorded_leads(arrange_leads(clean, names)),
        heart_rate=said["heart_rate"],
        regularity=said["rhythm"],
        peaks=tuple(map(float, said["r_peaks"])),
        beats=tuple(
            Beat(second=float(b["second"]), label=str(b["label"]), probability=float(b["probability"]))
            for b in said.get("beats") or ()
        ),
        notes=tuple(said["notes"]),
        as_learned=bool(said.get("as_learned", True)),
    )


def describe_regularity(seconds: np.ndarray) -> str:
    """Say how even R peaks at these seconds come, and how fast; it names no disease.

    "even", "slightly uneven" or "uneven", with "slow" (below 60 a minute) or "fast" (above 100).
    """
    intervals = np.diff(seconds)
    if len(intervals) < 2:
        return ""
    change = float(np.median(np.abs(np.diff(intervals))) / np.median(intervals))
    words = "even" if change < _EVEN else "slightly uneven" if change < _UNEVEN else "uneven"
    pace = 60 / float(np.median(intervals))
    return words + (", slow" if pace < _SLOW else ", fast" if pace > _FAST else "")


def describe_reading(reading: Reading, titles: Mapping[str, str]) -> str:
    """Write one line for people: heart rate, rhythm, and how many beats of each class.

    Parameters
    ----------
    reading : Reading
        Of the ECG.
    titles : Mapping
        Of labels.
    """
    parts = []
    if reading.heart_rate is not None:
        parts.append(f"{reading.heart_rate:.0f} beats a minute, {reading.regularity}")
    if reading.beats:
        said = ", ".join(f"{titles.get(label, label) or '?'} {n:,}" for label, n in reading.counts.items())
        parts.append(f"{len(reading.beats):,} beats: {said}")
    return "; ".join(parts)
