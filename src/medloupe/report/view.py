"""Choose what the training report shows: charts drawn, figures chosen, sections that have something to say.

Every part of the report's JSON may be missing; a section without matter is left out of the page and of its contents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report import detection, field, inputs, robust, sentences, stress, suspects, training
from medloupe.report.charts import rows
from medloupe.report.curves import calibration, learning, panels, ranking
from medloupe.report.formats import bounds, is_number, value
from medloupe.report.headline import FIGURES, PER_LABEL, figures, tiles
from medloupe.report.parts import as_mapping, is_picture
from medloupe.report.sections import sort_by_level, with_matter
from medloupe.report.subgroups import subgroups


def build(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the template's context."""
    card, curves, examples = (as_mapping(report.get(part)) for part in ("card", "curves", "examples"))
    metrics, per_label = (
        as_mapping(card.get("metrics")),
        [p for p in card.get("per_label") or [] if isinstance(p, Mapping)],
    )
    warnings = sort_by_level(card.get("warnings"))
    audit = as_mapping(card.get("audit"))
    boxes = detection.section(report)
    context: dict[str, Any] = {
        "card": card,
        "name": str(card.get("name") or "model"),
        "noun": sentences.noun(card),
        "verdict": detection.verdict(card) if boxes else sentences.verdict(card),
        "warnings": warnings,
        "worst": warnings[0]["level"] if warnings else "",
        "serious": sum(w.get("level") == "serious" for w in warnings),
        "tiles": detection.tiles(boxes["metrics"]) if boxes else tiles(card, metrics),
        "figures": figures(
            {**boxes["metrics"], **metrics} if boxes else metrics,
            as_mapping(card.get("secondary")).get("metrics"),
            (*detection.FIGURES, *(f for f in FIGURES if f.key != "ece")) if boxes else FIGURES,
        ),
        "boxes": boxes,
        "findings": sort_by_level(audit.get("findings")),
        "suspects": suspects.section(as_mapping(report.get("suspects"))),
        "shortcut": shortcut(as_mapping(audit.get("shortcut")), metrics.get("auc")),
        "panels": panels(card, curves, per_label),
        "ranking": ranking(card, per_label, metrics.get("auc")),
        "calibration": calibration(curves.get("calibration"), metrics.get("ece")),
        "confusion": confusion(as_mapping(card.get("confusion"))),
        "per_label": per_label,
        "per_label_columns": [c for c in PER_LABEL if any(value(p.get(c.key)) is not None for p in per_label)],
        "operating": operating(card, per_label),
        "subgroups": subgroups(card.get("subgroups"), metrics),
        "inputs": inputs.section(as_mapping(card.get("inputs")), report.get("moved"), sentences.noun(card)),
        "probed": inputs.probed(audit.get("columns")),
        "robust": robust.section(card.get("robust")),
        "field": field.section(card.get("field")),
        "stress": stress.section(card.get("stress")),
        "pictures": pictures(examples),
        "localisation": localisation(as_mapping(card.get("localisation"))),
        "learning": learning(curves.get("learning"), sentences.noun(card)),
        "finetuning": training.finetuning(as_mapping(report.get("finetuning"))),
        "few_images": training.few_images(as_mapping(report.get("few_images"))),
        "search": training.search(as_mapping(report.get("search"))),
        "counts": label_counts(card),
        "stages": training.stages(as_mapping(report.get("stages"))),
    }
    context["sections"] = sections(context)
    return context


