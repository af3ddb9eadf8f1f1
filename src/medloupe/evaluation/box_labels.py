"""Say which boxes of a data set belong to which label of a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from medloupe.data.records import Box, Dataset, Record
from medloupe.errors import DataError, did_you_mean
from medloupe.model.bundle import Model

Marked = dict[int, list[Box]]  # boxes by the position of the label they belong to


def read_box_labels(
    model: Model, data: Dataset, names: Collection[str], box_labels: Mapping[str, str]
) -> dict[str, str]:
    """Check what was told of boxes that are named otherwise: by name of the box, the model's label as it writes it.

    Parameters
    ----------
    model, data
        For what an error says.
    names : collection of str
        Of the boxes that there are.
    box_labels : mapping of str to str
        As it was told.

    Raises
    ------
    DataError
        There is no such box, or no such label.
    """
    own = {name.casefold(): name for name in model.labels}
    told: dict[str, str] = {}
    for box, label in box_labels.items():
        if box not in names:
            raise DataError(
                f"No box of {data.root} is called {box!r}; there are {', '.join(sorted(names))}.",
                did_you_mean(box, sorted(names)) or 'Write --box-label "NAME OF BOX=LABEL".',
            )
        if label.casefold() not in own:
            raise DataError(
                f"{model.name} has no label {label!r}, but {', '.join(model.labels)}.",
                did_you_mean(label, model.labels) or 'Write --box-label "NAME OF BOX=LABEL".',
            )
        told[box] = own[label.casefold()]
    return told


def match_boxes_to_labels(
    model: Model, data: Dataset, box_labels: Mapping[str, str]
) -> tuple[list[Marked], dict[str, int]]:
    """Say which boxes of each picture belong to which label of the model: by name, or as told.

    Returns
    -------
    tuple of list and dict
        For each record its boxes by label; and how many boxes were left out, by reason.

    Raises
    ------
    DataError
        There are no boxes, none belongs to a label, or what was told names none.
    """
    names = Counter(box.label for record in data.records for box in record.boxes)
    if not names:
        raise DataError(f"{data.root} has no boxes.", "See docs/folders.md for how boxes can be given.")
    position = {name.casefold(): k for k, name in enumerate(model.labels)}
    told = {box: model.labels.index(label) for box, label in read_box_labels(model, data, names, box_labels).items()}
    if not told and not any(name.casefold() in position for name in names):
        raise DataError(
            f"No box of {data.root} ({', '.join(sorted(names))}) has the name of a label of {model.name}"
            f" ({', '.join(model.labels)}).",
            f'Say which label\'s places they are: --box-label "{sorted(names)[0]}={model.labels[-1]}".',
        )
    marked: list[Marked] = []
    left_out: Counter[str] = Counter()
    for record in data.records:
        own: Marked = {}
        for box in record.boxes:
            k = told.get(box.label, position.get(box.label.casefold()))
            stated = None if k is None else _stated(record, data.task, model.labels[k])
            if k is None:
                left_out[f"{box.label}: no label of the model"] += 1
            elif stated is False:
                left_out[f"{box.label}: on pictures that are said not to have it"] += 1
            elif box.label in told and not stated:
                left_out[f"{box.label}: on pictures without {model.labels[k]}"] += 1
            elif not (box.width > 0 and box.height > 0):
                left_out[f"{box.label}: of no size"] += 1
            else:
                own.setdefault(k, []).append(box)
        marked.append(own)
    return marked, dict(left_out)


def _stated(record: Record, task: str, label: str) -> bool | None:
    """Tell whether a picture is said to carry a label, or not to; None where neither is said."""
    own = {name.casefold(): v for name, v in record.labels.items()}
    if label.casefold() in own:
        return own[label.casefold()] == 1
    return None if task != "multiclass" or not own else False
