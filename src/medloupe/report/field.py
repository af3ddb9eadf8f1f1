"""Show how answers on simulated photographs fare: a card's entry `field` as a table and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.report.formats import count, decimal, decimal_interval, is_number, percent
from medloupe.report.parts import as_mapping

KINDS = {
    "whole": "Photograph as taken",
    "straight": "Photograph, corners undone",
    "worn": "Worn direct copy",
}


def section(entry: Any) -> dict[str, Any] | None:
    """Return what the page shows of the entry, as far as that is filled; None where there is nothing."""
    entry = as_mapping(entry)
    rows = [_row(row) for row in entry.get("rows") or [] if isinstance(row, Mapping) and row.get("kind") in KINDS]
    if not rows:
        return None
    weight = entry.get("weight")
    return {
        "rows": rows,
        "words": [str(s) for s in entry.get("words") or []],
        "method": str(entry.get("method") or ""),
        "pictures": count(entry.get("pictures")),
        "views": count(entry.get("views")),
        "taught": is_number(weight) and weight > 0,
        "withholds": bool(entry.get("withholds")),
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": f"{KINDS[row['kind']]} ({row.get('severity')})",
        "n": count(row.get("n")),
        "auc": decimal(row.get("auc")),
        "interval": decimal_interval(row.get("auc")),
        "before": decimal(row.get("auc_before")),
        "answered": decimal(row.get("auc_answered")),
        "wrong": percent(row.get("wrong")),
        "withheld": percent(row.get("withheld")),
        "wrong_withheld": percent(row.get("wrong_withheld")),
        "right_withheld": percent(row.get("right_withheld")),
    }
