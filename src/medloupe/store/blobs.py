"""Keep the parts of models, each once, under the sha256 of its content; in object storage too, where there is one."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from medloupe.errors import StorageError
from medloupe.utils.files import sync_folders, write_atomically

if TYPE_CHECKING:
    from medloupe.store.shared import SharedParts


class Blobs:
    """Blobs under home/blobs. Raises OSError where the disk does.

    Parameters
    ----------
    home
        The folder above.
    shared
        What several servers have; the folder then holds copies.
    """

    def __init__(self, home: Path, shared: SharedParts | None = None):
        self.home = home
        self.shared = shared

    def path(self, sha256: str) -> Path:
        """Locate a blob, whether it is there or not."""
        return self.home / "blobs" / sha256[:2] / sha256[2:]

    def put(self, sha256: str, data: bytes) -> None:
        """Keep data, durably; sha256 must be its own. A damaged blob is mended."""
        if self.shared is not None:
            self.shared.put(sha256, data)
        self._put_here(sha256, data)

    def _put_here(self, sha256: str, data: bytes) -> None:
        path = self.path(sha256)
        with suppress(OSError):
            if path.read_bytes() == data:
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
        sync_folders(path.parent, self.home)

    def get(self, sha256: str) -> bytes:
        """Read the content. Raises StorageError when it is missing or damaged, BusyError when that cannot be told."""
        path = self.path(sha256)
        hint = "Restore it from a backup, or remove the version and train it again."
        data = None
        with suppress(FileNotFoundError):
            data = path.read_bytes()
        whole = data is not None and hashlib.sha256(data).hexdigest() == sha256
        if not whole and self.shared is not None:
            data = self.shared.get(sha256)
            self._put_here(sha256, data)
            return data
        if data is None:
            raise StorageError(f"The blob {path} is missing.", hint)
        if not whole:
            raise StorageError(f"The blob {path} is damaged: its content does not match its name.", hint)
        return data
