"""From two runs held against each other (comparing.py) to what the page of `medloupe compare` shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from medloupe.report import words
from medloupe.report.charts import pairs, rows
from medloupe.report.charts.pairs import Difference, Line
from medloupe.report.formats import bounds, count, date, decimal, known, plain, plural, value
from medloupe.report.words import mapping

if TYPE_CHECKING:
    from medloupe.metrics.paired import PairedDifference, RunComparison

PANELS_SHOWN = 8


def build(contrast: RunComparison) -> dict[str, Any]:
    """The template's context."""
    card = {"task": contrast.task, "labels": list(contrast.labels), "positive": contrast.cards[0].get("positive")}
    ill = words.positive(card) if words.is_binary(card) else None
    labels = [p for p in contrast.per_label if ill is None or p.label == ill]
    context: dict[str, Any] = {
        "a": contrast.a,
        "b": contrast.b,
        "sentence": contrast.words,
        "apart": contrast.auc.apart,
        "records": contrast.records,
        "groups": contrast.groups,
        "left_out": _left_out(contrast),
        "table": [_row("AUC", contrast.auc), _row("balanced accuracy", contrast.balanced_accuracy)],
        "forest": _forest(contrast, labels),
        "labels": [
            {
                "label": p.label,
                "n": p.n,
                "pairs": [None if x is None else _row("", x) for x in (p.auc, p.sensitivity, p.specificity)],
            }
            for p in labels
        ],
        "panels": _panels(contrast, [p.label for p in labels]),
        "calibration": _calibration(contrast),
        "confusion": _confusion(contrast),
        "differences": differences(*contrast.cards),
    }
    listed = [
        ("difference", "How far apart they are", True),
        ("curves", "Curves over each other", context["panels"]),
        ("calibration", "Can their percentages be believed?", context["calibration"]),
        ("mistakes", "What each takes for what", context["confusion"]),
        ("runs", "What differs between the two", context["differences"]),
    ]
    context["sections"] = [(anchor, heading) for anchor, heading, matter in listed if matter]
    return context


def _metric(pair: PairedDifference) -> dict[str, Any]:
    return {"value": pair.difference, "low": pair.low, "high": pair.high}


def _row(name: str, pair: PairedDifference) -> dict[str, Any]:
    """Both figures with as many decimals as the interval of their difference supports."""
    metric = _metric(pair)
    ends = bounds(metric)
    half = (ends[1] - ends[0]) / 2 if ends else None
    shown = [
        {"value": v, "low": v - half, "high": v + half} if half is not None else {"value": v} for v in (pair.a, pair.b)
    ]
    return {"name": name, "a": decimal(shown[0]), "b": decimal(shown[1]), "difference": metric, "apart": pair.apart}


def _forest(contrast: RunComparison, labels: Sequence[Any]) -> str:
    drawn = [
        Difference("all labels, AUC" if len(labels) > 1 else "AUC", _both(contrast.auc), _metric(contrast.auc)),
        Difference("balanced accuracy", _both(contrast.balanced_accuracy), _metric(contrast.balanced_accuracy)),
    ]
    if len(labels) > 1:
        ranked = sorted(labels, key=lambda p: -p.auc.difference)
        drawn += [Difference(f"{p.label}, AUC", _both(p.auc), _metric(p.auc)) for p in ranked]
    else:
        for p in labels:
            both = (("sensitivity", p.sensitivity), ("specificity", p.specificity))
            drawn += [Difference(f"{name}, {p.label}", _both(x), _metric(x)) for name, x in both if x is not None]
    return pairs.forest("forest", "Paired differences", drawn, (contrast.a, contrast.b))


def _both(pair: PairedDifference) -> str:
    return f"{pair.a:.3f} and {pair.b:.3f}"


def _panels(contrast: RunComparison, labels: Sequence[str]) -> dict[str, Any] | None:
    """ROC and precision-recall of both runs; where there are many labels, first those that differ most."""
    by_label = {p.label: p for p in contrast.per_label}
    if len(labels) > PANELS_SHOWN:
        labels = sorted(labels, key=lambda name: -abs(by_label[name].auc.difference))
    single = len(labels) == 1
    drawn = []
    for i, label in enumerate(labels):
        row = _row("", by_label[label].auc)
        figures = (row["a"], row["b"])
        lines = {
            part: [
                Line(name, figure if part == "roc" else "", curves[part][label])
                for name, figure, curves in zip((contrast.a, contrast.b), figures, contrast.curves, strict=True)
                if label in curves[part]
            ]
            for part in ("roc", "pr")
        }
        if len(lines["roc"]) == 2 and len(lines["pr"]) == 2:
            drawn.append(
                {
                    "label": label,
                    "n": by_label[label].n,
                    "row": row,
                    "roc": pairs.roc(f"roc-{i}", label, lines["roc"], small=not single),
                    "pr": pairs.precision_recall(f"pr-{i}", label, lines["pr"], small=not single),
                }
            )
    if not drawn:
        return None
    return {"single": single, "shown": drawn[:PANELS_SHOWN], "rest": drawn[PANELS_SHOWN:]}


def _calibration(contrast: RunComparison) -> str | None:
    bins = [curves["calibration"] for curves in contrast.curves]
    return pairs.calibration("calibration-chart", (contrast.a, contrast.b), bins) if all(bins) else None


