"""NumPy .npz files from strangers: never unpickled, and no memory taken that their bytes do not bear out."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np

from medloupe.errors import DataError

MAX_UNPACKED_BYTES = 512 * 2**20
"""Most that the arrays of a file that was sent may take; a data set's file may take what memory there is."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, SyntaxError, TokenError)  # by a damaged archive or header


def load(source: Path | bytes, name: str | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz by name, without ever unpickling. DataError when it is broken or not what it claims."""
    name = name or str(source)
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if isinstance(source, bytes) and total > MAX_UNPACKED_BYTES:
                most = MAX_UNPACKED_BYTES >> 20
                raise DataError(f"{name} unpacks to {total >> 20:,} MiB; {most} are read.", "Export a part of it.")
            for member in members:
                _check(archive, member)
        with np.load(io.BytesIO(source) if isinstance(source, bytes) else source, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (*_BROKEN, OSError, ValueError, LookupError, TypeError, RuntimeError, ArithmeticError) as error:
        raise DataError(f"{name} is not a readable .npz file ({error}).", "Download it again.") from None
    except MemoryError:
        raise DataError(f"{name} does not fit into memory.", "Use a smaller version of it.") from None


def names(path: Path) -> frozenset[str]:
    """The names of a file's arrays, without reading them; none where it is no .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(member.removesuffix(".npy") for member in archive.namelist())
    except (*_BROKEN, OSError, ValueError, RuntimeError):
        return frozenset()


def _check(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Compare the shape an array claims with the bytes that are there, before memory is taken for it."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds pickled objects, which are never loaded")
        if size != member.file_size - file.tell():
            raise ValueError(f"{member.filename} claims {size} bytes and holds {member.file_size - file.tell()}")
