"""Hold an electrocardiogram as numbers in millivolts, and prepare it before any model reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from medloupe.errors import ExtraError

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
TWELVE = (*LIMB, "V1", "V2", "V3", "V4", "V5", "V6")
"""The standard leads in their usual order."""

RATES = (50.0, 20_000.0)
"""Lowest and highest sampling rate of an ECG that is read, Hz."""

_LIMB_ROWS = np.array([(1, 0), (0, 1), (-1, 1), (-0.5, -0.5), (1, -0.5), (-0.5, 1)])  # as sums of I and II
_SHORT_SECONDS = 3.0  # a high-pass of 0.5 Hz needs more than a period and a half
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
_GLUE = " \t\r\n\v\f\xa0_.-"
_LONGEST_NAME = 200  # characters of a channel's name that are looked at
_STANDARD = {spelt.upper(): name for name, others in _ALIASES.items() for spelt in (name, *others)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """An ECG.

    Attributes
    ----------
    samples : ndarray of float32, shape (L, n)
        mV; NaN where not recorded.
    rate : float
        Hz.
    leads : tuple of str
        L names in the standard spelling (I II III aVR aVL aVF V1 ... V6, MLII ...), "" unknown.
    source : str
        The format it came from.
    notes : tuple of str
        What was guessed while reading it, one sentence each.
    told : Mapping
        What the person told to read it by, as far as it was used: `rate` in Hz, `gain` in units a millivolt.
    """

    samples: np.ndarray
    rate: float
    leads: tuple[str, ...]
    source: str = ""
    notes: tuple[str, ...] = ()
    told: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or len(self.samples) != len(self.leads) or not self.rate > 0:
            raise ValueError(f"{len(self.leads)} leads at {self.rate} Hz for samples of shape {self.samples.shape}")

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.samples.shape[1] / self.rate


def lead_name(text: str) -> str:
    """Return the standard spelling of a lead's name; "" unknown.

    Read are "AVR", "Lead I (Einthoven)", "MDC_ECG_LEAD_V1", "ECG II" and the like.
    """
    text = text[:_LONGEST_NAME]
    word = text[: min((at for at in map(text.find, "([,;:") if at >= 0), default=len(text))].strip().upper()
    rest = word.removeprefix("MDC_")
    if rest.startswith(("ECG", "EKG", "EKC")) and (tail := rest[3:].lstrip(_GLUE)):
        word = tail
    if word.startswith("LEAD") and (tail := word[4:].lstrip(_GLUE)) not in ("1", "2", "3"):
        word = tail
    if word.endswith(("MV", "UV", "ΜV", "µV")) and word != "MV":
        word = word[:-2].rstrip(_GLUE)
    if any(sign in word for sign in "-−–"):  # turned round (-aVR), or the difference of two
        return ""
    return _STANDARD.get("".join(c for c in word if c not in _GLUE), "")


def resample(signal: Signal, rate: float) -> Signal:
    """Bring the signal to another rate, anti-aliased, without delay.

    Parameters
    ----------
    signal : Signal
        The ECG.
    rate : float
        Hz.

    Returns
    -------
    Signal
        round(n × rate / old rate) samples, time 0 at time 0.
    """
    if rate == signal.rate:
        return signal
    resample_poly = import_scipy_signal().resample_poly
    ratio = Fraction(rate / signal.rate).limit_denominator(20_000)
    n = signal.samples.shape[1]
    length = round(n * rate / signal.rate)
    out = np.full((len(signal.leads), length), np.nan, np.float32)
    nearest = np.minimum(np.rint(np.arange(length) * (signal.rate / rate)).astype(np.int64), n - 1)
    for k, lead, absent in recorded_leads(signal):
        made = resample_poly(lead, ratio.numerator, ratio.denominator, padtype="line")[:length]
        out[k, : len(made)] = made
        out[k, len(made) :] = made[-1:]
        out[k, absent[nearest]] = np.nan
    return replace(signal, samples=out, rate=rate)


def remove_noise(signal: Signal, *, wander: bool = True) -> Signal:
    """Remove baseline wander (below 0.5 Hz; for excerpts under 3 s the median) and, where there is any, mains hum.

    Zero phase: nothing moves in time. Hum is looked for at 50 and 60 Hz, lead by lead.

    Parameters
    ----------
    signal : Signal
        The ECG.
    wander : bool
        Whether to take out the wander, too.
    """
    tools = import_scipy_signal()
    out = np.full(signal.samples.shape, np.nan, np.float32)
    short = signal.seconds < _SHORT_SECONDS
    high = tools.butter(2, 0.5, "highpass", fs=signal.rate, output="sos")
    for k, lead, absent in recorded_leads(signal):
        if short:
            lead = lead - np.median(lead)
        elif wander:
            lead = tools.sosfiltfilt(high, lead, padlen=min(lead.size - 1, int(2 * signal.rate)))
        for mains in (50.0, 60.0):
            if _has_hum(lead, signal.rate, mains):
                b, a = tools.iirnotch(mains, 30, fs=signal.rate)
                lead = tools.filtfilt(b, a, lead, padlen=min(lead.size - 1, int(signal.rate)))
        out[k] = np.where(absent, np.nan, lead)
    return replace(signal, samples=out)


def _has_hum(lead: np.ndarray, rate: float, mains: float) -> bool:
    """Tell whether the spectrum stands out at the mains frequency: a line of over 5 µV, far above what lies around."""
    if rate < 2.2 * mains or lead.size < rate:
        return False
    size = min(lead.size, int(4 * rate))
    frequencies, power = import_scipy_signal().welch(lead, rate, nperseg=size)
    step = frequencies[1]
    away = np.abs(frequencies - mains)
    line = power[away <= max(0.6, step)].sum() * step
    around = power[(away >= 2) & (away <= 8)]
    if not around.size:
        return False
    floor = float(np.median(around)) * step * np.count_nonzero(away <= max(0.6, step))
    return bool(line > 5 * floor and 2 * line > 0.005**2)


def recorded_leads(signal: Signal) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Iterate over the leads that hold anything.

    Yields
    ------
    position : int
        Of the lead.
    lead : ndarray of float64, shape (n,)
        mV, with gaps bridged by straight lines.
    absent : ndarray of bool, shape (n,)
        Where the gaps are.
    """
    for k, lead in enumerate(signal.samples):
        absent = ~np.isfinite(lead)
        if absent.all():
            continue
        whole = lead.astype(np.float64)
        if absent.any():
            at = np.flatnonzero(~absent)
            whole[absent] = np.interp(np.flatnonzero(absent), at, whole[at])
        yield k, whole, absent


