"""ECGs as backbones read them: the same at every rate, and a missing lead tells nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ecgmaker
import ecgwriters
from medloupe.data.readers.ecg.beats import AFTER, BEFORE, pair_with_typical
from medloupe.ecg.beats import BEAT, PREFERRED, cut_beats
from medloupe.ecg.quality import require_usable
from medloupe.ecg.signal import TWELVE, Signal, resample
from medloupe.embed.network import Network
from medloupe.embed.registry import BACKBONES, ECG_BEATS, ECG_TWELVE, backbone
from medloupe.embed.windows import compute_typical_window, cut_beat_windows, fit_window, seconds_after_peak
from medloupe.errors import SignalError

BEATS, LEADS = BACKBONES[ECG_BEATS], BACKBONES[ECG_TWELVE]
RATES = (250, 360, 500)


def rhythm_strip(rate: float, leads: tuple[str, ...] = ("MLII",), seconds: float = 20, noise: float = 0.0) -> Signal:
    made = ecgmaker.with_ectopics(ecgmaker.even(seconds, spread=0.03, seed=1))
    return ecgmaker.ecg(made, seconds, rate, leads, noise=noise)


def precut(rate: float, number: int) -> Signal:
    """One beat of the strip as data sets have them: cut at its own rate, beside the recording's usual one."""
    strip = rhythm_strip(rate)
    at = np.rint([b.at * rate for b in ecgmaker.with_ectopics(ecgmaker.even(20, spread=0.03, seed=1))]).astype(int)
    both = pair_with_typical(cut_beats(strip, at, BEFORE, AFTER, rate)[:, 0], None)
    return Signal(samples=both[number], rate=rate, leads=BEAT)


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


@pytest.mark.parametrize("number", [5, 9])  # of the sinus node, and from the ventricles
def test_a_beat_cut_before_is_the_same_at_every_rate(number: int):
    whole = cut_beat_windows(rhythm_strip(360), BEATS)
    for rate in RATES:
        found = fit_window(precut(rate, number), BEATS)
        assert found.shape == BEATS.input_shape
        assert found.dtype == np.float32
        assert apart(found, fit_window(precut(360, number), BEATS)) < 0.02
        assert apart(found[0], whole.windows[number, 0]) < 0.02, "and the same as from the recording"
        if number == 5:
            assert np.abs(found).argmax(1).tolist() == [round(BEATS.before * BEATS.rate)] * 2


def test_recordings_are_taken_apart_alike_at_every_rate():
    reference = cut_beat_windows(rhythm_strip(360, noise=0.005), BEATS)
    assert len(reference.peaks) == len(ecgmaker.even(20, spread=0.03, seed=1)) == len(reference.windows)
    for rate in (250, 500):
        found = cut_beat_windows(resample(rhythm_strip(360, noise=0.005), rate), BEATS)
        assert np.abs(found.peaks / rate - reference.peaks / 360).max() < 0.005
        assert np.abs(found.windows - reference.windows).max() < 0.05 * np.abs(reference.windows).max()
        np.testing.assert_allclose(found.rhythm[:, 0], reference.rhythm[:, 0], atol=0.01)
    assert (reference.windows[:, 1] == reference.windows[0, 1]).all(), "the typical beat stands beside each"


def test_of_a_whole_recording_the_middle_beat_is_taken():
    strip = rhythm_strip(360)
    taken = cut_beat_windows(strip, BEATS)
    nearest = np.abs(taken.peaks / 360 - 10).argmin()
    np.testing.assert_array_equal(fit_window(strip, BEATS), taken.windows[nearest])


def test_beats_are_looked_at_in_the_lead_that_was_learned_from():
    leads = ("V5", "II", "V1")
    taken = cut_beat_windows(rhythm_strip(360, leads), BEATS)
    assert taken.lead == "II" == min(leads, key=PREFERRED.index)
    flat = rhythm_strip(360, leads)
    flat.samples[1] = 0
    other = cut_beat_windows(flat, BEATS)
    assert other.lead == "V5"
    assert any("Lead II is flat" in note for note in other.notes)
    unnamed = cut_beat_windows(replace(rhythm_strip(360), leads=("",)), BEATS)
    np.testing.assert_array_equal(unnamed.windows, cut_beat_windows(rhythm_strip(360), BEATS).windows)


def test_single_beats_of_less_than_a_second():
    strip = rhythm_strip(360)
    start = round((ecgmaker.even(20, spread=0.03, seed=1)[5].at - 0.25) * 360)
    excerpt = replace(strip, samples=strip.samples[:, start : start + 256])
    taken = cut_beat_windows(excerpt, BEATS)
    assert taken.windows.shape == (1, *BEATS.input_shape)
    np.testing.assert_array_equal(taken.windows[0, 0], taken.windows[0, 1])
    assert apart(taken.windows[0, 0], fit_window(precut(360, 5), BEATS)[0]) < 0.05
    assert np.isnan(taken.rhythm).all()


