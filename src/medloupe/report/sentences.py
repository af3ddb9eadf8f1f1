"""Say figures in sentences: the verdict, what mistakes are made, what more images would bring.

They claim no more than the intervals allow, and name what a figure is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.data import labels
from medloupe.data.modalities import MODALITIES
from medloupe.report.formats import (
    bounds,
    count,
    decimal,
    decimal_interval,
    in_hundred,
    is_number,
    plural,
    share,
    value,
)
from medloupe.report.parts import as_mapping


def labels_of(card: Mapping[str, Any]) -> list[str]:
    """Return the labels of a card."""
    return [str(label) for label in card.get("labels") or []]


def is_binary(card: Mapping[str, Any]) -> bool:
    """Say whether a card is of two classes that exclude each other."""
    return card.get("task") == "multiclass" and len(labels_of(card)) == 2


def positive_label(card: Mapping[str, Any]) -> str | None:
    """Return, of two classes, the one that is looked for.

    card["positive"], else the one whose name does not say healthy.
    """
    names = labels_of(card)
    told = card.get("positive")
    return told if told in names else labels.positive_label(names, str(card.get("task")))


def noun(card: Mapping[str, Any]) -> str:
    """Return what one example is called."""
    things = str(as_mapping(card.get("data")).get("things") or "images")
    return {"beats": "beat", **{kind.many: kind.one for kind in MODALITIES}}.get(things, "example")


def noun_with_article(card: Mapping[str, Any]) -> str:
    """Return the same with its article."""
    word = noun(card)
    return f"an {word}" if word[0] in "iEe" else f"a {word}"


def judged_count(card: Mapping[str, Any]) -> int | None:
    """Return how many examples the figures rest on."""
    split, data = as_mapping(card.get("split")), as_mapping(card.get("data"))
    n = split.get("test") or data.get("labelled")
    return int(n) if is_number(n) else None


def commonest_label(card: Mapping[str, Any]) -> str | None:
    """Return the label that most examples carry."""
    tally = {str(k): n for k, n in as_mapping(card.get("label_counts")).items() if is_number(n)}
    return max(tally, key=lambda name: tally[name]) if tally else None


def verdict(card: Mapping[str, Any]) -> list[str]:
    """Say what the model can do, in plain words, with the caveats that the figures themselves bring."""
    metrics = as_mapping(card.get("metrics"))
    auc = metrics.get("auc")
    area = value(auc)
    if area is None:
        return ["There was too little data to judge this model. Nothing can be said about how well it works."]
    sentences = [_ranking(card, auc, area)]
    ends = bounds(auc)
    if ends and ends[0] <= 0.5 <= ends[1]:
        sentences.append("The interval includes 50 in 100: this cannot be told from tossing a coin.")
    if card.get("task") == "multiclass":
        sentences += _naming(card, metrics)
    else:
        sentences += _range(card)
    return sentences


def _ranking(card: Mapping[str, Any], auc: Any, area: float) -> str:
    many, an = noun(card) + "s", noun_with_article(card)
    n = judged_count(card)
    shared = as_mapping(card.get("split")).get("patients_shared")  # an official test split may leak
    strangers = as_mapping(card.get("data")).get("patients") is not None and not shared
    where = f"On {count(n)} {many}" if n else f"On {many}"
    where += " from patients it had not seen" if strangers else " it had not seen"
    interval = decimal_interval(auc)
    figures = f"AUC {decimal(auc)}" + (f", 95% interval {interval}" if interval else "")
    times = f"{in_hundred(area)} times in 100 ({figures}; a coin would manage 50)"
    if is_binary(card):
        ill = positive_label(card)
        well = next((name for name in labels_of(card) if name != ill), "")
        return f"{where}, it ranked {an} of “{ill}” above one of “{well}” {times}."
    if card.get("task") == "multilabel":
        k = len(labels_of(card))
        return f"{where}, it ranked {an} with a finding above one without it {times}, averaged over {k} findings."
    return f"{where}, it ranked {an} of a class above one of the other classes {times}, averaged over all."


def _naming(card: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    right, usual = metrics.get("accuracy"), value(metrics.get("majority_accuracy"))
    accuracy = value(right)
    if accuracy is None:
        return []
    many = noun(card) + "s"
    said = f"Asked for one label, it was right for {in_hundred(accuracy)} of 100 {many}"
    if usual is None:
        return [said + "."]
    common = commonest_label(card)
    always = f"always answering “{common}”" if common else "always answering the commonest label"
    ends = bounds(right)
    if (ends[0] if ends else accuracy) <= usual:
        return [f"{said}; {always} would be right for {in_hundred(usual)}, so that is no clear gain."]
    return [f"{said}; {always} would be right for {in_hundred(usual)}."]


def _range(card: Mapping[str, Any]) -> list[str]:
    rated = [(value(as_mapping(p).get("auc")), str(p.get("label"))) for p in card.get("per_label") or []]
    rated = sorted((v, label) for v, label in rated if v is not None)
    if len(rated) < 2:
        return []
    metric = {str(p.get("label")): p.get("auc") for p in card.get("per_label") or []}
    (_, weakest), (_, strongest) = rated[0], rated[-1]
    return [
        f"It does best on “{strongest}” (AUC {decimal(metric[strongest])}) "
        f"and worst on “{weakest}” ({decimal(metric[weakest])})."
    ]


def describe_confusions(labels: Sequence[str], matrix: Sequence[Sequence[float]], most: int = 5) -> list[str]:
    """Say the commonest mistakes."""
    cells = [
        (n, sum(row), i, j) for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j and n and sum(row)
    ]
    cells.sort(key=lambda c: (-c[0], c[2], c[3]))
    return [
        f"{count(n)} of {count(whole)} “{labels[i]}” were called “{labels[j]}” ({share(n / whole)})."
        for n, whole, i, j in cells[:most]
    ]


def right_alarms(sensitivity: Any, specificity: Any, prevalence: float) -> int | None:
    """Return how many of 100 alarms are right where a share `prevalence` has the disease (Bayes)."""
    sens, spec = value(sensitivity), value(specificity)
    if sens is None or spec is None:
        return None
    right, wrong = sens * prevalence, (1 - spec) * (1 - prevalence)
    return round(100 * right / (right + wrong)) if right + wrong else None


def describe_operating_point(entry: Mapping[str, Any]) -> str:
    """Say an operating point in words, where the card brings none."""
    point = as_mapping(entry.get("operating_point"))
    if point.get("words"):
        return str(point["words"])
    sens, spec = value(point.get("sensitivity")), value(point.get("specificity"))
    if sens is None or spec is None:
        return ""
    return f"finds {in_hundred(sens)} of 100 with it; flags {in_hundred(1 - spec)} of 100 without it"


def describe_counts(entry: Mapping[str, Any], card: Mapping[str, Any]) -> str:
    """Say what is said of 100 with a label and of 100 without, and on how many that rests; "" where not counted."""
    counts = as_mapping(as_mapping(entry.get("operating_point")).get("counts"))
    sides = []
    for key, who in (("with", "with it"), ("without", "without")):
        side = as_mapping(counts.get(key))
        if not all(is_number(side.get(name)) for name in ("flagged", "unclear", "not_flagged")):
            return ""
        told = f"flagged {side['flagged']}, unclear {side['unclear']}, not flagged {side['not_flagged']}"
        sides.append(f"of 100 {who}: {told}")
    n = sum(int(as_mapping(counts[key]).get("n") or 0) for key in ("with", "without"))
    cases, people = as_mapping(counts["with"]).get("n"), as_mapping(counts["with"]).get("groups")
    rests = f" Judged on {plural(n, noun(card))}"
    rests += f", {count(cases)} of them with it, in {count(people)} patients or groups." if people else "."
    return f"{sides[0][:1].upper()}{sides[0][1:]}; {sides[1]}.{rests}"


def describe_learning(points: Sequence[Mapping[str, Any]], what: str) -> str:
    """Say what the slope of the learning curve's last doubling lets one expect; "" for fewer than two points."""
    seen = [(float(p["n"]), value(p.get("auc")) or 0.0, p["auc"]) for p in points if value(p.get("auc")) is not None]
    seen.sort(key=lambda p: p[0])
    if len(seen) < 2:
        return ""
    n, last, metric = seen[-1]
    before, earlier, _ = next((p for p in reversed(seen[:-1]) if p[0] <= 0.6 * n), seen[0])
    gain = (last - earlier) / math.log2(n / before)
    told = f"From {count(before)} to {plural(int(n), what)} the AUC went from {earlier:.3f} to {last:.3f}"
    ends = bounds(metric)
    noise = bool(ends) and abs(last - earlier) < (ends[1] - ends[0]) / 2 if ends else False
    if gain >= 0.01:
        said = (
            f"{told}. The curve is still rising: more {what}s would probably help, about {gain:.2f} for twice as many."
        )
    elif gain >= 0.003:
        said = f"{told}. The curve rises slowly: twice as many {what}s might add some thousandths."
    else:
        said = (
            f"{told}. The curve is flat: more {what}s of the same kind would probably change little. "
            "Other hospitals, other machines and rare cases would teach it more."
        )
    return said + (" The difference is smaller than the uncertainty of the last point." if noise else "")
