"""Choose the curves of a report: ROC and precision-recall, labels on one scale, calibration, learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.report import sentences
from medloupe.report.charts import axes, rows
from medloupe.report.formats import count, decimal, is_number, share, value
from medloupe.report.parts import as_mapping

PANELS_SHOWN = 8


def panels(
    card: Mapping[str, Any], curves: Mapping[str, Any], per_label: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | None:
    """Draw ROC and precision-recall: one big pair for two classes, else a small pair per label, weakest first if many.

    Parameters
    ----------
    card, curves
        Of the report.
    per_label
        The card's figures by label.
    """
    roc_of, pr_of = as_mapping(curves.get("roc")), as_mapping(curves.get("pr"))
    entries = {str(p.get("label")): p for p in per_label}
    names = [
        n for n in [*sentences.labels_of(card), *roc_of, *pr_of] if _has(roc_of, n, "fpr") or _has(pr_of, n, "recall")
    ]
    names = list(dict.fromkeys(names))
    ill = sentences.positive_label(card)
    if ill in names:
        names = [ill]
    single = len(names) == 1
    if len(names) > PANELS_SHOWN:
        names.sort(key=lambda n: value(as_mapping(entries.get(n)).get("auc")) or 0.0)
    drawn = []
    for i, name in enumerate(names):
        entry = as_mapping(entries.get(name))
        panel: dict[str, Any] = {"label": name, "auc": entry.get("auc"), "average": entry.get("average_precision")}
        panel |= {"n": entry.get("n"), "prevalence": as_mapping(pr_of.get(name)).get("prevalence")}
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
        "marked": any(_marks(as_mapping(entries.get(n))) for n in names),
    }


def _has(curves: Mapping[str, Any], name: str, axis: str) -> bool:
    return len(as_mapping(curves.get(name)).get(axis) or []) > 1


def _marks(entry: Mapping[str, Any]) -> list[axes.CurvePoint]:
    """Return the two places on the curve that the model can work at."""
    marks = []
    point = as_mapping(entry.get("operating_point"))
    for where, name in ((point, "set to miss few"), (entry, "label announced")):
        sens, spec = value(where.get("sensitivity")), value(where.get("specificity"))
        if sens is not None and spec is not None:
            marks.append(axes.CurvePoint(spec, sens, f"{name}: {share(sens)} found"))
    return marks


def ranking(card: Mapping[str, Any], per_label: Sequence[Mapping[str, Any]], overall: Any) -> str | None:
    """Draw AUC of every label on one scale, strongest first; None for fewer than three."""
    rated = [p for p in per_label if value(p.get("auc")) is not None]
    if len(rated) < 3:
        return None
    rated.sort(key=lambda p: -(value(p.get("auc")) or 0))
    drawn = [rows.Row(str(p.get("label")), p["auc"], f"n {count(p.get('n'))}") for p in rated]
    mean = value(overall)
    reference = (mean, f"all {decimal(overall)}") if mean is not None else None
    return rows.intervals(
        "ranking", "AUC by label", drawn, rows.shared_scale([r.metric for r in drawn]), "decimal", reference
    )


def calibration(bins: Any, ece: Any) -> dict[str, Any] | None:
    """Draw the reliability diagram; None where there are no bins."""
    bins = [b for b in bins or [] if is_number(b.get("predicted")) and is_number(b.get("observed"))]
    return {"chart": axes.calibration("calibration-chart", bins, ece), "bins": bins} if bins else None


def learning(points: Any, what: str) -> dict[str, Any] | None:
    """Draw the learning curve, and say what more examples would bring; None for fewer than two points."""
    points = [p for p in points or [] if value(p.get("auc")) is not None and is_number(p.get("n")) and p["n"] > 0]
    if len(points) < 2:
        return None
    return {"chart": axes.learning("learning-chart", points), "sentence": sentences.describe_learning(points, what)}
