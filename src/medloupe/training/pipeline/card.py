"""Build a trained model's card: its data, how it was judged, its figures and how it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from medloupe.data.dates import add_ages
from medloupe.data.digests import encode_digests, sample_digests
from medloupe.data.labels import positive_label
from medloupe.data.split import Plan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.metrics import tables
from medloupe.metrics.states import describe_states
from medloupe.metrics.subgroups import subgroups
from medloupe.model import contrast
from medloupe.model.bundle import CARD_FORMAT
from medloupe.model.novelty import ALLOWANCE, LIMIT_AT, METHOD
from medloupe.training.audit.finding import Audit
from medloupe.training.heads.verdict import Verdict
from medloupe.training.pipeline.apart import Apart
from medloupe.training.pipeline.cautions import weigh_findings, word_limits, word_scope, word_warnings
from medloupe.training.provenance import data_fingerprint, describe_data, shorten_numbers
from medloupe.version import __version__

INTENDED_USE = (
    "Research and teaching. This is not a medical device and must not be used to diagnose or to decide on treatment."
    " It answers only for what is of the kind it was trained on."
)


def build_card(
    features: Features,
    audit: Audit,
    plan: Plan,
    verdict: Verdict,
    backbone: Backbone,
    apart: Apart,
    *,
    seed: int,
    sensitivity: float,
) -> dict[str, Any]:
    """Build all of a card but its name, version and date.

    Parameters
    ----------
    features : Features
        Of all readable records.
    audit : Audit
        What was found in them.
    plan : Plan
        Which of them a head may learn from, and which it is judged on.
    verdict : Verdict
        The head and the figures it was judged by.
    backbone : Backbone
        The network that ships.
    apart : Apart
        By what other kinds are refused; None where none is.
    seed : int
        Of the bootstrap.
    sensitivity : float
        That operating points aim at.

    Returns
    -------
    dict
        As docs/card.md has it.
    """
    data = features.data
    figures = tables.headline(verdict.judged, seed)
    table = tables.per_label(verdict.judged, verdict.limits, sensitivity, seed)
    secondary = _secondary_entry(verdict, data.things, seed)
    with_leaks = tables.headline(verdict.leaky, seed) if verdict.leaky else None
    aged = add_ages(data).records
    records = [aged[i] for i in verdict.rows]
    found = audit.as_json()
    found["findings"] = weigh_findings(found["findings"], plan)
    return {
        "format": CARD_FORMAT,
        "medloupe": __version__,
        "task": data.task,
        "modality": data.modality,
        "labels": list(data.labels),
        "label_counts": data.counts(),
        "positive": positive_label(data.labels, data.task),
        "roles": data.roles.as_json(),
        "scope": word_scope(data.roles, data.cropped),
        "backbone": backbone.as_json(),
        "input": {"size": backbone.card.input_size, "fitting": EMBEDDINGS[data.modality].fitting},
        "data": _data_entry(features, verdict),
        "split": _split_entry(plan, verdict, with_leaks, data.things),
        "audit": found,
        "metrics": figures,
        "secondary": secondary,
        "with_leaks": with_leaks,
        "per_label": table,
        "decision": _decision_entry(verdict, figures, seed),
        "confusion": tables.confusion(verdict.judged),
        "subgroups": subgroups(verdict.judged, records, seed),
        "calibration": {"temperature": shorten_numbers(verdict.fitted.temperature)},
        "head": _head_entry(verdict, backbone.card.dimension, seed),
        "novelty": describe_refusal(apart),
        "warnings": word_warnings(features.data, plan, figures, secondary, found["findings"], table),
        "licence": data.origin.get("licence"),
        "intended_use": INTENDED_USE,
        "limits": word_limits(features, plan, audit, apart),
    }


def _secondary_entry(verdict: Verdict, things: str, seed: int) -> dict[str, Any] | None:
    """Cross-validation beside an official test split; None without one."""
    if verdict.secondary is None:
        return None
    outside = " outside the test split" if len(verdict.judging) < len(verdict.everything) else ""
    return {
        "title": f"Cross-validation by patient or group over all {len(verdict.judging):,} labelled {things}{outside}",
        "metrics": tables.headline(verdict.secondary, seed),
    }


def _head_entry(verdict: Verdict, dimension: int, seed: int) -> dict[str, Any]:
    fitted = verdict.fitted
    return {
        "regularisation": fitted.choice.c,
        "levels": list(fitted.choice.levels),
        "dimension": dimension,
        "tried": [
            {"penalty": choice.c, "levels": list(choice.levels), "auc": round(auc, 4)}
            for choice, auc in fitted.candidates
        ],
        "seed": seed,
    }


def _data_entry(features: Features, verdict: Verdict) -> dict[str, Any]:
    data, rows = features.data, verdict.everything
    labelled = [features.digests[i] for i in rows]
    return describe_data(
        features,
        rows,
        len(np.unique((verdict.secondary or verdict.judged).groups)),
        marks={
            "fingerprint": data_fingerprint(features, rows),
            "digests": encode_digests(sample_digests(labelled, data.things)),
        },
        splits={k or "none": v for k, v in data.splits.items()} if set(data.splits) - {""} else {},
    )


def _split_entry(plan: Plan, verdict: Verdict, with_leaks: Mapping[str, Any] | None, things: str) -> dict[str, Any]:
    """How it was judged, in numbers and in a sentence."""
    tuned = verdict.tuned is not None and verdict.tuned.alpha > 0
    if plan.test is None:
        sentence = _word_cross_validation(plan, verdict, things, tuned)
    else:
        sentence = _word_test_split(plan, len(verdict.everything), with_leaks, things, tuned)
    return {
        "scheme": "cross-validation" if plan.test is None else "official test",
        "folds": int(verdict.fitted.folds.max()) + 1,
        "repeats": verdict.fitted.folds.shape[0],
        "groups": len(np.unique(plan.groups[verdict.everything])),
        "train": len(verdict.everything) if plan.test is None else len(plan.fitting),
        "test": None if plan.test is None else len(plan.test),
        "leaking": 0 if plan.test is None else len(plan.leaking),
        "patients_shared": 0,
        "sentence": sentence,
    }


def _word_cross_validation(plan: Plan, verdict: Verdict, things: str, tuned: bool) -> str:
    repeats, folds = verdict.fitted.folds.shape[0], int(verdict.fitted.folds.max()) + 1
    groups = len(np.unique(plan.groups[verdict.everything]))
    repeated = f", repeated {repeats} times" if repeats > 1 else ""
    sentence = (
        f"Judged by {folds}-fold cross-validation{repeated}: each of the {len(verdict.everything):,} {things} was"
        f" answered by {'networks' if tuned else 'heads'} that had seen neither it nor any other of its group"
        f" ({groups:,} groups of patients and copies). The model that is shipped was then"
        f" {'tuned and fitted' if tuned else 'fitted'} on all of them."
    )
    return " ".join((*plan.notes, sentence))


def _word_test_split(plan: Plan, n: int, with_leaks: Mapping[str, Any] | None, things: str, tuned: bool) -> str:
    """Say how the official test split judged. n: images that the head which ships was fitted on."""
    assert plan.test is not None
    leaking = ""
    if len(plan.leaking):
        leaking = (
            f" {len(plan.leaking):,} training {things} were left out for this because a copy of them, or another of the"
            " same patient, is in the test split."
        )
        if with_leaks:
            auc = with_leaks["auc"]["value"]
            leaking += f" With them left in, as figures published on this split have it, the AUC would be {auc:.3f}."
    if tuned:
        shipped = (
            f"The network was tuned on these alone and ships as it was judged; its head was then fitted on all {n:,}."
            " Cross-validation over the training part stands beside it."
        )
    else:
        shipped = (
            f"The model that is shipped was then fitted on all {n:,} with the same method; cross-validation over"
            " all of them stands beside it."
        )
    return (
        f"Judged on the {len(plan.test):,} {things} of the test split that the data brings, by a head that was chosen,"
        f" calibrated and fitted on the other {len(plan.fitting):,}.{leaking} {shipped}"
    )


def _decision_entry(verdict: Verdict, figures: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Describe when a label is flagged and an answer unclear, and how often that is right."""
    return describe_states(verdict.judged, verdict.rule, ece=figures["ece"]["value"], seed=seed)


def describe_refusal(apart: Apart) -> dict[str, Any] | None:
    """Describe by what pictures of another kind are refused, for the card.

    Parameters
    ----------
    apart : Apart
        What refuses; without a novelty none is refused.

    Returns
    -------
    dict or None
        The card's entry `novelty`.
    """
    novelty = apart.novelty
    if novelty is None:
        return None
    said: dict[str, Any] = {"own_refused": round(novelty.own_refused, 4), "limit_at": LIMIT_AT, "allowance": ALLOWANCE}
    if apart.polarity is not None:
        said["polarity"] = apart.polarity.as_json()
    if novelty.contrast is None:
        return {**said, "method": METHOD}
    if apart.others:
        said |= {
            "own_kinds": list(apart.own),
            "other_kinds": list(apart.others),
            "kind_told": apart.told,
            "words": apart.words,
        }
    room = round(novelty.contrast.room, 3)
    return {**said, "room": room, "method": f"{METHOD} {contrast.METHOD}"}
