"""Keep data sets and their pictures: each file once, by its content, each arrival taken in once.

The files lie under home/datasets/blobs, by sha256. What is written first is the file and then its row, so that a row
without a file is never there; a file without a row is swept away when it is a day old.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from medloupe.errors import StorageError, StoreError, UnknownError
from medloupe.store.blobs import Blobs
from medloupe.store.database import transaction
from medloupe.store.dataset_nouns import (
    LONGEST_KIND,
    LONGEST_TITLE,
    SEVERAL_TASKS,
    DatasetClass,
    DatasetItem,
    NewItem,
    StoredDataset,
    check_classes,
    check_labels,
    read_dataset_row,
    read_item_row,
)
from medloupe.store.names import check_name
from medloupe.store.production import log_action
from medloupe.store.tables import DatasetChangeRow, DatasetItemRow, DatasetRow, DatasetVersionItemRow, now

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

TASKS = ("multiclass", "multilabel", "detection", "ecg", "ecg_multilabel")
"""One class a picture, any number of findings a picture, boxes, one class an ECG, or any number of findings an ECG."""
MOST_ITEMS = 200_000
_ORPHAN_SECONDS = 86400.0
LONGEST_FILE = 255


class DatasetItems:
    """The data sets of one store.

    Parameters
    ----------
    engine : Engine
        Of the store.
    home : Path
        Its folder.
    """

    def __init__(self, engine: Engine, home: Path):
        self.engine, self.home = engine, home
        self.blobs = Blobs(home / "datasets")
        self.thumbs = Blobs(home / "datasets" / "thumbs")
        """Small pictures of the files, under the same names; made again where one is missing."""

    def create(
        self,
        name: str,
        *,
        title: str = "",
        kind: str = "",
        task: str = "multiclass",
        classes: Sequence[DatasetClass] = (),
        ordered: bool = False,
        by: str = "local",
    ) -> StoredDataset:
        """Make a new data set without pictures.

        Raises
        ------
        StoreError
            The name is taken or cannot name a model, or the classes make no sense.
        """
        check_name(name)
        if task not in TASKS:
            raise StoreError(f"There is no task {task!r} for data sets.", f"There are {', '.join(TASKS)}.")
        row = DatasetRow(
            id=secrets.token_hex(16),
            name=name,
            title=_line(title or name, LONGEST_TITLE, "The title"),
            kind=_line(kind, LONGEST_KIND, "The kind of picture"),
            task=task,
            classes=check_classes(classes, several=task in SEVERAL_TASKS, ordered=ordered),
            ordered=ordered,
            created=now(),
            created_by=by[:64],
            changes=0,
        )
        with transaction(self.engine, write=True) as session:
            if session.scalars(select(DatasetRow.id).where(DatasetRow.name == name)).first() is not None:
                raise StoreError(f"There is a data set {name!r} already.", "Go on with it, or choose another name.")
            session.add(row)
            session.flush()
            log_action(session, "dataset.add", name, actor=by)
            return read_dataset_row(row)

    def list(self) -> list[StoredDataset]:
        """List all data sets, the newest first."""
        with transaction(self.engine) as session:
            rows = session.scalars(select(DatasetRow).order_by(DatasetRow.created.desc(), DatasetRow.id))
            return [read_dataset_row(row) for row in rows]

    def get(self, id: str) -> StoredDataset:
        """Read a data set by its id or its name.

        Raises
        ------
        UnknownError
            There is none.
        """
        with transaction(self.engine) as session:
            return read_dataset_row(find_dataset(session, id))

    def add(self, id: str, new: Sequence[NewItem], *, by: str = "local", batch: str = "") -> list[DatasetItem]:
        """Take pictures in; one whose key is there already is given as it is, and not taken in again.

        Parameters
        ----------
        id
            Of the data set.
        new
            The pictures.
        by
            Who brings them.
        batch
            What was brought in one go is one change, to be undone in one.

        Returns
        -------
        list of DatasetItem
            In their order.

        Raises
        ------
        UnknownError
            There is no such data set.
        StoreError
            A class that it does not have, or too many pictures.
        StorageError
            The disk is full.
        """
        self._check_new(self.get(id), new)
        digests = [hashlib.sha256(item.data).hexdigest() for item in new]
        try:
            for item, digest in zip(new, digests, strict=True):
                self.blobs.put(digest, item.data)
        except OSError as e:
            raise StorageError(
                f"The picture cannot be kept: {e.strerror or e}.", "Free some disk space on the server, and try again."
            ) from e
        with transaction(self.engine, write=True) as session:
            data = find_dataset(session, id, lock=True)
            self._check_new(read_dataset_row(data), new)
            keys = [item.key for item in new]
            there = {
                row.key: row
                for row in session.scalars(
                    select(DatasetItemRow).where(DatasetItemRow.dataset_id == data.id, DatasetItemRow.key.in_(keys))
                )
            }
            fresh = [(item, d) for item, d in zip(new, digests, strict=True) if item.key not in there]
            change = _adding_change(session, data, by, batch, len(fresh)) if fresh else None
            for item, digest in fresh:
                if item.key in there or change is None:
                    continue
                row = DatasetItemRow(
                    id=secrets.token_hex(16),
                    dataset_id=data.id,
                    key=item.key,
                    digest=digest,
                    file=item.file[-LONGEST_FILE:],
                    bytes=len(item.data),
                    label=item.label,
                    labels=None
                    if item.labels is None
                    else check_labels(item.labels, [c["name"] for c in data.classes]),
                    patient=item.patient,
                    site=item.site,
                    split=item.split,
                    boxes=None if item.boxes is None else [dict(b) for b in item.boxes],
                    origin={**item.origin, "by": by, "at": now()},
                    left_out=False,
                    added=change.number,
                )
                there[item.key] = row
                session.add(row)
            session.flush()
            return [read_item_row(there[item.key]) for item in new]

    def items(self, id: str, *, left_out: bool = False) -> list[DatasetItem]:
        """List the pictures of a data set in the order in which they came; left_out: those that are, too.

        Raises
        ------
        UnknownError
            There is no such data set.
        """
        with transaction(self.engine) as session:
            data = find_dataset(session, id)
            wanted = select(DatasetItemRow).where(DatasetItemRow.dataset_id == data.id)
            if not left_out:
                wanted = wanted.where(DatasetItemRow.left_out.is_(False))
            rows = session.scalars(wanted.order_by(DatasetItemRow.added, DatasetItemRow.file, DatasetItemRow.id))
            return [read_item_row(row) for row in rows]

    def item(self, id: str, item: str) -> DatasetItem:
        """Read one picture of a data set.

        Raises
        ------
        UnknownError
            There is none.
        """
        with transaction(self.engine) as session:
            data = find_dataset(session, id)
            row = session.get(DatasetItemRow, item)
            if row is None or row.dataset_id != data.id:
                raise UnknownError(f"The data set {data.name} has no picture {item[:40]!r}.")
            return read_item_row(row)

    def find_key(self, id: str, key: str) -> DatasetItem | None:
        """Find the picture that came with an arrival; None where none did. Raises UnknownError."""
        with transaction(self.engine) as session:
            data = find_dataset(session, id)
            own = (DatasetItemRow.dataset_id == data.id, DatasetItemRow.key == key)
            row = session.scalars(select(DatasetItemRow).where(*own)).first()
            return None if row is None else read_item_row(row)

    def count(self, id: str) -> dict[str, int]:
        """Count the pictures of each class that are not left out; those without one under ""."""
        with transaction(self.engine) as session:
            data = find_dataset(session, id)
            own = (DatasetItemRow.dataset_id == data.id, DatasetItemRow.left_out.is_(False))
            if data.task in SEVERAL_TASKS:
                found = Counter[str]()
                for labels in session.scalars(select(DatasetItemRow.labels).where(*own)):
                    found.update([""] if labels is None else [name for name, value in labels.items() if value])
            else:
                wanted = select(DatasetItemRow.label, func.count()).where(*own).group_by(DatasetItemRow.label)
                found = Counter({label or "": n for label, n in session.execute(wanted)})
            return {name: found[name] for name in (*(c["name"] for c in data.classes), "")}

    def count_items(self, id: str) -> int:
        """Count the pictures that are not left out. Raises UnknownError."""
        with transaction(self.engine) as session:
            own = (DatasetItemRow.dataset_id == find_dataset(session, id).id, DatasetItemRow.left_out.is_(False))
            return session.scalar(select(func.count()).select_from(DatasetItemRow).where(*own)) or 0

    def path(self, item: DatasetItem) -> Path:
        """Locate the file of a picture."""
        return self.blobs.path(item.digest)

    def sweep(self) -> int:
        """Remove files that belong to no picture and are a day old; how many. Raises StorageError."""
        gone = 0
        before = time.time() - _ORPHAN_SECONDS
        with transaction(self.engine) as session:
            named = {*session.scalars(select(DatasetItemRow.digest).distinct())}
            named |= {*session.scalars(select(DatasetVersionItemRow.digest).distinct())}
        for path in (self.blobs.home / "blobs").glob("*/*"):
            with suppress(OSError):
                if path.parent.name + path.name not in named and path.stat().st_mtime < before:
                    self.forget_file(path.parent.name + path.name)
                    gone += 1
        return gone

    def forget_file(self, digest: str) -> None:
        """Remove a file that belongs to no picture any more. Raises OSError."""
        self.blobs.path(digest).unlink(missing_ok=True)
        self.thumbs.path(digest).unlink(missing_ok=True)

    def _check_new(self, data: StoredDataset, new: Sequence[NewItem]) -> None:
        for item in new:
            if item.label is not None and data.several:
                raise StoreError(f"A picture of {data.name} may have several findings.", "Tell `labels`, not a class.")
            if item.labels is not None:
                if not data.several:
                    raise StoreError(f"A picture of {data.name} has one class.", "Tell `label`.")
                check_labels(item.labels, data.labels)
            if item.label is not None and item.label not in data.labels:
                raise StoreError(
                    f"The data set {data.name} has no class {item.label[:60]!r}; it has: {', '.join(data.labels)}.",
                    "Add the class first.",
                )
            for told in (item.patient, item.site):
                _line(told or "", 100, "A patient or site")


def find_dataset(session: Session, id: str, *, lock: bool = False) -> DatasetRow:
    """Find the row of a data set by its id or name; lock: nobody else changes it until the end of the transaction.

    Raises
    ------
    UnknownError
        There is none.
    """
    wanted = select(DatasetRow).where((DatasetRow.id == id) | (DatasetRow.name == id)).limit(1)
    row = session.scalars(wanted.with_for_update() if lock else wanted).first()
    if row is None:
        raise UnknownError(f"There is no data set {id[:60]!r}.")
    return row


def add_change(
    session: Session, data: DatasetRow, action: str, detail: Mapping[str, Any], *, by: str
) -> DatasetChangeRow:
    """Write a change into the log of a data set that is locked, under the next number."""
    data.changes += 1
    change = DatasetChangeRow(
        dataset_id=data.id,
        number=data.changes,
        at=now(),
        by=by[:64],
        action=action,
        detail=dict(detail),
        undone=False,
    )
    session.add(change)
    session.flush()
    return change


def _adding_change(session: Session, data: DatasetRow, by: str, batch: str, count: int) -> DatasetChangeRow:
    """Find the change that what is brought in one go belongs to, or begin it."""
    last = session.scalars(
        select(DatasetChangeRow).where(DatasetChangeRow.dataset_id == data.id, DatasetChangeRow.number == data.changes)
    ).first()
    if batch and last is not None and last.action == "add" and not last.undone and last.detail.get("batch") == batch:
        last.detail = {**last.detail, "count": last.detail["count"] + count}
        return last
    return add_change(session, data, "add", {"batch": batch, "count": count}, by=by)


def _line(text: str, most: int, what: str) -> str:
    text = text.strip()
    if len(text) > most or not text.isprintable():
        raise StoreError(f"{what} is one line of at most {most} letters.", "Write less.")
    return text
