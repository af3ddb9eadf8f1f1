"""An electrocardiogram as numbers in millivolts, and what is done to it before any model reads it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from medloupe.errors import ExtraError

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
TWELVE = (*LIMB, "V1", "V2", "V3", "V4", "V5", "V6")
"""The standard leads in their usual order."""

MIN_SECONDS = 0.6
RATES = (50.0, 20_000.0)
"""Lowest and highest sampling rate of an ECG that is read, Hz."""

_LIMB_ROWS = np.array([(1, 0), (0, 1), (-1, 1), (-0.5, -0.5), (1, -0.5), (-0.5, 1)])  # as sums of I and II
_SHORT_SECONDS = 3.0  # a high-pass of 0.5 Hz needs more than a period and a half
_FLAT_MV = 0.05
_IMPOSSIBLE_MV = 20.0
_ALIASES = {
    "I": ("DI", "D1", "LEAD1"),
    "II": ("DII", "D2", "LEAD2"),
    "III": ("DIII", "D3", "LEAD3"),
    "aVR": ("VR",),
    "aVL": ("VL",),
    "aVF": ("VF",),
    "MLI": ("ML1",),
    "MLII": ("ML2",),
    "MLIII": ("ML3",),
    **{f"V{k}": (f"C{k}",) for k in range(1, 10)},
    **dict.fromkeys(("V2R", "V3R", "V4R", "V5R", "V6R", "VX", "VY", "VZ", "MV1", "MV2", "MV5"), ()),
}
_STANDARD = {spelt.upper(): name for name, others in _ALIASES.items() for spelt in (name, *others)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """An ECG.

    samples: float32 (L, n) in mV, NaN where not recorded. rate: Hz. leads: L names in the standard spelling
    (I II III aVR aVL aVF V1 ... V6, MLII ...), "" unknown. source: the format it came from. notes: what was guessed
    while reading it, one sentence each.
    """

    samples: np.ndarray
    rate: float
    leads: tuple[str, ...]
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or len(self.samples) != len(self.leads) or not self.rate > 0:
            raise ValueError(f"{len(self.leads)} leads at {self.rate} Hz for samples of shape {self.samples.shape}")

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples.shape[1] / self.rate


def lead_name(text: str) -> str:
    """The standard spelling of a lead's name ("AVR", "Lead I (Einthoven)", "MDC_ECG_LEAD_V1", "ECG II"), "" unknown."""
    word = re.split(r"[(\[,;:]", text.strip())[0].upper()
    word = re.sub(r"^(MDC_)?(ECG|EKG|EKC)[\s_.-]*(?=.)", "", word.strip())
    if not re.fullmatch(r"LEAD[\s_.-]*[123]", word):
        word = re.sub(r"^LEAD[\s_.-]*", "", word)
    word = re.sub(r"[\s_.-]*(MV|UV|µV|ΜV)$", "", word) if not re.fullmatch(r"MV\d?", word) else word
    if re.search(r"[-−–]", word):  # turned round (-aVR), or the difference of two
        return ""
    return _STANDARD.get(re.sub(r"[\s_.-]", "", word), "")


def resampled(signal: Signal, rate: float) -> Signal:
    """The signal at another rate, anti-aliased, without delay: round(n × rate / old rate) samples, time 0 at time 0."""
    if rate == signal.rate:
        return signal
    resample_poly = scipy_signal().resample_poly
    ratio = Fraction(rate / signal.rate).limit_denominator(20_000)
    n = signal.samples.shape[1]
    length = round(n * rate / signal.rate)
    out = np.full((len(signal.leads), length), np.nan, np.float32)
    nearest = np.minimum(np.rint(np.arange(length) * (signal.rate / rate)).astype(np.int64), n - 1)
    for k, lead, absent in recorded(signal):
        made = resample_poly(lead, ratio.numerator, ratio.denominator, padtype="line")[:length]
        out[k, : len(made)] = made
        out[k, len(made) :] = made[-1:]
        out[k, absent[nearest]] = np.nan
    return replace(signal, samples=out, rate=rate)


def cleaned(signal: Signal, *, wander: bool = True) -> Signal:
    """Without baseline wander (below 0.5 Hz; for excerpts under 3 s the median) and, where there is any, mains hum.

    wander: whether to take out the wander, too. Zero phase: nothing moves in time. Hum is looked for at 50 and 60 Hz,
    lead by lead.
    """
    tools = scipy_signal()
    out = np.full(signal.samples.shape, np.nan, np.float32)
    short = signal.seconds < _SHORT_SECONDS
    high = tools.butter(2, 0.5, "highpass", fs=signal.rate, output="sos")
    for k, lead, absent in recorded(signal):
        if short:
            lead = lead - np.median(lead)
        elif wander:
            lead = tools.sosfiltfilt(high, lead, padlen=min(lead.size - 1, int(2 * signal.rate)))
        for mains in (50.0, 60.0):
            if _hums(lead, signal.rate, mains):
                b, a = tools.iirnotch(mains, 30, fs=signal.rate)
                lead = tools.filtfilt(b, a, lead, padlen=min(lead.size - 1, int(signal.rate)))
        out[k] = np.where(absent, np.nan, lead)
    return replace(signal, samples=out)


