"""Choose the figures that stand for the whole model: the few big ones, and the full table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from medloupe.report import sentences
from medloupe.report.charts import rows
from medloupe.report.formats import bounds, is_number, percent, share, value
from medloupe.report.parts import as_mapping


class Figure(NamedTuple):
    """What a METRIC is called and what it means.

    Attributes
    ----------
    key
        In the card.
    name
        As people read it.
    style
        Of formats.STYLES.
    meaning
        In a few words, or "".
    """

    key: str
    name: str
    style: str
    meaning: str = ""


FIGURES = (
    Figure("auc", "AUC", "decimal", "how often a true case is ranked above another; 0.5 is chance, 1 is never wrong"),
    Figure(
        "balanced_accuracy",
        "balanced accuracy",
        "percent",
        "share named rightly, each label weighing the same however rare",
    ),
    Figure("accuracy", "accuracy", "percent", "share named rightly; flattering where one label is common"),
    Figure("majority_accuracy", "always the commonest", "percent", "accuracy of always answering the commonest label"),
    Figure("macro_f1", "macro F1", "decimal", "balance of finding cases and not crying wolf, averaged over the labels"),
    Figure("average_precision", "average precision", "decimal", "area under the precision-recall curve"),
    Figure("ece", "calibration error (ECE)", "decimal", "how far its percentages are from the truth; 0 is perfect"),
    Figure("brier", "Brier score", "decimal", "squared error of its percentages; 0 is perfect"),
)

PER_LABEL = (
    Figure("auc", "AUC", "decimal"),
    Figure("average_precision", "average precision", "decimal"),
    Figure("sensitivity", "sensitivity", "percent"),
    Figure("specificity", "specificity", "percent"),
    Figure("ppv", "PPV", "percent"),
    Figure("npv", "NPV", "percent"),
)


def tiles(card: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the few big figures, each with the baseline it must beat."""
    k = len(sentences.labels_of(card))
    chance = 1 / k if card.get("task") == "multiclass" and k else 0.5
    baselines: dict[str, tuple[float, str] | None] = {
        "auc": (0.5, "chance 0.500"),
        "balanced_accuracy": (chance, f"guessing {share(chance)}"),
        "accuracy": _majority(card, metrics),
        "average_precision": _prevalence(card),
        "ece": None,
    }
    third = "accuracy" if card.get("task") != "multilabel" else "average_precision"
    chosen = [f for f in FIGURES if f.key in ("auc", "balanced_accuracy", third, "ece")]
    made = []
    for figure in chosen:
        metric, baseline = metrics.get(figure.key), baselines[figure.key]
        v, ends = value(metric), bounds(metric)
        if v is None:
            continue
        lowest = min(ends[0] if ends else v, baseline[0] if baseline else v)
        scale = (0.0, 1.0) if figure.key != "auc" or lowest < 0.5 else (0.5, 1.0)
        drawn = rows.gauge(f"gauge-{figure.key}", figure.name, metric, scale, baseline) if figure.key != "ece" else ""
        made.append(
            {
                "figure": figure,
                "remark": "0 is perfect" if figure.key == "ece" else "",
                "metric": metric,
                "gauge": drawn,
                "baseline": baseline[1] if baseline else "",
            }
        )
    return made


def _majority(card: Mapping[str, Any], metrics: Mapping[str, Any]) -> tuple[float, str] | None:
    metric = metrics.get("majority_accuracy")
    v = value(metric)
    common = sentences.commonest_label(card)
    name = f"“{common}”" if common else "the commonest"
    return None if v is None else (v, f"always {name} {percent(metric)}")


def _prevalence(card: Mapping[str, Any]) -> tuple[float, str] | None:
    tally = [n for n in as_mapping(card.get("label_counts")).values() if is_number(n)]
    n = as_mapping(card.get("data")).get("labelled")
    if not tally or not n:
        return None
    mean = sum(tally) / len(tally) / n
    return mean, f"flagging everybody {mean:.2f}"


def figures(metrics: Mapping[str, Any], second: Any, known: Sequence[Figure] = FIGURES) -> list[dict[str, Any]]:
    """Return every known figure with its interval, and the second way of judging beside it."""
    second = as_mapping(second)
    return [
        {"figure": f, "first": metrics.get(f.key), "second": second.get(f.key)}
        for f in known
        if value(metrics.get(f.key)) is not None or value(second.get(f.key)) is not None
    ]
