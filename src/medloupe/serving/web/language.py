"""Say the page in a person's language: every string from words/*.json, numbers, dates and lists by medloupe.words.

A string is a text with {names} in it, or forms by plural category ({"one": ..., "other": ...}, CLDR's names) of which
`n` chooses. To add a language, add one file with the same keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from medloupe.words.locales import (
    PLURAL_FORMS,
    format_day,
    format_number,
    format_percent,
    join,
    parse_utc,
    plural_form,
)

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

CODES = ("en", "fr")
COOKIE = "medloupe_language"
_LEAST = 0.01  # a rate below this is "fewer than 1 in 100"


@dataclass(frozen=True, slots=True)
class Language:
    """One language of the page.

    Attributes
    ----------
    code
        ISO 639-1.
    words
        Every string, or its plural forms, by dotted key.
    """

    code: str
    words: Mapping[str, str | Mapping[str, str]]

    def t(self, key: str, /, **values: Any) -> str:
        """Return the string of a key, whole numbers among the values written as the language does.

        Raises
        ------
        KeyError
            There is no such string, or a value that it names was not given.
        """
        text = self.words[key]
        if not isinstance(text, str):
            text = text.get(plural_form(values["n"], self.code), text["other"])
        shown = {name: self.number(v) if _whole(v) else v for name, v in values.items()}
        return text.format_map(shown) if shown else text

    def has(self, key: str) -> bool:
        """Say whether there is such a string."""
        return key in self.words

    def label(self, name: str, of: str = "") -> str:
        """Return a label as people read it: "ground_glass" as "ground glass", "ABSCESSES" as "Abscesses".

        Short names such as COVID and MEL stay as they are.

        Parameters
        ----------
        name
            The label as models have it.
        of
            The shipped check-up whose label it is, of which there are translations; what another model means by the
            same letters nobody knows.
        """
        key = f"label.{of}.{name.casefold()}"
        if of and key in self.words:
            return self.t(key)
        text = name.replace("_", " ").strip() or name
        return text.capitalize() if text.isalpha() and text.isupper() and len(text) > 5 else text

    def several(self, name: str, n: int, of: str = "") -> str:
        """Return a label as it stands behind a number: "red cells"; of other than shipped check-ups, as it is."""
        key = f"several.{of}.{name.casefold()}"
        return self.t(key, n=n) if of and key in self.words else self.label(name, of)

    def checkup(self, checkup: CheckUp) -> str:
        """Return the title of a check-up; of a shipped one, its translation."""
        key = f"starter.{checkup.name}"
        return self.t(key) if checkup.version is None and key in self.words else checkup.title

    def number(self, x: float, digits: int = 0) -> str:
        """Write a number: 2300 as "2,300" or "2 300"; 0.934 with three digits as "0.934" or "0,934"."""
        return format_number(x, digits, self.code)

    def percent(self, p: float) -> str:
        """Write a probability as "93%", "<1%" or ">99%": what is not certain is not shown as certain."""
        if 0 < p <= 0.005:
            return f"<{format_percent(0.01, self.code)}"
        if 0.995 <= p < 1:
            return f">{format_percent(0.99, self.code)}"
        return format_percent(p, self.code)

    def hundred(self, p: float) -> str:
        """Write a proportion as a count of hundred: "96", "more than 99", "fewer than 1"."""
        if 0.995 <= p < 1:
            return self.t("format.more_than", value=99)
        if 0 < p <= 0.005:
            return self.t("format.fewer_than", value=1)
        return f"{100 * p:.0f}"

    def one_in(self, key: str, p: float, **values: Any) -> str:
        """Write a sentence with a rate as people say it, {n} in {whole}: 1 in 8, 4 in 10.

        Parameters
        ----------
        key
            Of the sentence; KEY_few is taken for a rate below 1 in 100, KEY_none for 0.
        p
            The rate, 0 to 1.
        values
            What else the sentence names.
        """
        if p <= 0:
            return self.t(f"{key}_none", **values)
        if p < _LEAST:
            return self.t(f"{key}_few", **values)
        part, whole = (round(10 * p), 10) if p > 0.3 else (1, round(1 / p))
        return self.t(key, n=part, whole=whole, **values)

    def date(self, text: Any) -> str:
        """Write an ISO 8601 time as "21 November 2026, 04:00 UTC"; what is no time stays as it is."""
        when = parse_utc(text)
        if when is None:
            return str(text or "")
        return self.t("format.date", date=format_day(when.date(), self.code), time=f"{when:%H:%M}")

    def join(self, items: Iterable[str]) -> str:
        """Join names as a sentence does: "a, b and c"."""
        return join(items, self.code)


@cache
def language(code: str) -> Language:
    """Return the language of a code in CODES. Raises KeyError for another."""
    if code not in CODES:
        raise KeyError(code)
    tree = json.loads((files("medloupe.serving.web") / "words" / f"{code}.json").read_text("utf-8"))
    return Language(code, dict(_flat(tree)))


def choose(asked: str | None, remembered: str | None, accepted: str | None) -> Language:
    """Choose the language of a page. Nothing a browser sends makes this raise.

    Parameters
    ----------
    asked
        What was asked for (?lang=); comes first.
    remembered
        What a cookie remembers; comes next.
    accepted
        The header Accept-Language (RFC 9110), of which the best comes last, before English.
    """
    for code in (asked, remembered):
        if code in CODES:
            return language(code)
    for code in _preferences(accepted or ""):
        if code in CODES:
            return language(code)
    return language(CODES[0])


def _preferences(header: str) -> list[str]:
    """Return the language codes of an Accept-Language header, without regions, best first."""
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
        if isinstance(value, str) or ("other" in value and set(value) <= PLURAL_FORMS):
            yield prefix + name, value
        else:
            yield from _flat(value, f"{prefix}{name}.")


def _whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool)
