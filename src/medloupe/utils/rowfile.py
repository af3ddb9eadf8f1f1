"""Read matrices that are larger than memory from their files, in passes from top to bottom, a few rows at a time.

What is read does not stay mapped, so that memory is what two blocks take; one is read while another is worked on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np

from medloupe.settings import memory

BLOCK_BYTES = 16 * 2**20  # of a file at a time: large enough for any disk, small beside memory


class RowFile:
    """A matrix (N, D) in a file; what is taken is an ordinary array of float32, read afresh each time.

    Parameters
    ----------
    path : Path
        A file of bare numbers, row after row.
    columns : int
        D.
    dtype : np.dtype
        Of the file: float16 or float32.
    offset : int
        Bytes before the first row.
    rows : int, optional
        N; all that the file holds by default.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, path: Path, columns: int, dtype: np.dtype, offset: int = 0, rows: int | None = None):
        self.path, self.offset, self.stored = path, offset, np.dtype(dtype)
        self._row = columns * self.stored.itemsize
        there = (path.stat().st_size - offset) // self._row
        self.shape = (there if rows is None else rows, columns)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """What it takes on the disk."""
        return self.shape[0] * self._row

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        """Read rows: a slice, numbers of rows or a mask; float32 (n, D)."""
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                with self.path.open("rb", buffering=0) as f:
                    return self._read(f.fileno(), start, max(start, stop)).astype(np.float32, copy=False)
        rows = np.arange(len(self))[key]
        out = np.empty((len(rows), self.shape[1]), np.float32)
        with self.path.open("rb", buffering=0) as f:
            begin = 0
            while begin < len(rows):  # rows that follow each other are read together
                end = begin + 1
                while end < len(rows) and rows[end] == rows[end - 1] + 1 and (end - begin) * self._row < BLOCK_BYTES:
                    end += 1
                out[begin:end] = self._read(f.fileno(), int(rows[begin]), int(rows[end - 1]) + 1)
                begin = end
        return out

    def blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Read all rows once, in order, a block ahead of what is worked on; each with its place."""
        step = max(1, BLOCK_BYTES // self._row)
        parts = [slice(a, min(a + step, len(self))) for a in range(0, len(self), step)]
        with self.path.open("rb", buffering=0) as f, ThreadPoolExecutor(1) as ahead:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(f.fileno(), self.offset, self.nbytes, os.POSIX_FADV_SEQUENTIAL)
            coming = None
            for k, part in enumerate(parts):
                block = self._read(f.fileno(), part.start, part.stop) if coming is None else coming.result()
                if k + 1 < len(parts):
                    coming = ahead.submit(self._read, f.fileno(), parts[k + 1].start, parts[k + 1].stop)
                yield part, block

    def _read(self, descriptor: int, start: int, stop: int) -> np.ndarray:
        """Read rows as they are stored."""
        out = np.empty((stop - start, self.shape[1]), self.stored)
        view, at = memoryview(cast(Any, out.reshape(-1).view(np.uint8))), self.offset + start * self._row
        while len(view):
            count = os.preadv(descriptor, [view], at)
            if not count:
                raise OSError(f"{self.path} ends before row {stop}.")
            view, at = view[count:], at + count
        return out


def iterate_rows(matrix: np.ndarray | RowFile, rows: int) -> Iterator[tuple[slice, np.ndarray]]:
    """Iterate over a matrix, so many rows at a time: each part's place, and its rows float32 (n, D)."""
    if isinstance(matrix, RowFile):
        for place, block in matrix.blocks():
            for a in range(0, len(block), rows):
                part = block[a : a + rows].astype(np.float32, copy=False)
                yield slice(place.start + a, place.start + a + len(part)), part
        return
    for a in range(0, len(matrix), rows):
        yield slice(a, min(a + rows, len(matrix))), matrix[a : a + rows]


def stream_large(matrix: np.ndarray) -> np.ndarray:
    """Give what reads a matrix (N, D) from its file, where it is mapped and larger than what features may take.

    All others come back as they are. It is for code that takes slices and rows of an array, and asks shape and length.
    """
    source = matrix
    while isinstance(source, np.ndarray) and not isinstance(source, np.memmap):
        source = source.base  # pyright: ignore[reportAttributeAccessIssue] (what an array is a view of)
    if not isinstance(source, np.memmap) or matrix.nbytes <= memory() or source.filename is None:
        return matrix
    if matrix.ndim != 2 or not matrix.flags.c_contiguous or matrix.dtype not in (np.float16, np.float32):
        return matrix
    offset = source.offset + matrix.ctypes.data - source.ctypes.data
    return cast(np.ndarray, RowFile(Path(source.filename), matrix.shape[1], matrix.dtype, offset, len(matrix)))
