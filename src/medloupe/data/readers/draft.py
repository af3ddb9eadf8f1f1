"""Build a data set of files step by step: records, labels and notes, then boxes, then the Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medloupe.data.readers.base import ReadOptions, list_some
from medloupe.data.readers.box_labels import to_detection
from medloupe.data.readers.boxes import Boxes
from medloupe.data.records import Dataset, Record, Task
from medloupe.errors import DataError


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

    def add_boxes(self, boxes: Boxes | None, *, detection: bool, options: ReadOptions) -> None:
        """Note what boxes there are; where they are to be learned, the labels become those of the boxes.

        Raises DataError where it is told what pictures without boxes are, and boxes are not learned.
        """
        told = options.task
        if boxes is None:
            return
        self.notes += boxes.notes
        if not boxes.by_place:
            return
        listed = list_some(boxes.labels, 10)
        if not detection and options.unboxed:
            raise DataError(
                f"--unboxed {options.unboxed} says what pictures without boxes are, but whole pictures are told apart"
                " here.",
                "Add --task detection, or leave --unboxed out.",
            )
        if not detection:
            self.notes.append(
                f"Whole pictures are told apart. Where things are ({listed}) is learned with --task detection."
            )
            return
        self.records, notes = to_detection(self.records, boxes, self.labels, options.unboxed)
        self.task, self.labels = "detection", boxes.labels
        if told == "classification":
            self.task = "multilabel"
            self.notes.append(f"As told, whole pictures are classified by whether they have a box of {listed}.")
        elif told:
            self.notes.append(f"As told, this is a set to find: {listed}.")
        else:
            self.notes.append(
                f"There is no second image-level class, so this is a set to find: {listed}. Whether a whole picture"
                " shows them is learned with --task classification."
            )
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
