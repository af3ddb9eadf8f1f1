"""Define the tables of data sets: what they hold, what was changed in them, their versions, and files on their way."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medloupe.store.tablebase import Base


class DatasetRow(Base):
    """A data set.

    Attributes
    ----------
    id
        Random, hexadecimal.
    name
        Of the model that is trained from it.
    title
        As people call it.
    kind
        Of picture, in words; "" for a kind of its own.
    task
        One of dataset_items.TASKS.
    classes
        In their order, each {"name", "role"}; of those sought the first is the most dangerous.
    ordered
        Whether the classes are grades.
    changes
        The number of the last change.
    """

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    title: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(60))
    task: Mapped[str] = mapped_column(String(16))
    classes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    ordered: Mapped[bool]
    created: Mapped[str] = mapped_column(String(32))
    created_by: Mapped[str] = mapped_column(String(64))
    changes: Mapped[int] = mapped_column(default=0)


class ItemColumns:
    """Columns of what is said of one picture.

    Attributes
    ----------
    digest
        sha256 of the file, which is kept once.
    file
        Its name as it was brought, with forward slashes.
    label
        Its class, or None where nobody has told it, or the data set has several findings a picture.
    labels
        Of several findings by name 1 for one that is there and 0 for one that is not; one that nobody told is left out.
        None where nobody has looked at the picture.
    patient, site
        Whom it is of, and where it was made; None where that is not known.
    split
        "train", "val" or "test" where the data came split; else None.
    boxes
        Each {"label", "x", "y", "width", "height"} in pixels, or None where nobody looked for boxes.
    """

    digest: Mapped[str] = mapped_column(String(64), index=True)
    file: Mapped[str] = mapped_column(String(255))
    label: Mapped[str | None] = mapped_column(String(100))
    patient: Mapped[str | None] = mapped_column(String(100), index=True)
    site: Mapped[str | None] = mapped_column(String(100))
    split: Mapped[str | None] = mapped_column(String(8))
    boxes: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    labels: Mapped[dict[str, int] | None] = mapped_column(JSON)


class DatasetItemRow(ItemColumns, Base):
    """One picture of a data set, as it stands now.

    Attributes
    ----------
    key
        Which arrival it is, so that none is taken in twice.
    origin
        Where it comes from: "source" (upload, camera, zip, review, …), and whatever else is known.
    left_out
        Whether it takes part in nothing from now on.
    added
        The number of the change that brought it.
    """

    __tablename__ = "dataset_items"
    __table_args__ = (
        UniqueConstraint("dataset_id", "key"),
        Index("ix_dataset_items_dataset_added", "dataset_id", "added"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(80))
    bytes: Mapped[int] = mapped_column(BigInteger)
    origin: Mapped[dict[str, Any]] = mapped_column(JSON)
    left_out: Mapped[bool] = mapped_column(default=False)
    added: Mapped[int]


class DatasetChangeRow(Base):
    """What somebody did to a data set.

    Attributes
    ----------
    action
        One of dataset_changes.ACTIONS.
    detail
        "items": by id what each was before and after; other keys as the action needs.
    undone
        Whether it was taken back.
    """

    __tablename__ = "dataset_changes"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    number: Mapped[int]
    at: Mapped[str] = mapped_column(String(32))
    by: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    undone: Mapped[bool] = mapped_column(default=False)


class DatasetVersionRow(Base):
    """A data set as it was once; never changed, but for what is erased on purpose.

    Attributes
    ----------
    digest
        sha256 of all that is in it, so that the same content is one version.
    job
        The training that was asked for last, or None.
    """

    __tablename__ = "dataset_versions"
    __table_args__ = (UniqueConstraint("dataset_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    number: Mapped[int]
    created: Mapped[str] = mapped_column(String(32))
    created_by: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))
    classes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    ordered: Mapped[bool]
    kind: Mapped[str] = mapped_column(String(60))
    job: Mapped[str | None] = mapped_column(String(32), index=True)


class DatasetVersionItemRow(ItemColumns, Base):
    """A picture in a version. erased: when it was erased on purpose; then only its place is left."""

    __tablename__ = "dataset_version_items"
    __table_args__ = (UniqueConstraint("version_id", "item_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("dataset_versions.id", ondelete="CASCADE"))
    item_id: Mapped[str] = mapped_column(String(32), index=True)
    erased: Mapped[str | None] = mapped_column(String(32))


class DatasetUploadRow(Base):
    """A file on its way into a data set; its bytes so far lie in a file of its own.

    Attributes
    ----------
    id
        Random, hexadecimal, chosen by who sends it: the same file is announced once.
    length
        Bytes that it will have.
    meta
        What is said of it: "file", "label", "patient", "site", "source", "batch", "sha256".
    result
        What came of it, once it was taken in; None until then.
    """

    __tablename__ = "dataset_uploads"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), index=True)
    length: Mapped[int] = mapped_column(BigInteger)
    meta: Mapped[dict[str, Any]] = mapped_column(JSON)
    created: Mapped[str] = mapped_column(String(32), index=True)
    created_by: Mapped[str] = mapped_column(String(64))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str] = mapped_column(Text, default="")
