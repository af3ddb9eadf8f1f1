"""Describe a check-up of ECGs for answering in a browser: its window, its leads, and what the rhythm adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medloupe.ecg.beats import BEAT, RHYTHM
from medloupe.model.decision import FEWEST_BEATS, LEAST_SHARE
from medloupe.model.leads import RATE_TOLERANCE, UNPROVEN, LeadRule

if TYPE_CHECKING:
    from medloupe.inputs.clinical import Column
    from medloupe.inputs.extras import Extras
    from medloupe.ondevice.parts import CheckUpParts


def describe_ecg(checkup: CheckUpParts) -> dict[str, Any] | None:
    """Describe how a check-up reads ECGs; None of one that reads pictures.

    {beats, leads, input_size, rate, before, places, may_miss, learned_on, rates, rate_tolerance, unproven, rhythm,
    asked, fewest_beats, least_share}. rhythm: what the measured rhythm adds to each beat's logits, or None. asked:
    names of what only the server can be told beside an ECG.
    """
    card = checkup.windows
    if card is None:
        return None
    rule = checkup.leads or LeadRule.from_card({}, card.leads)
    beats, extras = card.leads == BEAT, checkup.extras
    return {
        "beats": beats,
        "leads": list(card.leads),
        "input_size": card.input_size,
        "rate": card.rate,
        "before": card.before,
        "places": card.places[1],
        "may_miss": [sorted(names) for names in rule.may_miss],
        "learned_on": list(rule.learned_on),
        "rates": None if rule.rates is None else list(rule.rates),
        "rate_tolerance": RATE_TOLERANCE,
        "unproven": UNPROVEN,
        "rhythm": _describe_rhythm(extras) if beats and extras is not None else None,
        "asked": [] if extras is None else [name for name in extras.names if name not in RHYTHM],
        "fewest_beats": FEWEST_BEATS,
        "least_share": LEAST_SHARE,
    }


def _describe_rhythm(extras: Extras) -> dict[str, Any]:
    """Describe how the columns are encoded, and what each number adds to each logit."""
    return {"columns": [_describe_column(c) for c in extras.columns], "weight": extras.weight.tolist()}


def _describe_column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "width": column.width - column.missing,
        "missing": column.missing,
        "low": column.low,
        "high": column.high,
        "knots": list(column.knots),
        "mean": list(column.mean),
        "spread": list(column.spread),
    }
