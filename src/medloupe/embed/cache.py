"""Keep features by the content of their images: rows that are appended and never changed.

One folder a backbone and way of fitting. Row i of three files belongs together:

    index.bin        sha256 of the image's bytes, checksum of the row (36 bytes)
    embeddings.f32   float32 (D,)
    thumbs.bin       the image's width, height, length in bytes, and a 32x32 RGB thumbnail

The index is written last, so a process killed at any point leaves at most rows that nobody points to; the next
writer overwrites them. Several processes may append to one folder: each append holds a lock.
"""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medloupe.errors import StoreError
from medloupe.settings import memory
from medloupe.utils.files import exclusive_lock

THUMB = 32
FACTS = np.dtype([("width", "<u4"), ("height", "<u4"), ("bytes", "<u8"), ("thumb", "u1", (THUMB, THUMB, 3))])
_INDEX = np.dtype([("digest", "V32"), ("checksum", "<u4")])
_CHUNK = 256  # rows read at a time
_GATHERED = "gathered-"  # files of rows that were too many for memory; the number of their process follows


class FeatureCache:
    """Embeddings and facts of images by the sha256 of their bytes.

    Parameters
    ----------
    folder : Path
        Created when missing.
    dimension : int
        D, of the embeddings.

    Raises
    ------
    StoreError
        When the folder cannot be read or written.
    """

    def __init__(self, folder: Path, dimension: int):
        self.folder = folder
        self.dimension = dimension
        self.rows: dict[bytes, int] = {}
        self._checksums: list[int] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._read_index()
        except OSError as e:
            raise self._explained(e) from e

    def __contains__(self, digest: bytes) -> bool:
        return digest in self.rows

    def append(self, digests: Sequence[bytes], embeddings: np.ndarray, facts: np.ndarray) -> None:
        """Add rows.

        Parameters
        ----------
        digests : sequence of bytes
            n sha256 of 32 bytes.
        embeddings : np.ndarray
            float32 (n, D).
        facts : np.ndarray
            (n,) of dtype FACTS.

        Raises
        ------
        StoreError
            When they cannot be written.
        """
        try:
            with exclusive_lock(self.folder / "lock"):
                self._read_index()  # another process may have added rows
                start = len(self._checksums)
                embeddings = np.ascontiguousarray(embeddings, np.float32)
                checksums = [_checksum(e, f) for e, f in zip(embeddings, facts, strict=True)]
                index = np.empty(len(digests), _INDEX)
                index["digest"] = [np.void(d) for d in digests]
                index["checksum"] = checksums
                self._write_at("embeddings.f32", start * self.dimension * 4, embeddings.tobytes())
                self._write_at("thumbs.bin", start * FACTS.itemsize, facts.tobytes())
                self._write_at("index.bin", start * _INDEX.itemsize, index.tobytes())
        except OSError as e:
            raise self._explained(e) from e
        for i, digest in enumerate(digests):
            self.rows[digest] = start + i
        self._checksums += checksums

    def read(self, digests: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Read rows; those that lie in order are mapped from the file, without a copy, else they are gathered.

        Returns
        -------
        embeddings : np.ndarray
            float32 (n, D).
        facts : np.ndarray
            (n,) of dtype FACTS.
        damaged : list of int
            The positions whose rows are missing or damaged.

        Raises
        ------
        StoreError
            When the files cannot be read.
        """
        try:
            return self._read(digests)
        except OSError as e:
            raise self._explained(e) from e

    def erase(self, digests: Collection[bytes]) -> int:
        """Overwrite rows with zeros where they stand, on the disk; how many.

        Rows keep their places, so that whoever has the cache open meanwhile reads no other row for one's own: the
        checksum of one that is gone no longer fits, and it is made anew where it is asked for.

        Raises
        ------
        StoreError
            When they cannot be written.
        """
        try:
            with exclusive_lock(self.folder / "lock"):
                self._read_index()
                gone = sorted((self.rows.pop(d), d) for d in digests if d in self.rows)
                for row, _ in gone:
                    self._zero("embeddings.f32", row, self.dimension * 4)
                    self._zero("thumbs.bin", row, FACTS.itemsize)
                    self._zero("index.bin", row, _INDEX.itemsize)  # last: a row that is named is tried again
                    self._checksums[row] = 0
                return len(gone)
        except OSError as e:
            raise self._explained(e) from e

    def _zero(self, name: str, row: int, size: int) -> None:
        with (self.folder / name).open("r+b") as f:
            f.seek(row * size)
            f.write(b"\0" * size)
            f.flush()
            os.fsync(f.fileno())

    def _read(self, digests: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray, list[int]]:
        rows = np.array([self.rows.get(d, -1) for d in digests], np.int64)
        n = len(rows)
        facts = np.empty(n, FACTS)
        path, thumbs = self.folder / "embeddings.f32", self.folder / "thumbs.bin"
        for file in (path, thumbs):  # an empty cache, or a file deleted beside its index
            if not file.exists():
                file.touch()
        mapped = bool(n) and rows[0] >= 0 and np.array_equal(rows, np.arange(rows[0], rows[0] + n))
        mapped = mapped and path.stat().st_size >= (int(rows[-1]) + 1) * self.dimension * 4  # cut short otherwise
        if mapped:
            offset = int(rows[0]) * self.dimension * 4
            embeddings = np.asarray(np.memmap(path, np.float32, "r", offset, (n, self.dimension)))
        else:
            embeddings = self._make_room(n)
        damaged = []
        with path.open("rb") as fe, thumbs.open("rb") as ff:
            for i, row in enumerate(rows):
                if row < 0:
                    damaged.append(i)
                    continue
                e = self._row(fe, row, np.dtype((np.float32, self.dimension)))
                f = self._row(ff, row, FACTS)
                if e is None or f is None or _checksum(e, f) != self._checksums[row]:
                    damaged.append(i)
                    continue
                facts[i] = f
                if not mapped:
                    embeddings[i] = e
        for i in damaged:
            self.rows.pop(digests[i], None)
        return embeddings, facts, damaged

    def _make_room(self, n: int) -> np.ndarray:
        """Make room for rows that lie in no order: in memory, or where too large in a file that goes with the array."""
        if n * self.dimension * 4 <= memory():
            return np.zeros((n, self.dimension), np.float32)
        for left in self.folder.glob(f"{_GATHERED}*"):  # of a process that was killed
            if not _lives(int(left.name.removeprefix(_GATHERED).partition("-")[0])):
                left.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=f"{_GATHERED}{os.getpid()}-")
        os.close(handle)
        made = np.memmap(name, np.float32, "w+", shape=(n, self.dimension))
        weakref.finalize(made, Path(name).unlink, missing_ok=True)
        return np.asarray(made)

    def _row(self, f: BinaryIO, row: int, dtype: np.dtype) -> np.ndarray | None:
        f.seek(int(row) * dtype.itemsize)
        data = f.read(dtype.itemsize)
        return np.frombuffer(data, dtype)[0] if len(data) == dtype.itemsize else None

    def _read_index(self) -> None:
        """Take in rows that were appended since the last look; a torn last entry is left out."""
        path = self.folder / "index.bin"
        if not path.exists():
            return
        start = len(self._checksums)
        with path.open("rb") as f:
            f.seek(start * _INDEX.itemsize)
            data = f.read()
        index = np.frombuffer(data[: len(data) // _INDEX.itemsize * _INDEX.itemsize], _INDEX)
        for i, digest in enumerate(index["digest"]):
            self.rows[digest.tobytes()] = start + i
        self._checksums += index["checksum"].tolist()

    def _fits(self) -> bool:
        """Whether the dimension is that of the rows: the checksum of one that was not erased says so."""
        named = [(d, row) for d, row in self.rows.items() if any(d)][-3:]
        before = dict(self.rows)  # reading forgets rows that are damaged
        fits = bool(named) and len(self.read([d for d, _ in named])[2]) < len(named)
        self.rows = before
        return fits

    def _write_at(self, name: str, offset: int, data: bytes) -> None:
        path = self.folder / name
        with path.open("r+b" if path.exists() else "w+b") as f:
            f.seek(offset)
            f.write(data)
            f.truncate()

    def _explained(self, e: OSError) -> StoreError:
        full = e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        return StoreError(
            f"The feature cache {self.folder} cannot be used: {e.strerror or e}.",
            "Free some disk space, or choose another place with --home; what is cached already is kept."
            if full
            else "Choose a folder you may write to with --home or MEDLOUPE_HOME.",
        )


def _lives(pid: int) -> bool:
    """Whether there is a process of that number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def open_any_cache(folder: Path) -> FeatureCache | None:
    """Open a cache without knowing of which network it is, by a row of whose checksum the dimension is known.

    Returns
    -------
    FeatureCache or None
        None where there is no row, or none that is whole.

    Raises
    ------
    StoreError
        When the files cannot be read.
    """
    opened = FeatureCache(folder, 0)
    thumbs, embeddings = folder / "thumbs.bin", folder / "embeddings.f32"
    if not opened._checksums or not thumbs.is_file() or not embeddings.is_file():
        return None
    size = embeddings.stat().st_size // 4
    for rows in (thumbs.stat().st_size // FACTS.itemsize, len(opened._checksums)):
        for held in (rows, rows + 1):  # a writer that was killed may have left one file longer than the other
            if not held or size % held:
                continue
            found = FeatureCache(folder, size // held)
            if found._fits():
                return found
    return None


def _checksum(embedding: np.ndarray, facts: np.ndarray) -> int:
    return zlib.crc32(facts.tobytes(), zlib.crc32(embedding.tobytes()))
