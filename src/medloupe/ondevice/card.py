"""Describe a check-up for answering in a browser: constants as JSON, numbers and networks as blobs named by sha256.

Every rule that the browser follows is told here, none is written down there a second time: lines, roles, limits of
quality, the order of the sketch, distances from which a negative is looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from medloupe.imaging.quality import BOUNDS, LEAST_CONTRAST, LEAST_SIDE, Limits
from medloupe.imaging.quality import DIM as DIM_HIGHLIGHTS
from medloupe.metrics.lines import MOST_PROBABLE
from medloupe.model.legibility import CODE as POOR
from medloupe.model.novelty import Novelty
from medloupe.model.polarity import DOUBTED, NEARER
from medloupe.model.polarity_boundary import MARGIN
from medloupe.model.sketch import deal_order
from medloupe.ondevice.differences import find_differences
from medloupe.utils.files import sha256_of

if TYPE_CHECKING:
    from medloupe.embed.backbone import BackboneCard
    from medloupe.embed.tail import Tail
    from medloupe.inputs.extras import Extras
    from medloupe.model.decision import Decision

FORMAT = 3  # of a device card; the app refuses another
_NEVER = 2.0  # in the place of an infinite line: no probability reaches it


class CheckUpParts(Protocol):
    """What a check-up is made of, as `serving.engine.checkup.CheckUp` has it."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> int | None: ...  # noqa: D102
    @property
    def title(self) -> str: ...  # noqa: D102
    @property
    def decision(self) -> Decision: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def network(self) -> Path: ...  # noqa: D102
    @property
    def network_sha256(self) -> str: ...  # noqa: D102
    @property
    def tail(self) -> Tail | None: ...  # noqa: D102
    @property
    def whole(self) -> bool: ...  # noqa: D102
    @property
    def weight(self) -> np.ndarray: ...  # noqa: D102
    @property
    def bias(self) -> np.ndarray: ...  # noqa: D102
    @property
    def novelty(self) -> Novelty | None: ...  # noqa: D102
    @property
    def quality(self) -> Limits | None: ...  # noqa: D102
    @property
    def extras(self) -> Extras | None: ...  # noqa: D102
    @property
    def windows(self) -> BackboneCard | None: ...  # noqa: D102
    @property
    def finds_boxes(self) -> bool: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102
    @property
    def terms(self) -> str: ...  # noqa: D102
    @property
    def licence(self) -> str: ...  # noqa: D102


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
    """Tell why a check-up is not answered in a browser yet: ecg, boxes, inputs, crops or file; "" where it is."""
    if checkup.windows is not None:
        return "ecg"
    if checkup.finds_boxes:
        return "boxes"
    if checkup.extras is not None:
        return "inputs"
    if checkup.decision.crops:
        return "crops"
    return "file" if checkup.whole else ""


def describe_for_device(checkup: CheckUpParts, words: Mapping[str, Any]) -> DeviceCheckUp:
    """Hand over a check-up.

    Parameters
    ----------
    checkup : CheckUpParts
        One that `withheld_because` lets pass.
    words : mapping
        By language {"title", "labels": {label: text}, "scope": [lines], "terms"}.

    Raises
    ------
    OSError
        A network cannot be read.
    """
    decision, novelty, quality = checkup.decision, checkup.novelty, checkup.quality
    blobs: dict[str, bytes | Path] = {}

    def put(data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"sha256": digest, "bytes": len(data)}

    def put_file(path: Path) -> dict[str, Any]:
        digest = sha256_of(path)
        blobs[digest] = path
        return {"sha256": digest, "bytes": path.stat().st_size}

    arrays = _list_arrays(checkup)
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
        "rule": _describe_rule(decision),
        "quality": describe_quality(quality),
        "photographs": decision.photographs,
        "network": put_file(checkup.network),
        "tail": None if checkup.tail is None else _describe_tail(checkup.network, checkup.tail, put, put_file),
        "numbers": [{"name": n, "type": a.dtype.str[1:], "length": a.size} for n, a in arrays.items()],
        "head": put(b"".join(np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in arrays.values())),
        "novelty": None if novelty is None else _describe_novelty(novelty) | {"deal": put(deal_bytes(novelty.levels))},
    }
    return DeviceCheckUp(card=card, blobs=blobs)


def _describe_tail(
    network: Path, tail: Tail, put: Callable[[bytes], dict[str, Any]], put_file: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """Hand over tuned upper stages: as differences to the shared network where that is as good, else as their file."""
    found = find_differences(network, tail.path)
    return put_file(tail.path) if found is None else {**put(found.data), "rebuilt": found.as_json()}


def deal_bytes(levels: tuple[int, ...]) -> bytes:
    """Give the order of the sketch as uint16: which number comes at each place, and its sign in the highest bit."""
    order, signs = deal_order(sum(levels))
    return (order.astype("<u2") | np.where(signs > 0, 0x8000, 0).astype("<u2")).astype("<u2").tobytes()


def _list_arrays(checkup: CheckUpParts) -> dict[str, np.ndarray]:
    """List the numbers of head and novelty, in the order in which they are packed."""
    arrays = {"weight": checkup.weight.astype(np.float32), "bias": checkup.bias.astype(np.float32)}
    novelty = checkup.novelty
    if novelty is None:
        return arrays
    arrays |= {"mean": novelty.mean, "axes": novelty.axes, "spread": novelty.spread}
    if novelty.contrast is not None:
        arrays["contrast"] = novelty.contrast.as_array()
    if novelty.legibility is not None:
        arrays["legibility"] = novelty.legibility.as_array()
    if novelty.polarity is not None:
        arrays["polarity"] = novelty.polarity.as_array()
    # Numbers of 16 bits last, so that those of 32 bits begin where they may.
    return dict(sorted(arrays.items(), key=lambda entry: entry[1].itemsize, reverse=True))


def _describe_rule(decision: Decision) -> dict[str, Any]:
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
        "limits": {} if limits is None else dict(limits.values),
        "poor": POOR,
    }


def _describe_novelty(novelty: Novelty) -> dict[str, Any]:
    return {
        "levels": list(novelty.levels),
        "noise": novelty.noise,
        "limit": novelty.limit,
        "doubted": DOUBTED,
        "nearer": NEARER,
        "margin": MARGIN,
    }
