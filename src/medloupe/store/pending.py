"""Remember what a writer of the store is about to make or remove, so that a killed one can be cleaned up after.

A writer announces every path before it touches it. Sweeping removes those that no version names. Nothing that was not
announced is ever removed, so a lost or older database costs no files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from medloupe.utils.files import write_atomically


class Pending:
    """The list home/store.pending; only the holder of the store's lock may use it. Raises OSError."""

    def __init__(self, home: Path):
        self.home = home
        self._list = home / "store.pending"

    def announce(self, *paths: Path) -> None:
        """Add paths under home to the list, durably."""
        before = self._list.read_text("utf-8").splitlines() if self._list.exists() else []
        lines = dict.fromkeys([*before, *(p.relative_to(self.home).as_posix() for p in paths)])
        write_atomically(self._list, "\n".join(lines).encode())

    def sweep(self, kept: Callable[[], Collection[Path]]) -> None:
        """Remove what was announced and is not kept (asked only where there is something to sweep)."""
        for unfinished in self.home.glob(".store.pending.*"):
            unfinished.unlink()
        if not self._list.exists():
            return
        keep = kept()
        for path in (self.home / line for line in self._list.read_text("utf-8").splitlines()):
            for half in path.parent.glob(f".{path.name}.*"):  # of write_atomically
                if half.is_file():
                    half.unlink()
            if path in keep:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
            with suppress(OSError):  # there are others in it
                path.parent.rmdir()
        self._list.unlink()
