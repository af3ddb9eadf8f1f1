"""Show how a detector does: what it finds at how many false marks, pictures of its marks, sizes, scores, and counts.

    card["detection"]["figures"]   as metrics/detection gives them
    report["detection"]            {"curves": as metrics/detection_curves gives them,
                                    "pictures": [{"kind": missed|false|right, "file", "image", "width", "height",
                                                  "truths": [{"label", "box", "found"}],
                                                  "marks": [{"label", "box", "score", "right"}]}]}

Any part may be missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report.charts import axes, boxes, found, rows
from medloupe.report.formats import (
    bounds,
    count,
    in_hundred,
    is_number,
    percent_interval,
    plural,
    share,
    value,
)
from medloupe.report.headline import Figure
from medloupe.report.parts import as_mapping, entries

FIGURES = (
    Figure("sensitivity", "found at the lines", "percent", "share of the true boxes, averaged over the labels"),
    Figure("false_marks", "false marks a picture", "decimal", "at the lines, all labels together"),
    Figure("precision", "right marks", "percent", "of all marks at the lines, the share that lies on a true box"),
    Figure("cpm", "CPM", "decimal", "share found, averaged over ⅛ to 8 false marks a picture"),
    Figure("map50", "mean AP50", "decimal", "average precision, where a mark is right from an overlap (IoU) of 0.5 on"),
    Figure(
        "map", "mean AP50–95", "decimal", "the same averaged over overlaps from 0.5 to 0.95: how exact its boxes are"
    ),
    Figure("ece", "calibration error of its scores", "decimal", "how far its scores are from the truth; 0 is perfect"),
)
_TILES = (("sensitivity", ""), ("false_marks", "fewer is better"), ("map50", "1 is perfect"), ("map", "1 is perfect"))
_KINDS = (
    ("missed", "Where it misses most", "true boxes without a mark"),
    ("false", "Its surest false marks", "marks without a true box"),
    ("right", "Typical right answers", "all found, nothing else marked"),
)
_SENTENCES_FOR = 8  # labels; more are left to the table
_PANELS_FROM = 2  # labels, from which on each has a small panel


def section(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Choose what is shown of a detector; None where the report is of none."""
    figures = as_mapping(as_mapping(as_mapping(report.get("card")).get("detection")).get("figures"))
    if not figures:
        return None
    shown = as_mapping(report.get("detection"))
    curves = as_mapping(shown.get("curves"))
    labels = {name: row for name, row in as_mapping(figures.get("labels")).items() if as_mapping(row).get("n")}
    return {
        "figures": figures,
        "metrics": {f.key: figures.get(f.key) for f in FIGURES},
        "sentences": [sentence(name, row) for name, row in labels.items()] if 1 < len(labels) <= _SENTENCES_FOR else [],
        "rows": list(labels.items()),
        "patients": patients(labels),
        "panels": panels(figures, curves, labels),
        "single": len(labels) < _PANELS_FROM,
        "pictures": pictures(shown.get("pictures"), len(as_mapping(figures.get("labels"))) > 1),
        "keys": [(boxes.swatch(kind), words) for kind, words in boxes.KEYS],
        "sizes": sizes(figures, curves),
        "scores": scores(curves, labels),
        "counts": counts(curves, labels),
        "rate": rate(value({"value": figures.get("false_marks_aimed_at")})),
        "held_out": all(row.get("held_out") for row in labels.values()),
    }


def verdict(card: Mapping[str, Any]) -> list[str]:
    """Say what a detector finds, and at what price, in plain words."""
    figures = as_mapping(as_mapping(card.get("detection")).get("figures"))
    labels = {n: r for n, r in as_mapping(figures.get("labels")).items() if value(r.get("sensitivity")) is not None}
    n = figures.get("pictures")
    if not labels or not is_number(n):
        return ["There was too little data to judge this detector. Nothing can be said about how well it works."]
    where = f"On {plural(n, 'picture')} it had not learned from"
    if len(labels) == 1:
        (name, row), *_ = labels.items()
        said = [f"{where}, it finds {_of_hundred(row['sensitivity'], name)}, with {rate(value(row['false_marks']))}."]
        if (precise := value(row.get("precision"))) is not None:
            said.append(f"Of 100 marks, {in_hundred(precise)} are right.")
    else:
        mean = figures.get("sensitivity")
        said = [
            f"{where}, it finds {in_hundred(value(mean) or 0)} of 100 true boxes, averaged over {len(labels)} labels"
            f"{_interval(mean)}, with {rate(value(figures.get('false_marks')))} over all labels."
        ]
        ranked = sorted(labels.items(), key=lambda item: value(item[1]["sensitivity"]) or 0)
        (worst, low), (best, high) = ranked[0], ranked[-1]
        said.append(
            f"It finds “{best}” best ({in_hundred(value(high['sensitivity']) or 0)} of 100) and “{worst}” least"
            f" ({in_hundred(value(low['sensitivity']) or 0)} of 100)."
        )
    return said


