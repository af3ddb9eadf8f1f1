"""The nouns of the data: Record, Dataset, Prediction.

Labels are 1 (present), 0 (absent) or missing (not stated); missing is never read as absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medloupe.errors import DataError

if TYPE_CHECKING:
    from medloupe.ecg.signal import Signal

Task = Literal["multiclass", "multilabel", "detection"]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the image given; x, y is its top left corner."""

    label: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One example.

    id: unique within the data set; for files the path relative to its root, with forward slashes.
    image: the file, or an array of pixels: uint8 (h, w) or (h, w, 3); None in a set of signals.
    signal: an ECG, or the file that holds it (ecgfiles.read_ecg reads it); None in a set of images.
    example: of any other kind of data the file, or what it holds, as the kind's entry in data/modalities reads it.
    labels: 1 or 0 by label name. In a multi-class set only the true label stands here; empty is unlabelled.
    patient: what must not be split (patient, lesion, study), or None where it is not known.
    columns: every other column of the table, as text; blank cells are left out.
    """

    id: str
    image: Path | np.ndarray | None = None
    signal: Signal | Path | None = None
    example: Any = None
    labels: Mapping[str, int] = field(default_factory=dict)
    patient: str | None = None
    split: Split | None = None
    boxes: tuple[Box, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def picture(self) -> Path | np.ndarray:
        """The image. DataError where the record has none."""
        if self.image is None:
            raise DataError(f"{self.id} has no image.", "This step works on images; the data set holds signals.")
        return self.image

    @property
    def content(self) -> Any:
        """What it holds, of whatever kind: the file, the pixels, the Signal; None where it holds nothing."""
        return next((held for held in (self.image, self.signal, self.example) if held is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Records, the names of their labels in a fixed order, and the task.

    name: short name (the folder's). root: the folder or file read. reader: the reader's name.
    skipped: files left out, by reason ("hidden", "not an image", ...), each a list of paths relative to the root.
    notes: what the reader decided, one sentence each, for the person who brought the data.
    origin: what a SOURCE, LICENCE or CITATION file beside the data says: keys "licence", "citation", "source".
    asked: the options with which it was read, as readers.read takes them.
    modality: what its records hold, by its name in data/modalities. things: what one record is, in words, in the
    plural.
    clinical: the columns that the reader proposes as inputs beside the image or signal.
    """

    name: str
    root: Path
    records: tuple[Record, ...]
    labels: tuple[str, ...]
    task: Task
    reader: str
    skipped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    origin: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, str] = field(default_factory=dict)
    modality: str = "image"
    things: str = "images"
    clinical: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.records)

    @property
    def targets(self) -> np.ndarray:
        """float32 (N, K): 1 present, 0 absent, NaN missing."""
        y = np.full((len(self.records), len(self.labels)), np.nan, np.float32)
        position = {name: k for k, name in enumerate(self.labels)}
        for i, record in enumerate(self.records):
            if self.task == "multiclass" and record.labels:
                y[i] = 0
            for name, value in record.labels.items():
                y[i, position[name]] = value
        return y

    @property
    def splits(self) -> Counter[str]:
        """How many records each split holds; records without one count under ""."""
        return Counter(r.split or "" for r in self.records)

    def counts(self) -> dict[str, int]:
        """How many records carry each label."""
        return {name: sum(r.labels.get(name) == 1 for r in self.records) for name in self.labels}
