"""ECGs with leads missing: who answers, what is said and what is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ecgmodels
import ecgsaved
from medloupe.ecg.reading import restore_reading
from medloupe.ecg.signal import TWELVE, Signal
from medloupe.inference.ecgs import EcgPredictor
from medloupe.inference.predictors import AutoEcgPredictor
from medloupe.model.bundle import Model
from medloupe.model.leads import UNPROVEN

TWO = ecgmodels.recording(301)
WHOLE = ecgmodels.standard(302, blocked=True)


def without(signal: Signal, *names: str) -> Signal:
    kept = [k for k, name in enumerate(signal.leads) if name not in names]
    return replace(signal, samples=signal.samples[kept], leads=tuple(signal.leads[k] for k in kept))


def learned(*may_miss: list[str]) -> Model:
    """It refuses nothing as foreign, so that states are those of the leads."""
    model = replace(ecgmodels.twelve_model(), novelty=None)
    return replace(model, card={**model.card, "leads": {"needed": [], "may_miss": [*may_miss], "tried": []}})


def test_two_leads_are_not_answered_by_twelve() -> None:
    said = EcgPredictor(learned(["V3", "V4"])).predict(TWO, heatmap=True)
    assert (said.state, said.prediction, said.flagged, said.refused) == ("unusable", "", (), None)
    why = said.as_json()["why"]
    assert why["code"] == "leads_missing"
    assert all(name in why["text"] for name in ("I", "aVL", "V2", "V6"))
    assert said.heatmap is None and said.ecg is not None and said.ecg.attention is None
    assert said.ecg.signal.leads == ("II", "V1"), "the ten that are not there are not drawn"
    back = restore_reading(TWO, said.as_json()["ecg"])
    assert back.signal.leads == ("II", "V1")


def test_an_answer_kept_before_is_drawn_without_its_empty_leads() -> None:
    said = EcgPredictor(learned()).predict(TWO).as_json()["ecg"]
    assert restore_reading(TWO, {**said, "leads": list(TWELVE)}).signal.leads == ("II", "V1")


def test_what_may_miss_is_answered_and_nothing_more() -> None:
    predictor = EcgPredictor(learned(["V3", "V4"]))
    for gone in ((), ("V3",), ("V3", "V4"), ("aVR", "aVL", "aVF", "III"), ("V4", "III")):
        said = predictor.predict(without(WHOLE, *gone))
        assert said.state == EcgPredictor(ecgmodels.twelve_model()).predict(WHOLE).state, gone
        assert said.prediction == "BLOCK"
    for gone in (("V5",), ("V3", "V5"), ("I", "III", "aVR", "aVL", "aVF")):
        assert predictor.predict(without(WHOLE, *gone)).state == "unusable", gone


def test_a_flat_lead_is_a_missing_one() -> None:
    samples = WHOLE.samples.copy()
    samples[10] = 0.1
    said = EcgPredictor(learned(["V3"])).predict(replace(WHOLE, samples=samples))
    assert said.state == "unusable" and said.said.why is not None and "V5" in said.said.why.text


def test_a_model_without_the_entry_answers_complete_ecgs_alone() -> None:
    predictor = EcgPredictor(ecgmodels.twelve_model())
    assert predictor.predict(WHOLE).state not in ("unusable", "refused")
    assert predictor.predict(without(WHOLE, "III", "aVR")).state not in ("unusable", "refused"), "these are computed"
    assert predictor.predict(without(WHOLE, "V1")).state == "unusable"


def test_the_app_chooses_who_can_answer(tmp_path: Path) -> None:
    auto = AutoEcgPredictor([learned(["V3", "V4"]), ecgmodels.beats_model()])

    def chosen(signal: Signal) -> str:
        return auto.predict({"a.npz": ecgsaved.npz(signal)}).model

    assert chosen(WHOLE) == "leads"
    assert chosen(without(WHOLE, "V3")) == "leads", "one that may miss"
    assert chosen(without(WHOLE, "V5")) == "beats"
    assert chosen(TWO) == "beats"
    alone = AutoEcgPredictor([learned()]).predict({"a.npz": ecgsaved.npz(TWO)})
    assert (alone.model, alone.state) == ("leads", "unusable"), "where there is nobody else it is named what is missing"


@pytest.mark.parametrize(
    ("leads", "rate", "shown"),
    [(("MLII", "V1"), 360, True), (("II", "V1"), 360, True), (("V5", "V1"), 360, False), (("MLII", "V1"), 200, False)],
)
def test_beats_of_other_leads_or_rates_are_answered_with_a_note(
    leads: tuple[str, ...], rate: float, shown: bool
) -> None:
    model = ecgmodels.beats_model()
    model = replace(model, card={**model.card, "leads": {"learned_on": ["MLII"], "rates": [360.0, 360.0]}})
    said = EcgPredictor(model).predict(ecgmodels.recording(303, rate=rate, leads=leads))
    assert said.ecg is not None and said.state != "unusable"
    assert (UNPROVEN not in said.ecg.notes) is shown
    assert said.ecg.as_json().get("as_learned", True) is shown
    back = restore_reading(said.ecg.signal, said.as_json()["ecg"])
    assert back.as_learned is shown


def test_the_numbers_are_those_of_all_leads() -> None:
    """A rule changes who is answered, no figure."""
    bare, ruled = (EcgPredictor(m).predict(WHOLE) for m in (ecgmodels.twelve_model(), learned(["V1"])))
    assert bare.probabilities == ruled.probabilities
    assert bare.ecg is not None and ruled.ecg is not None
    np.testing.assert_array_equal(bare.ecg.signal.samples, ruled.ecg.signal.samples)
