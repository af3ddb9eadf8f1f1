"""Write files whole or not at all, tell their content apart, and lock them between processes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from medloupe.errors import BusyError, StoreError

_POLL_SECONDS = 0.02  # between looks at a lock that another holds


def write_atomically(path: Path, data: bytes) -> None:
    """Write data to a temporary file beside path, flush it to the disk, then rename.

    Raises
    ------
    OSError
        When it cannot be written; nothing half-written is left under the name.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_cache(path: Path, data: bytes) -> None:
    """Write a file of a cache as `write_atomically` does, into a folder that is made where it is missing.

    Raises
    ------
    StoreError
        When the cache cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as e:
        raise StoreError(
            f"The cache {path.parent} cannot be written: {e.strerror or e}.",
            "Free some disk space, or choose another place with --home.",
        ) from e


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes, in hex.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


@cache
def _umask() -> int:
    """Read the process's mask of rights; mkstemp ignores it, and it can only be read by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make renames in the folder durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open folders
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folders(folder: Path, top: Path) -> None:
    """Make the folder and those above it durable, up to top: each may be new."""
    for each in (folder, *folder.parents):
        sync_folder(each)
        if each == top:
            return


@contextmanager
def exclusive_lock(path: Path, seconds: float | None = None) -> Iterator[None]:
    """Hold an exclusive lock between processes and threads while the block runs; it is freed when the process dies.

    Parameters
    ----------
    path : Path
        A file for nothing but this lock, made where it is missing and left there. Its folder must exist.
    seconds : float, optional
        How long to wait for whoever holds it; None as long as it takes.

    Raises
    ------
    BusyError
        Another held it for longer than that.
    OSError
        When the file cannot be opened for writing, or its file system knows no locks.
    """
    from filelock import FileLock, Timeout  # imported here: it takes 30 ms, and most commands hold no lock

    path.open("a+b").close()  # FileLock would make a missing folder anew instead of failing
    # A soft lock outlives the process that dies, so that a file system without real ones is an error, as it always was.
    lock = FileLock(path, poll_interval=_POLL_SECONDS, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=-1 if seconds is None else seconds)
    except Timeout as e:
        raise BusyError(
            f"Another program has held the lock {path} for over {seconds:g} s.",
            "It adds, promotes or removes a model: wait until it is done, or end it, and try again.",
        ) from e
    try:
        yield
    finally:
        lock.release()