def test_twelve_leads_are_the_same_at_every_rate_and_from_a_file(tmp_path: Path):
    reference = compute_typical_window(rhythm_strip(500, TWELVE), LEADS)[0]
    assert reference.shape == LEADS.input_shape
    assert np.abs(reference[1]).argmax() == round(LEADS.before * LEADS.rate)
    for rate in (250, 360):
        assert apart(fit_window(rhythm_strip(rate, TWELVE), LEADS), reference) < 0.02
    path = ecgwriters.wfdb_record(rhythm_strip(500, TWELVE), tmp_path, "rest")
    assert apart(fit_window(Path(path).with_suffix(".hea"), LEADS), reference) < 0.02


def test_a_missing_lead_is_zero_and_tells_nothing():
    network = Network(backbone(ECG_TWELVE), threads=1)

    def seen(signal: Signal) -> np.ndarray:
        made = network.see(fit_window(signal, LEADS)[None]).embedding[0]
        return made.reshape(len(TWELVE), -1)

    whole = ecgmaker.ecg(ecgmaker.even(10), 10, 500, TWELVE)
    lacking = []
    for gone in ("V1", "V4"):
        samples = whole.samples.copy()
        samples[TWELVE.index(gone)] = np.nan
        signal = replace(whole, samples=samples)
        assert not fit_window(signal, LEADS)[TWELVE.index(gone)].any()
        assert f"Missing: {gone}." in compute_typical_window(signal, LEADS)[3]
        lacking.append(seen(signal))
    a, b = lacking
    full = seen(whole)
    for row, name in enumerate(TWELVE):
        if name not in ("V1", "V4"):
            np.testing.assert_allclose(a[row], full[row], atol=1e-3)
            np.testing.assert_allclose(b[row], full[row], atol=1e-3)
    other = ecgmaker.ecg([replace(beat, waves=ecgmaker.LEFT_BLOCK) for beat in ecgmaker.even(10)], 10, 500, TWELVE)
    other.samples[TWELVE.index("V1")] = np.nan
    np.testing.assert_allclose(seen(other)[TWELVE.index("V1")], a[TWELVE.index("V1")], atol=1e-5)  # what is usual
    assert np.abs(seen(other)[0] - a[0]).max() > 0.05


def test_limb_leads_that_follow_from_two_are_not_missing():
    two = ecgmaker.ecg(ecgmaker.even(10), 10, 500, ("I", "II"))
    made, _, _, notes = compute_typical_window(two, LEADS)
    whole = compute_typical_window(ecgmaker.ecg(ecgmaker.even(10), 10, 500, ecgmaker.TWELVE), LEADS)[0]
    np.testing.assert_allclose(made[:6], whole[:6], atol=0.02)
    assert not made[6:].any()
    assert notes == ("Missing: V1, V2, V3, V4, V5, V6.",)


def flat(seconds: float = 10) -> Signal:
    return Signal(samples=np.zeros((2, round(seconds * 360)), np.float32), rate=360, leads=("MLII", "V1"))


@pytest.mark.parametrize(
    ("signal", "says"),
    [
        (None, "There is no ECG"),
        (flat(), "Each of its 2 leads is flat"),
        (flat(0.3), "at least 0.6 s"),
        (replace(flat(), rate=10.0), "10 Hz"),
    ],
    ids=["none", "flat", "short", "slow"],
)
@pytest.mark.parametrize("card", [BEATS, LEADS], ids=["beats", "leads"])
def test_what_is_no_ecg_is_said(signal: Signal | None, says: str, card):
    with pytest.raises(SignalError, match=says) as error:
        fit_window(signal, card)
    assert error.value.hint


def test_where_no_lead_is_known_those_that_are_there_are_named():
    strange = replace(rhythm_strip(360, ("V1", "V2")), leads=("MLI", ""))
    with pytest.raises(SignalError, match=r"None of the leads I, II.*it has MLI, one without a name"):
        fit_window(strange, LEADS)
    with pytest.raises(SignalError, match="it has beat, typical"):
        fit_window(precut(360, 3), LEADS)


def test_sound_leaves_out_what_is_bad_and_keeps_what_was_guessed():
    strip = replace(rhythm_strip(360, ("MLII", "V1")), notes=("The unit was guessed.",))
    strip.samples[1] = 0
    good, notes = require_usable(strip)
    assert np.isnan(good.samples[1]).all()
    assert notes[0] == "The unit was guessed."
    assert "Lead V1 is flat" in notes[1]
    assert np.isfinite(strip.samples).all(), "what was given stays as it is"


def test_a_window_is_as_long_as_its_card_says():
    assert BEATS.before + seconds_after_peak(BEATS) == pytest.approx(BEATS.input_size / BEATS.rate)
    assert LEADS.before + seconds_after_peak(LEADS) == pytest.approx(LEADS.input_size / LEADS.rate)
    assert not np.isnan(fit_window(rhythm_strip(360), BEATS)).any()


def test_a_beat_cut_before_is_taken_as_it_is():
    for rate in RATES:
        signal = precut(rate, 9)
        taken = cut_beat_windows(signal, BEATS)
        np.testing.assert_array_equal(taken.windows[0], fit_window(signal, BEATS))
        assert taken.peaks.tolist() == [round(0.25 * rate)]
        assert np.isnan(taken.rhythm).all()
    with pytest.raises(SignalError, match="flat"):
        cut_beat_windows(replace(precut(250, 9), samples=np.zeros((2, 178), np.float32)), BEATS)
