"""The page in a person's language: every string from words/*.json; numbers, dates and lists as people write them.

A string is a text with {names} in it, or the forms {"one": ..., "other": ...} of which `n` chooses. To add a language,
add one file with the same keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

CODES = ("en", "fr")
COOKIE = "medloupe_language"
_LEAST = 0.01  # a rate below this is "fewer than 1 in 100"


@dataclass(frozen=True, slots=True)
class Language:
    """One language. code: ISO 639-1. words: by dotted key."""

    code: str
    words: Mapping[str, str | Mapping[str, str]]

    def t(self, key: str, /, **values: Any) -> str:
        """The string of a key, whole numbers among the values written as the language does. Raises KeyError."""
        text = self.words[key]
        if not isinstance(text, str):
            text = text["one" if self._one(values["n"]) else "other"]
        shown = {name: self.number(v) if _whole(v) else v for name, v in values.items()}
        return text.format_map(shown) if shown else text

    def has(self, key: str) -> bool:
        """Whether there is such a string."""
        return key in self.words

    def label(self, name: str, of: str = "") -> str:
        """A label as people read it: "ground_glass" as "ground glass", "ABSCESSES" as "Abscesses"; COVID and MEL stay.

        of: the shipped check-up whose label it is, of which there are translations; what another model means by the
        same letters nobody knows.
        """
        key = f"label.{of}.{name.casefold()}"
        if of and key in self.words:
            return self.t(key)
        text = name.replace("_", " ").strip() or name
        return text.capitalize() if text.isalpha() and text.isupper() and len(text) > 5 else text

    def checkup(self, checkup: CheckUp) -> str:
        """The title of a check-up; of a shipped one, its translation."""
        key = f"starter.{checkup.name}"
        return self.t(key) if checkup.version is None and key in self.words else checkup.title

    def number(self, x: float, digits: int = 0) -> str:
        """ "2,300" or "2 300"; 0.934 with three digits is "0.934" or "0,934"."""
        text = f"{x:,.{digits}f}"
        return text.translate(str.maketrans({",": self.t("format.thousands"), ".": self.t("format.point")}))

    def percent(self, p: float) -> str:
        """A probability as "93%", "<1%" or ">99%": what is not certain is not shown as certain."""
        if 0 < p <= 0.005:
            return f"<{self.t('format.percent', value='1')}"
        if 0.995 <= p < 1:
            return f">{self.t('format.percent', value='99')}"
        return self.t("format.percent", value=f"{100 * p:.0f}")

    def hundred(self, p: float) -> str:
        """A proportion as a count of hundred: "96", "more than 99", "fewer than 1"."""
        if 0.995 <= p < 1:
            return self.t("format.more_than", value=99)
        if 0 < p <= 0.005:
            return self.t("format.fewer_than", value=1)
        return f"{100 * p:.0f}"

    def one_in(self, key: str, p: float, **values: Any) -> str:
        """A sentence with a rate as people say it, {n} in {whole}: 1 in 8, 4 in 10; key_few below 1 in 100, key_none
        for 0."""
        if p <= 0:
            return self.t(f"{key}_none", **values)
        if p < _LEAST:
            return self.t(f"{key}_few", **values)
        part, whole = (round(10 * p), 10) if p > 0.3 else (1, round(1 / p))
        return self.t(key, n=part, whole=whole, **values)

    def date(self, text: Any) -> str:
        """An ISO 8601 time as "21 November 2026, 04:00 UTC"; what is no time stays as it is."""
        try:
            when = datetime.fromisoformat(str(text))
        except ValueError:
            return str(text or "")
        when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
        month = self.t("format.months").split()[when.month - 1]
        return self.t("format.date", day=str(when.day), month=month, year=str(when.year), time=f"{when:%H:%M}")

    def listed(self, items: Iterable[str]) -> str:
        """ "a, b and c"."""
        names = list(items)
        if len(names) < 2:
            return "".join(names)
        return self.t("format.and", first=", ".join(names[:-1]), last=names[-1])

    def _one(self, n: float) -> bool:
        return abs(n) < 2 if self.code == "fr" else n == 1  # in French nothing is singular too


@cache
def language(code: str) -> Language:
    """The language of a code in CODES. Raises KeyError for another."""
    if code not in CODES:
        raise KeyError(code)
    tree = json.loads((files("medloupe.serving.web") / "words" / f"{code}.json").read_text("utf-8"))
    return Language(code, dict(_flat(tree)))


def choose(asked: str | None, remembered: str | None, accepted: str | None) -> Language:
    """The language that was asked for (?lang=), else the one remembered (cookie), else the best of Accept-Language
    (RFC 9110), else English. Nothing a browser sends makes this raise."""
    for code in (asked, remembered):
        if code in CODES:
            return language(code)
    for code in _preferences(accepted or ""):
        if code in CODES:
            return language(code)
    return language(CODES[0])


def _preferences(header: str) -> list[str]:
    """Language codes of an Accept-Language header, without regions, best first."""
    ranked: list[tuple[float, str]] = []
    for part in header[:500].split(","):
        tag, _, rest = part.strip().partition(";")
        weight = 1.0
        name, _, value = rest.strip().partition("=")
        if name.strip() == "q":
            try:
                weight = float(value)
            except ValueError:
                continue
        if tag and 0 < weight <= 1:
            ranked.append((weight, tag.split("-")[0].strip().lower()))
    return [code for _, code in sorted(ranked, key=lambda r: -r[0])]


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str | Mapping[str, str]]]:
    for name, value in tree.items():
        if isinstance(value, str) or set(value) == {"one", "other"}:
            yield prefix + name, value
        else:
            yield from _flat(value, f"{prefix}{name}.")


def _whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)
