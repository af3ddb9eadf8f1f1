"""Find what the lines before the numbers of a text tell: sampling rate, unit, gain, lead."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medloupe.ecg.signal import RATES, lead_name
from medloupe.ecg.textlayout import split_cells

_AMOUNT = r"(\d{1,9}(?:[.,]\d{1,9})?)"
_RATE = re.compile(
    r"(?<!heart)(?<!heart )(?<!heart_)\b"
    r"(?:fs|f_s|(?:sampl(?:e|es|ing|ed)[ _-]?)?(?:rate|frequency|freq)|sampling|srate)"
    r"(?:[ _]?[(\[]? ?(?:in )?(k?)hz[)\]]?)? ?[=:,; ] ?[\"']?" + _AMOUNT + r"(?: ?(k)(?:ilo)?h)?",
    re.I,
)
_HERTZ = re.compile(r"(?<![\d.,])" + _AMOUNT + r" ?(k(?:ilo)?)?(?:hz|hertz|samples? ?(?:/|per) ?s)", re.I)
_FILTER = re.compile(r"filter|notch|band|pass|mains|cut", re.I)
_VOLTS = r"(mv|uv|µv|μv|nv|millivolts?|microvolts?|volts?)"
_UNIT = re.compile(r"(?<![\w/])(?<!per )" + _VOLTS + r"\b(?! ?(?:/|per))", re.I)
_COUNTS = r"(?:adu|adc units?|counts?|units?|lsb|bits?|digits?)"
_PER_MV = re.compile(r"(?<![\d.,])" + _AMOUNT + r" ?" + _COUNTS + r" ?(?:/|per) ?(?:mv|millivolt)\b", re.I)
_PER_COUNT = re.compile(r"(?<![\d.,])" + _AMOUNT + r" ?([mnuµμ])v ?(?:/|per) ?" + _COUNTS + r"\b", re.I)
_LEAD_WORDS = frozenset(("lead", "ableitung", "dérivation", "derivation", "derivación", "derivazione", "afleiding"))
_LONGEST = 500  # characters of a line that are looked at


def _lines(told: str) -> Iterator[str]:
    for line in told.splitlines():
        yield " ".join(line[:_LONGEST].split())


def told_rate(told: str) -> float | None:
    """Find the sampling rate that a line tells by name ("fs=360"), Hz."""
    found = next((match for line in _lines(told) if (match := _RATE.search(line))), None)
    return _in_hertz(found[2], found[1] or found[3]) if found else None


def mentioned_rate(told: str) -> float | None:
    """Find the one number of hertz in the lines, those on filters aside."""
    clauses = [part for line in _lines(told) for part in line.replace(", ", "; ").split("; ")]
    found = {match.groups() for part in clauses if not _FILTER.search(part) for match in _HERTZ.finditer(part)}
    return _in_hertz(*found.pop()) if len(found) == 1 else None


def told_unit(told: str) -> str:
    """Find the voltage that the lines tell, "" for none; one of which so much makes a count is none."""
    found = next((match for line in _lines(told) if (match := _UNIT.search(line))), None)
    return found[1] if found else ""


def told_gain(told: str) -> float | None:
    """Find how many counts the lines say make a millivolt: "200 adu/mV", "5 µV/LSB"."""
    for line in _lines(told):
        if found := _PER_MV.search(line):
            return float(found[1].replace(",", ".")) or None
        if found := _PER_COUNT.search(line):
            size = float(found[1].replace(",", ".")) * {"m": 1.0, "n": 1e-6}.get(found[2].lower(), 1e-3)
            return 1 / size if size else None
    return None


def told_lead(told: str) -> str:
    """Find the lead that a line tells as watches do, `Lead,"Lead I"`; "" for none."""
    for line in _lines(told):
        cells = split_cells(line, "," if "," in line else ":")
        if len(cells) == 2 and cells[0].strip().lower() in _LEAD_WORDS:
            words = cells[1].split()
            return lead_name(cells[1]) or (lead_name(words[-1]) if words else "")
    return ""


def _in_hertz(amount: str, kilo: str | None) -> float | None:
    """Return a rate that is told in Hz or kHz; None for 0."""
    return 1000 * float(amount.replace(",", ".")) or None if kilo else _number(amount) or None


def _number(text: str) -> float:
    """Read a rate; of a comma that may part thousands, as the reading that is a rate of ECGs."""
    value = float(text.replace(",", "."))
    whole = text.replace(",", "")
    return float(whole) if value < RATES[0] and "," in text and len(text.partition(",")[2]) == 3 else value
