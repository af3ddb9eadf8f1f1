"""What of a card from elsewhere can be relied on: names, labels, backbone, operating points."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from medloupe.embed.modalities import EMBEDDINGS
from medloupe.utils.checks import is_number, is_text, is_whole

MAX_LABELS = 10_000


def card_fault(card: object) -> str:
    """What of a card cannot be relied on, as the end of a sentence ("has no labels"), or "" when it is sound."""
    if not isinstance(card, Mapping):
        return "is not an object"
    required = ("name", "task", "labels", "backbone")
    if missing := [key for key in required if key not in card]:
        return f"has no {', '.join(missing)}"
    if not is_text(card["name"]):
        return "has no proper name"
    if card["task"] not in ("multiclass", "multilabel"):
        return f"has the task {str(card['task'])[:40]!r}, neither multiclass nor multilabel"
    labels = card["labels"]
    if not isinstance(labels, list) or not labels or len(labels) > MAX_LABELS or not all(map(is_text, labels)):
        return f"must list 1 to {MAX_LABELS:,} labels, each a text that is not empty"
    label, times = Counter(labels).most_common(1)[0]
    if times > 1:
        return f"names the label {label!r} twice"
    if not (card.get("version") is None or is_whole(card["version"])):
        return "has a version that is no whole number"
    return _backbone_fault(card["backbone"]) or _rows_fault(card.get("per_label"), set(labels)) or _parts_fault(card)


def _parts_fault(card: Mapping[str, Any]) -> str:
    """What every answer and every list of models relies on."""
    for key in ("decision", "metrics", "data"):
        if not isinstance(card.get(key), Mapping | None):
            return f"has a {key!r} that is no object"
    weights = (card.get("decision") or {}).get("weights")
    if not isinstance(weights, Mapping | None) or not all(is_number(w) for w in (weights or {}).values()):
        return "has weights of its decision that are no numbers"
    if not (card.get("top_shown") is None or is_whole(card["top_shown"])):
        return "has a 'top_shown' that is no whole number"
    limits = card.get("limits")
    if limits is not None and not (isinstance(limits, list) and all(isinstance(text, str) for text in limits)):
        return "has 'limits' that are no list of texts"
    return ""


def _backbone_fault(entry: object) -> str:
    if not isinstance(entry, Mapping):
        return "does not describe its backbone"
    texts, numbers = ("name", "source", "licence", "sha256"), ("input_size", "dimension")
    for key, good in (*((k, is_text) for k in texts), *((k, is_whole) for k in numbers)):
        if not good(entry.get(key)):
            return f"lacks a proper {key!r} of its backbone"
    modality = entry.get("modality", "image")
    kind = EMBEDDINGS.find(modality) if isinstance(modality, str) else None
    if kind is None:
        return f"has a backbone for {str(modality)[:40]!r}, neither {' nor '.join(EMBEDDINGS.names)}"
    places = entry.get("places")
    if not isinstance(places, list) or len(places) != 2 or not all(map(is_whole, places)):
        return "lacks a proper 'places' of its backbone"
    if fault := kind.card_fault(entry):
        return fault
    levels = entry.get("levels")
    if not isinstance(levels, list) or not all(map(is_whole, levels)) or sum(levels) != entry["dimension"]:
        return "lacks proper 'levels' of its backbone, which add up to its dimension"
    # A backbone can be asked for by name or by path: a name from a file must not be taken for a path.
    if any(c in entry["name"] for c in "/\\:") or entry["name"].endswith(".onnx"):
        return "names a path as its backbone"
    return ""


def _rows_fault(rows: object, labels: set[str]) -> str:
    """Operating points are applied to every answer, so they must be numbers of labels that exist."""
    if rows is None:
        return ""
    for row in rows if isinstance(rows, list) else [None]:
        point = row.get("operating_point") if isinstance(row, Mapping) else None
        if not isinstance(row, Mapping) or not isinstance(point, Mapping) or str(row.get("label")) not in labels:
            return "has a row in per_label without a known label or an operating point"
        threshold = point.get("threshold")
        if isinstance(threshold, bool) or not (threshold is None or isinstance(threshold, int | float)):
            return f"has an operating point of {row['label']!r} that is no number"
    return ""