def arrange_leads(signal: Signal, leads: Sequence[str]) -> Signal:
    """Arrange the leads wanted, in that order; those that are not there and cannot be computed are NaN.

    Limb leads follow exactly from any two of them (Einthoven, Goldberger). II and MLII stand in for each other. Where
    no lead has a name and there are as many as wanted, they are taken in the order given.
    """
    if not any(signal.leads) and len(signal.leads) == len(leads):
        return replace(signal, leads=tuple(leads))
    alive = {name: k for k, name in reversed([*enumerate(signal.leads)]) if name and _has_numbers(signal.samples[k])}
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


def keep_recorded_leads(signal: Signal) -> Signal:
    """Leave out the leads that hold no number; the signal itself where all do, or none does."""
    there = [k for k, lead in enumerate(signal.samples) if _has_numbers(lead)]
    if not there or len(there) == len(signal.leads):
        return signal
    return replace(signal, samples=signal.samples[there], leads=tuple(signal.leads[k] for k in there))


def _has_numbers(lead: np.ndarray) -> bool:
    return bool(np.isfinite(lead).any())


def import_scipy_signal():
    """Import scipy.signal.

    Raises
    ------
    ExtraError
        Where it is not installed.
    """
    try:
        from scipy import signal
    except ImportError:
        raise missing_package("scipy") from None
    return signal


def missing_package(package: str) -> ExtraError:
    """Return the error for a package of the `ecg` extra that is not there."""
    return ExtraError(
        f"Reading ECGs needs the package {package}, which is not installed.", "pip install 'medloupe[ecg]'"
    )
