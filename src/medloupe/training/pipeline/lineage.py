"""What a model takes over from the one whose network it goes on from: its licence, and the images it has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.data.digests import decode_digests, encode_digests, seen_in_training
from medloupe.metrics.evidence import Evidence
from medloupe.model.bundle import Model


def started(card: Mapping[str, Any], start: Model, digests: Sequence[bytes]) -> dict[str, Any]:
    """The card of a model that goes on from `start`, with what binds it from there.

    digests: sha256 of the images it was now trained and judged on. A network that was tuned carries something of the
    images it was tuned on: their licence holds for what is made with it, and figures on the same images are too good.
    A network as it was published carries nothing.
    """
    licence = start.card.get("licence")
    carries = carries_data(start)
    own = {
        **card,
        "started_from": {"name": start.name, "version": start.version, "licence": licence, "tuned": carries},
    }
    if not carries:
        return own
    reference = start.name if start.version is None else f"{start.name}@{start.version}"
    theirs = licence or "not stated"
    own["licence"] = f"{card.get('licence') or 'not stated'}; the network it goes on from, {reference}: {theirs}"
    own["limits"] = [
        *card["limits"],
        f"Its network was tuned on the data of {reference} before (licence: {theirs}). What that licence forbids is"
        " forbidden for this model too.",
    ]
    if start.version is None and start.card.get("kind"):  # shipped, and so made of public pictures
        known = (start.card.get("data") or {}).get("citation") or (start.card.get("data") or {}).get("name")
        own["warnings"] = [
            *card["warnings"],
            {
                "level": "serious",
                "text": f"The network of {reference} was tuned on public pictures ({known}), kept in another size."
                " Where yours are of the same collection they are not recognised, and all figures that rest on them are"
                " too good.",
            },
        ]
    if again := int(seen_in_training(start.card, digests).sum()):
        own["warnings"] = [
            *own["warnings"],
            {
                "level": "serious",
                "text": f"{again:,} of the {len(digests):,} images were also used to tune the network of {reference}."
                " All figures that rest on them are too good: judge this model on other data (medloupe evaluate).",
            },
        ]
    own["data"] = {**card["data"], "digests": _joined(card, start.card)}
    return own


def untaught(evidence: Evidence, start: Model) -> Evidence:
    """The predictions that the gate and comparisons may use: not of images that tuned the network gone on from, nor of
    their patients, as those are too good."""
    if not carries_data(start):
        return evidence
    return evidence.exclude(seen_in_training(start.card, [d.tobytes() for d in evidence.digests]))


def carries_data(model: Model) -> bool:
    """Whether the model's network, and not only its head, was made of images that someone brought."""
    return model.tuned or bool((model.card.get("started_from") or {}).get("tuned"))


def _joined(*cards: Mapping[str, Any]) -> str:
    """The shortened digests of all of them, so that evaluating also knows what the network has seen before."""
    return encode_digests(set().union(*(decode_digests(c["data"].get("digests")) for c in cards)))
