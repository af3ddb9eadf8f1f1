"""Bring an ECG into the window a backbone reads: the same for training, command line, server and report.

Two kinds of window. Of a backbone whose leads are BEAT, one beat and beside it the recording's typical beat, on one
lead: what is unusual for this heart. Of one with the standard leads, the typical beat of the whole ECG on each lead;
a lead that is missing is 0 throughout, which the backbone takes for missing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medloupe.ecg.beats import BEAT, cut_beats, find_r_peaks, preferred_lead, rhythm_features, typical_beat
from medloupe.ecg.files import read_ecg
from medloupe.ecg.quality import require_usable
from medloupe.ecg.signal import Signal, arrange_leads, remove_noise
from medloupe.embed.backbone import BackboneCard
from medloupe.errors import SignalError

FITTING = 1  # raise when the windows of the same ECG change


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatWindows:
    """A recording taken apart.

    Attributes
    ----------
    signal : Signal
        Cleaned, on the leads it came with.
    peaks : np.ndarray
        int (n,), R peaks in its samples.
    rhythm : np.ndarray
        float32 (n, 6), see ecg.beats.rhythm.
    windows : np.ndarray
        float32 (n, 2, T) in mV, each beat and the typical one.
    lead : str
        The lead they are cut from.
    notes : tuple of str
        Sentences about leads left out and what was guessed.
    """

    signal: Signal
    peaks: np.ndarray
    rhythm: np.ndarray
    windows: np.ndarray
    lead: str
    notes: tuple[str, ...]


def seconds_after_peak(card: BackboneCard) -> float:
    """Tell how many seconds of the window lie after the R peak."""
    return card.input_size / card.rate - card.before


def fit_window(source: Signal | Path | None, card: BackboneCard) -> np.ndarray:
    """Fit one example to a backbone's window.

    Parameters
    ----------
    source : Signal, Path or None
        A beat cut out already, or a whole ECG, of which a backbone of beats gets the one nearest its middle.
    card : BackboneCard
        Of the backbone.

    Returns
    -------
    np.ndarray
        float32 (L, T), in mV.

    Raises
    ------
    SignalError
        When there is no ECG, or it has no beat or lead for the window.
    """
    signal = read_ecg(source) if isinstance(source, Path) else source
    if signal is None:
        raise SignalError("There is no ECG.", "Give a file or a Signal.")
    if card.leads == BEAT:
        if signal.leads == BEAT:
            return _recut(signal, card)
        taken = cut_beat_windows(signal, card)
        middle = int(np.argmin(np.abs(taken.peaks - signal.samples.shape[1] / 2)))
        return taken.windows[middle]
    return compute_typical_window(signal, card)[0]


def cut_beat_windows(signal: Signal, card: BackboneCard) -> BeatWindows:
    """Cut a recording into beats on one lead; one beat cut out before stays beside its typical one, as it is.

    Raises
    ------
    SignalError
        Where there is no beat to be found.
    """
    good, notes = require_usable(signal)
    if signal.leads == BEAT:
        peak = np.array([round(card.before * signal.rate)])
        return BeatWindows(
            signal=remove_noise(good),
            peaks=peak,
            rhythm=rhythm_features(peak, signal.rate),
            windows=_recut(signal, card)[None],
            lead=BEAT[0],
            notes=notes,
        )
    clean = remove_noise(good)
    peaks = find_r_peaks(clean)
    if not len(peaks):
        raise SignalError("No heartbeat was found in this ECG.", "Record it again, with better contact.")
    lead = _lead(clean)
    # beats that were cut out before they came here have their wander, which a window's median takes away for the most
    one = slice(lead, lead + 1)
    single = remove_noise(replace(good, samples=good.samples[one], leads=good.leads[one]), wander=False)
    cuts = cut_beats(single, peaks, card.before, seconds_after_peak(card), card.rate)
    timing = rhythm_features(peaks, clean.rate)
    whole = np.concatenate([cuts, np.broadcast_to(typical_beat(cuts, timing), cuts.shape)], axis=1)
    return BeatWindows(
        signal=clean,
        peaks=peaks,
        rhythm=timing,
        windows=np.nan_to_num(whole).astype(np.float32),
        lead=clean.leads[lead],
        notes=notes,
    )


def compute_typical_window(
    signal: Signal, card: BackboneCard
) -> tuple[np.ndarray, np.ndarray, Signal, tuple[str, ...]]:
    """Compute the typical beat of a whole ECG on the card's leads.

    Returns
    -------
    window : np.ndarray
        float32 (L, T), in mV; 0 on leads that are missing.
    peaks : np.ndarray
        int (n,), R peaks in the signal's samples.
    signal : Signal
        The cleaned signal on these leads.
    notes : tuple of str
        Sentences about leads left out, missing ones, and what was guessed.

    Raises
    ------
    SignalError
        Where there is no beat or no lead of the card.
    """
    good, notes = require_usable(signal)
    there = arrange_leads(remove_noise(good), card.leads)
    absent = np.array([not np.isfinite(lead).any() for lead in there.samples])
    if absent.all():
        raise SignalError(
            f"None of the leads {', '.join(card.leads)} is in this ECG; it has"
            f" {', '.join(name or 'one without a name' for name in signal.leads)}.",
            "Name the leads in the file as usual: I, II, III, aVR, aVL, aVF, V1 to V6.",
        )
    peaks = find_r_peaks(there)
    if not len(peaks):
        raise SignalError("No heartbeat was found in this ECG.", "Record it again, with better contact.")
    if absent.any():
        names = ", ".join(name for name, gone in zip(card.leads, absent, strict=True) if gone)
        notes = (*notes, f"Missing: {names}.")
    made = typical_beat(
        cut_beats(there, peaks, card.before, seconds_after_peak(card), card.rate), rhythm_features(peaks, there.rate)
    )
    return np.nan_to_num(made).astype(np.float32), peaks, there, notes


def _recut(signal: Signal, card: BackboneCard) -> np.ndarray:
    """Recut a beat that was cut out before, at another rate: its R peak stands where the card has it."""
    peak = np.array([round(card.before * signal.rate)])
    return np.nan_to_num(cut_beats(signal, peak, card.before, seconds_after_peak(card), card.rate)[0]).astype(
        np.float32
    )


def _lead(signal: Signal) -> int:
    alive = [k for k, lead in enumerate(signal.samples) if np.isfinite(lead).any()]
    return preferred_lead(signal.leads, alive)
