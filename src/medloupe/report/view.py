"""From the report's JSON to what the page shows: charts drawn, figures chosen, sections that have something to say.

Every part may be missing; a section without matter is left out of the page and of its contents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report import changes, inputs, learned, words
from medloupe.report.charts import axes, rows
from medloupe.report.formats import bounds, count, decimal, known, share, value
from medloupe.report.headline import Figure, figures, tiles
from medloupe.report.subgroups import subgroups
from medloupe.report.words import mapping

LEVELS = {"serious": "Serious", "warning": "Warning", "notice": "Notice"}
PANELS_SHOWN = 8


PER_LABEL = (
    Figure("auc", "AUC", "decimal", ""),
    Figure("average_precision", "average precision", "decimal", ""),
    Figure("sensitivity", "sensitivity", "percent", ""),
    Figure("specificity", "specificity", "percent", ""),
    Figure("ppv", "PPV", "percent", ""),
    Figure("npv", "NPV", "percent", ""),
)


def build(report: Mapping[str, Any]) -> dict[str, Any]:
    """The template's context."""
    card, curves, examples = (mapping(report.get(part)) for part in ("card", "curves", "examples"))
    metrics, per_label = (
        mapping(card.get("metrics")),
        [p for p in card.get("per_label") or [] if isinstance(p, Mapping)],
    )
    warnings = by_level(card.get("warnings"))
    audit = mapping(card.get("audit"))
    context: dict[str, Any] = {
        "card": card,
        "name": str(card.get("name") or "model"),
        "noun": words.noun(card),
        "verdict": words.verdict(card),
        "warnings": warnings,
        "worst": warnings[0]["level"] if warnings else "",
        "serious": sum(w.get("level") == "serious" for w in warnings),
        "tiles": tiles(card, metrics),
        "figures": figures(metrics, mapping(card.get("secondary")).get("metrics")),
        "findings": by_level(audit.get("findings")),
        "shortcut": shortcut(mapping(audit.get("shortcut")), metrics.get("auc")),
        "panels": panels(card, curves, per_label),
        "ranking": ranking(card, per_label, metrics.get("auc")),
        "calibration": calibration(curves.get("calibration"), metrics.get("ece")),
        "confusion": confusion(mapping(card.get("confusion"))),
        "per_label": per_label,
        "per_label_columns": [c for c in PER_LABEL if any(value(p.get(c.key)) is not None for p in per_label)],
        "operating": operating(card, per_label),
        "subgroups": subgroups(card.get("subgroups"), metrics),
        "inputs": inputs.section(mapping(card.get("inputs")), report.get("moved"), words.noun(card)),
        "probed": inputs.probed(audit.get("columns")),
        "stress": changes.section(card.get("stress")),
        "pictures": pictures(examples),
        "learning": learning(curves.get("learning"), words.noun(card)),
        "finetuning": learned.finetuning(mapping(report.get("finetuning"))),
        "few_images": learned.few_images(mapping(report.get("few_images"))),
        "search": learned.search(mapping(report.get("search"))),
        "counts": label_counts(card),
        "stages": learned.stages(mapping(report.get("stages"))),
    }
    context["sections"] = sections(context)
    return context


