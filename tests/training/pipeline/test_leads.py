"""Which leads may be missing, learned out of fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ecgmodels
import ecgsets
from medloupe.data.records import Dataset, Record
from medloupe.ecg.signal import LIMB, TWELVE, Signal
from medloupe.embed.registry import ECG_BEATS, ECG_TWELVE, backbone
from medloupe.inference.ecgs import EcgPredictor
from medloupe.model.leads import LeadRule
from medloupe.modelfile.schema import card_fault
from medloupe.training.pipeline.leads import WITHIN, describe_recordings, learn_leads, list_sets

CHEST = TWELVE[6:]
ROLES = {"by": "told", "labels": {"NORM": {"role": "normal"}, "ODD": {"role": "sought", "danger": 1}}}
ROLES = {"by": "told", "labels": {"NORM": {"role": "normal"}, "ODD": {"role": "sought", "danger": 1}}}


def told_by(lead: str, n: int = 60) -> Dataset:
    """Twelve leads of noise around a sinus beat, in which a label shows in one lead alone: its beats are inverted."""
    records = []
    for k in range(n):
        signal = ecgmodels.standard(1000 + k, seconds=4, rate=125)
        samples = signal.samples.copy()
        if k % 2:
            samples[TWELVE.index(lead)] *= -1.5
        labels = {"NORM": int(not k % 2), "ODD": k % 2}
        whole = Signal(samples=samples, rate=125.0, leads=TWELVE)
        records.append(Record(id=f"{k}", signal=whole, labels=labels, patient=f"p{k}"))
    return Dataset(
        name="odd",
        root=Path(),
        records=tuple(records),
        labels=("NORM", "ODD"),
        task="multilabel",
        reader="ecg",
        modality="ecg",
    )


@pytest.fixture(scope="module")
def of_one_lead(tmp_path_factory: pytest.TempPathFactory) -> dict:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(tmp_path_factory.mktemp("leads")))
        base = ecgmodels.twelve_model()
        card = {**base.card, "labels": ["NORM", "ODD"], "per_label": [], "roles": ROLES}
        return learn_leads(replace(base, card=card), told_by("V2"))


def test_what_tells_is_needed_and_what_does_not_may_miss(of_one_lead: dict) -> None:
    rule = LeadRule.from_card({"leads": of_one_lead}, TWELVE)
    assert "V2" in of_one_lead["needed"]
    assert not rule.allows(["V2"]) and not rule.allows(["V2", "V5"]) and not rule.allows(CHEST)
    alone = [name for name in CHEST if rule.allows([name])]
    assert len(alone) >= 3, "most of the others tell nothing"
    tried = {tuple(row["missing"]): row for row in of_one_lead["tried"]}
    assert tried[("V2",)]["difference"]["value"] < -WITHIN and not tried[("V2",)]["holds"]
    for name in alone:
        row = tried[(name,)]
        assert row["holds"] and row["difference"]["value"] >= -WITHIN
        assert abs(row["flagged_without"]["value"]) <= WITHIN and row["flagged_with"]["value"] >= -WITHIN


def test_figures_of_the_usual_ways_to_lack_leads_are_always_told(of_one_lead: dict) -> None:
    tried = {frozenset(row["missing"]) for row in of_one_lead["tried"]}
    two = frozenset(TWELVE) - {"II", "V1"}
    assert {frozenset(LIMB), frozenset(CHEST), two, *(frozenset({name}) for name in CHEST)} <= tried
    assert all({"V2"} == set(gone) or len(gone) > 3 for gone in tried if "V2" in gone), "no others, as V2 is needed"


def test_the_entry_fits_the_schema(of_one_lead: dict) -> None:
    card = {**ecgmodels.twelve_model().card, "leads": of_one_lead, "roles": None}
    assert card_fault(card) == ""
    assert "leads" in card_fault({**card, "leads": {"may_miss": "V2"}})
    assert of_one_lead["rates"] == [125.0, 125.0]
    assert "V2" not in of_one_lead["words"].split(":")[-1]


def test_sets_that_are_tried() -> None:
    sets = [gone for gone, _ in list_sets(TWELVE)]
    assert len({frozenset(gone) for gone in sets}) == len(sets)
    assert all(0 < len(gone) < 12 for gone in sets)
    for gone in sets:
        limb = set(LIMB) & set(gone)
        assert len(limb) in (0, 5, 6), f"{gone}: of six limb leads two give all"
    assert [*list_sets(("V1", "V2"))] == [(("V1",), True), (("V2",), True)]


def test_a_training_learns_it(of_twelve: ecgsets.Learned) -> None:
    entry = of_twelve.model.card["leads"]
    assert entry["tried"] and entry["words"] and entry["rates"] == [100.0, 100.0]


def test_beats_tell_what_they_were_cut_from() -> None:
    base = backbone(ECG_BEATS)
    beat = Signal(samples=np.zeros((2, 90), np.float32), rate=250.0, leads=base.card.leads)
    told = [Record(id=lead, signal=beat, columns={"lead": lead}) for lead in ("V5", "ECG II")]
    assert describe_recordings(told, base)["learned_on"] == ["II", "V5"]
    untold = describe_recordings([replace(told[0], columns={})], base)
    assert untold["learned_on"] == ["MLII"] and untold["rates"] == [250.0, 250.0]
    assert "250 Hz" in untold["words"] and "MLII" in untold["words"]
    assert "learned_on" not in describe_recordings(told, backbone(ECG_TWELVE))


def test_the_rule_is_kept_by_whoever_answers(of_one_lead: dict) -> None:
    model = ecgmodels.twelve_model()
    model = replace(model, novelty=None, card={**model.card, "leads": of_one_lead})
    whole = ecgmodels.standard(77)
    samples = whole.samples.copy()
    samples[TWELVE.index("V2")] = np.nan
    assert EcgPredictor(model).predict(whole).state != "unusable"
    assert EcgPredictor(model).predict(replace(whole, samples=samples)).state == "unusable"
