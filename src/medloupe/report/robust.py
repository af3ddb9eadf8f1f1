"""Show how heads fare on sources that they have not seen: a card's entry `robust` as a table and sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.report.formats import count, decimal, decimal_interval, signed, signed_interval
from medloupe.report.parts import as_mapping


def section(entry: Any) -> dict[str, Any] | None:
    """Return what the page shows of the entry, as far as that is filled; None where there is nothing."""
    entry = as_mapping(entry)
    rows = [_row(row) for row in entry.get("rows") or [] if isinstance(row, Mapping)]
    if not rows:
        return None
    if len(rows) > 1:
        rows.append(_row({**entry, "source": "mean of the sources", "n": None, "groups": None, "ece": None}))
    return {
        "rows": rows,
        "column": str(entry.get("column") or ""),
        "nested": bool(entry.get("nested")),
        "words": [str(s) for s in entry.get("words") or []],
        "method": str(entry.get("method") or ""),
    }


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": str(row.get("source") or ""),
        "n": count(row.get("n")),
        "groups": count(row.get("groups")),
        "auc": decimal(row.get("auc")),
        "interval": decimal_interval(row.get("auc")),
        "ordinary": decimal(row.get("ordinary")),
        "gain": signed(row.get("gain")),
        "gain_interval": signed_interval(row.get("gain")),
        "ece": decimal(row.get("ece")),
    }
