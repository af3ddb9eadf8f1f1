"""Choose what the page of `medloupe compare` shows of two detectors held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medloupe.report.charts import pairs
from medloupe.report.charts.pairs import ForestRow, Line
from medloupe.report.comparison import differences
from medloupe.report.formats import decimal
from medloupe.report.parts import as_mapping
from medloupe.report.sections import with_matter

PANELS_SHOWN = 8


def build(said: Mapping[str, Any], curves: tuple[Any, Any], cards: tuple[Any, Any]) -> dict[str, Any]:
    """Return the template's context.

    Parameters
    ----------
    said
        The JSON of a comparison of detectors.
    curves
        Of both, by label as metrics/detection_curves gives them.
    cards
        Of both.
    """
    a, b = said["a"], said["b"]
    labels = as_mapping(said.get("per_label"))
    whole = _row("AP50, all labels" if len(labels) > 1 else "AP50", said["map50"])
    rows = [whole, *([_row(f"AP50 of {name}", d) for name, d in labels.items()] if len(labels) > 1 else ())]
    panels = [panel for i, name in enumerate(labels) if (panel := _panel(i, name, labels[name], (a, b), curves))]
    context = {
        "a": a,
        "b": b,
        "sentence": said["words"],
        "records": said["n"],
        "groups": said["groups"],
        "table": rows,
        "forest": pairs.forest(
            "forest",
            "Paired differences",
            [ForestRow(r["name"], f"{r['a']} and {r['b']}", r["difference"]) for r in rows],
            (a, b),
        ),
        "panels": panels[:PANELS_SHOWN],
        "unshown": max(0, len(panels) - PANELS_SHOWN),
        "differences": differences(*cards),
    }
    listed = [
        ("difference", "How far apart they are", True),
        ("curves", "Precision and recall over each other", panels),
        ("runs", "What differs between the two", context["differences"]),
    ]
    return {**context, "sections": with_matter(listed)}


def _row(name: str, d: Mapping[str, float]) -> dict[str, Any]:
    half = (d["high"] - d["low"]) / 2
    both = [decimal({"value": v, "low": v - half, "high": v + half}) for v in (d["a"], d["b"])]
    return {
        "name": name,
        "a": both[0],
        "b": both[1],
        "difference": {"value": d["difference"], "low": d["low"], "high": d["high"]},
        "apart": d["low"] > 0 or d["high"] < 0,
    }


def _panel(
    i: int, name: str, d: Mapping[str, float], runs: tuple[str, str], curves: tuple[Any, Any]
) -> dict[str, Any] | None:
    """Draw precision and recall of one label of both; None where one of them has no curve."""
    own = [as_mapping(as_mapping(c).get(name)).get("pr") for c in curves]
    if not all(own):
        return None
    lines = [Line(run, "", as_mapping(curve)) for run, curve in zip(runs, own, strict=True)]
    return {"label": name, "row": _row(name, d), "pr": pairs.precision_recall(f"pr-{i}", name, lines)}
