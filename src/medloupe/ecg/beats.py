"""Find where the heart beats in an ECG, how evenly, and cut the beats out.

RR intervals: from one R peak to the next.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from medloupe.ecg.signal import Signal, missing_package, recorded_leads, remove_noise, resample

RHYTHM = (
    *("rr_previous_ratio", "rr_next_ratio", "rr_previous_deviation", "rr_next_deviation"),
    *("rr_irregularity", "heart_rate"),
)
"""What `rhythm` tells of each beat: the RR before it and after it over the recording's median RR; how far each lies
from the median of the RRs around, in units of their usual spread, so that an early beat counts for more in an even
rhythm than in an uneven one; the usual change from one RR to the next around it, over their median; and 60 over the
recording's median RR, in beats a minute."""

BEAT = ("beat", "typical")
"""What stands in the two rows of a beat that was cut out: itself, and the usual beat of its recording."""

PREFERRED = ("MLII", "II", "I", "V5", "V2", "V1")
"""Leads in which single beats are looked at, the first that is there: the backbone learned on MLII."""

_AROUND = 20  # beats before and after that are "around"
_LEAST_SPREAD = 0.02  # of the median RR: no rhythm is more even than this
_FARTHEST = 10.0
DETECTION_RATE = 250.0
_REFINE_SECONDS = 0.06
_T_WAVE_SECONDS = 0.5
_CLEAR_ENOUGH = 0.25
SHORT_SECONDS = 2.0  # the detector learns its thresholds in the first two seconds
_APEX_SECONDS = 0.004
_KERNEL = 10  # half-width of the interpolation kernel, in samples of the lower rate
_STEPS = 16  # apexes are placed to a sixteenth of a sample
_CHUNK = 1024


def find_r_peaks(signal: Signal) -> np.ndarray:
    """Find the R peaks.

    Beats are found on all leads together (root mean square; those that are mostly noise left out), and lie on the
    largest deflection of the clearest lead. Excerpts under 2 s: the largest deflection.

    Returns
    -------
    ndarray of int64
        Positions in samples at the signal's rate, ascending; empty where there is no lead.
    """
    clean = remove_noise(signal)
    leads = [lead for _, lead, _ in recorded_leads(clean)]
    # which leads are clear must not depend on the rate
    coarse = [lead for _, lead, _ in recorded_leads(resample(clean, DETECTION_RATE))]
    clear = np.array([measure_prominence(lead) for lead in coarse])
    if not clear.size or not clear.max() > 0:
        return np.zeros(0, np.int64)
    lead = leads[int(np.argmax(clear))]
    if lead.size < SHORT_SECONDS * signal.rate:
        return np.array([int(np.argmax(np.abs(lead)))])

    def combine(of: list[np.ndarray]) -> np.ndarray:
        good = [one for one, c in zip(of, clear, strict=True) if c > _CLEAR_ENOUGH * clear.max()]
        return np.sqrt(np.mean([one**2 for one in good], axis=0)) if len(good) > 1 else of[int(np.argmax(clear))]

    together = combine(leads)
    found = np.rint(_detect_beats(combine(coarse)) * (signal.rate / DETECTION_RATE)).astype(np.int64)
    reach = round(_REFINE_SECONDS * signal.rate)
    near = np.clip(found[:, None] + np.arange(-reach, reach + 1), 0, lead.size - 1)
    # Where R and S are alike, R counts: annotated recordings do so, and a beat must not flip between the two.
    height = np.where(lead > 0, lead, -0.8 * lead)[near]
    steepness = np.abs(np.diff(together[near], axis=1)).max(axis=1)
    peaks, first = np.unique(near[np.arange(len(near)), np.argmax(height, axis=1)], return_index=True)
    if len(peaks) < 3:
        return peaks
    # What follows a beat closely and is far less steep is its T wave.
    soon = np.diff(peaks, prepend=-(2**40)) < _T_WAVE_SECONDS * signal.rate
    return peaks[~(soon & (steepness[first] < 0.25 * np.percentile(steepness, 75)))]


def _detect_beats(lead: np.ndarray) -> np.ndarray:
    """Find the beats of a lead at DETECTION_RATE, in its samples, to within some tens of milliseconds."""
    try:
        from sleepecg.heartbeats import detect_heartbeats
    except ImportError:
        raise missing_package("sleepecg") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # short or quiet excerpts divide by zero inside, and give no beats
        return np.asarray(detect_heartbeats(lead.astype(np.float64), DETECTION_RATE), np.float64)


