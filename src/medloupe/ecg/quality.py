"""Tell whether an ECG can be used, and without which of its leads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medloupe.ecg.beats import DETECTION_RATE, SHORT_SECONDS, measure_prominence
from medloupe.ecg.signal import RATES, Signal, recorded_leads, remove_noise, resample
from medloupe.errors import SignalError

MIN_SECONDS = 0.6


_FLAT_MV = 0.05


_IMPOSSIBLE_MV = 20.0


_STANDS_OUT = 7.0
"""How far beats rise at least above the rest of the clearest lead (`measure_prominence`). Noise has 3.8 to 6, ECGs of
PTB-XL and ten-second pieces of MIT-BIH 16 and more; those to which noise of .15 mV was added, with which ecg12 flags
one in four otherwise than without, 5 to 9."""


def drop_bad_leads(signal: Signal) -> tuple[Signal, tuple[str, ...]]:
    """Make bad leads NaN, with a sentence about each; `describe_fault` says when nothing is left."""
    faults = [_lead_fault(lead, signal.rate) for lead in signal.samples]
    notes = [f"{_lead_title(signal, k)} {fault} and is left out." for k, fault in enumerate(faults) if fault]
    return _without_bad(signal, faults), tuple(notes)


def _without_bad(signal: Signal, faults: Sequence[str]) -> Signal:
    if not any(faults):
        return signal
    samples = signal.samples.copy()
    samples[[bool(fault) for fault in faults]] = np.nan
    return replace(signal, samples=samples)


def describe_fault(signal: Signal) -> str:
    """Say why this is no usable ECG, as a sentence; "" where at least one lead is sound."""
    if not RATES[0] <= signal.rate <= RATES[1]:
        return f"It is sampled at {signal.rate:g} Hz; ECGs are read from {RATES[0]:g} to {RATES[1]:,.0f} Hz."
    if signal.seconds < MIN_SECONDS:
        return f"It lasts {signal.seconds:.2f} s; at least {MIN_SECONDS} s are needed, which is one beat."
    if not signal.leads:
        return "It has no lead."
    faults = [_lead_fault(lead, signal.rate) for lead in signal.samples]
    if all(faults):
        others = {f for f in faults[1:] if f != faults[0]}
        more = "" if len(faults) == 1 else f" The other {len(faults) - 1} leads cannot be used either."
        if len(faults) > 1 and not others:
            return f"Each of its {len(faults)} leads {faults[0]}."
        return f"{_lead_title(signal, 0)} {faults[0]}.{more}"
    lead = next(lead for lead, bad in zip(signal.samples, faults, strict=True) if not bad)
    beats = _regular_rate(lead, signal.rate)
    if beats and not 20 <= beats <= 300:
        return (
            f"Its regular beats come {beats:.0f} times a minute at {signal.rate:g} Hz; "
            "hearts beat 20 to 300 times: the sampling rate may be wrong."
        )
    if not beats and _hides_beats(_without_bad(signal, faults)):
        return (
            "In none of its leads does a heartbeat stand out from the noise. Where someone is unwell, look at the"
            " person first: a heart without clear beats is an emergency."
        )
    return ""


def _hides_beats(signal: Signal) -> bool:
    """Tell whether beats stand out in no lead of at least two seconds, once wander and hum are removed."""
    if signal.seconds < SHORT_SECONDS:
        return False
    clean = resample(remove_noise(signal), DETECTION_RATE)
    return max(measure_prominence(lead) for _, lead, _ in recorded_leads(clean)) < _STANDS_OUT


def _lead_title(signal: Signal, k: int) -> str:
    name = signal.leads[k]
    return f"Lead {name}" if name else f"Lead number {k + 1}"


def _lead_fault(lead: np.ndarray, rate: float) -> str:
    """Say what is wrong with one lead, as the end of a sentence about it."""
    known = lead[np.isfinite(lead)]
    if not known.size:
        return "holds no numbers"
    if known.size < 0.5 * lead.size:
        return f"holds no numbers in {1 - known.size / lead.size:.0%} of its samples"
    lowest, low, high, highest = np.percentile(known, (0.1, 1, 99, 99.9))
    if highest - lowest < _FLAT_MV:
        return f"is flat: it moves by {highest - lowest:.3f} mV"
    if high - low > 2 * _IMPOSSIBLE_MV:
        return f"moves by {high - low:,.0f} mV, which no heart does: are these microvolts?"
    clipped = _clipped_share(known, rate)
    if clipped > 0.03:
        return f"is clipped: {clipped:.0%} of its samples stay at its highest or lowest value"
    return ""


def _clipped_share(lead: np.ndarray, rate: float) -> float:
    """Compute the share of samples in runs of at least 12 ms at the highest or at the lowest value."""
    shortest = max(4, math.ceil(0.012 * rate))
    share = 0
    for extreme in (lead.max(), lead.min()):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], lead == extreme, [0]]).astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        share += int(runs[runs >= shortest].sum())
    return share / lead.size


def _regular_rate(lead: np.ndarray, rate: float) -> float:
    """Estimate beats a minute where the lead's steep parts recur evenly; else 0.

    Told without knowing how fast a heart is: by the autocorrelation of how steep the lead is, of its highest peaks the
    one of the shortest period.
    """
    lead = np.nan_to_num(lead[: int(60 * max(rate, 250))].astype(np.float64))
    steep = np.abs(lead[4:] - lead[:-4]) if lead.size > 4 else np.zeros(1)  # over four samples, as noise is fast
    steep = np.minimum(steep, np.percentile(steep, 99.5))
    steep = np.convolve(steep - steep.mean(), np.ones(7) / 7, "same")
    size = 1 << (2 * steep.size - 1).bit_length()
    alike = np.fft.irfft(np.abs(np.fft.rfft(steep, size)) ** 2)[: steep.size // 3]
    if alike.size < 10 or alike[0] <= 0:
        return 0.0
    alike = alike / alike[0] * (steep.size / (steep.size - np.arange(alike.size)))
    start = int(np.argmax(alike < 0.1))  # past the peak at no shift
    peaks = (
        1
        + start
        + np.flatnonzero((alike[start + 1 : -1] >= alike[start:-2]) & (alike[start + 1 : -1] > alike[start + 2 :]))
    )
    if not start or not peaks.size or alike[peaks].max() < 0.6:
        return 0.0
    return 60 * rate / float(peaks[alike[peaks] > 0.6 * alike[peaks].max()][0])


MOST_RATE = 1000.0
"""Hz; more is of no use here, and dear."""


def require_usable(signal: Signal) -> tuple[Signal, tuple[str, ...]]:
    """Return the signal without its bad leads, and what was noticed.

    Raises
    ------
    SignalError
        Where it is no usable ECG, naming what is wrong.
    """
    if why := describe_fault(signal):
        raise SignalError(f"This is no usable ECG. {why}", "Record it again, or check rate and unit.")
    if signal.rate > MOST_RATE:
        said = f"It was sampled at {signal.rate:,.0f} Hz and is read at {MOST_RATE:,.0f}."
        signal = replace(resample(signal, MOST_RATE), notes=(*signal.notes, said))
    good, notes = drop_bad_leads(signal)
    return good, (*signal.notes, *notes)
