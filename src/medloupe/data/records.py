"""Define the nouns of the data: Box, Record, Dataset.

Labels are 1 (present), 0 (absent) or missing (not stated); missing is never read as absent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from medloupe.data.cropped import CroppedPicture, Cropping
from medloupe.data.labels import Roles, recognise_roles
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

    Attributes
    ----------
    id : str
        Unique within the data set; for files the path relative to its root, with forward slashes.
    image : Path, ndarray of uint8, shape (h, w) or (h, w, 3), CroppedPicture, or None
        The file, its pixels, or a part of another picture; None in a set of signals.
    signal : Signal, Path or None
        An ECG, or the file that holds it (`ecg.files.read_ecg` reads it); None in a set of images.
    example : any
        Of any other kind of data the file, or what it holds, as the kind's entry in `data.modalities` reads it.
    labels : Mapping
        1 or 0 by label name. In a multi-class set only the true label stands here; empty is unlabelled.
    patient : str or None
        What must not be split (patient, lesion, study); None where it is not known.
    split : "train", "val", "test" or None
        The part of the data it belongs to, where the data says so.
    boxes : tuple of Box
        Rectangles drawn on the image.
    columns : Mapping
        Every other column of the table, as text; blank cells are left out.
    """

    id: str
    image: Path | np.ndarray | CroppedPicture | None = None
    signal: Signal | Path | None = None
    example: Any = None
    labels: Mapping[str, int] = field(default_factory=dict)
    patient: str | None = None
    split: Split | None = None
    boxes: tuple[Box, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def picture(self) -> Path | np.ndarray:
        """The image; one that is cut out of another is cut now.

        Raises
        ------
        DataError
            Where the record has none.
        ImageError
            Where what it is cut out of cannot be read.
        """
        if self.image is None:
            raise DataError(f"{self.id} has no image.", "This step works on images; the data set holds signals.")
        return self.image.cut() if isinstance(self.image, CroppedPicture) else self.image

    @property
    def source(self) -> str | None:
        """The id of the picture that it is cut out of; None where it is whole."""
        return self.image.source if isinstance(self.image, CroppedPicture) else None

    @property
    def content(self) -> Any:
        """What it holds, of whatever kind: the file, the pixels, the Signal; None where it holds nothing."""
        return next((held for held in (self.image, self.signal, self.example) if held is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Records, the names of their labels in a fixed order, and the task.

    Attributes
    ----------
    name : str
        Short name (the folder's).
    root : Path
        The folder or file read.
    records : tuple of Record
        The examples.
    labels : tuple of str
        Names of the labels.
    task : "multiclass", "multilabel" or "detection"
        What is asked of a model.
    reader : str
        The reader's name.
    skipped : Mapping
        Files left out, by reason ("hidden", "not an image", ...), each a list of paths relative to the root.
    notes : tuple of str
        What the reader decided, one sentence each, for the person who brought the data.
    origin : Mapping
        What a SOURCE, LICENCE or CITATION file beside the data says: keys "licence", "citation", "source".
    asked : Mapping
        The options with which it was read, as `data.reading.read` takes them.
    modality : str
        What its records hold, by its name in `data.modalities`.
    things : str
        What one record is, in the plural, in words.
    clinical : tuple of str
        The columns that the reader proposes as inputs beside the image or signal.
    told_roles : Roles or None
        What a person or the reader says of the labels: which mean that nothing was found, which are looked for; None
        where that is left to their names.
    cropped : Cropping or None
        How its pictures were cropped to their boxes; None where they are whole.
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
    told_roles: Roles | None = None
    cropped: Cropping | None = None

    @property
    def roles(self) -> Roles:
        """What the labels mean: as told, else as their names say."""
        return self.told_roles if self.told_roles is not None else recognise_roles(self.labels)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def targets(self) -> np.ndarray:
        """The labels as numbers, float32 (N, K): 1 present, 0 absent, NaN missing."""
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
        """Count the records that carry each label."""
        return {name: sum(r.labels.get(name) == 1 for r in self.records) for name in self.labels}