def preferred_lead(leads: Sequence[str], among: Iterable[int]) -> int:
    """Choose the lead to look at single beats in.

    Parameters
    ----------
    leads : Sequence of str
        Names of all leads.
    among : Iterable of int
        Positions to choose from.

    Returns
    -------
    int
        The position of the first of PREFERRED that is there; the first position where none is.
    """
    return min(among, key=lambda k: PREFERRED.index(leads[k]) if leads[k] in PREFERRED else len(PREFERRED))


def measure_prominence(lead: np.ndarray) -> float:
    """Measure how far the steep parts of a lead at DETECTION_RATE rise above the rest of it; 0 where nothing moves."""
    if lead.size < 3:
        return 0.0
    usual, high = np.percentile(np.abs(lead[2:] - lead[:-2]), (50, 99))
    return float(high / (usual + 1e-3))


def rhythm_features(peaks: np.ndarray, rate: float) -> np.ndarray:
    """Compute the columns RHYTHM of each beat.

    Parameters
    ----------
    peaks : ndarray, shape (n,)
        R peaks, ascending, in samples.
    rate : float
        Hz.

    Returns
    -------
    ndarray of float32, shape (n, 6)
        NaN where there is no neighbour.
    """
    intervals = np.diff(np.asarray(peaks, np.float64)) / rate
    return rhythm_from_intervals(
        np.concatenate([[np.nan], intervals])[: len(peaks)], np.append(intervals, np.nan)[: len(peaks)]
    )


