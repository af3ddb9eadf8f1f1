"""Give records the labels of their boxes: the one place that decides what is present, absent and not stated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from medloupe.data.labels import recognise_roles
from medloupe.data.readers.boxes import Boxes
from medloupe.data.readers.folder_names import fold_name
from medloupe.data.records import Record

_UNMARKED = re.compile(r"^(?:no|without|un)[\s_-]?(?:box|bbox|mark|annotat|label)", re.IGNORECASE)
_MANY = 0.2  # of the images with boxes, whose class is the name of none of them


def to_detection(
    records: Sequence[Record], boxes: Boxes, classes: Sequence[str] = (), unboxed: str | None = None
) -> tuple[list[Record], list[str]]:
    """Give records the labels of their boxes.

    Of each label of the boxes `record.labels` then holds

    - 1, where the image has a box of it,
    - 0, where it is known to be absent: the image has boxes of others only, or is annotated without any box, or its
      class says that nothing is there (normal, no finding) or that this label is not,
    - nothing (missing), where that is not stated: the image is not annotated, or is said to show the label without a
      place. So an image without boxes is a negative only where all its labels are 0.

    Where it is told what images without boxes are, "negative" takes them for annotated, and "unknown" takes an
    annotation without any box for none.

    Parameters
    ----------
    records : sequence of Record
        With their boxes, and the labels of whole images where these are known.
    boxes : Boxes
        What is annotated.
    classes : sequence of str, optional
        The labels of whole images.
    unboxed : "negative", "unknown", "leave-out" or None
        What images without boxes are, where that is told.

    Returns
    -------
    records : list of Record
        With labels of the boxes.
    notes : list of str
        What there is to say of it.
    """
    roles = recognise_roles(tuple(classes))
    normal = {name for name in classes if roles.of(name) == "normal" and not _UNMARKED.match(name)}
    general = _find_general(records, boxes)
    done = [
        replace(record, labels=_settle(record, boxes, normal, general, len(classes), unboxed)) for record in records
    ]
    notes = []
    if general:
        notes.append(
            f"All images with boxes are of the class {' and '.join(sorted(general))}, many without a box of that name:"
            " the class says no more than that something is there."
        )
    full = len(boxes.labels)
    negatives = sum(len(record.labels) == full and not any(record.labels.values()) for record in done)
    if negatives:
        known = "told" if unboxed == "negative" else "known"
        notes.append(f"{negatives} images are {known} to show none of these: they count as negatives.")
    without = [r.id for r in done if not r.boxes and len(r.labels) < full]
    if without and unboxed == "negative":
        notes.append(
            f"{len(without)} images without a box are said to show one of these, such as {without[0]}: they are no"
            " negatives, and take no part in learning."
        )
    elif without:
        notes.append(
            f"{len(without)} images have no box, such as {without[0]}; whether there is nothing on them is not stated."
            f" They take no part in learning. Where an image shows nothing, {boxes.negatives}, or give it a label such"
            " as normal in a table; where that holds for all of them, --unboxed negative says so."
        )
    partly = sum(bool(r.boxes) and len(r.labels) < full for r in done)
    if partly:
        notes.append(f"{partly} images with boxes are also said to show a label of which they have none: not stated.")
    return done, notes


def _find_general(records: Sequence[Record], boxes: Boxes) -> set[str]:
    """Find classes that all images with boxes have, and many without a box of that name: they name no kind of box."""
    drawn = [record for record in records if record.boxes]
    if any(0 in r.labels.values() or len(r.labels) > 1 for r in records):  # several labels speak for themselves
        return set()
    every = [{name for name, value in record.labels.items() if value} for record in drawn]
    found = set()
    for name in set.intersection(*every) if every else ():
        without = sum(fold_name(name) not in {fold_name(box.label) for box in record.boxes} for record in drawn)
        if without >= _MANY * len(drawn):
            found.add(name)
    return found & set(boxes.labels)


def _settle(
    record: Record, boxes: Boxes, normal: set[str], general: set[str], classes: int, unboxed: str | None
) -> dict[str, int]:
    present = {box.label for box in record.boxes}
    stated = {fold_name(name): value for name, value in record.labels.items()}
    positive = {name for name, value in record.labels.items() if value}
    nothing = positive <= normal if positive else 0 < classes == len(record.labels)
    shown = any(stated.get(fold_name(name)) == 1 for name in boxes.labels) or record.id in boxes.unplaced
    told = unboxed == "negative" and not shown
    negative = nothing or told or (record.id in boxes.empty and unboxed != "unknown")
    known = bool(present) or negative or record.id in boxes.unplaced
    labels = {}
    for name in boxes.labels:
        said = stated.get(fold_name(name))
        if name in present:
            labels[name] = 1
        elif name in boxes.unplaced.get(record.id, ()) or (said == 1 and not (present and name in general)):
            continue
        elif known or said == 0:
            labels[name] = 0
    return labels