def _hums(lead: np.ndarray, rate: float, mains: float) -> bool:
    """Whether the spectrum stands out at the mains frequency: a line of over 5 µV, far above what lies around it."""
    if rate < 2.2 * mains or lead.size < rate:
        return False
    size = min(lead.size, int(4 * rate))
    frequencies, power = scipy_signal().welch(lead, rate, nperseg=size)
    step = frequencies[1]
    away = np.abs(frequencies - mains)
    line = power[away <= max(0.6, step)].sum() * step
    around = power[(away >= 2) & (away <= 8)]
    if not around.size:
        return False
    floor = float(np.median(around)) * step * np.count_nonzero(away <= max(0.6, step))
    return bool(line > 5 * floor and 2 * line > 0.005**2)


def recorded(signal: Signal) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(position, lead float64 (n,) with gaps bridged by straight lines, where they are) of leads that hold anything."""
    for k, lead in enumerate(signal.samples):
        absent = ~np.isfinite(lead)
        if absent.all():
            continue
        whole = lead.astype(np.float64)
        if absent.any():
            at = np.flatnonzero(~absent)
            whole[absent] = np.interp(np.flatnonzero(absent), at, whole[at])
        yield k, whole, absent


def arranged(signal: Signal, leads: Sequence[str]) -> Signal:
    """The leads wanted, in that order; those that are not there and cannot be computed are NaN.

    Limb leads follow exactly from any two of them (Einthoven, Goldberger). II and MLII stand in for each other. Where
    no lead has a name and there are as many as wanted, they are taken in the order given.
    """
    if not any(signal.leads) and len(signal.leads) == len(leads):
        return replace(signal, leads=tuple(leads))
    alive = {name: k for k, name in reversed([*enumerate(signal.leads)]) if name and _alive(signal.samples[k])}
    for name, other in (("II", "MLII"), ("MLII", "II")):
        if name not in alive and other in alive:
            alive[name] = alive[other]
    out = np.full((len(leads), signal.samples.shape[1]), np.nan, np.float32)
    limb = [k for k, name in enumerate(LIMB) if name in alive and name in signal.leads][:2]
    for row, wanted in zip(out, map(lead_name, leads), strict=True):
        if wanted in alive:
            row[:] = signal.samples[alive[wanted]]
        elif wanted in LIMB and len(limb) == 2:
            weights = _LIMB_ROWS[LIMB.index(wanted)] @ np.linalg.inv(_LIMB_ROWS[limb])
            row[:] = weights @ signal.samples[[alive[LIMB[k]] for k in limb]].astype(np.float64)
    return replace(signal, samples=out, leads=tuple(leads))


def _alive(lead: np.ndarray) -> bool:
    return bool(np.isfinite(lead).any())


def usable(signal: Signal) -> tuple[Signal, tuple[str, ...]]:
    """The signal with its bad leads made NaN, and a sentence about each; `fault` says when nothing is left."""
    faults = [_lead_fault(lead, signal.rate) for lead in signal.samples]
    if not any(faults):
        return signal, ()
    samples = signal.samples.copy()
    samples[[bool(fault) for fault in faults]] = np.nan
    notes = [f"{_called(signal, k)} {fault} and is left out." for k, fault in enumerate(faults) if fault]
    return replace(signal, samples=samples), tuple(notes)


def fault(signal: Signal) -> str:
    """Why this is no usable ECG, as a sentence; "" where at least one lead is sound."""
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
        return f"{_called(signal, 0)} {faults[0]}.{more}"
    lead = next(lead for lead, bad in zip(signal.samples, faults, strict=True) if not bad)
    beats = _regular_rate(lead, signal.rate)
    if beats and not 20 <= beats <= 300:
        return (
            f"Its regular beats come {beats:.0f} times a minute at {signal.rate:g} Hz; "
            "hearts beat 20 to 300 times: the sampling rate may be wrong."
        )
    return ""


def _called(signal: Signal, k: int) -> str:
    name = signal.leads[k]
    return f"Lead {name}" if name else f"Lead number {k + 1}"


def _lead_fault(lead: np.ndarray, rate: float) -> str:
    """What is wrong with one lead, as the end of a sentence about it."""
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
    clipped = _clipped(known, rate)
    if clipped > 0.03:
        return f"is clipped: {clipped:.0%} of its samples stay at its highest or lowest value"
    return ""


def _clipped(lead: np.ndarray, rate: float) -> float:
    """Share of samples in runs of at least 12 ms at the highest or at the lowest value."""
    shortest = max(4, math.ceil(0.012 * rate))
    share = 0
    for extreme in (lead.max(), lead.min()):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], lead == extreme, [0]]).astype(np.int8)))
        runs = edges[1::2] - edges[::2]
        share += int(runs[runs >= shortest].sum())
    return share / lead.size


def _regular_rate(lead: np.ndarray, rate: float) -> float:
    """Beats a minute where the lead's steep parts recur evenly, told without knowing how fast a heart is; else 0.

    By the autocorrelation of how steep the lead is: of its highest peaks the one of the shortest period.
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


def scipy_signal():
    """scipy.signal. ExtraError where it is not installed."""
    try:
        from scipy import signal
    except ImportError:
        raise missing("scipy") from None
    return signal


def missing(package: str) -> ExtraError:
    """The error for a package of the `ecg` extra that is not there."""
    return ExtraError(
        f"Reading ECGs needs the package {package}, which is not installed.", "pip install 'medloupe[ecg]'"
    )
