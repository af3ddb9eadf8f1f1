"""Show a stress test: a card's entry `stress` as table, chart and sentences, and the page of `medloupe stress`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report.charts import pairs
from medloupe.report.formats import (
    MISSING,
    STYLES,
    bounds,
    count,
    decimal,
    excludes_zero,
    percent,
    plural,
    signed,
    signed_interval,
    value,
)
from medloupe.report.parts import as_mapping, is_picture
from medloupe.report.sections import with_matter

# name, heading, style
_COLUMNS = (
    ("auc", "AUC", "decimal"),
    ("map50", "AP50", "decimal"),
    ("found", "found at the lines", "percent"),
    ("false_marks", "false marks a picture", "decimal"),
    ("count_error", "counts off by", "percent"),
    ("balanced_accuracy", "balanced accuracy", "percent"),
    ("sensitivity", "sensitivity", "percent"),
    ("specificity", "specificity", "percent"),
    ("ece", "calibration error", "decimal"),
    ("refused", "refused", "percent"),
)


def section(entry: Any) -> dict[str, Any] | None:
    """Return what the page shows of a card's entry, as far as that is filled; None where there is nothing."""
    entry = as_mapping(entry)
    listed = [row for row in entry.get("changes") or [] if isinstance(row, Mapping) and row.get("kind")]
    if not listed:
        return None
    unchanged = as_mapping(entry.get("unchanged"))
    columns = [
        (name, heading, style)
        for name, heading, style in _COLUMNS
        if any(value(row.get(name)) is not None for row in listed)
    ]
    rows = [
        {
            "title": _title(row),
            "words": str(row.get("words") or ""),
            "cells": [_cell(as_mapping(row.get(name)), style) for name, _, style in columns],
            "same": percent(row.get("same")),
            "nothing": row.get("altered") == 0,
        }
        for row in listed
    ]
    key, main = ("map50", "AP50") if "map50" in unchanged else ("auc", "AUC")
    drawn = [
        pairs.ForestRow(_title(row), _note(row, unchanged, key, main), as_mapping(row.get(key)).get("difference"))
        for row in listed
        if value(as_mapping(row.get(key)).get("difference")) is not None
    ]
    return {
        "columns": [heading for _, heading, _ in columns],
        "unchanged": [STYLES[style].write(unchanged.get(name)) for name, _, style in columns],
        "rows": rows,
        "main": main,
        "places": key == "map50",
        "forest": pairs.forest("stress", f"What each change does to the {main}", drawn, ("unchanged", "changed"))
        if drawn
        else None,
        "positive": entry.get("positive"),
        "words": [str(s) for s in entry.get("words") or []],
        "basis": [str(s) for s in entry.get("basis") or []],
        "refuses": any(name == "refused" for name, _, _ in columns),
        "n": entry.get("n"),
        "groups": entry.get("groups"),
    }


def build(stressed: Mapping[str, Any], pictures: Sequence[Any]) -> dict[str, Any]:
    """Return the context of the page of one run of `medloupe stress`."""
    shown = section(stressed)
    name, version = stressed["name"], stressed["version"]
    told = f"{name}@{version}" if version is not None else name
    strip = [p for p in pictures if is_picture(p.image)]
    return {
        "name": told,
        "data": stressed["data"],
        "stress": shown,
        "strip": strip,
        "counted": f"{plural(stressed['n'], 'image')}, {count(stressed['groups'])} groups",
        "sections": with_matter(
            [
                ("stress", "What each change does", shown),
                ("strip", "One image under every change", strip),
                ("changes", "The changes in words", shown),
            ]
        ),
    }


def _title(row: Mapping[str, Any]) -> str:
    strength = row.get("strength")
    return f"{row['kind']} ({strength})" if strength else str(row["kind"])


def _note(row: Mapping[str, Any], unchanged: Mapping[str, Any], key: str, main: str) -> str:
    return f"{main} {decimal(unchanged.get(key))} unchanged and {decimal(row.get(key))} changed"


def _cell(figure: Mapping[str, Any], style: str) -> dict[str, Any]:
    """Write a figure, and its difference with the interval of that: percentages in points."""
    difference = as_mapping(figure.get("difference"))
    ends = bounds(difference)
    return {
        "value": STYLES[style].write(figure),
        "difference": _points(difference) if style == "percent" else signed(difference),
        "interval": (_ends(ends) if style == "percent" else signed_interval(difference)) if ends else "",
        "apart": excludes_zero(difference),
    }


def _points(metric: Any) -> str:
    v = value(metric)
    return MISSING if v is None else _point(v)


def _ends(ends: tuple[float, float]) -> str:
    return " to ".join(map(_point, ends))


def _point(x: float) -> str:
    points = round(100 * x)
    return f"{points:+d}".replace("-", "−") if points else "0"
