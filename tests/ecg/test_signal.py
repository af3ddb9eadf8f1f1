"""Signals: lead names, rates, cleaning, leads that follow from others, and what is no usable ECG."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgmaker import ecg, even, with_ectopics
from medloupe.ecg.quality import describe_fault, drop_bad_leads
from medloupe.ecg.signal import LIMB, TWELVE, Signal, arrange_leads, lead_name, remove_noise, resample

SECONDS = 12


def made(rate: float = 360, leads: tuple[str, ...] = ("II", "V1", "V5"), bpm: float = 72, **more: float) -> Signal:
    return ecg(even(SECONDS, bpm, spread=0.03), SECONDS, rate, leads, noise=more.pop("noise", 0.005), **more)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("AVR", "aVR"), ("avr", "aVR"), ("Lead I", "I"), ("ECG I", "I"), ("MDC_ECG_LEAD_V1", "V1"), ("ML2", "MLII")),
        *(("ECG II", "II"), ("Lead I (Einthoven)", "I"), ("aVR, augmented voltage, right", "aVR"), ("V1 (mV)", "V1")),
        *(("I [uV]", "I"), ("II_mV", "II"), ("EKG aVF", "aVF"), ("D2", "II"), ("Lead 3", "III"), ("vx", "VX")),
        *(("v3r", "V3R"), ("MV5", "MV5"), ("C4", "V4"), (" v6 ", "V6")),
        *(("ECG", ""), ("time", ""), ("", ""), ("EEG Fpz", ""), ("V", ""), ("V10", ""), ("resp", "")),
    ],
)
def test_lead_names(text: str, name: str):
    assert lead_name(text) == name


@pytest.mark.parametrize(("old", "new"), [(500, 250), (360, 250), (250, 360), (257.5, 125), (128, 500)])
def test_resampling_keeps_time_and_shape(old: float, new: float):
    beats = even(SECONDS, 70)
    changed = resample(ecg(beats, SECONDS, old), new)
    wanted = ecg(beats, SECONDS, new)
    assert changed.samples.shape == (12, round(round(SECONDS * old) * new / old))
    assert (changed.rate, changed.leads) == (new, TWELVE)
    n = min(changed.samples.shape[1], wanted.samples.shape[1]) - 20
    # At 125 or 128 Hz the steepest part of a QRS lies beyond what such a rate can hold.
    limit = 0.04 if min(old, new) < 200 else 0.005
    assert np.abs(changed.samples[:, 20:n] - wanted.samples[:, 20:n]).max() < limit


def test_resampling_to_the_same_rate_is_free():
    signal = made()
    assert resample(signal, 360) is signal


def test_resampling_lets_no_high_frequency_through():
    times = np.arange(5000) / 500
    high = Signal(samples=np.sin(2 * np.pi * 180 * times)[None].astype(np.float32), rate=500, leads=("II",))
    assert np.abs(resample(high, 200).samples[:, 20:-20]).max() < 0.01


def test_resampling_keeps_gaps_where_they_are():
    signal = made(500)
    signal.samples[0, 1000:1500] = np.nan
    signal.samples[1] = np.nan
    changed = resample(signal, 250)
    absent = np.isnan(changed.samples)
    assert absent[1].all()
    assert not absent[2].any()
    assert set(np.flatnonzero(absent[0])) == set(range(500, 750))


def test_cleaning_removes_wander_and_hum_and_moves_nothing():
    beats = even(30, 70)
    plain = remove_noise(ecg(beats, 30, 500, ("II", "V2")))
    for mains in (50.0, 60.0):
        dirty = ecg(beats, 30, 500, ("II", "V2"), hum=0.2, mains=mains, wander=0.6)
        left = remove_noise(dirty).samples - plain.samples
        assert np.sqrt((dirty.samples - plain.samples) ** 2).mean() > 0.3
        assert np.abs(left[:, 1000:-1000]).max() < 0.02
    peak = round(beats[10].at * 500)
    assert np.argmax(plain.samples[0, peak - 50 : peak + 50]) == pytest.approx(50, abs=1)


def test_cleaning_leaves_a_clean_ecg_nearly_as_it_is():
    signal = ecg(even(30, 70), 30, 500, ("II",))
    clean = remove_noise(signal).samples
    assert np.corrcoef(clean[0], signal.samples[0])[0, 1] > 0.98
    assert clean.max() == pytest.approx(signal.samples.max(), abs=0.15)


def test_cleaning_an_excerpt_subtracts_the_median():
    signal = ecg(even(1.2, 70), 1.2, 360, ("II",))
    shifted = replace(signal, samples=signal.samples + 3)
    np.testing.assert_allclose(remove_noise(shifted).samples, signal.samples - np.median(signal.samples), atol=1e-5)


def test_cleaning_keeps_what_is_missing():
    signal = made()
    signal.samples[0] = np.nan
    signal.samples[1, 700:720] = np.nan
    clean = remove_noise(signal).samples
    assert np.isnan(clean[0]).all()
    assert set(np.flatnonzero(np.isnan(clean[1]))) == set(range(700, 720))
    assert not np.isnan(clean[2]).any()


@pytest.mark.parametrize(
    "there", [("I", "II"), ("III", "aVL"), ("aVR", "aVF"), ("II", "aVR"), ("aVL", "I"), ("III", "II")]
)
def test_limb_leads_follow_from_any_two(there: tuple[str, str]):
    whole = ecg(even(4), 4, 250)
    two = ecg(even(4), 4, 250, (*there, "V3"))
    got = arrange_leads(two, TWELVE)
    assert got.leads == TWELVE
    np.testing.assert_allclose(got.samples[:6], whole.samples[:6], atol=1e-5)
    np.testing.assert_array_equal(got.samples[8], two.samples[2])
    assert np.isnan(got.samples[[6, 7, 9, 10, 11]]).all()


def test_arranging_takes_leads_by_name_and_guesses_none():
    signal = made(leads=("V5", "II"))
    got = arrange_leads(signal, ("II", "I", "V5", "MLII"))
    np.testing.assert_array_equal(got.samples[[0, 2, 3]], signal.samples[[1, 0, 1]])
    assert np.isnan(got.samples[1]).all()


def test_a_lead_without_numbers_is_computed_anew():
    signal = ecg(even(4), 4, 250)
    signal.samples[LIMB.index("III")] = np.nan
    got = arrange_leads(signal, TWELVE).samples
    np.testing.assert_allclose(got[2], got[1] - got[0], atol=1e-6)


def test_leads_without_names_are_taken_in_order_only_if_as_many():
    signal = replace(made(), leads=("", "", ""))
    assert arrange_leads(signal, ("I", "II", "V1")).leads == ("I", "II", "V1")
    assert np.isnan(arrange_leads(signal, ("I", "II")).samples).all()


def test_a_signal_names_each_lead():
    with pytest.raises(ValueError, match="2 leads"):
        Signal(samples=np.zeros((3, 10), np.float32), rate=100, leads=("I", "II"))


def flat(signal: Signal) -> Signal:
    return replace(signal, samples=signal.samples * 0.01)


def clipped(signal: Signal) -> Signal:
    return replace(signal, samples=np.clip(signal.samples * 3, -0.1, 0.25))


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (lambda s: replace(s, samples=np.full_like(s.samples, np.nan)), "Each of its 3 leads holds no numbers"),
        (lambda s: replace(s, samples=np.where(np.arange(s.samples.shape[1]) % 3 == 0, s.samples, np.nan)), "67%"),
        (flat, "flat: it moves by 0.0"),
        (clipped, r"clipped: \d+% of its samples"),
        (lambda s: replace(s, samples=s.samples[:, :150]), "lasts 0.42 s; at least 0.6 s"),
        (lambda s: replace(s, rate=30.0), "sampled at 30 Hz"),
        (lambda s: replace(s, rate=44100.0), "44100 Hz"),
        (lambda s: replace(s, samples=s.samples * 1000), "are these microvolts"),
        (lambda s: replace(s, samples=np.full_like(s.samples, np.inf)), "holds no numbers"),
        (lambda s: replace(s, samples=s.samples[:0], leads=()), "no lead"),
    ],
)
def test_faults_are_named(bad, says: str):
    signal = made()
    assert describe_fault(signal) == ""
    assert np.array_equal(drop_bad_leads(signal)[0].samples, signal.samples)
    with np.errstate(invalid="ignore"):
        import re

        assert re.search(says, describe_fault(bad(signal))), describe_fault(bad(signal))


@pytest.mark.parametrize(("bpm", "factor"), [(60, 0.2), (75, 5), (110, 4), (180, 2), (60, 0.25)])
def test_a_wrong_rate_is_suspected(bpm: float, factor: float):
    for rate in (250.0, 360.0):
        signal = made(rate, bpm=bpm)
        assert describe_fault(signal) == ""
        said = describe_fault(replace(signal, rate=rate * factor))
        assert "the sampling rate may be wrong" in said
        times = float(said.split(" times a minute")[0].rsplit(" ", 1)[1])
        assert times == pytest.approx(bpm * factor, rel=0.05)


@pytest.mark.parametrize("bpm", [32, 45, 72, 120, 200, 260])
def test_no_heart_is_suspected(bpm: float):
    beats = even(20, bpm, spread=0.1)
    assert describe_fault(ecg(beats, 20, 250, ("II", "V2"), noise=0.02, wander=0.5)) == ""
    assert describe_fault(ecg(with_ectopics(beats, early=15 / bpm), 20, 500, ("II",), noise=0.02)) == ""


@pytest.mark.parametrize("seconds", [2.2, 10, 60])
@pytest.mark.parametrize("falling", [0, 1, 2])  # white, pink and brown
def test_noise_alone_is_no_ecg(falling: int, seconds: float):
    for seed, rate in enumerate((100.0, 250.0, 500.0)):
        samples = np.random.default_rng(seed).normal(size=(3, round(seconds * rate)))
        spectrum = np.fft.rfft(samples) / np.maximum(np.fft.rfftfreq(samples.shape[1]), 1e-3) ** (falling / 2)
        noise = np.fft.irfft(spectrum, samples.shape[1])
        noise *= 0.3 / noise.std()
        said = describe_fault(Signal(samples=noise.astype(np.float32), rate=rate, leads=("I", "II", "V2")))
        assert "stand out from the noise" in said
        assert "look at the person" in said


def test_beats_in_noise_are_seen_as_long_as_they_stand_out():
    beats = even(SECONDS, 72, spread=0.2)
    assert describe_fault(ecg(beats, SECONDS, 250, ("II", "V2"), noise=0.03)) == ""
    assert "stand out" in describe_fault(ecg(beats, SECONDS, 250, ("II", "V2"), noise=0.4))
    one = ecg(beats, SECONDS, 250, ("II", "V2"), noise=0.01)
    one.samples[0] = np.random.default_rng(0).normal(0, 0.3, one.samples.shape[1])
    assert describe_fault(one) == ""  # the other lead shows them


def test_what_recurs_evenly_is_not_taken_for_noise():
    time = np.arange(10 * 250) / 250
    turn = 2 * np.pi * 2.5 * time  # as a broad tachycardia of 150
    broad = (np.sin(turn) + 0.4 * np.sin(2 * turn))[None].astype(np.float32)
    assert describe_fault(Signal(samples=broad, rate=250, leads=("II",))) == ""


def test_one_bad_lead_among_good_ones_is_left_out():
    signal = made()
    signal.samples[1] *= 0.001
    assert describe_fault(signal) == ""
    good, notes = drop_bad_leads(signal)
    assert np.isnan(good.samples[1]).all()
    assert np.isfinite(good.samples[[0, 2]]).all()
    assert np.isfinite(signal.samples).all()
    assert len(notes) == 1
    assert notes[0].startswith("Lead V1 is flat")


@pytest.mark.parametrize("name", ["-aVR", "−aVR", "I-II", "V1-V2"])
def test_a_lead_turned_round_or_a_difference_is_none_of_the_standard_leads(name: str) -> None:
    assert lead_name(name) == ""
    assert lead_name("ECG-V1") == "V1"
    assert lead_name("LEAD-II") == "II"
