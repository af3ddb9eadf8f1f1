"""Define the nouns of data sets in the store: a data set, its classes, its pictures, its changes and its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from medloupe.data.labels import ROLES, Role
from medloupe.data.readers.base import says_no_finding
from medloupe.errors import StoreError, did_you_mean
from medloupe.store.dataset_tables import (
    DatasetChangeRow,
    DatasetItemRow,
    DatasetRow,
    DatasetVersionItemRow,
    DatasetVersionRow,
)

SEVERAL_TASKS = ("multilabel", "ecg_multilabel")
"""Tasks of data sets of which an example may have any number of findings."""
ECG_TASKS = ("ecg", "ecg_multilabel")
"""Tasks of data sets of ECGs: one class each, or any number of findings."""
MOST_CLASSES = 100
MOST_BOXES = 2000  # of a picture
LONGEST_LABEL, LONGEST_TITLE, LONGEST_KIND = 100, 120, 60  # letters
_COLUMNS = frozenset({"file", "label", "labels", "patient", "site", "split", "name"})  # of a version's table


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetClass:
    """A class, and what it means for the answer."""

    name: str
    role: Role = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDataset:
    """A data set as it stands now; the fields are those of dataset_tables.DatasetRow."""

    id: str
    name: str
    title: str
    kind: str
    task: str
    classes: tuple[DatasetClass, ...]
    ordered: bool
    created: str
    created_by: str
    changes: int

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its classes."""
        return tuple(c.name for c in self.classes)

    @property
    def boxed(self) -> bool:
        """Whether boxes are drawn on its pictures, which have no class of their own."""
        return self.task == "detection"

    @property
    def several(self) -> bool:
        """Whether its classes are findings of which a picture may have any number, or none."""
        return self.task in SEVERAL_TASKS

    @property
    def things(self) -> str:
        """What its examples are, in English."""
        return "ECGs" if self.ecgs else "pictures"

    @property
    def ecgs(self) -> bool:
        """Whether it holds ECGs instead of pictures."""
        return self.task in ECG_TASKS


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetItem:
    """A picture of a data set; the fields are those of dataset_tables.DatasetItemRow."""

    id: str
    digest: str
    file: str
    label: str | None = None
    labels: Mapping[str, int] | None = None
    patient: str | None = None
    site: str | None = None
    split: str | None = None
    boxes: tuple[Mapping[str, Any], ...] | None = None
    bytes: int = 0
    origin: Mapping[str, Any] = field(default_factory=dict)
    left_out: bool = False
    added: int = 0

    @property
    def shown_labels(self) -> tuple[str, ...]:
        """What boxes are drawn of, each once."""
        return tuple(dict.fromkeys(str(box["label"]) for box in self.boxes or ()))

    @property
    def found(self) -> tuple[str, ...]:
        """Of several findings those that are there."""
        return tuple(name for name, value in (self.labels or {}).items() if value == 1)

    @property
    def told(self) -> str | tuple[tuple[str, int], ...] | None:
        """What is said that it shows, to be compared: its class, or its findings; None where nobody has told."""
        return self.label if self.labels is None else tuple(sorted(self.labels.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """A picture that comes into a data set. key: which arrival it is, the same for the same one; data: its bytes."""

    key: str
    data: bytes
    file: str
    label: str | None = None
    labels: Mapping[str, int] | None = None
    patient: str | None = None
    site: str | None = None
    split: str | None = None
    boxes: Sequence[Mapping[str, Any]] | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetChange:
    """What somebody did to a data set; the fields are those of dataset_tables.DatasetChangeRow."""

    number: int
    at: str
    by: str
    action: str
    detail: Mapping[str, Any]
    undone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """A version; the fields are those of dataset_tables.DatasetVersionRow."""

    dataset_id: str
    number: int
    created: str
    created_by: str
    digest: str
    classes: tuple[DatasetClass, ...]
    ordered: bool
    kind: str
    job: str | None


def read_classes(told: Sequence[Mapping[str, Any]]) -> tuple[DatasetClass, ...]:
    """Read the classes of a row."""
    return tuple(DatasetClass(name=c["name"], role=c["role"]) for c in told)


def check_classes(
    classes: Sequence[DatasetClass], *, several: bool = False, ordered: bool = False
) -> list[dict[str, Any]]:
    """Check classes that a person told, and give them as a row keeps them.

    Parameters
    ----------
    classes
        In their order.
    several
        Whether they are findings of which a picture may have any number.
    ordered
        Whether they are grades.

    Raises
    ------
    StoreError
        Two are called alike, a name cannot be one, or there is no such role.
    """
    if len(classes) > MOST_CLASSES:
        raise StoreError(f"{len(classes)} classes are too many.", f"Give at most {MOST_CLASSES}.")
    seen: dict[str, str] = {}
    for c in classes:
        name = c.name
        if not name.strip() or name != name.strip() or len(name) > LONGEST_LABEL or not name.isprintable():
            raise StoreError(f"{name[:40]!r} cannot name a class.", f"Give up to {LONGEST_LABEL} letters.")
        if any(mark in name for mark in "/\\,") or name[0] in ".=+-@|%'":
            raise StoreError(
                f"{name[:40]!r} cannot name a class: it could not stand in folders and tables.",
                "Begin with a letter or digit, and leave slashes and commas out.",
            )
        if c.role not in ROLES:
            raise StoreError(f"There is no role {c.role!r}; there are {', '.join(ROLES)}.", did_you_mean(c.role, ROLES))
        if (twin := seen.setdefault(name.casefold(), name)) is not name:
            raise StoreError(f"Two classes are called {twin!r}.", "Give each its own name.")
        if several and name.casefold() in _COLUMNS:
            raise StoreError(f"{name!r} cannot name a finding: a column of tables is called so.", "Choose another.")
        if several and says_no_finding(name):
            raise StoreError(
                f"{name!r} is no finding of its own: it says that a picture has none.",
                "Tell pictures that none is there.",
            )
    if several and ordered:
        raise StoreError("Findings of which a picture may have several are no grades.", "Begin a set of one class.")
    return [asdict(c) for c in classes]


def check_labels(labels: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
    """Check what is told of several findings, and give it as a row keeps it: 1 or 0 by name, in the order of `names`.

    Raises
    ------
    StoreError
        One is no finding of the data set, or neither there nor not.
    """
    for name, value in labels.items():
        if name not in names:
            raise StoreError(
                f"There is no class {str(name)[:60]!r}; there are {', '.join(names)}.", "Add the class first."
            )
        if value not in (0, 1):
            raise StoreError(f"{value!r} cannot be said of {name}.", "Say 1 where it is there, 0 where it is not.")
    return {name: int(labels[name]) for name in names if name in labels}


def check_boxes(boxes: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Check boxes that a person drew, and give them as a row keeps them, in tenths of a pixel.

    Raises
    ------
    StoreError
        There are too many, one is of no class of the data set, or has no size.
    """
    if len(boxes) > MOST_BOXES:
        raise StoreError(f"{len(boxes)} boxes are too many.", f"Draw at most {MOST_BOXES:,} on a picture.")
    told: list[dict[str, Any]] = []
    for box in boxes:
        label = box.get("label")
        if label not in labels:
            raise StoreError(f"There is no class {str(label)[:60]!r}; there are {', '.join(labels)}.", "Add it first.")
        try:
            sides = {name: round(float(box[name]), 1) for name in ("x", "y", "width", "height")}
        except (KeyError, TypeError, ValueError, OverflowError):
            sides = {"x": -1.0}
        if not all(0 <= side < 1e6 for side in sides.values()) or min(sides["width"], sides["height"]) < 1:
            raise StoreError(
                "A box lies outside of its picture or has no size.", "Give x, y, width and height in pixels."
            )
        told.append({"label": label, **sides})
    return told


def read_dataset_row(row: DatasetRow) -> StoredDataset:
    """Read a row of the table."""
    return StoredDataset(
        id=row.id,
        name=row.name,
        title=row.title,
        kind=row.kind,
        task=row.task,
        classes=read_classes(row.classes),
        ordered=row.ordered,
        created=row.created,
        created_by=row.created_by,
        changes=row.changes,
    )


def read_item_row(row: DatasetItemRow) -> DatasetItem:
    """Read a row of the table."""
    return DatasetItem(
        id=row.id, **_said(row), bytes=row.bytes, origin=row.origin, left_out=row.left_out, added=row.added
    )


def read_version_item_row(row: DatasetVersionItemRow) -> DatasetItem:
    """Read a row of the table; one that was erased is told as left out."""
    return DatasetItem(id=row.item_id, **_said(row), left_out=row.erased is not None)


def read_change_row(row: DatasetChangeRow) -> DatasetChange:
    """Read a row of the table."""
    return DatasetChange(
        number=row.number, at=row.at, by=row.by, action=row.action, detail=row.detail, undone=row.undone
    )


def read_version_row(row: DatasetVersionRow) -> DatasetVersion:
    """Read a row of the table."""
    return DatasetVersion(
        dataset_id=row.dataset_id,
        number=row.number,
        created=row.created,
        created_by=row.created_by,
        digest=row.digest,
        classes=read_classes(row.classes),
        ordered=row.ordered,
        kind=row.kind,
        job=row.job,
    )


def _said(row: DatasetItemRow | DatasetVersionItemRow) -> dict[str, Any]:
    return {
        "digest": row.digest,
        "file": row.file,
        "label": row.label,
        "labels": row.labels,
        "patient": row.patient,
        "site": row.site,
        "split": row.split,
        "boxes": None if row.boxes is None else tuple(row.boxes),
    }
