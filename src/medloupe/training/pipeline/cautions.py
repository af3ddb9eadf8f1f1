"""Word a card's warnings and limits: what must be read before its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.data.cropped import Cropping
from medloupe.data.labels import Roles
from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Dataset
from medloupe.data.split import Plan
from medloupe.embed.features import Features
from medloupe.training.audit.finding import Audit
from medloupe.training.pipeline.apart import Apart

_LONGEST_SCOPE = 80  # letters


def word_warnings(
    data: Dataset,
    plan: Plan,
    figures: Mapping[str, Any],
    secondary: Mapping[str, Any] | None,
    findings: Sequence[Mapping[str, Any]],
    table: Sequence[Mapping[str, Any]],
) -> list[dict[str, str]]:
    """Word what makes the figures doubtful.

    Parameters
    ----------
    data : Dataset
        What was learned from.
    plan : Plan
        What it was judged on.
    figures, secondary : mapping
        The card's entries `metrics` and `secondary`; None without the latter.
    findings : sequence of mapping
        Of the audit, as the card has them.
    table : sequence of mapping
        The card's entry `per_label`.

    Returns
    -------
    list of dict
        `level` ("serious", "warning" or "notice") and `text`, the serious ones first.
    """
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
    if disagreement := _word_disagreement(auc, secondary):
        say("warning", disagreement)
    wide = [row["label"] for row in table if row["auc"]["low"] is None or row["auc"]["high"] - row["auc"]["low"] > 0.2]
    if wide:
        say("warning", f"Too few cases to judge well: {', '.join(wide)}. The interval is wider than 0.2.")
    if all(r.patient is None for r in data.records):
        say(
            "warning",
            "The data names no patients. Copies and near copies are kept together, but others of one patient may"
            " stand on both sides, which makes figures too good.",
        )
    if plan.notes:
        say("notice", " ".join(plan.notes))
    return said


def weigh_findings(findings: Sequence[Mapping[str, Any]], plan: Plan) -> list[dict[str, Any]]:
    """Give what is wrong with a split the weight that it has for the figures of this card.

    Of a split that is not used for judging it is no more than a notice; of one that is used what leaks was left out.
    """
    weighed = []
    for finding in findings:
        told = dict(finding)
        if str(told["kind"]).endswith("_across_splits"):
            told["level"] = "notice" if plan.test is None else "warning"
            if plan.test is None:
                told["detail"] = f"{told['detail']} The figures here do not rest on that split."
        weighed.append(told)
    return weighed


def _word_disagreement(auc: Mapping[str, Any], secondary: Mapping[str, Any] | None) -> str:
    """Say that test split and cross-validation disagree; "" where chance may explain it, or there is one figure."""
    if not secondary or auc["value"] is None:
        return ""
    other = secondary["metrics"]["auc"]["value"]
    apart = other - auc["value"]
    if auc["high"] is None or auc["low"] <= other <= auc["high"]:
        return ""
    return (
        f"The test split (AUC {auc['value']:.3f}) and cross-validation (AUC {other:.3f}) disagree by"
        f" more than chance explains: the folders differ in how they were collected."
        + (" Expect the lower figure elsewhere." if apart > 0 else "")
    )


def word_limits(features: Features, plan: Plan, audit: Audit, apart: Apart) -> list[str]:
    """Word what the model cannot do, and what was left out.

    Parameters
    ----------
    features : Features
        Of all readable records.
    plan : Plan
        What it was judged on.
    audit : Audit
        Of the data.
    apart : Apart
        By what other kinds are refused, if any are.
    """
    data = features.data
    limits = [
        f"It knows only: {', '.join(data.labels)}. Any other condition gets one of these answers or none.",
        "It was judged on data collected as its training data was. Figures at another hospital, with other devices or"
        " other patients, are usually lower; measure them with `medloupe evaluate` on local cases.",
        "The percentages hold for the share of cases in the training data"
        f" ({', '.join(f'{name} {n:,}' for name, n in data.counts().items())}); where a disease is rarer, so are true"
        " alarms.",
    ]
    limits.append(word_refusal_limit(apart, data.things))
    if audit.shortcut and (audit.shortcut["auc"]["value"] or 0) >= 0.65:
        limits.append("Part of what it has learned may be how the pictures were taken: see the shortcut probe.")
    if features.unreadable:
        limits.append(f"{len(features.unreadable):,} files could not be read and were left out.")
    if plan.test is None and any(r.split for r in data.records):
        limits.append("The split into folders that the data brings was not used for judging.")
    return limits


def word_scope(roles: Roles, cropped: Cropping | None = None) -> list[str]:
    """Word what a check-up can say at all, for the line above its answers: short, without full stops."""
    said = []
    if cropped is not None:
        listed = ", ".join(cropped.labels)
        said.append((f"single crops only: {listed}" if cropped.each else f"crops only, to {listed}")[:_LONGEST_SCOPE])
    if not roles.sought.any():
        said.append("nothing is looked for")
    elif not roles.mask("normal").any():
        said.append("cannot say normal")
    return said


def word_refusal_limit(apart: Apart, things: str = "images") -> str:
    """Word what the model refuses, for its limits.

    Parameters
    ----------
    apart : Apart
        By what other kinds are refused.
    things : str
        What one record is, in the plural: "images", "ECGs", "beats".
    """
    novelty = apart.novelty
    if novelty is None:
        return (
            "It answers for any input, also of another kind: to learn which are not its own it needs"
            f" {things} of at least {apart.needed} patients or groups."
        )
    kind = next((kind for kind in MODALITIES if kind.many == things), None)
    called = things if kind is None else kind.called
    words = (
        f"{called[:1].upper()}{called[1:]} unlike all that it was trained on are refused. Of its own kind that were not"
        f" used for this, {novelty.own_refused:.1%} were; one of another kind that resembles its own may still pass."
    )
    return f"{words} {apart.words}".rstrip()