def sections(context: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return anchor and heading of the parts this page has."""
    card = context["card"]
    listed = [
        ("judged", "How it was judged", card.get("split") or context["figures"]),
        *box_sections(context["boxes"]),
        ("audit", "What the data check found", as_mapping(card.get("audit"))),
        ("suspects", suspects.HEADING, context["suspects"]),
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
        ("robust", "Does it hold at another hospital?", context["robust"]),
        ("inputs", "What each input adds", context["inputs"]),
        ("field", "When the picture is a photograph", context["field"]),
        ("stress", "What the field does to it", context["stress"]),
        ("pictures", "What it looked at", context["pictures"]),
        ("localisation", "Does its heat map point at the right place?", context["localisation"]),
        ("learning", "Would more data help?", context["learning"]),
        ("finetuning", "What fine-tuning brought", context["finetuning"]),
        ("few", "What transfer learning buys", context["few_images"]),
        ("search", "What the search tried", context["search"]),
        ("data", "The data", context["counts"] or card.get("data")),
        ("model", "Model and method", True),
        ("stages", "What it sees, stage by stage", context["stages"]),
        ("use", "Intended use and limits", card.get("intended_use") or card.get("limits")),
    ]
    return with_matter(listed)


def box_sections(boxes: Mapping[str, Any] | None) -> list[tuple[str, str, Any]]:
    """Return anchor, heading and matter of a detector's own sections."""
    shown = boxes or {}
    return [
        ("found", "What it finds", shown.get("rows")),
        ("boxpictures", "What it marks", shown.get("pictures")),
        ("froc", "What finding more costs", shown.get("panels")),
        ("boxpatients", "Patient by patient", shown.get("patients")),
        ("boxsizes", "Are small ones missed?", shown.get("sizes")),
        ("scores", "Can its scores be believed?", shown.get("scores")),
        ("counting", "Can it count?", shown.get("counts")),
    ]


def shortcut(probe: Mapping[str, Any], auc: Any) -> dict[str, Any] | None:
    """Show what can be told without looking at the picture, beside what the model reaches."""
    features = [f for f in probe.get("features") or [] if is_number(f.get("auc"))]
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


def confusion(table: Mapping[str, Any]) -> dict[str, Any] | None:
    """Show what is taken for what; None where the table is not square."""
    labels, matrix = [str(label) for label in table.get("labels") or []], table.get("matrix") or []
    if not labels or len(matrix) != len(labels) or any(len(row) != len(labels) for row in matrix):
        return None
    return {
        "chart": rows.confusion("confusion", labels, matrix),
        "sentences": sentences.describe_confusions(labels, matrix),
        "wide": len(labels) > 5,
        "compact": len(labels) > 12,
    }


def operating(card: Mapping[str, Any], per_label: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Show operating points: a hundred people each for few labels, a table for many.

    Only those of findings, which can be flagged; of a card without roles, of two classes the one looked for.
    """
    ill = sentences.positive_label(card)
    roles = as_mapping(as_mapping(card.get("roles")).get("labels"))
    found_by_role = [n for n, role in roles.items() if as_mapping(role).get("role") == "sought"]
    wanted = found_by_role or ([ill] if ill is not None else sentences.labels_of(card))
    entries = [p for p in per_label if as_mapping(p.get("operating_point")) and p.get("label") in wanted]
    made = []
    for i, entry in enumerate(entries):
        point = as_mapping(entry["operating_point"])
        sens, spec = value(point.get("sensitivity")), value(point.get("specificity"))
        shown: dict[str, Any] = {
            "label": str(entry.get("label")),
            "point": point,
            "words": sentences.describe_operating_point(entry),
            "counts": sentences.describe_counts(entry, card),
        }
        if sens is not None and spec is not None:
            found, flagged = round(100 * sens), round(100 * (1 - spec))
            shown |= {"found": found, "flagged": flagged}
            if len(entries) <= 3:
                label = shown["label"]
                shown["with_it"] = rows.icon_array(
                    f"with-{i}", found, f"100 with {label}", f"{found} found, {100 - found} missed"
                )
                shown["without_it"] = rows.icon_array(
                    f"without-{i}",
                    flagged,
                    f"100 without {label}",
                    f"{flagged} flagged, {100 - flagged} passed",
                    "alarm",
                )
            at = (0.5, 0.1, 0.01)
            shown["alarms"] = [(p, sentences.right_alarms(point["sensitivity"], point["specificity"], p)) for p in at]
        made.append(shown)
    decision = as_mapping(card.get("decision"))
    words = str(decision.get("words") or "") if roles else ""
    return {"entries": made, "drawn": len(made) <= 3, "words": words} if made else None


def pictures(examples: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the examples, the worst errors first. Only embedded pictures are shown: the page loads nothing."""
    made = []
    headings = (("wrong", "The worst errors", "surest and wrong"), ("right", "Right answers", "for comparison"))
    for key, heading, note in headings:
        shown = []
        for example in examples.get(key) or []:
            if is_picture(example.get("image")):
                heat = example.get("heatmap")
                shown.append({**example, "heatmap": heat if is_picture(heat) else None, "wrong": key == "wrong"})
        if shown:
            made.append({"key": key, "heading": heading, "note": note, "entries": shown})
    return made


def localisation(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    """Draw how often heat maps point into a box, beside what needs no look at the picture; None where not judged."""
    charts = []
    for i, row in enumerate(r for r in entry.get("labels") or [] if isinstance(r, Mapping)):
        named = [("heat map", row)]
        named += [(words, as_mapping(row.get("baselines")).get(name)) for name, words in _FIXED_PLACES]
        drawn = [rows.Row(words, as_mapping(of).get("pointing")) for words, of in named]
        drawn = [r for r in drawn if value(r.metric) is not None]
        if drawn:
            name = str(row.get("label"))
            chart = rows.intervals(f"pointing-{i}", f"Points into a box: {name}", drawn, (0.0, 1.0), "percent")
            charts.append((name, chart))
    if not charts:
        return None
    return {"charts": charts, "sentences": entry.get("words") or [], "basis": entry.get("basis") or []}


_FIXED_PLACES = (
    ("middle", "always the middle"),
    ("average_map", "average heat map"),
    ("usual_place", "where boxes usually lie"),
)


def label_counts(card: Mapping[str, Any]) -> str | None:
    """Draw how many examples carry each label, or None where that is not known."""
    tally = as_mapping(card.get("label_counts"))
    shown = [(label, int(tally[label])) for label in sentences.labels_of(card) if is_number(tally.get(label))]
    labelled = as_mapping(card.get("data")).get("labelled")
    whole = int(labelled) if is_number(labelled) else sum(n for _, n in shown)
    return rows.counts("counts", "Records by label", shown, whole) if shown else None
