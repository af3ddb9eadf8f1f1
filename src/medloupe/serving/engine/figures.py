"""Read the figures of a card that pages and the API tell: operating points, their counts, what changes of pictures do.

Cards come from elsewhere, so nothing is taken for granted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_MOST_HARDSHIPS = 60  # read from a card


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What is said of 100 examples.

    Attributes
    ----------
    flagged, unclear, not_flagged : int
        They add up to 100.
    n, groups : int
        On how many examples, of how many patients or groups, that rests.
    """

    flagged: int
    unclear: int
    not_flagged: int
    n: int
    groups: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A label's operating point, or how it fares when announced.

    Attributes
    ----------
    threshold : float, optional
        The probability from which the label is announced.
    sensitivity, specificity, ppv : float, optional
        Measured shares, 0 to 1; None where there is none.
    words : str
        The same as a sentence.
    having, lacking : Outcomes, optional
        What is said of 100 examples with the label, and of 100 without; None where that was not counted.
    """

    threshold: float | None
    sensitivity: float | None
    specificity: float | None
    words: str
    ppv: float | None = None
    having: Outcomes | None = None
    lacking: Outcomes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardship:
    """What a change of the pictures does (evaluation/stress.py).

    Attributes
    ----------
    name, title : str
        Of the change; the title is in English.
    value, low, high : float, optional
        The AUC's difference to unchanged pictures, with its 95 % interval.
    refused : float, optional
        Share of pictures refused, 0 to 1.
    """

    name: str
    title: str
    value: float | None
    low: float | None
    high: float | None
    refused: float | None


def read_hardships(entry: Any) -> Iterator[Hardship]:
    """Read those changes of a card's entry `stress` that alter its pictures at all.

    Cards come from elsewhere, so nothing is taken for granted.
    """

    def inner(x: Any, key: str) -> Any:
        return x.get(key) if isinstance(x, Mapping) else None

    def number(x: Any) -> float | None:
        return float(x) if isinstance(x, int | float) and math.isfinite(x) else None

    rows = inner(entry, "changes")
    for row in rows[:_MOST_HARDSHIPS] if isinstance(rows, list) else ():
        if inner(row, "altered") and (kind := str(inner(row, "kind") or "")):
            difference = inner(inner(row, "auc"), "difference")
            strength = inner(row, "strength")
            yield Hardship(
                name=str(inner(row, "change")),
                title=f"{kind} ({strength})" if strength else kind,
                value=number(inner(difference, "value")),
                low=number(inner(difference, "low")),
                high=number(inner(difference, "high")),
                refused=number(inner(inner(row, "refused"), "value")),
            )


def read_value(entry: Any, key: str) -> float | None:
    """Read a figure of an entry, whether it has an interval or not; None where there is none."""
    figure = entry.get(key) if isinstance(entry, Mapping) else None
    return figure.get("value") if isinstance(figure, Mapping) else figure


def read_point(entry: Mapping[str, Any]) -> Point:
    """Read an operating point."""
    counts = entry.get("counts") or {}
    return Point(
        threshold=entry.get("threshold"),
        sensitivity=read_value(entry, "sensitivity"),
        specificity=read_value(entry, "specificity"),
        words=str(entry.get("words") or ""),
        ppv=read_value(entry, "ppv"),
        having=read_outcomes(counts.get("with")),
        lacking=read_outcomes(counts.get("without")),
    )


def read_outcomes(entry: Mapping[str, Any] | None) -> Outcomes | None:
    """Read what is said of 100 with a label, or without; None where that was not counted."""
    if not entry:
        return None
    said = {key: int(entry[key]) for key in ("flagged", "unclear", "not_flagged")}
    return Outcomes(**said, n=int(entry.get("n") or 0), groups=int(entry.get("groups") or 0))