def rhythm_from_intervals(previous: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Compute the columns RHYTHM from the RRs before and after each beat of one recording, in order.

    Parameters
    ----------
    previous, following : ndarray, shape (n,)
        Seconds; NaN unknown.

    Returns
    -------
    ndarray of float32, shape (n, 6)
        With fewer than two RRs all ratios are unknown; with none the heart rate too.
    """
    n = len(previous)
    table = np.full((n, len(RHYTHM)), np.nan, np.float32)
    known = np.isfinite(previous)
    if not known.any():
        known_after = following[np.isfinite(following)]
        if known_after.size:
            table[:, 5] = 60 / np.median(known_after)
        return table
    median = float(np.median(previous[known]))
    table[:, 5] = 60 / median
    if known.sum() < 2:
        return table
    table[:, 0] = previous / median
    table[:, 1] = following / median
    middle = _local_median(previous)
    spread = _local_median(np.abs(previous - middle)) + _LEAST_SPREAD * middle
    for column, values in ((2, previous), (3, following)):
        table[:, column] = np.clip((values - middle) / spread, -_FARTHEST, _FARTHEST)
    table[:, 4] = _local_median(np.abs(np.diff(previous, prepend=np.nan))) / middle
    return table


def _local_median(values: np.ndarray) -> np.ndarray:
    """Compute medians (n,) of the values of the beats around each, itself included, unknown ones left out."""
    padded = np.concatenate([np.full(_AROUND, np.nan), values, np.full(_AROUND, np.nan)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of beats around which nothing is known
        return np.nanmedian(np.lib.stride_tricks.sliding_window_view(padded, 2 * _AROUND + 1), axis=1)


def cut_beats(signal: Signal, peaks: np.ndarray, before: float, after: float, rate: float) -> np.ndarray:
    """Cut windows around beats.

    A whole-numbered peak is moved to the apex next to it, between the samples, so that windows of the same beat at
    different rates agree. From each lead of each window its median is subtracted. Beyond the ends of the recording the
    nearest value stands; a lead without numbers stays NaN.

    Parameters
    ----------
    signal : Signal
        The recording.
    peaks : ndarray, shape (n,)
        R peaks, in samples at the signal's rate.
    before, after : float
        Seconds before and after each peak.
    rate : float
        Hz of the windows.

    Returns
    -------
    ndarray of float32, shape (n, L, T)
        T = round((before + after) × rate); the beat is at index round(before × rate).
    """
    size, index = round((before + after) * rate), round(before * rate)
    peaks = np.asarray(peaks)
    out = np.full((len(peaks), len(signal.leads), size), np.nan, np.float32)
    step = signal.rate / rate  # source samples for one of the window's
    lower = max(1.0, step)  # the lower of both rates, as source samples for one of its
    reach = int(np.ceil(_KERNEL * lower))
    start, end = int(np.floor(-index * step)) - reach - 1, int(np.ceil((size - index) * step)) + reach + 2
    offsets = np.arange(start, end)
    leads = list(recorded_leads(signal))
    centres = np.rint((np.floor(peaks) + _find_apex(signal, [lead for _, lead, _ in leads], peaks)) * _STEPS).astype(
        np.int64
    )
    whole, part = np.divmod(centres, _STEPS)
    last = signal.samples.shape[1] - 1
    for sixteenth in np.unique(part):
        wanted, kernel = _kernel(start, end, size, index, step, int(sixteenth))
        rows = np.flatnonzero(part == sixteenth)
        for first in range(0, len(rows), _CHUNK):
            chunk = rows[first : first + _CHUNK]
            at = np.clip(whole[chunk, None] + offsets, 0, last)
            nearest = np.clip(whole[chunk, None] + np.rint(wanted).astype(np.int64), 0, last)
            for k, lead, absent in leads:
                windows = lead[at].astype(np.float32) @ kernel
                windows -= np.median(windows, axis=1, keepdims=True)
                if absent.any():
                    windows[absent[nearest]] = np.nan
                out[chunk, k] = windows
    return out


@lru_cache(maxsize=64)
def _kernel(start: int, end: int, size: int, index: int, step: float, sixteenth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return where the window's samples lie, in source samples from the beat (T,), and the interpolation weights.

    The weights are low-pass, from source sample `start` to `end`, float32 (end - start, T): a sinc under a Kaiser
    window, each column of sum 1.
    """
    wanted = (np.arange(size) - index) * step + sixteenth / _STEPS
    x = (np.arange(start, end)[:, None] - wanted) / max(1.0, step)
    inside = np.clip(1 - (x / _KERNEL) ** 2, 0, None)
    weights = np.sinc(x) * np.i0(5 * np.sqrt(inside)) * (np.abs(x) < _KERNEL)
    return wanted, (weights / weights.sum(axis=0)).astype(np.float32)


def _find_apex(signal: Signal, leads: list[np.ndarray], peaks: np.ndarray) -> np.ndarray:
    """Find how far, in samples, the apex lies after each peak rounded down.

    By a parabola on the lead that deflects most. Looked for within 4 ms, which is how exact annotations are; where
    there is no apex, and for a peak that lies between samples, the peak itself.
    """
    fraction = np.asarray(peaks, np.float64) - np.floor(peaks)
    reach = max(1, round(_APEX_SECONDS * signal.rate))
    n = signal.samples.shape[1]
    if not leads or not len(peaks) or n < 2 * reach + 3:
        return fraction
    at = np.floor(peaks).astype(np.int64)
    inner = (fraction == 0) & (at > reach) & (at < n - 1 - reach)
    around = np.clip(at, reach + 1, n - 2 - reach)[:, None] + np.arange(-reach - 1, reach + 2)
    near = np.stack([lead[around] - np.median(lead) for lead in leads])  # (L, beats, samples)
    most = np.argmax(np.abs(near[:, :, reach + 1]), axis=0)
    beats = np.arange(len(at))
    near = near[most, beats]
    top = 1 + np.argmax(np.abs(near[:, 1:-1]), axis=1)
    left, middle, right = near[beats, top - 1], near[beats, top], near[beats, top + 1]
    bend = left - 2 * middle + right
    extremum = ((middle >= left) & (middle >= right)) | ((middle <= left) & (middle <= right))
    sound = inner & extremum & (bend != 0)
    return np.where(sound, top - 1 - reach + 0.5 * (left - right) / np.where(sound, bend, 1), fraction)


def typical_beat(windows: np.ndarray, beats: np.ndarray | None = None) -> np.ndarray:
    """Compute the recording's usual beat: the median of its windows.

    Parameters
    ----------
    windows : ndarray of float32, shape (n, L, T)
        Its beats.
    beats : ndarray of float32, shape (n, 6), optional
        Their `rhythm_features`; where at least 5 and a quarter of them come in time (both RR ratios within 0.15 of 1),
        those alone count.

    Returns
    -------
    ndarray of float32, shape (L, T)
    """
    if not len(windows):
        raise ValueError("no beats")
    if beats is not None:
        with np.errstate(invalid="ignore"):
            in_time = (np.abs(beats[:, :2] - 1) < 0.15).all(axis=1)
        if in_time.sum() >= max(5, len(windows) / 4):
            windows = windows[in_time]
    return np.median(windows, axis=0).astype(np.float32)