def _of_hundred(metric: Any, name: str) -> str:
    return f"{in_hundred(value(metric) or 0)} of 100 boxes of “{name}”{_interval(metric)}"


def _interval(metric: Any) -> str:
    return f" (95% interval {percent_interval(metric)})" if bounds(metric) else ""


def rate(x: float | None) -> str:
    """Say how many false marks a picture has: "one false mark in 4 pictures", "2.3 false marks a picture"."""
    if x is None:
        return "an unknown number of false marks"
    if x < 0.005:
        return "hardly any false mark"
    if x < 0.4:
        return f"one false mark in {round(1 / x)} pictures"
    return "one false mark a picture" if 0.95 <= x < 1.05 else f"{x:.1f} false marks a picture"


def sentence(name: str, row: Mapping[str, Any]) -> str:
    """Say what is found of one label at its line, and what that costs."""
    if value(row.get("sensitivity")) is None:
        return f"“{name}” cannot be judged on these pictures."
    if row.get("line") is None:
        return f"No line for “{name}” keeps false marks as few as wanted: it is never marked."
    said = f"It finds {_of_hundred(row['sensitivity'], name)}, with {rate(value(row.get('false_marks')))}"
    precise = value(row.get("precision"))
    return f"{said}." if precise is None else f"{said}; of 100 marks, {in_hundred(precise)} are right."


