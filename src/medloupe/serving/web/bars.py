"""Show probabilities as bars: which are flagged, where a line is, and of ordered classes the grades or worse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from medloupe.serving.web.language import Language

Namer = Callable[[str], str]  # a label as it is kept to how people read it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A label's percentage.

    Attributes
    ----------
    label
        As people read it.
    percent
        In words: "93%".
    width
        Of the bar, 0 to 100.
    limit
        Where the label's flag goes up, 0 to 100, or None.
    limit_words
        The same in words, or "".
    called
        Whether it is the most probable label.
    flagged
        Whether the answer flags it.
    """

    label: str
    percent: str
    width: float
    limit: float | None = None
    limit_words: str = ""
    called: bool = False
    flagged: bool = False


def draw_bars(
    probabilities: Mapping[str, float],
    lines: Mapping[str, float],
    flagged: Sequence[str],
    called: Sequence[str],
    lang: Language,
    named: Namer,
    *,
    ordered: bool = False,
) -> tuple[Bar, ...]:
    """Make the bars of an answer, the most probable first.

    Parameters
    ----------
    probabilities
        By label, 0 to 1.
    lines
        By label, 0 to 1, from where it is flagged; normal and harmless labels have none.
    flagged, called
        The labels that the answer flags, and the most probable one.
    lang
        The language of the page.
    named
        Names a label as people read it.
    ordered
        Whether the labels are grades, which stay in their order.
    """
    order = list(probabilities) if ordered else sorted(probabilities, key=lambda n: -probabilities[n])
    return tuple(
        percent_bar(named(n), probabilities[n], lang, limit=lines.get(n), called=n in called, flagged=n in flagged)
        for n in order
    )


def draw_reach(at_least: Mapping[str, float], grade: str, lang: Language, named: Namer) -> tuple[Bar, ...]:
    """Make the bars of ordered classes: of each grade but the least, how probable it or a worse one is.

    Parameters
    ----------
    at_least
        By label, in the order of the grades.
    grade
        The grade that the answer names.
    lang
        The language of the page.
    named
        Names a label as people read it.
    """
    return tuple(
        percent_bar(lang.t("answer.at_least", label=named(n)), p, lang, called=n == grade)
        for n, p in list(at_least.items())[1:]
    )


def percent_bar(
    label: str, p: float, lang: Language, *, limit: float | None = None, called: bool = False, flagged: bool = False
) -> Bar:
    """Make the bar of a label, with probability and line as shares of 1."""
    return Bar(
        label=label,
        percent=lang.percent(p),
        width=round(100 * min(max(p, 0), 1), 1),
        limit=None if limit is None else round(100 * min(max(limit, 0), 1), 1),
        limit_words="" if limit is None else lang.t("result.line_at", limit=lang.percent(limit)),
        called=called,
        flagged=flagged,
    )


def capitalize(text: str) -> str:
    """Write a text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]
