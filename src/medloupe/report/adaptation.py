"""Choose what the page of `medloupe adapt` shows of the card of an adapted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.report import sentences
from medloupe.report.charts import pairs, rows
from medloupe.report.formats import excludes_zero, share, value, with_interval
from medloupe.report.parts import as_mapping
from medloupe.report.sections import sort_by_level, with_matter

_FIGURES = (
    ("log_loss", "log loss", "how far the percentages were from the truth; smaller is better"),
    ("brier", "Brier score", "mean squared error of the percentages; smaller is better"),
    ("ece", "calibration error", "how far “70%” was from 70 in 100, on average"),
    ("auc", "AUC", "how well it ranks; it may differ a little since each fold has a calibration of its own"),
    ("balanced_accuracy", "balanced accuracy", "of the label announced"),
)


def build(card: Mapping[str, Any], curves: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template's context."""
    entry = as_mapping(card.get("adapted"))
    changed = as_mapping(entry.get("calibration")).get("kind") != "unchanged"
    table = [as_mapping(row) for row in entry.get("labels") or []]
    ill = sentences.positive_label(card) if sentences.is_binary(card) else None
    shown = [row for row in table if ill is None or row.get("label") == ill]
    base = as_mapping(entry.get("from"))
    context: dict[str, Any] = {
        "card": card,
        "name": str(card.get("name") or "model"),
        "entry": entry,
        "base": str(base.get("name")) + (f"@{base['version']}" if base.get("version") else ""),
        "changed": changed,
        "sentences": list(entry.get("words") or []),
        "warnings": sort_by_level([{"level": "serious", "text": text} for text in entry.get("findings") or []]),
        "worst": "serious",
        "figures": _figures(entry) if entry.get("figures") else [],
        "calibration": _diagram(curves, changed),
        "lines": [_line(i, row) for i, row in enumerate(shown)],
        "reliability": [row for row in shown if row.get("slope")],
        "prevalence": _prevalence(entry),
        "candidates": as_mapping(entry.get("calibration")).get("candidates") or [],
    }
    listed = [
        ("percentages", "Can its percentages be believed here?", True),
        ("operating", "Set to miss few cases", context["lines"]),
        ("prevalence", "How common it is here", context["prevalence"]),
        ("method", "How this was found", True),
    ]
    return {**context, "sections": with_matter(listed)}


def _figures(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return before, after and, where it was drawn pair by pair, the difference."""
    sides = as_mapping(entry.get("figures"))
    made = []
    for key, name, meaning in _FIGURES:
        before, after = (as_mapping(sides.get(side)).get(key) for side in ("before", "after"))
        if value(before) is None:
            continue
        difference = as_mapping(sides.get("difference")).get(key)
        made.append(
            {
                "name": name,
                "meaning": meaning,
                "before": before,
                "after": after,
                "difference": difference if value(difference) is not None else None,
                "apart": excludes_zero(difference),
            }
        )
    return made


def _diagram(curves: Mapping[str, Any], changed: bool) -> str | None:
    """Draw the reliability diagram of both; of one where nothing was changed."""
    sides = ["before", "after"] if changed else ["before"]
    bins = [curves.get(side) or [] for side in sides]
    if not all(bins):
        return None
    names = sides if changed else ["as it came"]
    return pairs.calibration("calibration-chart", names, bins)


def _line(i: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """Show a label's operating point, before and after, with both as dots on one scale."""
    points = [(name, as_mapping(row.get(side))) for name, side in (("before", "before"), ("after", "after"))]
    points = [(name, point) for name, point in points if point]
    drawn = [
        rows.Row(f"{what}, {name}", point.get(key), "")
        for key, what in (("sensitivity", "finds"), ("specificity", "rightly passes"))
        for name, point in points
        if value(point.get(key)) is not None
    ]
    after = as_mapping(row.get("after")) or as_mapping(row.get("before"))
    return {
        **row,
        "points": points,
        "thresholds": [(name, share(point.get("threshold"))) for name, point in points],
        "words": after.get("words"),
        "ppv": with_interval(after.get("ppv"), "percent"),
        "npv": with_interval(after.get("npv"), "percent"),
        "kept": not row.get("after"),
        "chart": rows.intervals(f"line-{i}", f"At the line: {row.get('label')}", drawn, (0.0, 1.0), "percent")
        if drawn
        else None,
    }


def _prevalence(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    before = as_mapping(as_mapping(entry.get("prevalence")).get("before"))
    here = as_mapping(as_mapping(entry.get("prevalence")).get("here"))
    return [
        {"label": label, "n": as_mapping(found).get("n"), "before": share(before.get(label)), "here": found}
        for label, found in here.items()
    ]
