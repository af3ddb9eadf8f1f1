"""Hand over by what a browser tells kinds of picture: novelties, printed ECGs, and by what a picture chooses.

Check-ups that only the server answers go along as guides: without them a picture of their kind could be taken for one
of another, and nobody would be told that there is a check-up for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.metrics.lines import MOST_PROBABLE
from medloupe.model.choosing import DANGER, FEW, SURE, can_say_normal
from medloupe.model.polarity import DOUBTED, NEARER
from medloupe.model.polarity_boundary import MARGIN
from medloupe.model.sketch import deal_order

if TYPE_CHECKING:
    from medloupe.model.novelty import Novelty
    from medloupe.model.printed_ecg import PrintedEcg
    from medloupe.ondevice.blobs import BlobSet
    from medloupe.ondevice.parts import CheckUpParts


def list_novelty_arrays(novelty: Novelty) -> dict[str, np.ndarray]:
    """List the numbers of a novelty by name, as novelty.js reads them."""
    arrays = {"mean": novelty.mean, "axes": novelty.axes, "spread": novelty.spread}
    if novelty.contrast is not None:
        arrays["contrast"] = novelty.contrast.as_array()
    if novelty.legibility is not None:
        arrays["legibility"] = novelty.legibility.as_array()
    if novelty.polarity is not None:
        arrays["polarity"] = novelty.polarity.as_array()
    return arrays


def sort_for_packing(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Put numbers of 16 bits last, so that those of 32 bits begin where they may."""
    return dict(sorted(arrays.items(), key=lambda entry: entry[1].itemsize, reverse=True))


def describe_novelty(novelty: Novelty, blobs: BlobSet) -> dict[str, Any]:
    """Describe a novelty but for its numbers, with the order of its sketch among the blobs."""
    return {
        "levels": list(novelty.levels),
        "noise": novelty.noise,
        "limit": novelty.limit,
        "usual": novelty.usual_below,
        "can_choose": novelty.can_choose,
        "doubted": DOUBTED,
        "nearer": NEARER,
        "margin": MARGIN,
        "deal": blobs.put(deal_bytes(novelty.levels)),
    }


def deal_bytes(levels: tuple[int, ...]) -> bytes:
    """Give the order of the sketch as uint16: which number comes at each place, and its sign in the highest bit."""
    order, signs = deal_order(sum(levels))
    return (order.astype("<u2") | np.where(signs > 0, 0x8000, 0).astype("<u2")).astype("<u2").tobytes()


def describe_printed(printed: PrintedEcg | None, blobs: BlobSet) -> dict[str, Any] | None:
    """Describe the boundary by which printed ECGs are recognised: float32, the weights and then the bias."""
    if printed is None:
        return None
    numbers = np.append(printed.weight, printed.bias).astype("<f4")
    return {
        "levels": list(printed.levels),
        "deal": blobs.put(deal_bytes(printed.levels)),
        **blobs.put(numbers.tobytes()),
    }


def describe_choosing(checkup: CheckUpParts) -> dict[str, Any]:
    """Describe what counts of a check-up where the app chooses among several (medloupe.model.choosing)."""
    return {
        "kind": checkup.kind,
        "base": checkup.base,
        "says_normal": can_say_normal(checkup.decision),
        "false_flags": checkup.decision.false_flags,
        "applies": [{"question": a.question, "values": a.values, "choices": a.choices} for a in checkup.applies],
        "sure": SURE,
        "few": FEW,
        "most_probable": MOST_PROBABLE,
        "states": list(DANGER),
    }


def describe_sight(checkup: CheckUpParts, blobs: BlobSet) -> dict[str, Any] | None:
    """Describe what pictures of a check-up look like to a network that others share; None where it has no such sight.

    That is told of those with a network of their own.
    """
    return None if checkup.sight is None else _describe_look(checkup.sight.novelty, checkup.sight.network, blobs)


def describe_guide(checkup: CheckUpParts, blobs: BlobSet) -> dict[str, Any] | None:
    """Describe a check-up that only the server answers, as a guide to pictures of its kind; None where it can be none.

    {kind, base, network, sighted, novelty, numbers, head}; `sighted` where it is found by its sight.
    """
    if checkup.windows is not None or not checkup.chooses_itself:
        return None
    told = {"kind": checkup.kind, "base": checkup.base}
    if (sight := describe_sight(checkup, blobs)) is not None:
        return {**told, "sighted": True, **sight}
    if checkup.novelty is None or checkup.whole:
        return {**told, "sighted": False, "network": "", "novelty": None}
    return {**told, "sighted": False, **_describe_look(checkup.novelty, checkup.network_sha256, blobs)}


def _describe_look(novelty: Novelty, network: str, blobs: BlobSet) -> dict[str, Any]:
    numbers, head = blobs.put_arrays(sort_for_packing(list_novelty_arrays(novelty)))
    return {"network": network, "novelty": describe_novelty(novelty, blobs), "numbers": numbers, "head": head}
