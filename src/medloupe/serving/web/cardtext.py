"""Say what cards hold in English, scopes and limits, in the reader's language.

The English strings of the sections `scope` and `limit` are those that cards have, with places for what differs; a text
that is none of them stays English, and is marked so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from medloupe.serving.web.language import CODES, Language, language

if TYPE_CHECKING:
    from medloupe.serving.engine.checkup import CheckUp

JOIN = " · "
"""Between the parts of a scope, as answers have it."""
RESTRICTED = ("non-commercial", "research")
"""Terms of a card that forbid something; each has its words."""
_SECTIONS = ("scope.", "limit.")
_OF_KIND = " Its own kind is "
"""Where a sentence of what is refused goes on with the one of kinds (training/pipeline/apart.py)."""
_OWN = CODES[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class CardText:
    """A text of a card. foreign: it stayed English for a reader of another language."""

    text: str
    foreign: bool = False


def card_text(text: str, lang: Language, checkup: CheckUp | None = None) -> CardText:
    """Translate a text of a card.

    Parameters
    ----------
    text
        In English, as the card has it.
    lang
        The language of the page.
    checkup
        Whose card it is; by it labels and changes of pictures are named.
    """
    plain = text.replace("`", "")
    if lang.code == _OWN:
        return CardText(text=plain)
    refused, found, kind = text.strip().partition(_OF_KIND)
    parts = (refused, f"{found.lstrip()}{kind}") if found and refused else (text.strip(),)
    told = [_translate(part, lang, checkup) for part in parts]
    said = [part for part in told if part is not None]
    return CardText(text=" ".join(said)) if len(said) == len(parts) else CardText(text=plain, foreign=True)


def _translate(text: str, lang: Language, checkup: CheckUp | None) -> str | None:
    """Say one known sentence in another language; None for one that is not known."""
    for key, literals, places in _templates():
        found = _fill(text, literals)
        if found is not None:
            values = {name: _value(name, value, lang, checkup) for name, value in zip(places, found, strict=True)}
            return lang.t(key, **values).replace("`", "")
    return None


def describe_limits(checkup: CheckUp, lang: Language) -> tuple[CardText, ...]:
    """List the limits of a check-up, in the order of its card."""
    return tuple(card_text(limit, lang, checkup) for limit in checkup.limits)


def describe_terms(checkup: CheckUp, lang: Language, *, short: bool = False) -> str:
    """Say what the licence of its data forbids, as a sentence or in three words; "" where it forbids nothing."""
    if checkup.terms not in RESTRICTED:
        return ""
    return lang.t(f"terms.{'short_' if short else ''}{checkup.terms}")


def describe_scope(scope: str, lang: Language, checkup: CheckUp | None = None) -> tuple[CardText, ...]:
    """Part the line that tells whom and what a check-up is for, as an answer has it, into short lines."""
    parts = [part.strip() for part in scope.split(JOIN.strip())]
    told = [card_text(part, lang, checkup) for part in parts if part]
    return tuple(CardText(text=t.text[:1].upper() + t.text[1:], foreign=t.foreign) for t in told)


@cache
def _templates() -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """Part the English strings of the sections into what stands in them and the places between."""
    words = language(_OWN).words
    found = []
    for key, text in words.items():
        if key.startswith(_SECTIONS) and isinstance(text, str):
            parts = re.split(r"\{(\w+)\}", text)
            found.append((key, tuple(parts[::2]), tuple(parts[1::2])))
    return tuple(found)


def _fill(text: str, literals: tuple[str, ...]) -> list[str] | None:
    """Find what stands in the places between the literals, each as far to the right as can be; None where not all do.

    In one pass from the end: a regular expression with several places takes seconds for a card made against it.
    """
    if len(literals) == 1:
        return [] if text == literals[0] else None
    if "\n" in text or not text.startswith(literals[0]) or not text.endswith(literals[-1]):
        return None
    end = len(text) - len(literals[-1])
    values: list[str] = []
    for literal in reversed(literals[1:-1]):
        at = text.rfind(literal, len(literals[0]) + 1, end - 1) if literal else -1
        if at < 0:
            return None
        values.append(text[at + len(literal) : end])
        end = at
    values.append(text[len(literals[0]) : end])
    return values[::-1] if end > len(literals[0]) else None


def _value(name: str, value: str, lang: Language, checkup: CheckUp | None) -> str:
    of = checkup.name if checkup is not None and checkup.version is None else ""
    if name == "labels":
        return ", ".join(lang.label(one, of) for one in value.split(", "))
    if name in ("own", "others"):
        return ", ".join(_kind(one, lang) for one in value.split(", " if name == "others" else " and "))
    if name == "counts":
        pairs = (one.rpartition(" ") for one in value.split(", "))
        return ", ".join(f"{lang.label(label, of)} {_number(n, lang)}" for label, _, n in pairs)
    if name == "changes":
        known = {h.title: f"stress.{h.name}" for h in checkup.hardships} if checkup is not None else {}
        return "; ".join(_change(one, known, lang) for one in value.split("; "))
    return _number(value, lang)


def _kind(title: str, lang: Language) -> str:
    """Name a kind of pictures; a title that somebody gave stays as it is."""
    key = f"kindname.{re.sub('[^a-z0-9]+', '_', title.casefold())}"
    return lang.t(key) if lang.has(key) else title


def _change(text: str, known: Mapping[str, str], lang: Language) -> str:
    title, mark, auc = text.partition(", AUC ")
    key = known.get(title, "")
    return f"{lang.t(key) if lang.has(key) else title}{mark}{_number(auc, lang)}"


def _number(text: str, lang: Language) -> str:
    """Write a number as the language does: "1,340", "0.94", "1.5%"; what is none stays as it is."""
    found = re.fullmatch(r"([\d,]+)(?:\.(\d+))?(%?)", text)
    if not found:
        return text
    x = float(found[1].replace(",", "") + "." + (found[2] or "0"))
    shown = lang.number(x, len(found[2] or ""))
    return f"{shown}\u00a0%" if found[3] and lang.code == "fr" else shown + found[3]
