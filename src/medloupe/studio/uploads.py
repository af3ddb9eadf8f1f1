"""Keep files on their way into a data set, so that a lost connection or a killed server costs one chunk at most.

What was announced is a row, what came so far a file under home/datasets/uploads whose length is how far it is. A chunk
is flushed to the disk before it counts.
"""

from __future__ import annotations

import datetime
import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.engine import CursorResult

from medloupe.errors import StorageError, StoreError, UnknownError
from medloupe.store.database import transaction
from medloupe.store.dataset_items import find_dataset
from medloupe.store.datasets import Datasets
from medloupe.store.tables import DatasetUploadRow, now

MOST_UPLOAD = 4 * 2**30
MOST_CHUNK = 8 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetUpload:
    """A file on its way; offset: bytes that are there. The other fields are those of DatasetUploadRow."""

    id: str
    dataset_id: str
    length: int
    offset: int
    meta: Mapping[str, Any]
    by: str
    result: Mapping[str, Any] | None
    error: str

    @property
    def whole(self) -> bool:
        """Whether all bytes are there, or were taken in."""
        return self.offset >= self.length

    @property
    def over(self) -> bool:
        """Whether it was taken in, or refused."""
        return self.result is not None or bool(self.error)


class OffsetError(StoreError):
    """A chunk does not begin where the last one ended."""


class Uploads:
    """The files on their way into the data sets of a store."""

    def __init__(self, sets: Datasets):
        self._sets = sets
        self._folder = sets.home / "datasets" / "uploads"
        self._writing = threading.Lock()

    def path(self, id: str) -> Path:
        """Locate what came so far."""
        return self._folder / f"{id}.part"

    def announce(self, dataset: str, id: str, length: int, meta: Mapping[str, Any], *, by: str) -> DatasetUpload:
        """Announce a file; one that was announced before is given as it is.

        Raises
        ------
        UnknownError
            There is no such data set.
        StoreError
            It is too long, or another one has that id.
        StorageError
            The disk is full.
        """
        if not 0 < length <= MOST_UPLOAD:
            raise StoreError(f"A file of {length:,} bytes cannot be sent.", f"At most {MOST_UPLOAD >> 30} GiB at once.")
        with transaction(self._sets.engine, write=True) as session:
            data = find_dataset(session, dataset)
            row = session.get(DatasetUploadRow, id)
            if row is None:
                row = DatasetUploadRow(
                    id=id,
                    dataset_id=data.id,
                    length=length,
                    meta=dict(meta),
                    created=now(),
                    created_by=by[:64],
                    result=None,
                    error="",
                )
                session.add(row)
            elif (row.dataset_id, row.length) != (data.id, length):
                raise StoreError("Another file was announced under this id.", "Choose a new id.")
            session.flush()
            return self._read(row)

    def get(self, dataset: str, id: str) -> DatasetUpload:
        """Read how far a file is.

        Raises
        ------
        UnknownError
            None was announced under this id, or it has been forgotten.
        """
        with transaction(self._sets.engine) as session:
            data = find_dataset(session, dataset)
            row = session.get(DatasetUploadRow, id)
            if row is None or row.dataset_id != data.id:
                raise UnknownError(f"No upload {id[:40]!r} is under way.", "Begin it anew.")
            return self._read(row)

    def append(self, upload: DatasetUpload, offset: int, chunk: bytes) -> DatasetUpload:
        """Add a chunk, durably.

        Raises
        ------
        OffsetError
            It does not begin where the last one ended.
        StoreError
            It is longer than the file was to be.
        StorageError
            The disk is full.
        """
        path = self.path(upload.id)
        try:
            with self._writing:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as f:
                    there = f.tell()
                    if there != offset or upload.over:
                        raise OffsetError(f"The chunk begins at {offset:,}; {there:,} bytes are there.", "Ask how far.")
                    if there + len(chunk) > upload.length:
                        raise StoreError("The file is longer than was announced.", "Begin it anew.")
                    try:
                        f.write(chunk)
                        f.flush()
                        os.fsync(f.fileno())
                    except OSError:
                        with suppress(OSError):
                            f.truncate(there)
                        raise
        except OSError as e:
            raise StorageError(
                f"The file cannot be kept: {e.strerror or e}.", "Free some disk space on the server, and try again."
            ) from e
        return self.get(upload.dataset_id, upload.id)

    def settle(self, upload: DatasetUpload, *, result: Mapping[str, Any] | None = None, error: str = "") -> None:
        """Note what came of a file, and let its bytes go."""
        with transaction(self._sets.engine, write=True) as session:
            row = session.get(DatasetUploadRow, upload.id)
            if row is not None:
                row.result, row.error = None if result is None else dict(result), error[:2000]
        self.path(upload.id).unlink(missing_ok=True)

    def remove(self, upload: DatasetUpload) -> None:
        """Give a file up."""
        with transaction(self._sets.engine, write=True) as session:
            session.execute(delete(DatasetUploadRow).where(DatasetUploadRow.id == upload.id))
        self.path(upload.id).unlink(missing_ok=True)

    def list(self, dataset: str) -> list[DatasetUpload]:
        """List the files that are on their way into a data set, or were refused. Raises UnknownError."""
        with transaction(self._sets.engine) as session:
            data = find_dataset(session, dataset)
            wanted = select(DatasetUploadRow).where(DatasetUploadRow.dataset_id == data.id)
            rows = session.scalars(wanted.order_by(DatasetUploadRow.created, DatasetUploadRow.id))
            return [self._read(row) for row in rows]

    def list_whole(self) -> list[DatasetUpload]:
        """List those of which all is there and nothing has come yet: what a killed server left to do."""
        with transaction(self._sets.engine) as session:
            wanted = select(DatasetUploadRow).where(DatasetUploadRow.error == "")
            found = [self._read(row) for row in session.scalars(wanted.order_by(DatasetUploadRow.created))]
        return [upload for upload in found if upload.whole and not upload.over]

    def forget_old(self, days: float) -> int:
        """Forget those announced so many days ago, and files that belong to none; how many."""
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)
        with transaction(self._sets.engine, write=True) as session:
            old = DatasetUploadRow.created < before.isoformat(timespec="milliseconds")
            done = session.execute(delete(DatasetUploadRow).where(old))
            session.flush()
            known = set(session.scalars(select(DatasetUploadRow.id)))
        for path in self._folder.glob("*.part"):
            if path.stem not in known:
                path.unlink(missing_ok=True)
        return done.rowcount if isinstance(done, CursorResult) else 0

    def _read(self, row: DatasetUploadRow) -> DatasetUpload:
        offset = row.length if row.result is not None or row.error else 0
        with suppress(OSError):
            offset = offset or self.path(row.id).stat().st_size
        return DatasetUpload(
            id=row.id,
            dataset_id=row.dataset_id,
            length=row.length,
            offset=offset,
            meta=row.meta,
            by=row.created_by,
            result=row.result,
            error=row.error,
        )
