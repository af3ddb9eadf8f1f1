"""Show parts of the people: charts by sex, age, view or site, and which of them stand apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report.charts import rows
from medloupe.report.formats import bounds, count, decimal, percent, value, with_interval


def subgroups(entries: Any, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Draw one chart per column, all on one scale, against the figure for everybody; None without entries."""
    entries = [e for e in entries or [] if isinstance(e, Mapping)]
    if not entries:
        return None
    key = "auc" if any(value(e.get("auc")) is not None for e in entries) else "balanced_accuracy"
    style = "decimal" if key == "auc" else "percent"
    scale = rows.shared_scale([e.get(key) for e in entries] + [metrics.get(key)])
    overall = value(metrics.get(key))
    shown = decimal if style == "decimal" else percent
    reference = (overall, f"all {shown(metrics.get(key))}") if overall is not None else None
    made = []
    for i, column in enumerate(dict.fromkeys(str(e.get("column")) for e in entries)):
        own = [e for e in entries if str(e.get("column")) == column]
        drawn = [rows.Row(str(e.get("value")), e.get(key), f"n {count(e.get('n'))}") for e in own]
        chart = rows.intervals(f"subgroup-{i}", f"By {column}", drawn, scale, style, reference)
        notes = [f"{e.get('value')}: {e['note']}" for e in own if e.get("note")]
        made.append({"column": column, "chart": chart, "notes": notes})
    name = "AUC" if key == "auc" else "Balanced accuracy"
    return {
        "columns": made,
        "figure": name,
        "apart": _apart(entries, key, style),
        "comparable": _comparable(entries, key),
    }


def _comparable(entries: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Say whether any column has two groups with intervals."""
    columns = [str(e.get("column")) for e in entries if bounds(e.get(key))]
    return len(columns) > len(set(columns))


def _apart(entries: Sequence[Mapping[str, Any]], key: str, style: str) -> list[str]:
    """Name groups of one column whose intervals do not touch: differences that are more than noise."""
    said = []
    for column in dict.fromkeys(str(e.get("column")) for e in entries):
        own = [e for e in entries if str(e.get("column")) == column and bounds(e.get(key))]
        if len(own) < 2:
            continue
        worst, best = min(own, key=lambda e: value(e[key]) or 0), max(own, key=lambda e: value(e[key]) or 0)
        (_, high), (low, _) = bounds(worst[key]) or (0, 1), bounds(best[key]) or (0, 1)
        if high < low:
            said.append(
                f"By {column} it is clearly weaker for {worst.get('value')}, {with_interval(worst[key], style)}, "
                f"than for {best.get('value')}, {with_interval(best[key], style)}."
            )
    return said
