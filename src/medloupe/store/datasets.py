"""Keep versions of data sets: frozen lists of pictures, written as the folder with a table that `medloupe train` reads.

A version is rows, written by one transaction; the same content is one version. Its folder
(home/datasets/versions/ID/NAME-NUMBER) is made of it when it is needed, of links to the files, and can be made again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from medloupe.errors import StorageError, StoreError, UnknownError
from medloupe.store.database import transaction
from medloupe.store.dataset_changes import DatasetChanges
from medloupe.store.dataset_items import find_dataset
from medloupe.store.dataset_nouns import (
    SEVERAL_TASKS,
    DatasetItem,
    DatasetVersion,
    read_version_item_row,
    read_version_row,
)
from medloupe.store.production import log_action
from medloupe.store.tables import (
    DatasetItemRow,
    DatasetRow,
    DatasetVersionItemRow,
    DatasetVersionRow,
    now,
)
from medloupe.utils.files import sync_folder, write_atomically

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

TABLE = "labels.csv"
BOXES = "boxes.csv"
"""Beside it, of a data set with boxes: a row for each, and one without label and numbers for a picture without any."""
BOX_HEAD = ("file", "label", "x", "y", "width", "height")
_SAID = ("digest", "file", "label", "patient", "site", "split", "boxes")
_HELD = (*_SAID, "labels")


class Datasets(DatasetChanges):
    """The data sets of a store, with their versions. Safe to use from several processes."""

    def freeze(self, id: str, *, by: str = "local") -> DatasetVersion:
        """Make a version of what takes part now; where the last one holds the same, that one.

        Raises
        ------
        UnknownError
            There is no such data set.
        StoreError
            There is nothing in it.
        """
        with transaction(self.engine, write=True) as session:
            return self.freeze_within(session, id, by=by)

    def freeze_within(self, session: Session, id: str, *, by: str, job: str | None = None) -> DatasetVersion:
        """Make a version within a transaction, with the training that is asked for; raises as `freeze`."""
        data = find_dataset(session, id, lock=True)
        items = list(
            session.scalars(
                select(DatasetItemRow)
                .where(DatasetItemRow.dataset_id == data.id, DatasetItemRow.left_out.is_(False))
                .order_by(DatasetItemRow.id)
            )
        )
        if not items:
            raise StoreError(f"The data set {data.name} has no pictures.", "Add some first.")
        digest = _digest(data, items)
        wanted = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == data.id)
        last = session.scalars(wanted.order_by(DatasetVersionRow.number.desc()).limit(1)).first()
        if last is None or last.digest != digest:
            last = DatasetVersionRow(
                dataset_id=data.id,
                number=1 if last is None else last.number + 1,
                created=now(),
                created_by=by[:64],
                digest=digest,
                classes=data.classes,
                ordered=data.ordered,
                kind=data.kind,
                job=None,
            )
            session.add(last)
            session.flush()
            for item in items:
                said = {name: getattr(item, name) for name in _HELD}
                session.add(DatasetVersionItemRow(version_id=last.id, item_id=item.id, erased=None, **said))
            log_action(session, "dataset.freeze", f"{data.name}@{last.number}", actor=by)
        if job is not None:
            last.job = job
        session.flush()
        return read_version_row(last)

    def versions(self, id: str) -> list[DatasetVersion]:
        """List the versions of a data set, the newest first. Raises UnknownError."""
        with transaction(self.engine) as session:
            data = find_dataset(session, id)
            wanted = select(DatasetVersionRow).where(DatasetVersionRow.dataset_id == data.id)
            return [read_version_row(row) for row in session.scalars(wanted.order_by(DatasetVersionRow.number.desc()))]

    def version_items(self, id: str, number: int) -> list[DatasetItem]:
        """List the pictures of a version by file; those erased since are told as left out. Raises UnknownError."""
        with transaction(self.engine) as session:
            version = _find_version(session, id, number)
            wanted = select(DatasetVersionItemRow).where(DatasetVersionItemRow.version_id == version.id)
            rows = session.scalars(wanted.order_by(DatasetVersionItemRow.file, DatasetVersionItemRow.item_id))
            return [read_version_item_row(row) for row in rows]

    def version_folder(self, id: str, number: int) -> Path:
        """Write the folder of a version, where it is not there yet: pictures by class, and a table of all.

        Returns
        -------
        Path
            The table, which names file, label, patient, site and split of each: what `medloupe train` reads. Of several
            findings each is a column of 1, 0 and, where nobody told, nothing. Of a data set with boxes these lie beside
            it, in BOXES, and pictures at which nobody looked for them are left out.

        Raises
        ------
        UnknownError
            There is no such version.
        StorageError
            The disk is full.
        """
        data = self.get(id)
        items = [item for item in self.version_items(data.id, number) if not item.left_out]
        folder = self._folder(data.id, data.name, number)
        if (folder / TABLE).is_file():
            return folder / TABLE
        findings = None
        if data.several:
            findings = [c.name for v in self.versions(id) if v.number == number for c in v.classes]
        try:
            self.write_folder(folder, items, boxes=data.boxed, findings=findings)
        except OSError as e:
            raise StorageError(
                f"The data set {data.name} cannot be written: {e.strerror or e}.", "Free some disk space, try again."
            ) from e
        return folder / TABLE

    def _folder(self, id: str, name: str, number: int) -> Path:
        """Locate the folder of a version, which is called as reports are to call it."""
        return version_place(self.home, id, name, number)

    def write_folder(
        self,
        folder: Path,
        items: Sequence[DatasetItem],
        *,
        boxes: bool = False,
        findings: Sequence[str] | None = None,
    ) -> None:
        """Write pictures and their table into a folder, which is there whole or not at all.

        Parameters
        ----------
        folder, items
            Where, and which.
        boxes
            Whether they have boxes instead of classes.
        findings
            Of a data set of several findings a picture, these; each is a column.

        Raises
        ------
        OSError
            It cannot be written.
        """
        items = [item for item in items if item.boxes is not None] if boxes else items
        temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        columns = [name for name in ("patient", "site", "split") if any(getattr(item, name) for item in items)]
        if boxes and {item.split for item in items} <= {None, "train"}:  # no test is told
            columns = [name for name in columns if name != "split"]
        rows: list[list[str]] = []
        for item in items:
            place = f"images/{item.id}{Path(item.file).suffix.lower()[:8]}"
            path = temporary / place
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self.path(item), path)
            except OSError:  # another file system, or one without links
                shutil.copyfile(self.path(item), path)
            told = [getattr(item, name) or "" for name in columns]
            rows.append([place, *([] if boxes else list_cells(item, findings)), *told])
        head = ["file", *([] if boxes else ["label"] if findings is None else findings), *columns]
        write_atomically(temporary / TABLE, write_csv([head, *rows]).encode())
        if boxes:
            places = [row[0] for row in rows]
            drawn = [row for item, place in zip(items, places, strict=True) for row in list_box_rows(item, place)]
            write_atomically(temporary / BOXES, write_csv([BOX_HEAD, *drawn]).encode())
        with suppress(FileNotFoundError):
            shutil.rmtree(folder)  # half of one, from elsewhere
        temporary.rename(folder)
        sync_folder(folder.parent)

    def remove(self, id: str, *, by: str = "local") -> None:
        """Remove a data set with all that is in it; models trained from it stay. Raises UnknownError."""
        with transaction(self.engine, write=True) as session:
            data = find_dataset(session, id, lock=True)
            wanted = select(DatasetItemRow.digest).where(DatasetItemRow.dataset_id == data.id)
            digests, folder = set(session.scalars(wanted)), self.home / "datasets" / "versions" / data.id
            log_action(session, "dataset.remove", data.name, actor=by)
            session.delete(data)
            session.flush()
            gone = [d for d in digests if not _is_named(session, d)]
        for digest in gone:
            self.forget_file(digest)
        shutil.rmtree(folder, ignore_errors=True)


def list_cells(item: DatasetItem, findings: Sequence[str] | None) -> list[str]:
    """List what a table says of a picture: its class, or of each finding 1, 0, or nothing where nobody told."""
    if findings is None:
        return [item.label or ""]
    return [str((item.labels or {}).get(name, "")) for name in findings]


def list_box_rows(item: DatasetItem, place: str) -> list[list[str]]:
    """List the rows of BOXES of a picture that lies at a place; one that is blank where nothing is on it."""
    drawn = [[place, str(box["label"]), *(f"{box[side]:g}" for side in BOX_HEAD[2:])] for box in item.boxes or ()]
    return drawn or [[place, *[""] * 5]]


def write_csv(rows: Iterable[Sequence[str]]) -> str:
    """Write rows as CSV with plain line ends."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def version_place(home: Path, id: str, name: str, number: int) -> Path:
    """Locate the folder of a version under home, by the id and name of its data set."""
    return home / "datasets" / "versions" / id / f"{name}-{number}"


def _is_named(session: Session, digest: str) -> bool:
    return any(
        session.scalar(select(func.count()).select_from(table).where(table.digest == digest))
        for table in (DatasetItemRow, DatasetVersionItemRow)
    )


def _find_version(session: Session, id: str, number: int) -> DatasetVersionRow:
    data = find_dataset(session, id)
    wanted = select(DatasetVersionRow).where(
        DatasetVersionRow.dataset_id == data.id, DatasetVersionRow.number == number
    )
    row = session.scalars(wanted).first()
    if row is None:
        raise UnknownError(f"The data set {data.name} has no version {number}.")
    return row


def _digest(data: DatasetRow, items: Sequence[DatasetItemRow]) -> str:
    names = _HELD if data.task in SEVERAL_TASKS else _SAID  # others keep the digest that they have always had
    held = [[item.id, *(getattr(item, name) for name in names)] for item in items]
    told = {"classes": data.classes, "ordered": data.ordered, "kind": data.kind, "items": held}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
