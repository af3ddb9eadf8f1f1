"""Read the pictures of a data set once for each state that it is in: pages that are open ask every second."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from medloupe.store.dataset_nouns import DatasetItem, StoredDataset
from medloupe.store.datasets import Datasets
from medloupe.studio.findings import DatasetFinding, find_in_rows

MOST_KEPT = 4  # data sets of which the rows are held


@dataclass(frozen=True)
class DatasetRows:
    """The pictures of a data set in one of its states.

    Attributes
    ----------
    data, revision
        The data set, and its state, as `Datasets.revision` tells it.
    items
        The pictures that take part.
    left_out
        How many are left out.
    """

    data: StoredDataset
    revision: str
    items: Sequence[DatasetItem]
    left_out: int

    @cached_property
    def by_id(self) -> Mapping[str, DatasetItem]:
        """The pictures by their ids."""
        return {item.id: item for item in self.items}

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many pictures each class has, or boxes of it are on; "" for those of which nobody has told."""
        counts = dict.fromkeys((*self.data.labels, ""), 0)
        for item in self.items:
            for name in list_names(self.data, item):
                counts[name] = counts.get(name, 0) + 1
        return counts

    @cached_property
    def findings(self) -> Sequence[DatasetFinding]:
        """What is wrong, as far as rows alone tell."""
        return find_in_rows(self.data, self.items)


class RowsReader:
    """Holds the rows of the data sets that were looked at last; safe to use from several threads.

    Parameters
    ----------
    sets
        From which they are read.
    """

    def __init__(self, sets: Datasets):
        self._sets = sets
        self._held: OrderedDict[str, DatasetRows] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, data: StoredDataset, revision: str) -> DatasetRows:
        """Read the rows of a data set, or give those that were read in the same state.

        Parameters
        ----------
        data
            The data set.
        revision
            Its state, told before the rows are read: what is done in between is then read again.

        Raises
        ------
        UnknownError
            It was removed.
        """
        with self._lock:
            held = self._held.get(data.id)
            if held is not None and held.revision == revision and held.data == data:
                self._held.move_to_end(data.id)
                return held
        every = self._sets.items(data.id, left_out=True)
        items = [item for item in every if not item.left_out]
        rows = DatasetRows(data, revision, items, len(every) - len(items))
        with self._lock:
            self._held[data.id] = rows
            self._held.move_to_end(data.id)
            while len(self._held) > MOST_KEPT:
                self._held.popitem(last=False)
        return rows

    def forget(self, dataset: str) -> None:
        """Forget a data set that was removed."""
        with self._lock:
            self._held.pop(dataset, None)


def list_names(data: StoredDataset, item: DatasetItem) -> tuple[str, ...]:
    """List the classes under which a picture is counted: its own, those of its boxes, or "" where nobody has told.

    A picture that was told to have none of several findings is counted under none.
    """
    if data.several:
        return ("",) if item.labels is None else item.found
    if data.boxed:
        return ("",) if item.boxes is None else item.shown_labels
    return (item.label or "",)
