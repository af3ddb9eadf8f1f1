"""Describe a check-up for answering in a browser: constants as JSON, numbers and networks as blobs named by sha256.

Every rule that the browser follows is told here, none is written down there a second time: lines, roles, limits of
quality, the order of the sketch, distances from which a negative is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medloupe.data.modalities import ECGS
from medloupe.imaging.quality import BOUNDS, LEAST_CONTRAST, LEAST_SIDE, Limits
from medloupe.imaging.quality import DIM as DIM_HIGHLIGHTS
from medloupe.metrics.lines import MOST_PROBABLE
from medloupe.model.legibility import CODE as POOR
from medloupe.ondevice.blobs import BlobSet
from medloupe.ondevice.differences import find_differences
from medloupe.ondevice.ecgs import describe_ecg
from medloupe.ondevice.kinds import (
    describe_choosing,
    describe_novelty,
    describe_printed,
    describe_sight,
    list_novelty_arrays,
    sort_for_packing,
)

if TYPE_CHECKING:
    from medloupe.embed.tail import Tail
    from medloupe.model.decision import Decision
    from medloupe.ondevice.parts import CheckUpParts

FORMAT = 5  # of a device card; the app refuses another
_NEVER = 2.0  # in the place of an infinite line: no probability reaches it


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCheckUp:
    """A check-up as a browser takes it.

    Attributes
    ----------
    card : mapping
        JSON, which names its blobs by sha256 and size in bytes.
    blobs : mapping
        By sha256 the bytes, or the file that holds them.
    """

    card: Mapping[str, Any]
    blobs: Mapping[str, bytes | Path] = field(default_factory=dict)


def withheld_because(checkup: CheckUpParts) -> str:
    """Tell why a check-up is not answered in a browser yet: boxes, inputs, crops, file or signal; "" where it is."""
    if checkup.windows is not None:
        return _ecg_withheld_because(checkup)
    if checkup.finds_boxes:
        return "boxes"
    if checkup.extras is not None:
        return "inputs"
    if checkup.decision.crops:
        return "crops"
    return "file" if checkup.whole else ""


def _ecg_withheld_because(checkup: CheckUpParts) -> str:
    """Tell why a check-up that reads no pictures is withheld: it reads no ECGs, notes too, or is a whole file."""
    if checkup.windows is None or checkup.windows.modality != ECGS.name:
        return "signal"
    if checkup.extras is not None and checkup.extras.notes is not None:
        return "inputs"
    return "file" if checkup.whole else ""


def describe_for_device(checkup: CheckUpParts, words: Mapping[str, Any]) -> DeviceCheckUp:
    """Hand over a check-up.

    Parameters
    ----------
    checkup : CheckUpParts
        One that `withheld_because` lets pass.
    words : mapping
        By language {"title", "labels": {label: text}, "scope": [lines], "terms", "questions": {question: {"title",
        "choices": {choice: text}}}}.

    Raises
    ------
    OSError
        A network cannot be read.
    """
    decision, novelty, quality = checkup.decision, checkup.novelty, checkup.quality
    blobs = BlobSet()
    numbers, head = blobs.put_arrays(_list_arrays(checkup))
    card: dict[str, Any] = {
        "format": FORMAT,
        "name": checkup.name,
        "version": checkup.version,
        "title": checkup.title,
        "words": dict(words),
        "task": decision.task,
        "labels": list(decision.labels),
        "top": decision.top,
        "size": checkup.size,
        "precision": checkup.precision,
        "terms": checkup.terms,
        "licence": checkup.licence,
        "weak": decision.weak,
        "calibrated": decision.calibrated,
        "legacy": decision.legacy,
        "rule": describe_rule(decision),
        "quality": describe_quality(quality),
        "photographs": decision.photographs,
        "network": blobs.put_file(checkup.network),
        "tail": None if checkup.tail is None else _describe_tail(checkup.network, checkup.tail, blobs),
        "numbers": numbers,
        "head": head,
        "novelty": None if novelty is None else describe_novelty(novelty, blobs),
        "printed": describe_printed(checkup.printed, blobs),
        "choosing": describe_choosing(checkup),
        "sight": describe_sight(checkup, blobs),
        "ecg": describe_ecg(checkup),
    }
    return DeviceCheckUp(card=card, blobs=blobs.found)


def _describe_tail(network: Path, tail: Tail, blobs: BlobSet) -> dict[str, Any]:
    """Hand over tuned upper stages: as differences to the shared network where that is as good, else as their file."""
    found = find_differences(network, tail.path)
    if found is None:
        return blobs.put_file(tail.path)
    return {**blobs.put(found.data), "rebuilt": found.as_json()}


def _list_arrays(checkup: CheckUpParts) -> dict[str, np.ndarray]:
    """List the numbers of head and novelty, in the order in which they are packed."""
    arrays = {"weight": checkup.weight.astype(np.float32), "bias": checkup.bias.astype(np.float32)}
    if checkup.novelty is not None:
        arrays |= list_novelty_arrays(checkup.novelty)
    return sort_for_packing(arrays)


def describe_rule(decision: Decision) -> dict[str, Any]:
    """Describe by what rule labels are flagged."""
    rule, roles = decision.rule, decision.roles
    return {
        "sought": [bool(v) for v in rule.sought],
        "announced": [bool(v) for v in rule.announced],
        "settled": rule.settled,
        "lines": [float(v) if np.isfinite(v) else _NEVER for v in rule.lines],
        "unclear_from": rule.unclear_from,
        "most_probable": MOST_PROBABLE,
        "danger": [roles.danger.get(n, 1) for n in decision.labels],
        "ordered": roles.ordered,
    }


def describe_quality(limits: Limits | None) -> dict[str, Any]:
    """Hand over what of its pictures a check-up can use: limits, and in which order they are looked at."""
    return {
        "least_side": LEAST_SIDE,
        "least_contrast": LEAST_CONTRAST,
        "dim": DIM_HIGHLIGHTS,
        "bounds": [{"code": b.code, "measure": b.measure, "above": b.above} for b in BOUNDS],
        "limited": limits is not None,
        "limits": {} if limits is None else dict(limits.values),
        "poor": POOR,
    }
