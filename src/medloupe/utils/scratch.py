"""Keep files of a process only as long as it lives: whatever a killed one left is removed by the next."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medloupe.errors import BusyError
from medloupe.utils.files import exclusive_lock


@contextmanager
def own_folder(top: Path) -> Iterator[Path]:
    """Make a folder under `top` for as long as the block runs. Raises OSError."""
    top.mkdir(parents=True, exist_ok=True)
    remove_left(top)
    folder = top / secrets.token_hex(8)
    lock = folder.with_suffix(".lock")
    with exclusive_lock(lock):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def remove_left(top: Path) -> int:
    """Remove the folders under `top` whose processes are gone; tell how many."""
    gone = 0
    for lock in top.glob("*.lock"):
        with suppress(BusyError, OSError), exclusive_lock(lock, 0):
            gone += lock.with_suffix("").exists()
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink(missing_ok=True)
    return gone