def _confusion(contrast: RunComparison) -> dict[str, Any] | None:
    if contrast.confusion is None:
        return None
    labels = list(contrast.labels)
    return {
        "charts": [
            (name, rows.confusion(f"confusion-{i}", labels, matrix))
            for i, (name, matrix) in enumerate(zip((contrast.a, contrast.b), contrast.confusion, strict=True))
        ],
        "wide": len(labels) > 5,
        "compact": len(labels) > 12,
        "sentences": _shifts(contrast, labels),
    }


def _shifts(contrast: RunComparison, labels: Sequence[str], most: int = 5) -> list[str]:
    """The mistakes whose number changed most from a to b."""
    assert contrast.confusion is not None
    first, second = contrast.confusion
    cells = [(second[i][j] - first[i][j], i, j) for i in range(len(labels)) for j in range(len(labels)) if i != j]
    cells.sort(key=lambda c: (-abs(c[0]), c[1], c[2]))
    return [
        f"“{labels[i]}” called “{labels[j]}”: {count(first[i][j])} times by {contrast.a}, {count(second[i][j])} by"
        f" {contrast.b}."
        for change, i, j in cells[:most]
        if abs(change) >= 0.5
    ]


def _left_out(contrast: RunComparison) -> list[str]:
    said = [
        f"{plural(n, 'image')} {'was' if n == 1 else 'were'} judged by {name} alone."
        for n, name in ((contrast.only_a, contrast.a), (contrast.only_b, contrast.b))
        if n
    ]
    if contrast.relabelled:
        said.append(f"{plural(contrast.relabelled, 'image')} stood under another label in the two.")
    return said


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any] | None:
    """What two cards say differently of how the runs came about, and the names of what they say alike."""
    told = [(name, said(a), said(b)) for name, said in _FACTS]
    told = [(name, x, y) for name, x, y in told if x or y]
    if not told:
        return None
    return {
        "differing": [(name, x or "not stated", y or "not stated") for name, x, y in told if x != y],
        "same": [name for name, x, y in told if x == y],
    }


def _tuned(card: Mapping[str, Any]) -> str:
    """How far the network was trained further; a card without a word on it is of a linear head."""
    said = card.get("finetuning")
    if isinstance(said, Mapping):
        kind, alpha = said.get("winner") or said.get("kind") or "none", said.get("alpha")
        return f"{kind}, {alpha:.0%} of the way" if known(alpha) and 0 < alpha < 1 else str(kind)
    return str(said) if said else ("none: a linear head" if card else "")


def _counted(card: Mapping[str, Any], part: str, key: str) -> str:
    n = mapping(card.get(part)).get(key)
    return count(n) if known(n) else ""


def _of(part: str, key: str, digits: int | None = None) -> Any:
    def said(card: Mapping[str, Any]) -> str:
        found = mapping(card.get(part)).get(key)
        if found is None or isinstance(found, Mapping | list):
            return ""
        return str(found)[:digits] if isinstance(found, str) else plain(found)

    return said


def _temperature(card: Mapping[str, Any]) -> str:
    t = mapping(card.get("calibration")).get("temperature")
    return f"{t:.2f}" if known(t) else ""


def _split(card: Mapping[str, Any]) -> str:
    split = mapping(card.get("split"))
    said = str(split.get("scheme") or "")
    if known(split.get("folds")) and said == "cross-validation":
        said += f", {split['folds']:.0f} folds"
        said += f", {split['repeats']:.0f} times over" if known(split.get("repeats")) and split["repeats"] > 1 else ""
    return said


def _backbone(card: Mapping[str, Any]) -> str:
    told = mapping(card.get("backbone"))
    sha256 = str(told.get("sha256") or "")[:8]
    return f"{told.get('name') or ''}{f' ({sha256})' if sha256 else ''}".strip()


def _levels(card: Mapping[str, Any]) -> str:
    levels = mapping(card.get("head")).get("levels")
    return ", ".join(map(str, levels)) if isinstance(levels, list | tuple) else str(levels or "")


def _own(card: Mapping[str, Any]) -> str:
    auc = mapping(card.get("metrics")).get("auc")
    if value(auc) is None:
        return ""
    ends = bounds(auc)
    return decimal(auc) + (f" ({ends[0]:.3f}–{ends[1]:.3f})" if ends else "")


_FACTS = (
    ("Trained", lambda card: date(card.get("created")) if card.get("created") else ""),
    ("Made with medloupe", lambda card: str(card.get("medloupe") or "")),
    ("Backbone", _backbone),
    ("Fine-tuning", _tuned),
    ("Data set", _of("data", "name")),
    ("Records", lambda card: _counted(card, "data", "records")),
    ("Groups", lambda card: _counted(card, "data", "groups")),
    ("Fingerprint of the data", _of("data", "fingerprint", 12)),
    ("Judged by", _split),
    ("Fitted on", lambda card: _counted(card, "split", "train")),
    ("Judged on", lambda card: _counted(card, "split", "test")),
    ("Penalty of the head", _of("head", "penalty")),
    ("Regularisation of the head", _of("head", "regularisation")),
    ("Levels of the head", _levels),
    ("Seed", _of("head", "seed")),
    ("Temperature", _temperature),
    ("Its own AUC, on all it was judged on", _own),
)
