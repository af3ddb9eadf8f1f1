"""Lay out a store: the home folder, its database, the one writer at a time, and how failures are told.

    home/
        store.id                         who this store is, and its key (identity.py)
        medloupe.sqlite                  which versions there are, with their cards
        blobs/ab/cdef...                 backbones and heads by sha256, each kept once
        models/NAME/VERSION/             model.onnx and report.html, for people; judged.npz, for the promotion gate;
                                         data.json, where the images lie, for other precisions
        store.pending                    what a writer is about to make or remove; only there while one is at work
        store.lock                       held by the one writer; readers need no lock

A version is written whole or not at all: blobs and files are flushed and renamed into place first, the row that makes
them a version is committed last. A writer first announces every path it will make or remove (pending.py). Sweeping then
removes those that no row names: that is how a failed or killed writer is undone and how a removal is done.

Where MEDLOUPE_BLOBS names object storage, blobs and files go there too before the row is committed (shared.py), and
what lies here are copies. With PostgreSQL there is one writer at a time among all servers, not only on this machine.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from medloupe.errors import RemoteMissingError, StorageError, StoreError
from medloupe.settings import setting
from medloupe.store.blobs import Blobs
from medloupe.store.pending import Pending
from medloupe.store.shared import MARKER, SharedParts, files_key, open_shared, remove_old_copies
from medloupe.utils.files import exclusive_lock

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from medloupe.store.tables import VersionRow
    from medloupe.store.versions import Versions

_SIGNS = ("medloupe.sqlite", "store.id")  # of a store that is there, or was
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Storage:
    """The models under a home folder. Safe to use from several processes."""

    def __init__(self, home: Path):
        self.home = home
        self.patience = 60.0
        """Seconds to wait for another writer; a server waits for less."""
        self._pending = Pending(home)

    @cached_property
    def engine(self) -> Engine:
        """The database, opened when it is first asked for. Raises StoreError."""
        from medloupe.store.database import open_engine

        with self._explain_errors():
            self.home.mkdir(parents=True, exist_ok=True)
            return open_engine(self.home)

    @cached_property
    def shared(self) -> SharedParts | None:
        """The object storage, where there is one. Raises StoreError where it is told wrongly."""
        from medloupe.store.database import read_database_identity

        return open_shared(self.patience, lambda: read_database_identity(self.engine))

    def require_shared(self) -> SharedParts:
        """Return the object storage, to write there or remove. Raises StoreError where there is none, or another's."""
        if self.shared is None:
            raise StoreError("This store keeps its parts under its home folder alone.", "Set MEDLOUPE_BLOBS.")
        self.shared.claim()
        return self.shared

    @cached_property
    def _blobs(self) -> Blobs:
        return Blobs(self.home, self.shared)

    def sweep(self) -> None:
        """Remove what killed writers left. Every writer does so first; a server may at its start. Raises StoreError."""
        with self._hold_write_lock():
            if self.shared is not None:
                _, lists = self.list_shared()
                remove_old_copies(self.home / "models", lists)

    def folder(self, name: str, version: int | None) -> Path:
        """Locate model.onnx, report.html and judged.npz of a version; bring them here from object storage, if needed.

        Raises
        ------
        StorageError
            They are there no more, or cannot be reached.
        """
        own = self._own_folder(name, version)
        if version is None or self.shared is None or (own / MARKER).exists():
            return own
        with self._read_session() as versions:
            key = files_key(name, versions.row(name, version))
        with exclusive_lock(self._lock_of_copies(), self.patience):
            if not (own / MARKER).exists():
                with suppress(RemoteMissingError):  # a version from before there was object storage
                    self.shared.fetch_files(key, own)
        return own

    def _own_folder(self, name: str, version: int | None) -> Path:
        return self.home / "models" / name / str(version)

    def _lock_of_copies(self) -> Path:
        (self.home / "models").mkdir(parents=True, exist_ok=True)
        return self.home / "copies.lock"

    def list_shared(self) -> tuple[set[str], set[str]]:
        """List the blobs that versions name, and the keys of the lists of their files."""
        with self._read_session() as versions:
            blobs = {blob for _, _, own in versions.list_committed() for blob in own}
            lists = {files_key(model.name, row) for model, row in versions.all()}
        return blobs, lists

    @contextmanager
    def hold_writers(self) -> Iterator[None]:
        """Keep all writers waiting while the block runs. Raises BusyError."""
        with self._hold_write_lock():
            yield

    @property
    def _exists(self) -> bool:
        """Whether there can be anything in the store: asking an empty one should not make it. Raises OSError."""
        if self.home.exists() and not self.home.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(self.home))
        return bool(setting("MEDLOUPE_DATABASE")) or any((self.home / name).exists() for name in _SIGNS)

    @contextmanager
    def _read_session(self) -> Iterator[Versions]:
        """Open a session that reads."""
        from sqlalchemy.orm import Session

        from medloupe.store.versions import Versions

        with self._explain_errors(), Session(self.engine) as session:
            yield Versions(session, self.home)

    @contextmanager
    def _write_session(self) -> Iterator[Versions]:
        """Open a session that writes, of the one writer."""
        from medloupe.store.database import writing_session
        from medloupe.store.versions import Versions

        with self._hold_write_lock(), writing_session(self.engine) as session:
            yield Versions(session, self.home)

    def _check_parts(self, row: VersionRow) -> None:
        """Check the blobs of a version. Raises StoreError when one is missing or damaged."""
        for blob in row.blobs:
            self._blobs.get(blob)

    @contextmanager
    def _hold_write_lock(self) -> Iterator[None]:
        """Be the one writer; before and after, also when it fails, what was announced is swept."""
        with self._explain_errors():
            _ = self.engine  # which may take the lock itself
            from medloupe.store.database import hold_writing_lock

            with (
                exclusive_lock(self.home / "store.lock", self.patience),
                hold_writing_lock(self.engine, self.patience),
            ):
                with suppress(OSError):  # what cannot go now goes with a later writer
                    self._pending.sweep(self._list_kept)
                try:
                    yield
                finally:
                    with suppress(Exception):
                        self._pending.sweep(self._list_kept)

    def _list_kept(self) -> set[Path]:
        """List the folders and blobs of all versions."""
        with self._read_session() as versions:
            rows = versions.list_committed()
        kept = {self._own_folder(name, number) for name, number, _ in rows}
        return kept | {self._blobs.path(blob) for _, _, blobs in rows for blob in blobs}

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except OSError as e:
            raise StorageError(
                f"The store {self.home} cannot be used: {e.filename or ''} {e.strerror or e}".replace("  ", " ") + ".",
                "Free some disk space, or choose another place with --home."
                if e.errno in _FULL
                else "Choose a folder that you may write to with --home or MEDLOUPE_HOME.",
            ) from e
        except SQLAlchemyError as e:
            from medloupe.store.database import database_url, explain_failure

            raise explain_failure(database_url(self.home), e) from e