def tiles(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the few big figures."""
    by_key = {f.key: f for f in FIGURES}
    made = []
    for key, remark in _TILES:
        metric = figures.get(key)
        if value(metric) is None:
            continue
        drawn = "" if key == "false_marks" else rows.gauge(f"gauge-{key}", by_key[key].name, metric, (0.0, 1.0), None)
        made.append({"figure": by_key[key], "metric": metric, "gauge": drawn, "remark": remark, "baseline": ""})
    return made


def patients(labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Draw, of few labels, a hundred patients with and a hundred without."""
    made = []
    for i, (name, row) in enumerate(labels.items()):
        told = as_mapping(row.get("patients"))
        sens, spec = value(told.get("sensitivity")), value(told.get("specificity"))
        entry: dict[str, Any] = {"label": name, **told}
        if sens is not None and len(labels) <= 3:
            n = round(100 * sens)
            entry["found"] = n
            entry["with_it"] = rows.icon_array(f"patients-with-{i}", n, f"100 with {name}", f"{n} found")
        if spec is not None and len(labels) <= 3:
            n = round(100 * (1 - spec))
            entry["called"] = n
            entry["without_it"] = rows.icon_array(
                f"patients-without-{i}", n, f"100 without {name}", f"{n} marked all the same", "alarm"
            )
        made.append(entry)
    return made


def panels(figures: Mapping[str, Any], curves: Mapping[str, Any], labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Draw FROC and precision against recall of each label."""
    rates = [r for r in as_mapping(figures.get("froc")).get("rates") or [] if is_number(r)]
    small, made = len(labels) >= _PANELS_FROM, []
    for i, (name, row) in enumerate(labels.items()):
        drawn = as_mapping(curves.get(name))
        panel: dict[str, Any] = {"label": name, "row": row}
        if as_mapping(drawn.get("froc")).get("false_marks"):
            wrong, hit = value(row.get("false_marks")), value(row.get("sensitivity"))
            point = (wrong, hit) if wrong is not None and hit is not None and row.get("line") is not None else None
            panel["froc"] = found.froc(f"froc-{i}", name, drawn["froc"], rates, row.get("froc") or [], point, small)
        if as_mapping(drawn.get("pr")).get("recall"):
            panel["pr"] = axes.precision_recall(f"box-pr-{i}", name, drawn["pr"], row.get("ap50"), small)
        if len(panel) > 2:
            made.append(panel)
    return made


def pictures(listed: Any, named: bool) -> list[dict[str, Any]]:
    """Draw the pictures, by kind; only embedded ones are shown."""
    made = []
    for kind, heading, note in _KINDS:
        shown = []
        for i, example in enumerate(e for e in entries(listed) if e.get("kind") == kind):
            drawn = boxes.picture(f"boxes-{kind}-{i}", example, named)
            if drawn:
                truths, marks = entries(example.get("truths")), entries(example.get("marks"))
                hit, wrong = sum(bool(t.get("found")) for t in truths), sum(not m.get("right") for m in marks)
                words = f"{hit} of {len(truths)} found" if truths else "nothing to be found"
                words += f", {plural(wrong, 'false mark')}" if wrong else ", no false mark"
                shown.append({"drawn": drawn, "file": example.get("file"), "words": words})
        if shown:
            made.append({"heading": heading, "note": note, "entries": shown})
    return made


def sizes(figures: Mapping[str, Any], curves: Mapping[str, Any]) -> dict[str, Any] | None:
    """Draw the share found by size, and list AP by COCO's sizes; None where all boxes are of one size."""
    charts = [
        (name, found.by_size(f"sizes-{i}", name, bins))
        for i, (name, drawn) in enumerate(curves.items())
        if len(bins := _size_bins(as_mapping(drawn).get("sizes"))) > 1
    ]
    tables = [
        (words, [r for r in entries(figures.get(key)) if r.get("n")])
        for key, words in (("sizes", "in pixels"), ("relative_sizes", "as share of the picture's side"))
    ]
    listed = [
        {"words": words, "rows": [{**r, "bounds": _bounds(r, key == 1)} for r in own]}
        for key, (words, own) in enumerate(tables)
        if own
    ]
    return {"charts": charts, "tables": listed} if charts or any(len(t["rows"]) > 1 for t in listed) else None


def _size_bins(listed: Any) -> list[Mapping[str, Any]]:
    keys = ("smallest", "side", "largest", "found", "low", "high", "n")
    return [b for b in entries(listed) if all(is_number(b.get(k)) for k in keys)]


def _bounds(row: Mapping[str, Any], relative: bool) -> str:
    """Say from where to where a size goes: "32 to 96 pixels", "over 15%"."""

    def written(x: Any) -> str:
        return share(x) if relative else count(x)

    unit = "" if relative else " pixels"
    if not row.get("low"):
        return f"under {written(row.get('high'))}{unit}"
    if row.get("high") is None:
        return f"over {written(row['low'])}{unit}"
    return f"{written(row['low'])} to {written(row['high'])}{unit}"


def scores(curves: Mapping[str, Any], labels: Mapping[str, Any]) -> list[tuple[str, Any, str]]:
    """Draw for each label what was said against what was right."""
    made = []
    for i, (name, row) in enumerate(labels.items()):
        bins = axes.drawable_bins(entries(as_mapping(curves.get(name)).get("calibration")))
        if bins:
            drawn = axes.calibration(f"scores-{i}", bins, row.get("ece"), ("box", "boxes"), "score given")
            made.append((name, row.get("ece"), drawn))
    return made


def counts(curves: Mapping[str, Any], labels: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Draw counted against true, for labels of which a picture has several."""
    made = []
    for i, (name, row) in enumerate(labels.items()):
        told, drawn = as_mapping(row.get("count")), as_mapping(as_mapping(curves.get(name)).get("count"))
        pairs = _pairs(drawn)
        several = [t for t, _ in pairs if t > 0]
        if not told or not several or sum(several) / len(several) < 2:
            continue
        made.append(
            {
                "label": name,
                "chart": found.agreement(f"count-{i}", name, pairs, told),
                "sentence": _count_sentence(name, told),
                "row": told,
            }
        )
    return made


def _pairs(drawn: Mapping[str, Any]) -> list[tuple[int, int]]:
    listed: Sequence[Any] = drawn.get("true") or []
    return [
        (int(t), int(c))
        for t, c in zip(listed, drawn.get("counted") or [], strict=False)
        if is_number(t) and is_number(c)
    ]


def _count_sentence(name: str, told: Mapping[str, Any]) -> str:
    error, mean = value(told.get("median_error")), value(told.get("mean_difference"))
    low, high = value(told.get("lower_limit")), value(told.get("upper_limit"))
    if error is None or mean is None:
        return f"“{name}” cannot be counted on these pictures."
    said = f"In half of the pictures the count of “{name}” is off by {share(error)} or less."
    if abs(mean) < 0.05:
        said += " On average it counts as many as there are"
    else:
        said += f" On average it counts {abs(mean):.1f} too {'many' if mean > 0 else 'few'} a picture"
    if low is not None and high is not None:
        said += f"; for 95 of 100 pictures it is between {_many(low)} and {_many(high)}."
    return said


def _many(x: float) -> str:
    return f"{abs(x):.1f} too {'many' if x > 0 else 'few'}" if abs(x) >= 0.05 else "right"
