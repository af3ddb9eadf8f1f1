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
    from medloupe.ecgreading import Reading
    from medloupe.signals import Signal

Task = Literal["multiclass", "multilabel", "detection"]
Split = Literal["train", "val", "test"]
Modality = Literal["image", "ecg"]


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
    labels: 1 or 0 by label name. In a multi-class set only the true label stands here; empty is unlabelled.
    patient: what must not be split (patient, lesion, study), or None where it is not known.
    columns: every other column of the table, as text; blank cells are left out.
    """

    id: str
    image: Path | np.ndarray | None = None
    signal: Signal | Path | None = None
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Records, the names of their labels in a fixed order, and the task.

    name: short name (the folder's). root: the folder or file read. reader: the reader's name.
    skipped: files left out, by reason ("hidden", "not an image", ...), each a list of paths relative to the root.
    notes: what the reader decided, one sentence each, for the person who brought the data.
    origin: what a SOURCE, LICENCE or CITATION file beside the data says: keys "licence", "citation", "source".
    asked: the options with which it was read, as readers.read takes them.
    modality: what its records hold, images or ECG signals. things: what one record is, in the plural, in words.
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
    modality: Modality = "image"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an image was not judged, and what it looks like instead."""

    reason: str
    looks_like: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Influence:
    """How one input beside the picture moved the answer.

    value: as it was understood; "" where it is missing and that counts. effect: what it added to each label's logit.
    """

    name: str
    value: str
    effect: Mapping[str, float]

    def toward(self, label: str, *, several: bool) -> float:
        """What it added to the label's log odds; among exclusive classes (not several), to those against the others
        on average: what adds the same to all of them moves nothing."""
        others = [v for name, v in self.effect.items() if name != label]
        return self.effect[label] - (0 if several or not others else sum(others) / len(others))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The answer to one image.

    model, version: which answered; "" and None where all check-ups that could be chosen refused.
    probabilities: calibrated, by label. prediction: the label at the operating point; for several labels at once
    those at or above theirs, joined with "|" ("" when none is). refused: why the image was not judged; then the
    prediction is "", and the probabilities, still there to be looked into, mean nothing.
    heatmap: float32 (K, h, w), what each place adds to each label's logit, in the order of `probabilities`;
    None unless asked for. timings: milliseconds by stage.
    inputs: how each input beside the picture moved the answer; None of a model that reads the picture alone.
    ecg: of an ECG, its beats and rhythm.
    """

    file: str
    model: str
    version: int | None
    prediction: str
    probabilities: Mapping[str, float]
    refused: Refusal | None = None
    heatmap: np.ndarray | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    inputs: tuple[Influence, ...] | None = None
    ecg: Reading | None = None

    def as_json(self) -> dict[str, Any]:
        """The line that `predict --json` prints."""
        refused = self.refused and {"reason": self.refused.reason, "looks_like": self.refused.looks_like}
        said = {
            "file": self.file,
            "model": self.model or None,
            "version": self.version,
            "prediction": self.prediction,
            "probabilities": dict(self.probabilities),
            "refused": refused,
        }
        if self.inputs is not None:
            said["inputs"] = [{"name": i.name, "value": i.value, "effect": dict(i.effect)} for i in self.inputs]
        if self.ecg is not None:
            said["ecg"] = self.ecg.as_json()
        return said
