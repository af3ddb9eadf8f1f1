"""Keep the parts of models, each once, under the sha256 of its content."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from medloupe.errors import StorageError
from medloupe.utils.files import sync_folders, write_atomically


class Blobs:
    """Blobs under home/blobs. Raises OSError where the disk does."""

    def __init__(self, home: Path):
        self.home = home

    def path(self, sha256: str) -> Path:
        """Locate a blob, whether it is there or not."""
        return self.home / "blobs" / sha256[:2] / sha256[2:]

    def put(self, sha256: str, data: bytes) -> None:
        """Keep data, durably; sha256 must be its own. A damaged blob is mended."""
        path = self.path(sha256)
        with suppress(OSError):
            if path.read_bytes() == data:
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
        sync_folders(path.parent, self.home)

    def get(self, sha256: str) -> bytes:
        """Read the content. Raises StorageError when it is missing or damaged."""
        path = self.path(sha256)
        hint = "Restore it from a backup, or remove the version and train it again."
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise StorageError(f"The blob {path} is missing.", hint) from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StorageError(f"The blob {path} is damaged: its content does not match its name.", hint)
        return data
