"""The evaluation passport of a model: what the card says and the sentences that must be read first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from medloupe.data.dates import add_ages
from medloupe.data.digests import encode_digests, sample_digests
from medloupe.data.labels import positive_label
from medloupe.data.split import Plan
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import Features
from medloupe.embed.windows import FITTING as WINDOWING
from medloupe.imaging.decode import FITTING
from medloupe.metrics import tables
from medloupe.metrics.subgroups import subgroups
from medloupe.model import contrast
from medloupe.model.bundle import CARD_FORMAT
from medloupe.model.novelty import ALLOWANCE, FEWEST, LIMIT_AT, METHOD, Novelty
from medloupe.training.audit.finding import Audit
from medloupe.training.heads.verdict import Verdict
from medloupe.version import __version__

_PICTURES = {"images": "Pictures", "beats": "Beats"}  # at the beginning of a sentence
INTENDED_USE = (
    "Research and teaching. This is not a medical device and must not be used to diagnose or to decide on treatment."
    " It answers only for what is of the kind it was trained on."
)


def card(
    features: Features,
    audit: Audit,
    plan: Plan,
    verdict: Verdict,
    backbone: Backbone,
    novelty: Novelty | None,
    *,
    seed: int,
    sensitivity: float,
) -> dict[str, Any]:
    """All of a card but its name, version and date."""
    data = features.data
    figures = tables.headline(verdict.judged, seed)
    table = tables.per_label(verdict.judged, verdict.limits, sensitivity, seed)
    secondary = None
    if verdict.secondary is not None:
        secondary = {
            "title": f"Cross-validation by patient or group over all {len(verdict.judging):,} labelled {data.things}"
            + (" outside the test split" if len(verdict.judging) < len(verdict.everything) else ""),
            "metrics": tables.headline(verdict.secondary, seed),
        }
    with_leaks = tables.headline(verdict.leaky, seed) if verdict.leaky else None
    aged = add_ages(data).records
    records = [aged[i] for i in verdict.rows]
    found = audit.as_json()
    return {
        "format": CARD_FORMAT,
        "medloupe": __version__,
        "task": data.task,
        "modality": data.modality,
        "labels": list(data.labels),
        "label_counts": data.counts(),
        "positive": positive_label(data.labels, data.task),
        "backbone": backbone.as_json(),
        "input": {"size": backbone.card.input_size, "fitting": FITTING if data.modality == "image" else WINDOWING},
        "data": _data(features, verdict),
        "split": _split(plan, verdict, with_leaks, data.things),
        "audit": found,
        "metrics": figures,
        "secondary": secondary,
        "with_leaks": with_leaks,
        "per_label": table,
        "decision": _decision(features, verdict),
        "confusion": tables.confusion(verdict.judged),
        "subgroups": subgroups(verdict.judged, records, seed),
        "calibration": {"temperature": _temperature(verdict.fitted.temperature)},
        "head": {
            "regularisation": verdict.fitted.choice.c,
            "levels": list(verdict.fitted.choice.levels),
            "dimension": backbone.card.dimension,
            "tried": [
                {"penalty": c.c, "levels": list(c.levels), "auc": round(auc, 4)} for c, auc in verdict.fitted.candidates
            ],
            "seed": seed,
        },
        "novelty": refusing(novelty),
        "warnings": _warnings(features, plan, figures, secondary, found["findings"], table),
        "licence": data.origin.get("licence"),
        "intended_use": INTENDED_USE,
        "limits": _limits(features, plan, audit, novelty),
    }


def _data(features: Features, verdict: Verdict) -> dict[str, Any]:
    data = features.data
    labelled = [features.digests[i] for i in verdict.everything]
    patients = {data.records[i].patient for i in verdict.everything} - {None}
    fingerprint = hashlib.sha256()
    for i in sorted(verdict.everything, key=lambda i: features.digests[i]):
        fingerprint.update(features.digests[i] + repr(sorted(data.records[i].labels.items())).encode())
    return {
        "name": data.name,
        "records": len(data) + len(features.unreadable),
        "labelled": len(labelled),
        "unreadable": [{"file": f, "error": e} for f, e in features.unreadable],
        "groups": len(np.unique((verdict.secondary or verdict.judged).groups)),
        "patients": len(patients) or None,
        "fingerprint": fingerprint.hexdigest(),
        "digests": encode_digests(sample_digests(labelled, data.things)),
        "splits": {k or "none": v for k, v in data.splits.items()} if set(data.splits) - {""} else {},
        "licence": data.origin.get("licence"),
        "citation": data.origin.get("citation"),
        "source": data.origin.get("source"),
        "reader": data.reader,
        "things": data.things,
        "skipped": {reason: len(names) for reason, names in data.skipped.items()},
        "notes": list(data.notes),
    }


def _split(plan: Plan, verdict: Verdict, with_leaks: Mapping[str, Any] | None, things: str) -> dict[str, Any]:
    repeats, folds = verdict.fitted.folds.shape[0], int(verdict.fitted.folds.max()) + 1
    tuned = verdict.tuned is not None and verdict.tuned.alpha > 0
    groups = len(np.unique(plan.groups[verdict.everything]))
    n = len(verdict.everything)
    if plan.test is None:
        sentence = (
            f"Judged by {folds}-fold cross-validation"
            + (f", repeated {repeats} times" if repeats > 1 else "")
            + f": each of the {n:,} {things} was answered by {'networks' if tuned else 'heads'} that had seen neither"
            f" it nor any other of its group ({groups:,} groups of patients and copies)."
            f" The model that is shipped was then {'tuned and fitted' if tuned else 'fitted'} on all of them."
        )
        return {
            "scheme": "cross-validation",
            "folds": folds,
            "repeats": repeats,
            "groups": groups,
            "train": n,
            "test": None,
            "leaking": 0,
            "patients_shared": 0,
            "sentence": " ".join((*plan.notes, sentence)),
        }
    leaking = ""
    if len(plan.leaking):
        leaking = (
            f" {len(plan.leaking):,} training {things} were left out for this because a copy of them, or another of the"
            " same patient, is in the test split."
        )
        if with_leaks:
            auc = with_leaks["auc"]["value"]
            leaking += f" With them left in, as figures published on this split have it, the AUC would be {auc:.3f}."
    sentence = (
        f"Judged on the {len(plan.test):,} {things} of the test split that the data brings, by a head that was chosen,"
        f" calibrated and fitted on the other {len(plan.fitting):,}.{leaking} "
        + (
            f"The network was tuned on these alone and ships as it was judged; its head was then fitted on all {n:,}."
            " Cross-validation over the training part stands beside it."
            if tuned
            else f"The model that is shipped was then fitted on all {n:,} with the same method; cross-validation over"
            " all of them stands beside it."
        )
    )
    return {
        "scheme": "official test",
        "folds": folds,
        "repeats": repeats,
        "groups": groups,
        "train": len(plan.fitting),
        "test": len(plan.test),
        "leaking": len(plan.leaking),
        "patients_shared": 0,
        "sentence": sentence,
    }


def _decision(features: Features, verdict: Verdict) -> dict[str, Any] | None:
    """How one class is announced; None with several labels at once, which are announced at their operating points."""
    if verdict.strength is None:
        return None
    targets = features.data.targets[verdict.everything]
    weights = tables.class_weights(targets, verdict.strength)
    return {
        "strength": verdict.strength,
        "weights": {n: float(w) for n, w in zip(features.data.labels, weights, strict=True)},
        "words": "The most probable class is announced."
        if verdict.strength == 0
        else "The class is announced whose probability is highest after a correction for how common it is in the"
        f" training data (probability divided by the class's share to the power of {verdict.strength:g}).",
    }


def refusing(novelty: Novelty | None) -> dict[str, Any] | None:
    """By what pictures of another kind are refused; None where none is."""
    if novelty is None:
        return None
    said: dict[str, Any] = {"own_refused": round(novelty.own_refused, 4), "limit_at": LIMIT_AT, "allowance": ALLOWANCE}
    if novelty.contrast is None:
        return {**said, "method": METHOD}
    room = round(novelty.contrast.room, 3)
    return {**said, "room": room, "method": f"{METHOD} {contrast.METHOD}"}


def refusal_limit(novelty: Novelty, things: str = "images") -> str:
    """The sentence of the limits on what is refused."""
    return (
        f"{_PICTURES.get(things, things)} unlike all that it was trained on are refused. Of its own kind that were not"
        f" used for this, {novelty.own_refused:.1%} were; one of another kind that resembles its own may still pass."
    )


def _temperature(values: np.ndarray) -> float | list[float]:
    if np.ptp(values) == 0:
        return round(float(values[0]), 4)
    return [round(float(v), 4) for v in values]


def _warnings(
    features: Features,
    plan: Plan,
    figures: Mapping[str, Any],
    secondary: Mapping[str, Any] | None,
    findings: Sequence[Mapping[str, Any]],
    table: Sequence[Mapping[str, Any]],
) -> list[dict[str, str]]:
    said: list[dict[str, str]] = []

    def say(level: str, text: str) -> None:
        said.append({"level": level, "text": text})

    auc = figures["auc"]
    if auc["low"] is not None and auc["low"] <= 0.5:
        say(
            "serious",
            f"Not shown to be better than guessing: the interval of the AUC reaches down to {auc['low']:.2f}.",
        )
    for finding in findings:
        if finding["level"] == "serious":
            say("serious", f"{finding['title']}. {finding['detail']}")
    if secondary and auc["value"] is not None:
        other = secondary["metrics"]["auc"]
        apart = other["value"] - auc["value"]
        if auc["high"] is not None and (other["value"] > auc["high"] or other["value"] < auc["low"]):
            say(
                "warning",
                f"The test split (AUC {auc['value']:.3f}) and cross-validation (AUC {other['value']:.3f}) disagree by"
                f" more than chance explains: the folders differ in how they were collected."
                + (" Expect the lower figure elsewhere." if apart > 0 else ""),
            )
    wide = [row["label"] for row in table if row["auc"]["low"] is None or row["auc"]["high"] - row["auc"]["low"] > 0.2]
    if wide:
        say("warning", f"Too few cases to judge well: {', '.join(wide)}. The interval is wider than 0.2.")
    if all(r.patient is None for r in features.data.records):
        say(
            "warning",
            "The data names no patients. Copies and near copies are kept together, but others of one patient may"
            " stand on both sides, which makes figures too good.",
        )
    if plan.notes:
        say("notice", " ".join(plan.notes))
    return said


def _limits(features: Features, plan: Plan, audit: Audit, novelty: Novelty | None) -> list[str]:
    data = features.data
    limits = [
        f"It knows only: {', '.join(data.labels)}. Any other condition gets one of these answers or none.",
        "It was judged on data collected as its training data was. Figures at another hospital, with other devices or"
        " other patients, are usually lower; measure them with `medloupe evaluate` on local cases.",
        "The percentages hold for the share of cases in the training data"
        f" ({', '.join(f'{name} {n:,}' for name, n in data.counts().items())}); where a disease is rarer, so are true"
        " alarms.",
    ]
    if novelty is None:
        limits.append(
            "It answers for any input, also of another kind: to learn which are not its own it needs"
            f" {data.things} of at least {FEWEST} patients or groups."
        )
    else:
        limits.append(refusal_limit(novelty, data.things))
    if audit.shortcut and (audit.shortcut["auc"]["value"] or 0) >= 0.65:
        limits.append("Part of what it has learned may be how the pictures were taken: see the shortcut probe.")
    if features.unreadable:
        limits.append(f"{len(features.unreadable):,} files could not be read and were left out.")
    if plan.test is None and any(r.split for r in data.records):
        limits.append("The split into folders that the data brings was not used for judging.")
    return limits
