"""Find what is wrong with boxes, and set right what can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from medloupe.data.records import Box, Dataset, Record
from medloupe.metrics.matching import compute_iou
from medloupe.training.audit.finding import SHOWN, Finding, Level, count_noun, is_or_are

TINY = 8  # pixels at the network's input, below which a box is hardly seen
INPUT = 224  # pixels a side of the network's input
SAME = 0.9  # overlap from which two boxes are of the same thing
_ROUNDING = 1.0  # pixels by which a box may leave its picture unsaid
_WHOLE = 0.98  # of the picture, that a box covers
_FEW = 30  # boxes of a label
_MANY = 0.2  # of the boxes, that leave their pictures (which may be of another size), or of a label that are tiny
_SOME = 0.05  # of the boxes, that are tiny or whole pictures
_ROWS = 1024  # boxes compared with all others at a time


@dataclass(slots=True)
class BoxFaults:
    """What was found in the boxes of a data set: by kind the records they are on, one entry a box or pair.

    Attributes
    ----------
    total : int
        How many boxes there are.
    partly, wholly : list of int
        Boxes that leave their picture in part, by more than a pixel, and those outside of it.
    empty : list of int
        Boxes without width or height.
    double : list of int
        Boxes that repeat another of the same label (overlap above .9).
    contradictory : list of int
        Boxes that lie on another of a different label (overlap above .9).
    whole : list of int
        Boxes that cover the picture.
    """

    total: int = 0
    partly: list[int] = field(default_factory=list)
    wholly: list[int] = field(default_factory=list)
    empty: list[int] = field(default_factory=list)
    double: list[int] = field(default_factory=list)
    contradictory: list[int] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)


def corners(boxes: Sequence[Box]) -> np.ndarray:
    """Return boxes as x0, y0, x1, y1, float (N, 4)."""
    return np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes], float).reshape(-1, 4)


def repair_boxes(data: Dataset, sizes: np.ndarray) -> tuple[Dataset, BoxFaults]:
    """Clip boxes to their pictures and drop those that are none: outside, empty, or the same as another.

    A label whose boxes on a picture are all dropped as none is no longer stated there.

    Parameters
    ----------
    data : Dataset
        With boxes in pixels of the upright pictures.
    sizes : np.ndarray
        Width and height of each record's picture, (N, 2).

    Returns
    -------
    data : Dataset
        With sound boxes; the same records in the same order.
    faults : BoxFaults
        What was found.
    """
    faults = BoxFaults()
    records = [
        _repair(record, i, sizes[i], faults) if record.boxes else record for i, record in enumerate(data.records)
    ]
    return replace(data, records=tuple(records)), faults


def _repair(record: Record, i: int, size: np.ndarray, faults: BoxFaults) -> Record:
    held = corners(record.boxes)
    faults.total += len(held)
    clipped = np.clip(held, 0, np.tile(size, 2))
    empty = (held[:, 2:] <= held[:, :2]).any(1)
    wholly = ~empty & (clipped[:, 2:] <= clipped[:, :2]).any(1)
    partly = ~empty & ~wholly & (np.abs(held - clipped).max(1) > _ROUNDING)
    names, kinds = np.unique([box.label for box in record.boxes], return_inverse=True)
    sound = np.flatnonzero(~empty & ~wholly)
    double, contradictory = _compare(clipped[sound], kinds[sound])
    areas = np.prod(clipped[:, 2:] - clipped[:, :2], 1)
    for found, mask in ((faults.empty, empty), (faults.wholly, wholly), (faults.partly, partly)):
        found += [i] * int(mask.sum())
    faults.double += [i] * int(double.sum())
    faults.contradictory += [i] * int(contradictory.sum())
    faults.whole += [i] * int((areas[sound] >= _WHOLE * max(1.0, float(np.prod(size)))).sum())
    kept = sound[~double]
    boxes = tuple(
        Box(record.boxes[k].label, *map(float, (*clipped[k, :2], *(clipped[k, 2:] - clipped[k, :2])))) for k in kept
    )
    lost = set(names) - {box.label for box in boxes}
    labels = {name: value for name, value in record.labels.items() if not (value == 1 and name in lost)}
    return replace(record, boxes=boxes, labels=labels)


def _compare(boxes: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tell which boxes repeat an earlier one, and which lie on an earlier one of another label: bool (N,) each."""
    double, contradictory = np.zeros(len(boxes), bool), np.zeros(len(boxes), bool)
    for start in range(0, len(boxes), _ROWS):
        rows = slice(start, start + _ROWS)
        near = compute_iou(boxes[rows], boxes) > SAME
        near &= np.arange(len(boxes))[None] < np.arange(len(boxes))[rows, None]
        same = kinds[rows, None] == kinds[None]
        double[rows] = (near & same).any(1)
        contradictory[rows] = (near & ~same).any(1)
    return double, contradictory


def find_box_faults(data: Dataset, sizes: np.ndarray, side: int = INPUT) -> list[Finding]:
    """Find boxes that are outside, empty, double, contradictory, tiny, or whole pictures, and labels of few boxes.

    Parameters
    ----------
    data : Dataset
        A set to find.
    sizes : np.ndarray
        Width and height of each record's picture, (N, 2).
    side : int, optional
        Pixels a side of the network's input, to which the longer side of a picture is fitted.
    """
    repaired, faults = repair_boxes(data, sizes)
    findings = [
        *_judge_outside(data, faults),
        *_judge_pairs(data, faults),
        *_judge_whole(data, faults),
        *_judge_tiny(repaired, sizes, side),
        *_judge_few(repaired),
    ]
    if faults.empty:
        findings.append(
            _describe(
                data,
                faults.empty,
                kind="boxes_empty",
                level="notice" if len(faults.empty) < _SOME * faults.total else "warning",
                title=f"{count_noun(len(faults.empty), 'box', 'boxes')} {is_or_are(len(faults.empty))} empty",
                detail="Their width or height is 0: a click without a drag, or numbers cut off in an export.",
                advice="They are left out. Draw them again if something is there.",
            )
        )
    return findings


