"""Validate a model externally: judge it on another site's data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from medloupe.data.dates import add_ages
from medloupe.data.digests import remembers_part, seen_in_training
from medloupe.data.records import Dataset
from medloupe.data.scan import scan_dataset
from medloupe.embed.features import Features, embed
from medloupe.errors import DataError
from medloupe.inference.inputs import StatedInputs, encode_stated_inputs
from medloupe.metrics import tables
from medloupe.metrics.curves import curves
from medloupe.metrics.lines import reached
from medloupe.metrics.subgroups import subgroups
from medloupe.metrics.tables import Judged
from medloupe.model.alignment import align_targets
from medloupe.model.bundle import Model
from medloupe.model.decision import Decision
from medloupe.model.head import probabilities
from medloupe.training.audit.findings import audit
from medloupe.training.pipeline.examples import render_examples
from medloupe.training.provenance import describe_data
from medloupe.utils.progress import Progress
from medloupe.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """A model's figures on data it was not trained on.

    Attributes
    ----------
    report : dict
        The same three parts as a training report: card, curves, examples.
    seen : int
        Images of the data that the model was trained on, which were left out.
    unlabelled, unreadable : int
        Images that were likewise left out.
    """

    report: dict[str, Any]
    seen: int
    unlabelled: int
    unreadable: int

    def as_json(self) -> dict[str, Any]:
        """Give the line that `evaluate --json` prints."""
        card = self.report["card"]
        return {
            "name": card["name"],
            "version": card.get("version"),
            "data": card["data"]["name"],
            "n": card["split"]["test"],
            "groups": card["split"]["groups"],
            "metrics": card["metrics"],
            "per_label": card["per_label"],
            "claimed": card["claimed"],
            "left_out": {"seen": self.seen, "unlabelled": self.unlabelled, "unreadable": self.unreadable},
        }


def validate(model: Model, data: Dataset, *, seed: int = 0, progress: Progress | None = None) -> Validation:
    """Judge a model on labelled data, but for images that it was trained on; ages follow from dates.

    Parameters
    ----------
    model : Model
        Any: of the store, or of a file.
    data : Dataset
        With the model's labels, under any of their names.
    seed : int
        Of the bootstrap.
    progress : callable, optional
        Told how many images are embedded, of how many.

    Returns
    -------
    Validation
        The figures, and what was left out.

    Raises
    ------
    DataError
        When the labels do not fit the model's or nothing remains to judge on.
    """
    model.require_classes("judging on other data")
    data = add_ages(data)
    targets = align_targets(model, data)
    features = embed(scan_dataset(data), model.backbone, progress, tail=model.tail)
    position = {r.id: i for i, r in enumerate(data.records)}
    targets = targets[[position[r.id] for r in features.data.records]]
    known = ~np.isnan(targets).all(1)
    audited = audit(features, seed)
    learned = seen_in_training(model.card, features.digests)
    if remembers_part(model.card):  # then a patient some of whose examples it was trained on is known altogether
        learned = np.isin(audited.groups, audited.groups[learned])
    rows = np.flatnonzero(known & ~learned)
    if not len(rows):
        raise DataError(
            f"Nothing in {data.root} can judge {model.name}: {int(learned.sum()):,} of its images were in the training"
            f" data and {int((~known).sum()):,} carry none of the model's labels.",
            "Bring labelled images that the model has not seen.",
        )
    beside = encode_stated_inputs(model, [features.data.records[i] for i in rows])
    judged = _judge(model, features.embeddings[rows], beside, targets[rows], audited.groups[rows])
    card = _build_card(model, features, judged, rows, _describe_inputs(beside, len(rows)), audited.as_json(), seed)
    shown = render_examples(features, judged, rows, model.head, model.backbone, model.tail)
    return Validation(
        report={"card": card, "curves": {**curves(judged), "learning": []}, "examples": shown},
        seen=int((known & learned).sum()),
        unlabelled=int((~known).sum()),
        unreadable=len(features.unreadable),
    )


def _judge(
    model: Model, embeddings: np.ndarray, beside: StatedInputs, targets: np.ndarray, groups: np.ndarray
) -> Judged:
    """Answer every image as the model does, by its own rules."""
    decision, task = Decision.from_card(model.card), model.card["task"]
    p = probabilities(model.head.logits(embeddings) + beside.logits, task)[None]
    return Judged(
        probabilities=p,
        flags=reached(decision.rule, p),
        unclear=decision.rule.unclear(p),
        roles=decision.roles,
        targets=targets,
        groups=groups,
        labels=model.labels,
        task=task,
    )


def _build_card(
    model: Model,
    features: Features,
    judged: Judged,
    rows: np.ndarray,
    inputs: dict[str, Any] | None,
    audited: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Build the model's card with the figures measured here in place of those of its training."""
    data, old = features.data, model.card
    figures = tables.headline(judged, seed)
    claimed = old.get("metrics") or {}
    groups = len(np.unique(judged.groups))
    limits = Decision.from_card(old).rule.lines.astype(np.float64)
    sentence = (
        f"Judged on {len(rows):,} {data.things} of {data.name} ({groups:,} groups of patients and copies), none of"
        " which the model was trained on. Labels, calibration and operating points are the model's own, unchanged."
    )
    if inputs:
        sentence += f" {inputs['words']}"
    card = {
        **old,
        "medloupe": __version__,
        "label_counts": data.counts(),
        "data": describe_data(features, rows, groups),
        "split": {"scheme": "external validation", "groups": groups, "test": len(rows), "sentence": sentence},
        "audit": audited,
        "metrics": figures,
        "claimed": claimed,
        "secondary": {"title": "What the model's own card claims", "metrics": claimed} if claimed else None,
        "per_label": tables.per_label(judged, limits, tables.target_sensitivity(old), seed),
        "confusion": tables.confusion(judged),
        "subgroups": subgroups(judged, [data.records[i] for i in rows], seed),
        "warnings": _warnings(figures, claimed),
    }
    if inputs:
        card["inputs"] = {**(old.get("inputs") or {}), "here": inputs}
    return card


def _describe_inputs(beside: StatedInputs, n: int) -> dict[str, Any] | None:
    """Say which of the model's inputs beside the picture the data states, of n records; None where it reads none."""
    if not beside.counts:
        return None
    stated = ", ".join(f"{name} of {count:,}" for name, count in beside.counts.items() if count)
    lacking = [name for name, count in beside.counts.items() if not count]
    words = [f"Beside the pictures, the data states {stated}." if stated else "The pictures were judged alone."]
    if lacking:
        words.append(f"It has nothing for {', '.join(lacking)}.")
    words += [f"{count:,} of the values of {name} cannot be read." for name, count in beside.unreadable.items()]
    return {"records": n, "stated": beside.counts, "unreadable": beside.unreadable, "words": " ".join(words)}


def _warnings(figures: dict[str, Any], claimed: dict[str, Any]) -> list[dict[str, str]]:
    now, then = figures["auc"], claimed.get("auc")
    if not then or now["value"] is None or then["low"] is None or now["high"] is None:
        return []
    if now["high"] < then["low"]:
        return [
            {
                "level": "serious",
                "text": f"The model does worse here (AUC {now['value']:.3f}) than its card claims"
                f" ({then['value']:.3f}), by more than chance explains.",
            }
        ]
    return []
