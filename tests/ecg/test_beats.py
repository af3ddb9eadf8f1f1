"""Beats: R peaks, rhythm, windows that agree whatever the rate, and the usual beat."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecgmaker import LEFT_BLOCK, Beat, ecg, even, with_ectopics
from medloupe.ecg.beats import RHYTHM, cut_beats, find_r_peaks, rhythm_features, rhythm_from_intervals, typical_beat
from medloupe.ecg.files import read_ecg
from medloupe.ecg.signal import Signal, arrange_leads
from medloupe.ecg.wfdb import aami_class, read_annotations
from medloupe.utils.arrays import load_npz

RATES = (250, 360, 500)


def column(table: np.ndarray, name: str) -> np.ndarray:
    return table[:, RHYTHM.index(name)]


def agreement(found: np.ndarray, true: np.ndarray, within: float) -> tuple[float, float]:
    """Sensitivity and positive predictive value of positions."""
    apart = np.abs(found[:, None] - true)
    return float((apart.min(axis=0) <= within).mean()), float((apart.min(axis=1) <= within).mean())


@pytest.mark.parametrize("rate", [100, *RATES, 1000])
@pytest.mark.parametrize("seed", [1, 2])
def test_peaks_are_found_where_they_are(rate: float, seed: int):
    beats = with_ectopics(even(40, 75, spread=0.08, seed=seed))
    signal = ecg(beats, 40, rate, ("II", "V1", "V5"), noise=0.02, hum=0.05, wander=0.4, seed=seed)
    peaks = find_r_peaks(signal)
    assert peaks.dtype == np.int64
    assert len(peaks) == len(beats)
    late = np.abs(peaks / rate - [b.at for b in beats])
    # A ventricular beat's top is broad; the others are found to a sample and the noise.
    assert late.max() < 0.02
    assert np.median(late) <= 1.5 / rate


def test_peaks_of_other_shapes():
    for waves in (LEFT_BLOCK,):
        beats = [Beat(b.at, waves) for b in even(20, 65)]
        for leads in (("II",), ("V2", "V5"), ("aVR",)):
            peaks = find_r_peaks(ecg(beats, 20, 360, leads, noise=0.01))
            assert agreement(peaks / 360, np.array([b.at for b in beats]), 0.075) == (1.0, 1.0)


def test_a_noisy_lead_does_not_hide_the_beats():
    beats = even(20, 75)
    signal = ecg(beats, 20, 360, ("II", "V1", "V6"), noise=0.01)
    signal.samples[1] = np.random.default_rng(0).normal(0, 0.8, signal.samples.shape[1])
    signal.samples[2] = np.nan
    assert agreement(find_r_peaks(signal) / 360, np.array([b.at for b in beats]), 0.03) == (1.0, 1.0)


def test_a_short_excerpt_has_its_largest_deflection():
    signal = ecg([Beat(0.4)], 0.9, 360, ("II",), noise=0.005)
    assert find_r_peaks(signal) == pytest.approx([0.4 * 360], abs=1)
    turned = replace(signal, samples=-signal.samples)
    assert find_r_peaks(turned) == pytest.approx([0.4 * 360], abs=1)


def test_there_are_no_peaks_where_nothing_moves():
    for value in (0.0, np.nan, 3.0):
        for n in (300, 5000):
            assert not len(
                find_r_peaks(Signal(samples=np.full((2, n), value, np.float32), rate=250, leads=("I", "II")))
            )


def test_rhythm_of_an_early_beat():
    at = np.cumsum([0, *[0.8] * 8, 0.5, 1.1, *[0.8] * 8]) + 0.3
    table = rhythm_features(np.rint(at * 250).astype(int), 250)
    assert table.shape == (19, len(RHYTHM))
    assert table.dtype == np.float32
    assert column(table, "rr_previous_ratio")[9] == pytest.approx(0.5 / 0.8)
    assert column(table, "rr_next_ratio")[9] == pytest.approx(1.1 / 0.8)
    assert column(table, "rr_previous_ratio")[4] == pytest.approx(1)
    assert column(table, "heart_rate") == pytest.approx(np.full(19, 75), rel=1e-3)
    assert np.isnan(column(table, "rr_previous_ratio")[0])
    assert np.isnan(column(table, "rr_next_ratio")[-1])


def test_rhythm_says_what_it_cannot_know():
    assert rhythm_features(np.array([], int), 250).shape == (0, len(RHYTHM))
    assert np.isnan(rhythm_features(np.array([100]), 250)).all()
    two = rhythm_features(np.array([100, 300]), 250)
    assert column(two, "heart_rate") == pytest.approx([75, 75])
    assert np.isnan(column(two, "rr_previous_ratio")).all()


def test_rhythm_does_not_depend_on_the_rate():
    beats = with_ectopics(even(60, 70, spread=0.1))
    at = np.array([b.at for b in beats])
    first, second = (rhythm_features(at * rate, rate) for rate in (250, 360))
    np.testing.assert_allclose(first, second, rtol=1e-4)


def test_rhythm_from_the_intervals_alone():
    at = np.array([b.at for b in even(30, 70, spread=0.2)])
    intervals = np.diff(at)
    before, after = np.append(np.nan, intervals), np.append(intervals, np.nan)
    np.testing.assert_array_equal(rhythm_from_intervals(before, after), rhythm_features(at * 1.0, 1.0))


@pytest.mark.parametrize("waves", ["sinus", "ectopic"])
def test_windows_agree_whatever_the_rate(waves: str):
    """The same beats at 250, 360 and 500 Hz differ at 125 Hz by less than 2 % of the R wave, root mean square."""
    beats = even(30, 72, spread=0.07, seed=3)
    beats = with_ectopics(beats) if waves == "ectopic" else beats
    cuts = {}
    for rate in RATES:
        signal = ecg(beats, 30, rate, ("II", "V2"))
        cuts[rate] = cut_beats(signal, find_r_peaks(signal), 0.25, 0.46, 125)
        assert cuts[rate].shape == (len(beats), 2, 89)
        assert cuts[rate].dtype == np.float32
    height = np.abs(cuts[500]).max(axis=-1)
    for rate in (250, 360):
        apart = np.sqrt(((cuts[rate] - cuts[500]) ** 2).mean(axis=-1)) / height
        assert apart.max() < 0.02


def test_the_beat_stands_at_its_index():
    beats = even(10, 72)
    for rate in RATES:
        signal = ecg(beats, 10, rate, ("II",))
        windows = cut_beats(signal, find_r_peaks(signal), 0.25, 0.46, 125)
        assert (windows[:, 0].argmax(axis=1) == round(0.25 * 125)).all()
        assert np.abs(np.median(windows, axis=-1)).max() < 1e-6


def test_a_window_at_the_signals_own_rate_is_the_signal():
    signal = ecg(even(10, 72), 10, 360, ("II", "V5"), noise=0.02)
    at = np.array([1000])
    signal.samples[:, 998:1003] = [0.1, 0.2, 0.3, 0.4, 0.5]  # a slope has no apex to be moved to
    (window,) = cut_beats(signal, at, 0.25, 0.46, 360)
    plain = signal.samples[:, 1000 - 90 : 1000 + 166]
    np.testing.assert_allclose(window, plain - np.median(plain, axis=1, keepdims=True), atol=1e-5)


def test_edges_and_gaps():
    signal = ecg(even(4, 72), 4, 250, ("II", "V1", "V2"))
    signal.samples[1] = np.nan
    signal.samples[2, 480:520] = np.nan
    windows = cut_beats(signal, np.array([2, 500, 998]), 0.25, 0.46, 125)
    assert np.isnan(windows[:, 1]).all()
    assert np.isfinite(windows[:, 0]).all()
    assert np.ptp(windows[0, 0, : round(0.2 * 125)]) < 0.02  # nothing is before the start but its own value
    gone = np.isnan(windows[1, 2])
    assert gone[31]
    assert 15 <= gone.sum() <= 25
    assert cut_beats(signal, np.array([], int), 0.25, 0.46, 125).shape == (0, 3, 89)


def test_the_usual_beat_leaves_out_the_others():
    beats = with_ectopics(even(60, 72), every=3)
    signal = ecg(beats, 60, 360, ("II",), noise=0.02)
    peaks = np.rint(np.array([b.at for b in beats]) * 360).astype(int)
    windows = cut_beats(signal, peaks, 0.25, 0.46, 125)
    alone = ecg([Beat(1.0)], 2, 360, ("II",))
    (plain,) = cut_beats(alone, np.array([360]), 0.25, 0.46, 125)
    usual = typical_beat(windows, rhythm_features(peaks, 360))
    assert usual.shape == (1, 89)
    assert np.sqrt(((usual - plain) ** 2).mean()) < 0.02
    assert np.abs(typical_beat(windows[:1]) - windows[0]).max() == 0
    with pytest.raises(ValueError, match="no beats"):
        typical_beat(windows[:0])


@pytest.mark.realdata
@pytest.mark.parametrize(("record", "least"), [("100", 0.99), ("208", 0.98)])
def test_real_peaks_are_those_annotated(record: str, least: float, real_sets: Path):
    path = real_sets / "ecg_beats" / "wfdb" / f"{record}.hea"
    signal = read_ecg(path)
    at, symbols = read_annotations(path.with_suffix(".atr"))
    beats = at[[bool(aami_class(symbol)) for symbol in symbols]]
    sensitivity, precision = agreement(find_r_peaks(signal), beats, 0.075 * signal.rate)
    assert sensitivity >= least
    assert precision >= least


@pytest.mark.realdata
def test_real_windows_are_those_of_the_data_set(real_sets: Path):
    folder = real_sets / "ecg_beats"
    arrays = load_npz(folder / "mitbih_beats.npz")
    rows = np.flatnonzero(arrays["record_id"] == 100)[::4]
    signal = arrange_leads(read_ecg(folder / "wfdb" / "100.hea"), ("MLII",))
    windows = cut_beats(signal, arrays["sample"][rows], 0.25, 0.46, 125)[:, 0]
    kept = [Signal(samples=x[None] / np.float32(200), rate=360, leads=("MLII",)) for x in arrays["X"][rows]]
    again = [cut_beats(one, np.array([90]), 0.25, 0.46, 125)[0, 0] for one in kept]
    alike = [np.corrcoef(a, b)[0, 1] for a, b in zip(windows, again, strict=True)]
    assert np.median(alike) > 0.99
    assert np.mean(np.array(alike) > 0.95) > 0.99
