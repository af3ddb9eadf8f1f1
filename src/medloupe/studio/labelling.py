"""Tell which of several findings pictures have: what is to be told next, and what was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medloupe.errors import StoreError
from medloupe.store.dataset_nouns import DatasetItem, StoredDataset
from medloupe.store.datasets import Datasets


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTask:
    """A picture of which it is told what it shows.

    Attributes
    ----------
    looked
        Whether somebody has looked at it: without findings it then shows none.
    number, of
        Which picture of how many it is.
    before, after
        The ids of those beside it, or "".
    """

    data: StoredDataset
    item: DatasetItem
    looked: bool
    number: int
    of: int
    before: str
    after: str


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
    ids = [one.id for one in sets.items(id)]
    at = ids.index(item) if item in ids else -1
    return LabelTask(
        data=data,
        item=found,
        looked=found.labels is not None,
        number=at + 1,
        of=len(ids),
        before=ids[at - 1] if at > 0 else "",
        after=ids[at + 1] if 0 <= at < len(ids) - 1 else "",
    )


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
    items = sets.items(data.id)
    at = next((k for k, item in enumerate(items) if item.id == after), -1)
    order = [*items[at + 1 :], *items[: at + 1]]
    return next((item.id for item in order if not is_complete(data, item)), None)


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
