"""Build a data set of files step by step: records, labels and notes, then boxes, then the Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medloupe.data.readers.box_tables import Boxes, to_detection
from medloupe.data.records import Dataset, Record, Task


@dataclass(slots=True, kw_only=True)
class Draft:
    """A data set of files in the making.

    Attributes
    ----------
    records : list of Record
        In the order of the data set.
    labels : tuple of str
        Names, in their fixed order.
    task : str
        What is asked of a model.
    notes : list of str
        What the reader decided, one sentence each.
    """

    records: list[Record]
    labels: tuple[str, ...]
    task: Task
    notes: list[str]

    def add_boxes(self, boxes: Boxes | None, *, detection: bool) -> None:
        """Note the table of boxes; for a set of detection the labels become those of the boxes."""
        if boxes is None:
            return
        self.notes += boxes.notes
        if detection:
            self.records, notes = to_detection(self.records, boxes)
            self.task, self.labels = "detection", boxes.labels
            self.notes += notes

    def finish(
        self, root: Path, reader: str, skipped: Mapping[str, tuple[str, ...]], origin: Mapping[str, str]
    ) -> Dataset:
        """Build the Dataset, which is called after its folder."""
        return Dataset(
            name=root.resolve().name,
            root=root,
            records=tuple(self.records),
            labels=self.labels,
            task=self.task,
            reader=reader,
            skipped=skipped,
            notes=tuple(self.notes),
            origin=origin,
        )
