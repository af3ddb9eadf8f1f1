"""Say what was computed from the boxes of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.serving.web.bars import Namer, capitalize
from medloupe.serving.web.language import Language

_MISSING = "not found: "  # before the labels of boxes that a measurement lacks


def word_measurements(said: Mapping[str, Any], lang: Language, named: Namer) -> tuple[str, ...]:
    """Say each measurement of an answer's JSON with its interval, or why there is none; a sentence each.

    Parameters
    ----------
    said
        The Prediction's JSON.
    lang
        The language of the page.
    named
        Names a label as people read it.
    """
    return tuple(_word(m, lang, named) for m in said.get("measurements") or () if not said.get("asked"))


def word_first_measured(said: Mapping[str, Any], lang: Language) -> str:
    """Say the first measurement of an answer that has a value, short: "Cardiothoracic ratio 0.52 (0.44 to 0.61)"."""
    for m in () if said.get("asked") else said.get("measurements") or ():
        if (value := m.get("value")) is None:
            continue
        name, key = str(m["name"]), f"measured.short_{m['name']}"
        told = {"name": capitalize(lang.t(key) if lang.has(key) else name), "value": lang.number(float(value), 2)}
        if m.get("low") is None or m.get("high") is None:
            return lang.t("measured.headline", **told)
        ends = {end: lang.number(float(m[end]), 2) for end in ("low", "high")}
        return lang.t("measured.headline_range", **told, **ends)
    return ""


def _word(m: Mapping[str, Any], lang: Language, named: Namer) -> str:
    name, key = str(m["name"]), f"measured.name_{m['name']}"
    title = lang.t(key) if lang.has(key) else name
    value, low, high = m.get("value"), m.get("low"), m.get("high")
    if value is None:
        return lang.t("measured.none", name=title, why=_reason(str(m.get("why") or ""), lang, named))
    told = {"name": title, "value": lang.number(float(value), 2)}
    if low is None or high is None:
        return capitalize(lang.t("measured.alone", **told))
    ends = {"low": lang.number(float(low), 2), "high": lang.number(float(high), 2)}
    return capitalize(lang.t("measured.range", **told, **ends))


def _reason(why: str, lang: Language, named: Namer) -> str:
    """Say in the reader's language why a measurement lacks a value."""
    if not why.startswith(_MISSING):
        return why
    return lang.t("measured.missing", labels=lang.join(named(n) for n in why.removeprefix(_MISSING).split(", ")))
