"""Gather what a browser fetches by content: networks and numbers, each told by its sha256 and size in bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from medloupe.utils.files import sha256_of


class BlobSet:
    """Bytes and files by sha256.

    Attributes
    ----------
    found : dict
        By sha256 the bytes, or the file that holds them.
    """

    def __init__(self) -> None:
        self.found: dict[str, bytes | Path] = {}

    def put(self, data: bytes) -> dict[str, Any]:
        """Add bytes; how a card names them: {sha256, bytes}."""
        digest = hashlib.sha256(data).hexdigest()
        self.found[digest] = data
        return {"sha256": digest, "bytes": len(data)}

    def put_file(self, path: Path) -> dict[str, Any]:
        """Add a file; how a card names it. Raises OSError where it cannot be read."""
        digest = sha256_of(path)
        self.found[digest] = path
        return {"sha256": digest, "bytes": path.stat().st_size}

    def put_arrays(self, arrays: Mapping[str, np.ndarray]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Add arrays one after the other, little endian: the list of them, [{name, type, length}], and their blob."""
        told = [{"name": name, "type": a.dtype.str[1:], "length": a.size} for name, a in arrays.items()]
        parts = (np.ascontiguousarray(a, a.dtype.newbyteorder("<")).tobytes() for a in arrays.values())
        return told, self.put(b"".join(parts))
