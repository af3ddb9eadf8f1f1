"""Show a model that reads clinical columns or notes beside the picture.

The card's `inputs` (docs/card.md) and the report's `moved`; any part may be missing:

    moved   [{"file", "kind", "label", "before", "after", "inputs": [{"name", "value", "effects": {label: logit}}]}]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report.charts import rows
from medloupe.report.charts.svg import SMALL, Frame, drawing, shorten, tag, text, text_width, title
from medloupe.report.formats import bounds, is_number, share, value
from medloupe.report.parts import as_mapping, entries

_NAMES = {
    "image": "{noun} alone",
    "table": "table alone",
    "notes": "notes alone",
    "image+table": "{noun} and table",
    "image+notes": "{noun} and notes",
    "all": "all together",
    "everything removed": "model, nothing given",
}
_KINDS = {
    "towards the truth": "Moved furthest towards the truth",
    "away from the truth": "Moved furthest away from it",
    "typical": "A typical case",
}


def section(facts: Mapping[str, Any], moved: Any, noun: str) -> dict[str, Any] | None:
    """Show what each input adds (forest plot, table), what was left out and masked, and examples."""
    if not facts:
        return None
    table = [row for row in entries(facts.get("fusion")) if value(row.get("auc")) is not None]
    named = [{**row, "title": named_system(str(row.get("name")), noun)} for row in table]
    drawn = [rows.Row(row["title"], row["auc"]) for row in named]
    image = next((row["auc"] for row in table if row.get("name") == "image"), None)
    scale = rows.shared_scale([r.metric for r in drawn])
    lowest = min((bounds(r.metric) or (0.5,))[0] for r in drawn) if drawn else 0.5
    scale = (min(scale[0], max(0.0, lowest)), 1.0)
    reference = (value(image) or 0.0, f"{noun} alone") if image else None
    notes = as_mapping(facts.get("notes"))
    return {
        "sentence": facts.get("words"),
        "chart": rows.intervals("inputs-auc", "AUC by what is read", drawn, scale, "decimal", reference)
        if len(drawn) > 1
        else None,
        "rows": named,
        "with_notes": any(row.get("over_notes") for row in named),
        "fields": [_field(f) for f in entries(facts.get("fields"))],
        "left_out": entries(facts.get("columns_left_out")),
        "masked": entries(notes.get("masked")),
        "notes": notes.get("column"),
        "method": notes.get("method"),
        "said": [str(s) for s in facts.get("said") or []],
        "examples": [e for i, m in enumerate(entries(moved)) if (e := _example(i, m, noun))],
    }


def named_system(name: str, noun: str) -> str:
    """Name a row of the fusion table in words."""
    return _NAMES.get(name, name).format(noun=noun)


def probed(columns: Any) -> list[Mapping[str, Any]]:
    """Return the leak probe's rows, what tells most first."""
    found = [c for c in entries(columns) if value(c.get("auc")) is not None]
    return sorted(found, key=lambda c: -(value(c["auc"]) or 0.0))


def _field(field: Mapping[str, Any]) -> dict[str, Any]:
    kind, low, high = field.get("kind"), field.get("low"), field.get("high")
    if kind == "number" and is_number(low) and is_number(high):
        unit = f" {field['unit']}" if field.get("unit") else ""
        words = f"a number, usually {low:g} to {high:g}{unit}"
    elif kind == "category":
        words = "one of " + ", ".join(str(c) for c in field.get("choices") or [])
    else:
        words = "free text"
    return {"label": field.get("label") or field.get("name"), "words": words}


def _example(i: int, moved: Mapping[str, Any], noun: str) -> dict[str, Any] | None:
    """Draw one record: its inputs as bars that point towards its true label or away from it."""
    label = str(moved.get("label"))
    pulls = []
    for entry in entries(moved.get("inputs")):
        effects = {k: v for k, v in as_mapping(entry.get("effects")).items() if is_number(v)}
        if label not in effects:
            continue
        others = [v for k, v in effects.items() if k != label]
        pull = effects[label] - (sum(others) / len(others) if others and not moved.get("separate") else 0.0)
        pulls.append((f"{entry.get('name')}: {entry.get('value')}".replace("_", " "), pull))
    if not pulls or not is_number(moved.get("before")) or not is_number(moved.get("after")):
        return None
    return {
        **moved,
        "heading": _KINDS.get(str(moved.get("kind")), "A case"),
        "chart": _pulls(f"moved-{i}", label, pulls),
        "sentence": f"{label}: {share(moved['before'])} by the {noun} alone, {share(moved['after'])} with the inputs.",
    }


def _pulls(key: str, label: str, pulls: Sequence[tuple[str, float]]) -> str:
    """Draw bars from a middle line: to the right they speak for the label, to the left against it."""
    pitch, top = 38.0, 20.0
    most = max(max(abs(v) for _, v in pulls), 0.5)
    frame = Frame(left=12, top=top, width=rows.WIDTH - 24, height=pitch * len(pulls) + 2, x=(-most, most))
    middle = frame.at_x(0)
    inside = [
        text(frame.left, 11, f"against {shorten(label, 110, SMALL)}", "small muted"),
        text(frame.right, 11, f"for {shorten(label, 110, SMALL)}", "small muted", "end"),
        tag("line", x1=middle, x2=middle, y1=top, y2=frame.bottom, class_="axis"),
    ]
    for j, (name, pull) in enumerate(pulls):
        y = top + pitch * j
        end = frame.at_x(pull)
        words = f"{name}: {pull:+.2f}"
        figure = f"{pull:+.2f}".replace("-", "−")
        room = frame.width - text_width(figure) - 12
        inside.append(text(frame.left, y + 14, shorten(name, room), "halo"))
        inside.append(text(frame.right, y + 14, figure, "figure halo", "end"))
        bar = tag("rect", x=min(middle, end), y=y + 20, width=abs(end - middle), height=10, class_="bar")
        inside.append(tag("g", title(words), bar))
    said = "; ".join(f"{name} {pull:+.2f}" for name, pull in pulls)
    return drawing(key, rows.WIDTH, frame.bottom + 6, f"What each input says of {label}", f"{said}.", *inside)