def sections(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Anchor and heading of the parts this page has."""
    card = context["card"]
    listed = [
        ("judged", "How it was judged", card.get("split") or context["figures"]),
        ("audit", "What the data check found", mapping(card.get("audit"))),
        ("shortcut", "Could it be taking a shortcut?", context["shortcut"]),
        ("curves", "Telling cases apart", context["panels"] or context["ranking"]),
        ("calibration", "Can its percentages be believed?", context["calibration"]),
        (
            "mistakes",
            "What is taken for what" if context["confusion"] else "Label by label",
            context["confusion"] or context["per_label_columns"],
        ),
        ("operating", "Set to miss few cases", context["operating"]),
        ("subgroups", "Does it work for everyone?", context["subgroups"]),
        ("inputs", "What each input adds", context["inputs"]),
        ("stress", "What the field does to it", context["stress"]),
        ("pictures", "What it looked at", context["pictures"]),
        ("learning", "Would more data help?", context["learning"]),
        ("finetuning", "What fine-tuning brought", context["finetuning"]),
        ("few", "What transfer learning buys", context["few_images"]),
        ("search", "What the search tried", context["search"]),
        ("data", "The data", context["counts"] or card.get("data")),
        ("model", "Model and method", True),
        ("stages", "What it sees, stage by stage", context["stages"]),
        ("use", "Intended use and limits", card.get("intended_use") or card.get("limits")),
    ]
    return [(anchor, heading) for anchor, heading, matter in listed if matter]


def by_level(entries: Any) -> list[dict[str, Any]]:
    """Entries with the serious ones first, in their own order otherwise."""
    order = list(LEVELS)
    known_level = [
        {**e, "level": e.get("level") if e.get("level") in LEVELS else "notice"}
        for e in entries or []
        if isinstance(e, Mapping)
    ]
    return sorted(known_level, key=lambda e: order.index(e["level"]))


def shortcut(probe: Mapping[str, Any], auc: Any) -> dict[str, Any] | None:
    """What can be told without looking at the picture, beside what the model reaches."""
    features = [f for f in probe.get("features") or [] if known(f.get("auc"))]
    if not features and value(probe.get("auc")) is None:
        return None
    drawn = [rows.Row("this model", auc)] if value(auc) is not None else []
    if value(probe.get("auc")) is not None:
        drawn.append(rows.Row("all of these", probe["auc"]))
    drawn += [
        rows.Row(str(feature["name"]), {"value": feature["auc"]}, shape="bar")
        for feature in sorted(features, key=lambda f: -f["auc"])
    ]
    lowest = min([value(r.metric) or 0.5 for r in drawn] + [(bounds(r.metric) or (0.5,))[0] for r in drawn])
    scale = (0.5, 1.0) if lowest >= 0.4 else (0.0, 1.0)
    name = "AUC of each feature on its own, and of the model"
    return {
        "sentence": probe.get("sentence"),
        "chart": rows.bars("shortcut", name, drawn, scale, "0.5 = knows nothing"),
    }


def panels(
    card: Mapping[str, Any], curves: Mapping[str, Any], per_label: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """ROC and precision-recall: one big pair for two classes, else a small pair per label, weakest first if many."""
    roc_of, pr_of = mapping(curves.get("roc")), mapping(curves.get("pr"))
    entries = {str(p.get("label")): p for p in per_label}
    names = [n for n in [*words.labels_of(card), *roc_of, *pr_of] if _has(roc_of, n, "fpr") or _has(pr_of, n, "recall")]
    names = list(dict.fromkeys(names))
    ill = words.positive(card)
    if ill in names:
        names = [ill]
    single = len(names) == 1
    if len(names) > PANELS_SHOWN:
        names.sort(key=lambda n: value(mapping(entries.get(n)).get("auc")) or 0.0)
    drawn = []
    for i, name in enumerate(names):
        entry = mapping(entries.get(name))
        panel: dict[str, Any] = {"label": name, "auc": entry.get("auc"), "average": entry.get("average_precision")}
        panel |= {"n": entry.get("n"), "prevalence": mapping(pr_of.get(name)).get("prevalence")}
        if _has(roc_of, name, "fpr"):
            marks = _marks(entry)
            panel["roc"] = axes.roc(f"roc-{i}", name, roc_of[name], entry.get("auc"), marks, small=not single)
        if _has(pr_of, name, "recall"):
            average = entry.get("average_precision")
            panel["pr"] = axes.precision_recall(f"pr-{i}", name, pr_of[name], average, small=not single)
        drawn.append(panel)
    if not drawn:
        return None
    return {
        "single": single,
        "shown": drawn[:PANELS_SHOWN],
        "rest": drawn[PANELS_SHOWN:],
        "sorted": len(names) > PANELS_SHOWN,
        "marked": any(_marks(mapping(entries.get(n))) for n in names),
    }


def _has(curves: Mapping[str, Any], name: str, axis: str) -> bool:
    return len(mapping(curves.get(name)).get(axis) or []) > 1


def _marks(entry: Mapping[str, Any]) -> list[axes.Mark]:
    """The two places on the curve that the model can work at."""
    marks = []
    point = mapping(entry.get("operating_point"))
    for where, name in ((point, "set to miss few"), (entry, "label announced")):
        sens, spec = value(where.get("sensitivity")), value(where.get("specificity"))
        if sens is not None and spec is not None:
            marks.append(axes.Mark(spec, sens, f"{name}: {share(sens)} found"))
    return marks


def ranking(card: Mapping[str, Any], per_label: Sequence[Mapping[str, Any]], overall: Any) -> str | None:
    """AUC of every label on one scale, strongest first."""
    rated = [p for p in per_label if value(p.get("auc")) is not None]
    if len(rated) < 3:
        return None
    rated.sort(key=lambda p: -(value(p.get("auc")) or 0))
    drawn = [rows.Row(str(p.get("label")), p["auc"], f"n {count(p.get('n'))}") for p in rated]
    mean = value(overall)
    reference = (mean, f"all {decimal(overall)}") if mean is not None else None
    return rows.intervals("ranking", "AUC by label", drawn, rows.span([r.metric for r in drawn]), "decimal", reference)


def calibration(bins: Any, ece: Any) -> dict[str, Any] | None:
    bins = [b for b in bins or [] if known(b.get("predicted")) and known(b.get("observed"))]
    return {"chart": axes.calibration("calibration-chart", bins, ece), "bins": bins} if bins else None


def confusion(table: Mapping[str, Any]) -> dict[str, Any] | None:
    labels, matrix = [str(label) for label in table.get("labels") or []], table.get("matrix") or []
    if not labels or len(matrix) != len(labels) or any(len(row) != len(labels) for row in matrix):
        return None
    return {
        "chart": rows.confusion("confusion", labels, matrix),
        "sentences": words.confusions(labels, matrix),
        "wide": len(labels) > 5,
        "compact": len(labels) > 12,
    }


def operating(card: Mapping[str, Any], per_label: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Operating points: a hundred people each for few labels, a table for many; of two classes the one looked for."""
    ill = words.positive(card)
    entries = [p for p in per_label if mapping(p.get("operating_point")) and (ill is None or p.get("label") == ill)]
    made = []
    for i, entry in enumerate(entries):
        point = mapping(entry["operating_point"])
        sens, spec = value(point.get("sensitivity")), value(point.get("specificity"))
        shown: dict[str, Any] = {"label": str(entry.get("label")), "point": point, "words": words.operating(entry)}
        if sens is not None and spec is not None:
            found, flagged = round(100 * sens), round(100 * (1 - spec))
            shown |= {"found": found, "flagged": flagged}
            if len(entries) <= 3:
                label = shown["label"]
                shown["with_it"] = rows.hundred(
                    f"with-{i}", found, f"100 with {label}", f"{found} found, {100 - found} missed"
                )
                shown["without_it"] = rows.hundred(
                    f"without-{i}",
                    flagged,
                    f"100 without {label}",
                    f"{flagged} flagged, {100 - flagged} passed",
                    "alarm",
                )
            at = (0.5, 0.1, 0.01)
            shown["alarms"] = [(p, words.in_practice(point["sensitivity"], point["specificity"], p)) for p in at]
        made.append(shown)
    return {"entries": made, "drawn": len(made) <= 3} if made else None


def pictures(examples: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The examples with the worst errors first. Only embedded pictures are shown: the page loads nothing."""
    made = []
    headings = (("wrong", "The worst errors", "surest and wrong"), ("right", "Right answers", "for comparison"))
    for key, heading, note in headings:
        shown = []
        for example in examples.get(key) or []:
            if learned.is_picture(example.get("image")):
                heat = example.get("heatmap")
                shown.append(
                    {**example, "heatmap": heat if learned.is_picture(heat) else None, "wrong": key == "wrong"}
                )
        if shown:
            made.append({"key": key, "heading": heading, "note": note, "entries": shown})
    return made


def learning(points: Any, what: str) -> dict[str, Any] | None:
    points = [p for p in points or [] if value(p.get("auc")) is not None and known(p.get("n")) and p["n"] > 0]
    if len(points) < 2:
        return None
    return {"chart": axes.learning("learning-chart", points), "sentence": words.more_images(points, what)}


def label_counts(card: Mapping[str, Any]) -> str | None:
    tally = mapping(card.get("label_counts"))
    shown = [(label, int(tally[label])) for label in words.labels_of(card) if known(tally.get(label))]
    labelled = mapping(card.get("data")).get("labelled")
    whole = int(labelled) if known(labelled) else sum(n for _, n in shown)
    return rows.counts("counts", "Records by label", shown, whole) if shown else None
