"""Hold the lists of facilities in memory, as they are in the home folder."""

from __future__ import annotations

import threading
from pathlib import Path

from medloupe.errors import StorageError
from medloupe.facilities.directory import Directory
from medloupe.facilities.storage import FacilityStore


class FacilityLists:
    """The lists that answers are searched in, exchanged in one step when the file changes.

    Parameters
    ----------
    home
        The folder of the store.
    """

    def __init__(self, home: Path):
        self._store = FacilityStore(home)
        self._seen: tuple[int, int, int] | None = None
        self._refreshing = threading.Lock()
        self.directory = Directory((), (), (), ())

    def refresh(self) -> None:
        """Take up another file, where there is one.

        Raises
        ------
        StorageError
            It cannot be read; what was read before stays, and it is not tried again until it changes.
        """
        with self._refreshing:
            try:
                found = self._store.path.stat()
                mark = (found.st_mtime_ns, found.st_size, found.st_ino)
            except FileNotFoundError:
                mark = None
            except OSError as e:
                raise StorageError(f"{self._store.path} cannot be read: {e.strerror or e}.", "Look at the disk.") from e
            if mark != self._seen:
                self._seen = mark
                self.directory = self._store.load()