def _describe(
    data: Dataset, rows: Sequence[int], *, kind: str, level: Level, title: str, detail: str, advice: str
) -> Finding:
    pictures = list(dict.fromkeys(rows))
    return Finding(
        kind=kind,
        level=level,
        title=title,
        detail=detail,
        advice=advice,
        count=len(rows),
        files=tuple((data.records[i].id,) for i in pictures[:SHOWN]),
    )


def _judge_outside(data: Dataset, faults: BoxFaults) -> list[Finding]:
    rows = [*faults.wholly, *faults.partly]
    if not rows:
        return []
    many = len(rows) >= _MANY * faults.total
    what = [
        f"{count_noun(len(found), 'box', 'boxes')} {how}"
        for found, how in ((faults.partly, "in part, and cut there"), (faults.wholly, "wholly, and left out"))
        if found
    ]
    return [
        _describe(
            data,
            rows,
            kind="boxes_outside",
            level="serious" if many else "warning",
            title=f"{count_noun(len(rows), 'box', 'boxes')} of {faults.total:,} {'lies' if len(rows) == 1 else 'lie'}"
            " outside of the picture",
            detail=" and ".join(what).capitalize() + ".",
            advice="So many may have been drawn on pictures of another size, or hold corners for sizes: look at some"
            " before training."
            if many
            else "Look at them: a number may be mistyped.",
        )
    ]


def _judge_pairs(data: Dataset, faults: BoxFaults) -> list[Finding]:
    findings = []
    if faults.double:
        n = len(faults.double)
        findings.append(
            _describe(
                data,
                faults.double,
                kind="boxes_double",
                level="notice",
                title=f"{count_noun(n, 'box', 'boxes')} {'repeats' if n == 1 else 'repeat'} another",
                detail=f"The same label in the same place, overlapping by more than {SAME:.0%}.",
                advice="Of each only one is kept. Where two people marked the pictures, settle on one box a thing.",
            )
        )
    if faults.contradictory:
        n = len(faults.contradictory)
        findings.append(
            _describe(
                data,
                faults.contradictory,
                kind="boxes_contradict",
                level="serious" if n >= _SOME * faults.total else "warning",
                title=f"{count_noun(n, 'place')} {'has' if n == 1 else 'have'} boxes of two labels",
                detail=f"Boxes of different labels overlap by more than {SAME:.0%}; a model can learn neither.",
                advice="Decide which label is right, or join the labels if people cannot tell them apart.",
            )
        )
    return findings


def _judge_whole(data: Dataset, faults: BoxFaults) -> list[Finding]:
    n = len(faults.whole)
    if not n:
        return []
    return [
        _describe(
            data,
            faults.whole,
            kind="boxes_whole",
            level="warning" if n >= _SOME * faults.total else "notice",
            title=f"{count_noun(n, 'box', 'boxes')} {'covers' if n == 1 else 'cover'} the whole picture",
            detail="Such a box says that something is on the picture, and not where.",
            advice="Draw them around the thing, or tell whole pictures apart (--task classification).",
        )
    ]


def _judge_tiny(data: Dataset, sizes: np.ndarray, side: int) -> list[Finding]:
    """Say how many boxes are hardly seen at the network's input, and at which input they would be."""
    rows = [i for i, record in enumerate(data.records) for _ in record.boxes]
    if not rows:
        return []
    boxes = [box for record in data.records for box in record.boxes]
    shares = np.array([(box.width * box.height) ** 0.5 for box in boxes]) / np.maximum(1, sizes[rows].max(1))
    tiny = shares * side < TINY
    every = Counter(box.label for box in boxes)
    kinds = Counter(box.label for box, small in zip(boxes, tiny, strict=True) if small)
    if tiny.sum() < max(1.0, _SOME * len(boxes)) and not any(n >= _MANY * every[name] for name, n in kinds.items()):
        return []
    needed = 32 * int(np.ceil(TINY / max(1e-6, float(np.quantile(shares, _SOME))) / 32))
    listed = ", ".join(f"{name} {n:,}" for name, n in kinds.most_common(5))
    return [
        _describe(
            data,
            [row for row, small in zip(rows, tiny, strict=True) if small],
            kind="boxes_tiny",
            level="warning",
            title=f"{tiny.mean():.0%} of the boxes are smaller than {TINY} pixels at an input of {side} pixels",
            detail=f"By label: {listed}. At {needed:,} pixels 95 % of the boxes would have {TINY} pixels or more.",
            advice="Things so small are missed at this size: use a larger input, or cut pictures into tiles.",
        )
    ]


def _judge_few(data: Dataset) -> list[Finding]:
    counts = Counter(box.label for record in data.records for box in record.boxes)
    return [
        Finding(
            kind="few_boxes",
            level="notice",
            title=f"{name} has only {count_noun(counts[name], 'box', 'boxes')}",
            detail="Its figures will have wide intervals, and the model will hardly know it.",
            advice="Mark more of it, leave the label out, or join it with a related one.",
            count=counts[name],
        )
        for name in data.labels
        if counts[name] < _FEW
    ]
