"""Make a Signal in millivolts of channels with names and units, which every format of ECG file has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medloupe.ecg.signal import RATES, TWELVE, Signal, lead_name
from medloupe.errors import SignalError

MAX_LEADS = 32
MAX_SECONDS = 24.5 * 3600
"""A Holter's day, and what it runs over."""
MAX_SAMPLES = 96_000_000
"""Most numbers in one file, over all channels: a day of three leads at 360 Hz; 384 MB as float32."""

_UNITS = {"v": 1e3, "volt": 1e3, "volts": 1e3, "mv": 1.0, "millivolt": 1.0, "millivolts": 1.0, "uv": 1e-3, "µv": 1e-3}
_UNITS |= {"μv": 1e-3, "microv": 1e-3, "microvolt": 1e-3, "microvolts": 1e-3, "nv": 1e-6, "nanovolt": 1e-6}
_OTHERS = re.compile(
    r"\b(resp|pleth|ppg|spo2|abp|art|bp|nbp|cvp|pap|icp|co2|eeg|eog|emg|chin|leg|flow|thor|abdo|snor|temp|acc|status|"
    r"trigger|event|annotation|label|target|class|marker)",
    re.IGNORECASE,
)
_IN_MICROVOLTS = 20.0  # no R wave has 20 mV
_IN_VOLTS = 0.02


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel as the file has it.

    Attributes
    ----------
    name : str
        As written.
    unit : str
        "" where the file does not say.
    samples : ndarray, shape (n,)
        In that unit; NaN not recorded.
    """

    name: str
    unit: str
    samples: np.ndarray


def unit_in_millivolts(unit: str) -> float | None:
    """Return what one unit is in mV; None where it is no voltage, or none that is known."""
    return _UNITS.get(unit.strip().strip("[]()").lower().replace(" ", ""))


def check_size(name: str, channels: int, samples: int, rate: float) -> None:
    """Refuse a header that claims more than is read, before memory is taken for it.

    Parameters
    ----------
    name : str
        The file.
    channels, samples : int
        How many channels, and samples in each.
    rate : float
        Hz.

    Raises
    ------
    SignalError
        Where it claims too much, or nothing.
    """
    if not 1 <= channels <= MAX_LEADS:
        raise SignalError(
            f"{name} says it has {channels} channels; 1 to {MAX_LEADS} are read.", "Export the ECG alone."
        )
    if not RATES[0] <= rate <= RATES[1]:
        raise SignalError(
            f"{name} says it is sampled at {rate:g} Hz; ECGs are read from {RATES[0]:g} to {RATES[1]:,.0f} Hz.",
            "Check the rate.",
        )
    if samples < 1:
        raise SignalError(f"{name} holds no samples.", "Export it again.")
    if samples > MAX_SECONDS * rate or channels * samples > MAX_SAMPLES:
        raise SignalError(
            f"{name} says it holds {channels} × {samples:,} samples, {samples / rate / 3600:.1f} hours; at most "
            f"24 hours and {MAX_SAMPLES:,} samples are read.",
            "Export a part of it.",
        )


def assemble_signal(
    channels: Sequence[Channel], rate: float, source: str, name: str, notes: Sequence[str] = ()
) -> Signal:
    """Assemble the ECG among the channels, in mV.

    Channels with other units or of other organs are left out and noted. Where a file tells no unit, the amplitude does:
    over 20 it is µV, under 0.02 V. Twelve channels without names are taken in the standard order.

    Parameters
    ----------
    channels : Sequence of Channel
        All of the file's.
    rate : float
        Hz.
    source : str
        The format.
    name : str
        The file.
    notes : Sequence of str
        What was noticed before.

    Raises
    ------
    SignalError
        Where no channel can be an ECG.
    """
    notes = list(notes)
    ecg = [c for c in channels if not _is_no_ecg(c)]
    if not ecg:
        kinds = ", ".join(f"{c.name or 'unnamed'} ({c.unit})" if c.unit else c.name or "unnamed" for c in channels[:8])
        raise SignalError(f"{name} holds no ECG channel; it has: {kinds or 'none'}.", "Export the ECG leads in mV.")
    if len(ecg) < len(channels):
        left = [c.name or "one without a name" for c in channels if _is_no_ecg(c)]
        notes.append(f"Channels that are no ECG are left out: {', '.join(left)}.")
    check_size(name, len(ecg), max(c.samples.size for c in ecg), rate)
    leads = tuple(lead_name(c.name) for c in ecg)
    if len(ecg) == 12 and not any(leads) and not any(c.name for c in ecg):
        leads = TWELVE
        notes.append("Its twelve channels have no names; they are taken as I, II, III, aVR, aVL, aVF, V1 to V6.")
    twice = [lead for lead, count in Counter(filter(None, leads)).items() if count > 1]
    if twice:
        notes.append(f"Several channels are called {', '.join(twice)}; the first of each counts.")
        leads = tuple("" if lead in leads[:k] else lead for k, lead in enumerate(leads))
    samples = np.empty((len(ecg), max(c.samples.size for c in ecg)), np.float32)
    factors = [unit_in_millivolts(c.unit) for c in ecg]
    guessed, note = _guess_unit([c.samples for c, factor in zip(ecg, factors, strict=True) if factor is None])
    notes += [note] if note else []
    for row, channel, factor in zip(samples, ecg, factors, strict=True):
        row[:] = np.nan
        row[: channel.samples.size] = channel.samples * (guessed if factor is None else factor)
    samples[~np.isfinite(samples)] = np.nan
    return Signal(samples=samples, rate=float(rate), leads=leads, source=source, notes=tuple(notes))


def _is_no_ecg(channel: Channel) -> bool:
    """Tell whether a channel is no ECG: by its unit, or by a name that says so and is no lead's."""
    if channel.unit.strip() and unit_in_millivolts(channel.unit) is None:
        return True
    return not lead_name(channel.name) and _OTHERS.search(channel.name) is not None


def _guess_unit(leads: Sequence[np.ndarray]) -> tuple[float, str]:
    """Guess the unit of leads that do not tell it, as mV, with a sentence where it is not mV."""
    heights = []
    for lead in leads:
        known = lead[np.isfinite(lead)]
        if known.size:
            heights.append(float(np.percentile(np.abs(known - np.median(known)), 99.5)))
    height = float(np.median(heights)) if heights else 0.0
    if height > _IN_MICROVOLTS:
        return 1e-3, f"The file tells no unit; its beats are {height:,.0f} high, so it is read as µV."
    if 0 < height < _IN_VOLTS:
        return 1e3, f"The file tells no unit; its beats are {height:.2g} high, so it is read as volts."
    return 1.0, ""
