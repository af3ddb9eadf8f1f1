"""Tell whether an ECG has the leads that a check-up needs, and whether it is recorded as those that it learned from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.ecg.beats import BEAT
from medloupe.ecg.signal import Signal, lead_name
from medloupe.model.decision import Why

MISSING = "leads_missing"
LEARNED_ON = ("MLII",)
"""Lead of the beats that the package's network of beats learned from: what holds where a card says nothing."""

_SAME = {"II": "MLII"}  # stand in for each other
RATE_TOLERANCE = 0.01
"""Share by which a sampling rate may lie beyond those learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadRule:
    """Which leads an ECG must have, as the card's entry `leads` says.

    Attributes
    ----------
    reads : tuple of str
        Leads that the network reads; none of single beats, which are cut from any lead.
    may_miss : tuple of frozenset of str
        Sets of leads: an answer is given where all that is missing lies within one of them.
    learned_on : tuple of str
        Of single beats the leads they were cut from in training; empty where that is not known.
    rates : tuple of float or None
        Lowest and highest sampling rate in training, Hz; None where that is not known.
    """

    reads: tuple[str, ...]
    may_miss: tuple[frozenset[str], ...] = ()
    learned_on: tuple[str, ...] = ()
    rates: tuple[float, float] | None = None

    @classmethod
    def from_card(cls, card: Mapping[str, Any], leads: Sequence[str]) -> LeadRule:
        """Read a card; leads: of its backbone. One without the entry needs all leads."""
        entry = card.get("leads") or {}
        beats = tuple(leads) == BEAT
        rates = entry.get("rates")
        return cls(
            reads=() if beats else tuple(leads),
            may_miss=tuple(frozenset(names) for names in entry.get("may_miss") or ()),
            learned_on=tuple(entry.get("learned_on") or LEARNED_ON) if beats else (),
            rates=(float(rates[0]), float(rates[1])) if rates else None,
        )

    def allows(self, missing: Sequence[str]) -> bool:
        """Tell whether an answer may be given with these leads missing."""
        return not missing or any(set(missing) <= able for able in self.may_miss)

    def fault(self, missing: Sequence[str]) -> Why | None:
        """Say why no answer is given with these leads missing; None where one is."""
        if self.allows(missing):
            return None
        there = [name for name in self.reads if name not in missing]
        has = f"it has {', '.join(there)}" if there else "it has none of those needed"
        return Why(code=MISSING, text=f"Leads are missing: {', '.join(missing)}; {has}. Record all leads of the ECG.")

    def differences(self, lead: str, rate: float) -> tuple[str, ...]:
        """List in what an ECG differs from those learned from, a sentence each.

        Parameters
        ----------
        lead : str
            That the beats are cut from; "" of whole ECGs, and where it has no name.
        rate : float
            At which it was sampled, Hz.
        """
        said = []
        known = {_SAME.get(name, name) for name in self.learned_on}
        if known and _SAME.get(lead, lead) not in known:
            from_lead = f"from lead {lead}" if lead else "from a lead without a name"
            said.append(f"The beats are cut {from_lead}; it learned on {', '.join(self.learned_on)}.")
        if self.rates is not None:
            low, high = self.rates
            if not low * (1 - RATE_TOLERANCE) <= rate <= high * (1 + RATE_TOLERANCE):
                usual = f"{low:g} Hz" if low == high else f"{low:g} to {high:g} Hz"
                said.append(f"It is sampled at {rate:g} Hz; it learned on ECGs of {usual}.")
        return (*said, UNPROVEN) if said else ()


UNPROVEN = "Its percentages were not shown to hold there."


def list_missing_leads(arranged: Signal) -> tuple[str, ...]:
    """List the leads without any number of a signal that was arranged for a network (`ecg.signal.arrange_leads`)."""
    return tuple(
        lead_name(name) or name
        for name, lead in zip(arranged.leads, arranged.samples, strict=True)
        if not np.isfinite(lead).any()
    )
