"""Read NumPy arrays from strangers, as .npz files or base64: never unpickled, sizes checked before memory is taken."""

from __future__ import annotations

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError

import numpy as np

from medloupe.errors import DataError

MAX_UNPACKED_BYTES = 512 * 2**20
"""Most that the arrays of a file that was sent may take; a data set's file may take what memory there is."""

MAX_MEMBERS = 256
"""Most arrays of a file that was sent."""

_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # as NumPy writes
_LARGE, _MOST_RATIO = 32 * 2**20, 200  # bytes from which it matters how many times its size a file unpacks to
_MOST_ENTRY = 1024  # bytes of a member in the directory
_DIRECTORY_END = b"PK\x05\x06"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, SyntaxError, TokenError)  # by a damaged archive or header


def load_npz(source: Path | bytes, name: str | None = None) -> dict[str, np.ndarray]:
    """Load the arrays of an .npz file by name, without ever unpickling.

    Parameters
    ----------
    source : Path or bytes
        The file, or the bytes of one that was sent, which may unpack to MAX_UNPACKED_BYTES.
    name : str, optional
        What to call it in errors; the source's path by default.

    Raises
    ------
    DataError
        When it is broken, not what it claims, or does not fit into memory.
    """
    name = name or str(source)
    with open_npz(source, name) as found:
        return {key: found[key] for key in found}


@contextmanager
def open_npz(source: Path | bytes, name: str) -> Iterator[NpzArrays]:
    """Open an .npz file: what its arrays claim to be is checked, and none is unpacked until it is asked for.

    Parameters
    ----------
    source : Path or bytes
        The file, or the bytes of one that was sent, which may unpack to MAX_UNPACKED_BYTES.
    name : str
        What to call it in errors.

    Raises
    ------
    DataError
        When it is broken, not what it claims, or does not fit into memory.
    """
    try:
        if isinstance(source, bytes):
            _check_directory(source, name)
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            members = archive.infolist()
            if other := next((m for m in members if m.compress_type not in _COMPRESSIONS), None):
                # which are unpacked by blocks of any size
                raise DataError(f"{name} packs {other.filename[:80]} in a way that NumPy does not.", "Save it again.")
            if isinstance(source, bytes):
                total = sum(member.file_size for member in members)
                if total > MAX_UNPACKED_BYTES:
                    most = MAX_UNPACKED_BYTES >> 20
                    raise DataError(f"{name} unpacks to {total >> 20:,} MiB; {most} are read.", "Export a part of it.")
                if total > _LARGE and total > _MOST_RATIO * len(source):
                    raise DataError(
                        f"{name} unpacks to {total >> 20:,} MiB, {total // len(source):,} times its size: it holds "
                        "hardly anything.",
                        "Export the part of it that was recorded.",
                    )
            yield NpzArrays(archive, {m.filename.removesuffix(".npy"): (m, *_check(archive, m)) for m in members})
    except (*_BROKEN, OSError, ValueError, LookupError, TypeError, RuntimeError, ArithmeticError) as error:
        raise DataError(f"{name} is not a readable .npz file ({error}).", "Download it again.") from None
    except MemoryError:
        raise DataError(f"{name} does not fit into memory.", "Use a smaller version of it.") from None


class NpzArrays(Mapping[str, np.ndarray]):
    """The arrays of an open .npz file, each unpacked when it is asked for.

    Parameters
    ----------
    archive : ZipFile
        The file.
    members : dict
        By name the member, and the shape and the type that it claims.
    """

    def __init__(
        self, archive: zipfile.ZipFile, members: Mapping[str, tuple[zipfile.ZipInfo, tuple[int, ...], np.dtype]]
    ):
        self._archive, self._members = archive, members

    def __getitem__(self, key: str) -> np.ndarray:
        with self._archive.open(self._members[key][0]) as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array, as it claims, without unpacking it."""
        return self._members[key][1]

    def dtype(self, key: str) -> np.dtype:
        """Return the type of an array, without unpacking it."""
        return self._members[key][2]


def list_npz(path: Path) -> frozenset[str]:
    """List the names of an .npz file's arrays without reading them; none where it is no .npz."""
    try:
        with zipfile.ZipFile(path) as archive:
            return frozenset(member.removesuffix(".npy") for member in archive.namelist())
    except (*_BROKEN, OSError, ValueError, RuntimeError):
        return frozenset()


def encode_base64(values: np.ndarray, dtype: str) -> str:
    """Encode an array as base64 of its bytes in C order, for JSON.

    Parameters
    ----------
    values : np.ndarray
        Numbers of any shape.
    dtype : str
        As which numbers they are written, such as "<f2".
    """
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()


def decode_base64(text: str, dtype: str, what: str) -> np.ndarray:
    """Decode what `encode_base64` wrote.

    Parameters
    ----------
    text : str
        Base64 of the numbers' bytes.
    dtype : str
        As which numbers they were written, such as "<f2".
    what : str
        What to call them in errors.

    Returns
    -------
    np.ndarray
        The numbers (n,), of the dtype.

    Raises
    ------
    ValueError
        When the text is no base64 or holds no whole number of values.
    """
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype)
    except ValueError as e:  # no base64, or no whole number of values
        raise ValueError(f"{what} are no base64 of {np.dtype(dtype).name}") from e


def decode_finite(text: object, size: int, dtype: str, what: str, fits: str) -> np.ndarray:
    """Decode base64 from a stranger that must hold just so many finite numbers.

    Parameters
    ----------
    text : object
        What stands where the base64 should.
    size : int
        How many numbers there must be.
    dtype : str
        As which numbers they were written, such as "<f2".
    what : str
        What to call them in errors.
    fits : str
        What they must fit, in words, for errors.

    Returns
    -------
    np.ndarray
        The numbers (size,), of the dtype.

    Raises
    ------
    ValueError
        When there are more or fewer of them, or one is not finite.
    """
    if not isinstance(text, str) or len(text) != 4 * -(-np.dtype(dtype).itemsize * size // 3):
        raise ValueError(f"{what} do not fit {fits}")
    values = decode_base64(text, dtype, what)
    if len(values) != size or not np.isfinite(values).all():
        raise ValueError(f"{what} hold values that are no numbers")
    return values


def _check_directory(data: bytes, name: str) -> None:
    """Compare what the end of an archive says of its directory with what is read, before it is read."""
    at = len(data) - 22
    if data[at : at + 4] != _DIRECTORY_END:
        at = data.rfind(_DIRECTORY_END, max(0, len(data) - 65_557))
    if at < 0 or at + 22 > len(data):
        raise ValueError("its directory is missing")
    entries, size = struct.unpack_from("<HI", data, at + 10)
    if entries > MAX_MEMBERS or size > MAX_MEMBERS * _MOST_ENTRY:
        raise DataError(
            f"{name} is an archive of {entries:,} files; up to {MAX_MEMBERS} arrays are read.", "Export the ECG alone."
        )


def _check(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """Compare the shape an array claims with the bytes that are there, before memory is taken for it; return both."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds pickled objects, which are never loaded")
        if size != member.file_size - file.tell():
            raise ValueError(f"{member.filename} claims {size} bytes and holds {member.file_size - file.tell()}")
    return shape, dtype
