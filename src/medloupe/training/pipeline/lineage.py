"""Hand on what a model takes over from the one it goes on from: its licence, and the images its network has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medloupe.data.digests import decode_digests, encode_digests, seen_in_training
from medloupe.metrics.evidence import Evidence
from medloupe.model.bundle import Model


def add_lineage(card: Mapping[str, Any], start: Model, digests: Sequence[bytes]) -> dict[str, Any]:
    """Add to the card of a model that goes on from `start` what binds it from there.

    A network that was tuned carries something of the images it was tuned on: their licence holds for what is made with
    it, and figures on the same images are too good. A network as it was published carries nothing.

    Parameters
    ----------
    card : mapping
        Of the new model; it stays as it is.
    start : Model
        The one it goes on from.
    digests : sequence of bytes
        SHA-256 of the images it was now trained and judged on.

    Returns
    -------
    dict
        The card with licence, limits, warnings and digests of both.
    """
    licence = start.card.get("licence")
    carries = network_saw_images(start)
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
    own["data"] = {**card["data"], "digests": _join_digests(card, start.card)}
    return own


def exclude_tuned_images(evidence: Evidence, start: Model) -> Evidence:
    """Leave out predictions that are too good for the gate and for comparisons.

    Those are of images that tuned the network gone on from, and of their patients.
    """
    if not network_saw_images(start):
        return evidence
    return evidence.exclude(seen_in_training(start.card, [d.tobytes() for d in evidence.digests]))


def network_saw_images(model: Model) -> bool:
    """Tell whether the model's network, and not only its head, was made of images that someone brought."""
    return model.tuned or bool((model.card.get("started_from") or {}).get("tuned"))


def _join_digests(*cards: Mapping[str, Any]) -> str:
    """Join the shortened digests of all of them, so that evaluating also knows what the network has seen before."""
    return encode_digests(set().union(*(decode_digests(c["data"].get("digests")) for c in cards)))
