"""Read the figures of a card that pages and the API tell: operating points, their counts, what changes of pictures do.

Cards come from elsewhere, so nothing is taken for granted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medloupe.utils.jsonvalues import as_number

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

    rows = inner(entry, "changes")
    for row in rows[:_MOST_HARDSHIPS] if isinstance(rows, list) else ():
        if inner(row, "altered") and (kind := str(inner(row, "kind") or "")):
            difference = inner(inner(row, "auc"), "difference")
            strength = inner(row, "strength")
            yield Hardship(
                name=str(inner(row, "change")),
                title=f"{kind} ({strength})" if strength else kind,
                value=as_number(inner(difference, "value")),
                low=as_number(inner(difference, "low")),
                high=as_number(inner(difference, "high")),
                refused=as_number(inner(inner(row, "refused"), "value")),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """How often a label's heat map points at the right place (evaluation/localisation.py).

    Attributes
    ----------
    hits : float
        Share of the pictures, 0 to 1.
    images : int
        Pictures with boxes that this rests on.
    fixed : float
        The share that the best fixed place reaches, without a look at the picture.
    better : bool
        Whether the heat map does better than that, by more than chance explains.
    places : tuple of str
        What the boxes are of, where that is not the label itself.
    data : str
        Name of the data set, or "".
    """

    hits: float
    images: int
    fixed: float
    better: bool
    places: tuple[str, ...] = ()
    data: str = ""


def read_pointed(entry: Any) -> Iterator[tuple[str, Pointed]]:
    """Read how a card's heat maps point, by label. Cards come from elsewhere, so nothing is taken for granted."""
    entry = entry if isinstance(entry, Mapping) else {}
    told = entry.get("box_labels")
    names = told if isinstance(told, Mapping) else {}
    rows = entry.get("labels")
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, Mapping):
            continue
        others = row.get("baselines")
        fixed = [read_value(own, "pointing") for own in others.values()] if isinstance(others, Mapping) else []
        reached = [v for v in map(as_number, fixed) if v is not None]
        hits, images, label = (
            as_number(read_value(row, "pointing")),
            as_number(row.get("n")),
            str(row.get("label") or ""),
        )
        gain = row.get("gain")
        least = as_number((gain.get("pointing") or {}).get("low")) if isinstance(gain, Mapping) else None
        if hits is None or not images or not reached:
            continue
        yield (
            label,
            Pointed(
                hits=hits,
                images=int(images),
                fixed=max(reached),
                better=least is not None and least > 0,
                places=tuple(str(box) for box, of in names.items() if str(of).casefold() == label.casefold()),
                data=str(entry.get("data") or ""),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFigures:
    """How well a detector finds and counts boxes of one label.

    Attributes
    ----------
    line, count_line : float, optional
        Scores from which on a box is marked, and counted; None where none is.
    sensitivity : float, optional
        Share of its boxes that are marked, 0 to 1.
    false_marks : float, optional
        Marks a picture that lie on none of it.
    ap50 : float, optional
        Average precision at an overlap of one half.
    count_error, count_error_high : float, optional
        Median of |counted - true| / true over pictures that have any, and the upper end of its 95 % interval.
    boxes, pictures : int, optional
        On how many that rests.
    """

    line: float | None
    count_line: float | None
    sensitivity: float | None
    false_marks: float | None
    ap50: float | None
    count_error: float | None
    count_error_high: float | None
    boxes: int | None
    pictures: int | None


def read_found(card: Mapping[str, Any]) -> dict[str, FoundFigures]:
    """Read how well a card's detector finds, by label. Cards come from elsewhere, so nothing is taken for granted."""
    entry = card.get("detection")
    rows = entry.get("per_label") if isinstance(entry, Mapping) else None
    split, data = card.get("split"), card.get("data")
    judged = as_number(split.get("test")) if isinstance(split, Mapping) else None
    if judged is None and isinstance(data, Mapping):
        judged = as_number(data.get("labelled"))
    found = {}
    for row in rows if isinstance(rows, list) else ():
        if not isinstance(row, Mapping):
            continue
        error = row.get("count_median_error")
        boxes = as_number(row.get("boxes"))
        found[str(row.get("label"))] = FoundFigures(
            line=as_number(row.get("line")),
            count_line=as_number(row.get("count_line")),
            sensitivity=as_number(read_value(row, "sensitivity")),
            false_marks=as_number(read_value(row, "false_marks")),
            ap50=as_number(read_value(row, "map50")),
            count_error=as_number(read_value(row, "count_median_error")),
            count_error_high=as_number(error.get("high")) if isinstance(error, Mapping) else None,
            boxes=None if boxes is None else int(boxes),
            pictures=None if judged is None else int(judged),
        )
    return found


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
