"""Make a Signal in millivolts of channels with names and units, which every format of ECG file has."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from medloupe.ecg.signal import RATES, TWELVE, Signal, lead_name
from medloupe.ecg.units import Scale, find_scale, is_counts, unit_in_millivolts
from medloupe.errors import SignalError

MAX_LEADS = 32


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """How much of one file is read: `samples` over all channels, and `seconds`. where: said of them, with `hint`."""

    samples: int
    seconds: float
    where: str = ""
    hint: str = "Export a part of it."


DAY = ReadLimits(96_000_000, 24.5 * 3600)
"""A Holter's day, and what it runs over: three leads at 360 Hz, 384 MB as float32."""

_LIMITS: ContextVar[ReadLimits] = ContextVar("limits", default=DAY)

_OTHERS = re.compile(
    r"\b(resp|pleth|ppg|spo2|abp|art|bp|nbp|cvp|pap|icp|co2|eeg|eog|emg|chin|leg|flow|thor|abdo|snor|temp|acc|status|"
    r"trigger|event|annotation|label|target|class|marker|heart[-_ ]?rate|pulse|(?:hr|rr|bpm|sqi)\b|"
    r"r?[-_ ]?peak|quality)",
    re.IGNORECASE,
)
_LONGEST_NAME = 200  # characters that are looked at


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


@contextmanager
def reading_within(limits: ReadLimits) -> Iterator[None]:
    """Read no more of a file than the limits say, until the block ends; DAY elsewhere."""
    token = _LIMITS.set(limits)
    try:
        yield
    finally:
        _LIMITS.reset(token)


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
    limits = _LIMITS.get()
    if samples > limits.seconds * rate or channels * samples > limits.samples:
        raise SignalError(
            f"{name} says it holds {channels} × {samples:,} samples, {samples / rate / 3600:.1f} hours; at most "
            f"{limits.seconds // 3600:.0f} h and {limits.samples:,} samples are read{limits.where}.",
            limits.hint,
        )


def choose_rate(channels: Sequence[Channel], rates: Sequence[float]) -> tuple[list[Channel], float, list[str]]:
    """Choose among channels of several rates those of the rate that most ECG leads have, of equals the highest.

    Parameters
    ----------
    channels : Sequence of Channel
        All of the file's.
    rates : Sequence of float
        Hz of each.

    Returns
    -------
    channels : list of Channel
        Those of that rate, and those that are no ECG.
    rate : float
        Hz.
    notes : list of str
        A sentence on each lead left out.
    """
    ecg = [_is_no_ecg(channel) is False for channel in channels]
    count = Counter(rate for rate, of_heart in zip(rates, ecg, strict=True) if of_heart)
    rate = max(count, key=lambda rate: (count[rate], rate), default=max(rates))
    slow = [
        channel.name or "A lead without a name"
        for channel, own, heart in zip(channels, rates, ecg, strict=True)
        if heart and own != rate
    ]
    kept = [channel for channel, own, heart in zip(channels, rates, ecg, strict=True) if not heart or own == rate]
    return kept, rate, [f"{name} has another rate and is left out." for name in slow]


def assemble_signal(
    channels: Sequence[Channel],
    rate: float,
    source: str,
    name: str,
    notes: Sequence[str] = (),
    *,
    gain: float | None = None,
) -> Signal:
    """Assemble the ECG among the channels, in mV.

    Channels with other units or of other organs are left out and noted. Where a file tells no unit, `units.find_scale`
    finds it, or asks. Twelve channels without names are taken in the standard order.

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
    gain : float, optional
        Units a millivolt, when the person tells it: for channels whose unit the file does not tell.

    Raises
    ------
    SignalError
        Where no channel can be an ECG, or it cannot be told what its numbers are in mV.
    """
    notes = list(notes)
    ecg = [c for c in channels if not _is_no_ecg(c)]
    if not ecg:
        kinds = [
            f"{c.name[:40] or 'unnamed'} ({c.unit[:20]})" if c.unit else c.name[:40] or "unnamed" for c in channels
        ]
        said = ", ".join(kinds[:8]) or "none"
        raise SignalError(f"{name} holds no ECG channel; it has: {said}.", "Export the ECG leads in mV.")
    if len(ecg) < len(channels):
        left = [c.name[:40] or "one without a name" for c in channels if _is_no_ecg(c)]
        notes.append(f"Channels that are no ECG are left out: {', '.join(left)}.")
    longest = max(c.samples.size for c in ecg)
    check_size(name, len(ecg), longest, rate)
    leads = tuple(lead_name(c.name) for c in ecg)
    if len(ecg) == 12 and not any(leads) and not any(c.name for c in ecg):
        leads = TWELVE
        notes.append("Its twelve channels have no names; they are taken as I, II, III, aVR, aVL, aVF, V1 to V6.")
    twice = [lead for lead, count in Counter(filter(None, leads)).items() if count > 1]
    if twice:
        notes.append(f"Several channels are called {', '.join(twice)}; the first of each counts.")
        leads = tuple("" if lead in leads[:k] else lead for k, lead in enumerate(leads))
    samples = np.full((len(ecg), longest), np.nan, np.float32)
    factors = [unit_in_millivolts(c.unit) for c in ecg]
    untold = [k for k, factor in enumerate(factors) if factor is None]
    scale = Scale()
    if untold:
        counts = any(is_counts(ecg[k].unit) for k in untold)
        values, names = [ecg[k].samples for k in untold], [leads[k] for k in untold]
        scale = find_scale(name, values, names, rate, gain=gain, counts=counts)
        notes += [scale.note] if scale.note else []
    for row, channel, factor in zip(samples, ecg, factors, strict=True):
        made = channel.samples * factor if factor is not None else _scaled(channel.samples, scale)
        row[: channel.samples.size] = made
    samples[~np.isfinite(samples)] = np.nan
    return Signal(samples=samples, rate=float(rate), leads=leads, source=source, notes=tuple(notes))


def _scaled(samples: np.ndarray, scale: Scale) -> np.ndarray:
    return (samples - scale.baseline) * scale.factor if scale.baseline else samples * scale.factor


def _is_no_ecg(channel: Channel) -> bool:
    """Tell whether a channel is no ECG: by its unit, or by a name that says so and is no lead's."""
    unit = channel.unit.strip()
    if unit and unit_in_millivolts(unit) is None and not is_counts(unit):
        return True
    return not lead_name(channel.name) and _OTHERS.search(channel.name[:_LONGEST_NAME]) is not None
