"""Show probabilities as bars, and say which flags are up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

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
        Whether the answer announces the label.
    """

    label: str
    percent: str
    width: float
    limit: float | None
    limit_words: str
    called: bool


def describe_flags(
    probabilities: Mapping[str, float], thresholds: Mapping[str, float | None], lang: Language, named: Namer
) -> dict[str, Any]:
    """Say which of the labels that raise flags are above their line, whatever is most probable.

    Parameters
    ----------
    probabilities
        By label, 0 to 1.
    thresholds
        By label, 0 to 1; None where a label raises no flag.
    lang
        The language of the page.
    named
        Names a label as people read it.

    Returns
    -------
    dict
        "flagged" and "flags", fields of an AnswerView; {} where no label raises a flag.
    """
    counting = {n: limit for n, limit in thresholds.items() if limit is not None}
    if not counting:
        return {}
    # In single precision, as flags are announced.
    up = [n for n, limit in counting.items() if np.float32(probabilities[n]) >= np.float32(limit)]

    def said(key: str, n: str) -> str:
        return lang.t(
            f"result.{key}",
            label=capitalize(named(n)),
            percent=lang.percent(probabilities[n]),
            limit=lang.percent(counting[n]),
        )

    if up:
        return {
            "flagged": True,
            "flags": tuple(said("flagged", n) for n in sorted(up, key=lambda n: -probabilities[n])),
        }
    below = said("not_flagged", next(iter(counting))) if len(counting) == 1 else lang.t("result.none_flagged")
    return {"flagged": False, "flags": (f"{below}. {lang.t('result.missed')}",)}


def percent_bar(label: str, p: float, limit: float | None, called: bool, lang: Language) -> Bar:
    """Make the bar of a label, with probability and line as shares of 1."""
    return Bar(
        label=label,
        percent=lang.percent(p),
        width=round(100 * min(max(p, 0), 1), 1),
        limit=None if limit is None else round(100 * min(max(limit, 0), 1), 1),
        limit_words="" if limit is None else lang.t("result.line_at", limit=lang.percent(limit)),
        called=called,
    )


def capitalize(text: str) -> str:
    """Write a text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]
