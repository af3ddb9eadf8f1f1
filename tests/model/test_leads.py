"""Which leads a check-up needs, by its card."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.ecg.beats import BEAT
from medloupe.ecg.signal import TWELVE, Signal, arrange_leads
from medloupe.model.leads import MISSING, UNPROVEN, LeadRule, list_missing_leads

LEARNED = {"leads": {"needed": list(TWELVE[:6]), "may_miss": [["V1", "V2"], ["V6"]], "rates": [100, 100]}}


@pytest.mark.parametrize(
    ("missing", "answered"),
    [
        ((), True),
        (("V1",), True),
        (("V1", "V2"), True),
        (("V6",), True),
        (("V1", "V6"), False),
        (("V3",), False),
        (TWELVE[:6], False),
    ],
)
def test_answered_where_all_that_is_missing_lies_within_one_set(missing: tuple[str, ...], answered: bool) -> None:
    rule = LeadRule.from_card(LEARNED, TWELVE)
    why = rule.fault(missing)
    assert rule.allows(missing) is answered and (why is None) is answered
    if why is not None:
        assert why.code == MISSING == "leads_missing"
        assert all(name in why.text for name in missing)


def test_a_card_without_the_entry_needs_all_leads() -> None:
    rule = LeadRule.from_card({}, TWELVE)
    assert rule.allows(()) and not any(rule.allows([name]) for name in TWELVE)


def test_leads_that_can_be_computed_are_not_missing() -> None:
    samples = np.random.default_rng(0).normal(0, 1, (8, 500)).astype(np.float32)
    leads = ("I", "III", "V1", "V2", "V3", "V4", "V5", "V6")
    assert list_missing_leads(arrange_leads(Signal(samples=samples, rate=250, leads=leads), TWELVE)) == ()
    samples[1] = np.nan
    gone = list_missing_leads(arrange_leads(Signal(samples=samples, rate=250, leads=leads), TWELVE))
    assert gone == ("II", "III", "aVR", "aVL", "aVF")


def test_beats_need_no_lead_but_say_where_they_were_not_shown() -> None:
    rule = LeadRule.from_card({"leads": {"learned_on": ["MLII"], "rates": [250, 360]}}, BEAT)
    assert rule.reads == ()
    assert rule.differences("MLII", 360) == rule.differences("II", 250) == ()
    other = rule.differences("V1", 300)
    assert len(other) == 2 and "V1" in other[0] and "MLII" in other[0] and other[-1] == UNPROVEN
    slow = rule.differences("MLII", 125)
    assert "125 Hz" in slow[0] and "250 to 360 Hz" in slow[0] and slow[-1] == UNPROVEN
    assert rule.differences("", 300)[-1] == UNPROVEN, "a lead without a name may be any"


def test_what_is_not_known_is_not_held_against_an_ecg() -> None:
    before = LeadRule.from_card({}, BEAT)
    assert before.differences("MLII", 125) == (), "its card does not tell the rate"
    assert before.differences("V5", 360)[-1] == UNPROVEN
    assert LeadRule.from_card({}, TWELVE).differences("", 500) == ()
