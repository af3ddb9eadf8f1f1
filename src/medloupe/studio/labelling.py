"""Tell which of several findings pictures have: what is to be told next, and what was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medloupe.errors import StoreError
from medloupe.store.dataset_nouns import DatasetItem, StoredDataset
from medloupe.store.datasets import Datasets
from medloupe.studio.turns import Turn, find_turn, find_waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTask:
    """A picture of which it is told what it shows.

    Attributes
    ----------
    looked
        Whether somebody has looked at it: without findings it then shows none.
    turn
        Which picture of how many it is.
    """

    data: StoredDataset
    item: DatasetItem
    looked: bool
    turn: Turn


def find_label_task(sets: Datasets, id: str, item: str) -> LabelTask:
    """Find what is told of a picture.

    Raises
    ------
    UnknownError
        There is no such data set or picture.
    StoreError
        Pictures of the data set have one class, or boxes.
    """
    data, found = _require_several(sets, id), sets.item(id, item)
    turn = find_turn(sets.items(id), item)
    return LabelTask(data=data, item=found, looked=found.labels is not None, turn=turn)


def find_unlabelled(sets: Datasets, id: str, after: str = "") -> str | None:
    """Find the picture to tell of next: the first of which a finding is not told, from one on, then from the beginning.

    Raises
    ------
    UnknownError
        There is no such data set.
    StoreError
        Pictures of the data set have one class, or boxes.
    """
    data = _require_several(sets, id)
    return find_waiting(sets.items(data.id), after, lambda item: not is_complete(data, item))


def is_complete(data: StoredDataset, item: DatasetItem) -> bool:
    """Tell whether each finding of the data set was looked for in a picture."""
    return item.labels is not None and set(data.labels) <= set(item.labels)


def label_picture(sets: Datasets, id: str, item: str, found: Sequence[str], *, by: str) -> None:
    """Keep which findings a picture has, as one change that can be undone; the same again changes nothing.

    Raises
    ------
    UnknownError
        There is no such data set or picture.
    StoreError
        Pictures of the data set have one class, or boxes, or a finding is none of it.
    """
    data = _require_several(sets, id)
    there = sets.item(id, item)
    if set(there.found) != set(found) or not is_complete(data, there):
        sets.tell_findings(id, [item], found, by=by)


def _require_several(sets: Datasets, id: str) -> StoredDataset:
    data = sets.get(id)
    if not data.several:
        held = "boxes" if data.boxed else "one class each"
        raise StoreError(f"The {data.things} of the data set {data.name} have {held}, not several findings.", "")
    return data
