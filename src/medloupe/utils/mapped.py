"""Map arrays to files: reserved at once, written in any order, marked row by row."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np


def map_array(path: Path, kind: type, shape: tuple[int, ...], mark: Path | None = None) -> np.ndarray:
    """Map a file as an array that can be written; it is made where there is none of that length.

    Parameters
    ----------
    path : Path
        The file.
    kind : type
        Of the numbers.
    shape : tuple of int
        Of the array.
    mark : Path, optional
        A file that says what the array holds, and goes when it is made.

    Raises
    ------
    OSError
        When the disk is full; then nothing is left of the file.
    """
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    if not path.exists() or path.stat().st_size != size:
        if mark:
            mark.unlink(missing_ok=True)
        with path.open("wb") as f:
            # reserved at once: a disk that fills up while a mapping is written would end the process
            try:
                os.posix_fallocate(f.fileno(), 0, size) if hasattr(os, "posix_fallocate") else f.truncate(size)
            except OSError:
                path.unlink()  # what was reserved so far would keep the disk full
                raise
    return np.memmap(path, kind, "r+", shape=shape)


def flush(array: np.ndarray) -> None:
    """Write what was changed of a mapped array to the disk."""
    if isinstance(array, np.memmap):
        array.flush()
