"""What a model says of a recording: beat by beat, or of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ecgmaker
import ecgmodels
from medloupe.ecg.beats import RHYTHM, find_r_peaks
from medloupe.ecg.reading import describe_reading, describe_regularity, restore_reading
from medloupe.ecg.signal import Signal
from medloupe.embed.network import Network
from medloupe.embed.registry import BACKBONES, ECG_BEATS, ECG_TWELVE
from medloupe.embed.windows import compute_typical_window, cut_beat_windows
from medloupe.errors import ClinicalError, SignalError
from medloupe.inference.recordings import (
    SignalAnswer,
    WindowOutputs,
    answer_signal,
    format_rhythm_columns,
    list_askable_ecg_inputs,
    list_influences,
    measure_lead_share,
    select_fitting_backbones,
)
from medloupe.model import heatmaps
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.head import probabilities

BEATS, TWELVE = BACKBONES[ECG_BEATS], BACKBONES[ECG_TWELVE]


def seen(model: Model, windows: np.ndarray) -> WindowOutputs:
    found = Network(model.backbone, threads=1).see(windows, maps=True)
    assert found.map is not None
    return WindowOutputs(
        found.embedding, model.head.logits(found.embedding), heatmaps.map_contributions(model.head, found.map)
    )


def found_in(signal: Signal, model: Model, given: dict[str, str] | None = None) -> SignalAnswer:
    return answer_signal(
        signal,
        model.backbone.card,
        Decision.from_card(model.card),
        lambda windows: seen(model, windows),
        extras=model.extras,
        novelty=model.novelty,
        given=given,
    )


def test_each_beat_is_judged_and_the_share_is_their_mean() -> None:
    model = ecgmodels.beats_model()
    assert model.extras is not None
    signal = ecgmodels.recording(71)
    found = found_in(signal, model)
    beats_found = found.reading.beats
    wanted = ["V" if k % 5 == 4 else "N" for k in range(len(beats_found))]
    assert [b.label for b in beats_found] == wanted
    assert (found.said.state, found.said.prediction, found.said.flagged) == ("flagged", "N", ("V",))
    assert found.reading.counts == {"N": wanted.count("N"), "V": wanted.count("V")}
    assert found.novelty is not None and found.novelty < 1
    assert found.parts is None, "each beat has its own"
    taken = cut_beat_windows(signal, BEATS)
    rows = [format_rhythm_columns(row) for row in taken.rhythm]
    p = probabilities(seen(model, taken.windows).logits + model.extras.logits(*model.extras.encode(rows)), "multiclass")
    np.testing.assert_allclose(found.probabilities, p.mean(0), atol=1e-6)
    np.testing.assert_allclose([b.probability for b in beats_found], p.max(1), atol=1e-6)
    np.testing.assert_allclose([b.second for b in beats_found], taken.peaks / 360, atol=1e-6)


def test_a_single_odd_beat_is_counted_but_not_announced() -> None:
    made = ecgmaker.even(30, bpm=75, spread=0.02)
    made[20] = ecgmaker.Beat(made[20].at, ecgmaker.VENTRICULAR)
    found = found_in(ecgmaker.ecg(made, 30, 360, ("MLII", "V1"), noise=0.01), ecgmodels.beats_model())
    assert found.reading.counts["V"] == 1
    assert (found.said.state, found.said.prediction, found.said.flagged) == ("unclear", "N", ())


def test_what_people_tell_counts_together_with_the_rhythm() -> None:
    model = ecgmodels.beats_model()
    assert model.extras is not None
    assert list_askable_ecg_inputs(model.extras) == ("age",)
    signal = ecgmodels.recording(72)
    alone, told = found_in(signal, model), found_in(signal, model, {"age": "80"})
    rows = [{**format_rhythm_columns(row), "age": "80"} for row in cut_beat_windows(signal, BEATS).rhythm]
    added = model.extras.logits(*model.extras.encode(rows))
    logits = seen(model, cut_beat_windows(signal, BEATS).windows).logits
    np.testing.assert_allclose(told.probabilities, probabilities(logits + added, "multiclass").mean(0), atol=1e-6)
    assert not np.allclose(alone.probabilities, told.probabilities, atol=1e-3)
    (age,) = list(list_influences(model.extras, model.labels, {"age": "80"}) or ())
    assert (age.name, age.value) == ("age", "80 years")
    assert list_influences(model.extras, model.labels, {}) == ()
    assert list_influences(None, model.labels, {}) is None
    with pytest.raises(ClinicalError, match="age"):
        found_in(signal, model, {"age": "old"})


@pytest.mark.parametrize(("blocked", "label"), [(False, "SINUS"), (True, "BLOCK")])
def test_a_whole_ecg_by_its_typical_beat(blocked: bool, label: str) -> None:
    model = ecgmodels.twelve_model()
    signal = ecgmodels.standard(81, blocked)
    found = found_in(signal, model)
    flagged = ("BLOCK",) if blocked else ()
    assert (found.said.state, found.said.flagged) == ("flagged" if blocked else "clear", flagged)
    assert found.said.prediction == label
    window, peaks, _, _ = compute_typical_window(signal, TWELVE)
    np.testing.assert_allclose(
        found.probabilities, probabilities(seen(model, window[None]).logits[0], "multilabel"), atol=1e-6
    )
    assert found.parts is not None and found.parts.shape == (2, 1, 28)
    assert found.reading.beats == () and "counts" not in found.reading.as_json()
    np.testing.assert_allclose(found.reading.peaks, peaks / 500)


def test_attention_lies_around_the_beats() -> None:
    signal = ecgmodels.recording(73)
    found = found_in(signal, ecgmodels.beats_model())
    attention = found.reading.attention
    assert attention is not None and attention.shape == (signal.samples.shape[1],)
    assert attention.min() >= 0 and attention.max() == 1
    at = np.arange(len(attention)) / signal.rate
    distance = np.abs(at[:, None] - np.array(found.reading.peaks)).min(1)
    assert attention[distance > 0.5].max(initial=0) == 0


def test_a_foreign_recording_has_a_novelty_above_one() -> None:
    novelty = found_in(ecgmodels.crackle(("MLII",), 0), ecgmodels.beats_model()).novelty
    assert novelty is not None and novelty > 1


def test_a_bad_lead_is_named_and_the_others_used() -> None:
    signal = ecgmodels.recording(74)
    samples = signal.samples.copy()
    samples[0] = 0.1
    found = found_in(replace(signal, samples=samples), ecgmodels.beats_model())
    assert any("MLII" in note and "flat" in note for note in found.reading.notes)
    samples[1] = 0.1
    with pytest.raises(SignalError, match="flat"):
        found_in(replace(signal, samples=samples), ecgmodels.beats_model())


def test_missing_leads_are_named() -> None:
    signal = ecgmodels.standard(5)
    samples = signal.samples.copy()
    samples[9:] = np.nan
    found = found_in(replace(signal, samples=samples), ecgmodels.twelve_model())
    assert any("V4, V5, V6" in note for note in found.reading.notes)


def test_which_backbone_suits_the_leads() -> None:
    twelve_leads, two = ecgmodels.standard(1), ecgmodels.recording(1)
    cards = [BEATS, TWELVE]
    assert select_fitting_backbones(twelve_leads, cards) == [1]
    assert select_fitting_backbones(two, cards) == [0]
    assert select_fitting_backbones(two, [TWELVE]) == [0], "where there is no other"
    assert select_fitting_backbones(twelve_leads, [BEATS]) == [0]
    eight = [twelve_leads.leads.index(name) for name in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]
    given = replace(
        twelve_leads, samples=twelve_leads.samples[eight], leads=tuple(twelve_leads.leads[k] for k in eight)
    )
    assert measure_lead_share(given, TWELVE) == 1, "the others follow from I and II"
    assert measure_lead_share(two, TWELVE) == pytest.approx(2 / 12), "MLII stands for II"


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ([0.8] * 10, "even"),
        ([1.2] * 10, "even, slow"),
        ([0.5] * 10, "even, fast"),
        ([0.8, 0.88] * 5, "slightly uneven"),
        ([0.6, 1.0, 0.75, 0.95] * 3, "uneven"),
        ([0.8], ""),
        ([], ""),
    ],
)
def test_rhythm_in_words(intervals: list[float], said: str) -> None:
    assert describe_regularity(np.cumsum([0.3, *intervals])) == said


def test_a_reading_goes_through_json() -> None:
    signal = ecgmodels.recording(75)
    found = found_in(signal, ecgmodels.beats_model()).reading
    said = found.as_json()
    assert set(said["counts"]) == {"N", "V"}
    back = restore_reading(signal, said)
    np.testing.assert_array_equal(back.signal.samples, found.signal.samples)
    assert replace(back, signal=signal).as_json() == replace(found, signal=signal).as_json()
    line = describe_reading(found, {"N": "normal"})
    assert line.startswith(f"{found.heart_rate:.0f} beats a minute, ")
    assert f"normal {said['counts']['N']}, V {said['counts']['V']}" in line


def test_a_single_beat_has_no_rhythm() -> None:
    signal = ecgmaker.ecg([ecgmaker.Beat(0.35)], 0.9, 360, ("MLII",))
    assert len(find_r_peaks(signal)) == 1
    found = found_in(signal, ecgmodels.beats_model()).reading
    assert (found.heart_rate, found.regularity, len(found.beats)) == (None, "", 1)
    assert format_rhythm_columns(np.full(6, np.nan)) == {}
    assert set(format_rhythm_columns(np.ones(6))) == set(RHYTHM)
