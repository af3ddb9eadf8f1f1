"""Bring the copy of a folder elsewhere up to date: what is new or changed is downloaded, what is gone is removed.

What lies there is noted in an SQLite file as the listing comes, so that the memory needed does not grow with the number
of keys. A file counts as present if its size and time on the disk are those noted when it was downloaded.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from medloupe.errors import RemoteMissingError
from medloupe.utils.progress import Progress
from medloupe.utils.remote.address import is_safe_key
from medloupe.utils.remote.cache import CachedCopy, FilesCache
from medloupe.utils.remote.download import download
from medloupe.utils.remote.source import ObjectInfo, Source

LOADERS = 16
"""Files downloaded side by side: they wait for the network, not for a core."""
_BATCH = 512  # files between two commits, of which a kill loses the note
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
  key TEXT PRIMARY KEY, size INTEGER, etag TEXT, modified REAL, seen INTEGER,
  have_etag TEXT, have_size INTEGER, have_time INTEGER, sha256 TEXT) WITHOUT ROWID
"""
_STALE = "(have_etag IS NOT etag OR have_size IS NOT size OR etag = '')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a look at a folder elsewhere found.

    Attributes
    ----------
    files, size : int
        How many files, and their bytes.
    unsafe : int
        Keys left out, as they cannot be paths here.
    """

    files: int
    size: int
    unsafe: int


class Mirror:
    """A folder elsewhere and its copy.

    Parameters
    ----------
    source : Source
        The folder elsewhere.
    cache : FilesCache
        Where the copy is kept.
    entry : CachedCopy
        The copy.
    """

    def __init__(self, source: Source, cache: FilesCache, entry: CachedCopy):
        self._source, self._cache, self._entry = source, cache, entry

    def update(self, progress: Progress = lambda *_: None) -> Listing:
        """Bring the copy up to date, and return what lies there.

        Raises
        ------
        RemoteMissingError
            Nothing lies there.
        RemoteError
            It cannot be read.
        StorageError
            It cannot be kept here.
        """
        root, address = self._entry.place, self._source.address
        with closing(sqlite3.connect(self._entry.folder / "index.sqlite")) as index:
            index.execute(_SCHEMA)
            listing = self._list(index)
            if not listing.files:
                raise RemoteMissingError(f"There is nothing at {address}.", "Check the address.")
            self._forget_damaged(index)
            stale = index.execute(f"SELECT count(*) FROM files WHERE {_STALE}").fetchone()[0]
            gone = index.execute("SELECT count(*) FROM files WHERE seen = 0 AND have_etag IS NOT NULL").fetchone()[0]
            if stale or gone:
                self._cache.require_unused(self._entry, address)
            self._cache.make_room(listing.size, self._entry, address)
            for (key,) in index.execute("SELECT key FROM files WHERE seen = 0"):
                (root / key).unlink(missing_ok=True)
            index.execute("DELETE FROM files WHERE seen = 0")
            index.commit()
            root.mkdir(parents=True, exist_ok=True)
            done = listing.files - stale
            progress(done, listing.files)
            with ThreadPoolExecutor(LOADERS, "download") as pool:
                for batch in self._batches(index):
                    for row in pool.map(self._load, batch):
                        index.execute(
                            "UPDATE files SET etag = ?, size = ?, have_etag = ?, have_size = ?, have_time = ?,"
                            " sha256 = ? WHERE key = ?",
                            row,
                        )
                        done += 1
                        progress(done, listing.files)
                    index.commit()
        return listing

    def _list(self, index: sqlite3.Connection) -> Listing:
        """Note what lies there now."""
        files = size = unsafe = 0
        index.execute("UPDATE files SET seen = 0")
        for info in self._source.list():
            if info.key.endswith("/"):  # what consoles make to show an empty folder
                continue
            if not is_safe_key(info.key):
                unsafe += 1
                continue
            index.execute(
                "INSERT INTO files (key, size, etag, modified, seen) VALUES (?, ?, ?, ?, 1) ON CONFLICT (key)"
                " DO UPDATE SET size = excluded.size, etag = excluded.etag, modified = excluded.modified, seen = 1",
                (info.key, info.size, info.etag, info.modified),
            )
            files += 1
            size += info.size
        index.commit()
        return Listing(files=files, size=size, unsafe=unsafe)

    def _forget_damaged(self, index: sqlite3.Connection) -> None:
        """Take for missing what is no longer on the disk as it was written."""
        changed: list[tuple[str]] = []
        for key, size, when in index.execute("SELECT key, have_size, have_time FROM files WHERE have_etag IS NOT NULL"):
            try:
                found = (self._entry.place / key).stat()
                same = (found.st_size, found.st_mtime_ns) == (size, when)
            except OSError:
                same = False
            if not same:
                changed.append((key,))
        index.executemany("UPDATE files SET have_etag = NULL, have_size = NULL WHERE key = ?", changed)
        index.commit()

    def _batches(self, index: sqlite3.Connection) -> Iterator[list[ObjectInfo]]:
        """Give what is to be downloaded, in order of the keys, some at a time."""
        last = ""
        while True:
            rows = index.execute(
                f"SELECT key, size, etag, modified FROM files WHERE key > ? AND {_STALE} ORDER BY key LIMIT {_BATCH}",
                (last,),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            yield [ObjectInfo(key=k, size=s, etag=e, modified=m) for k, s, e, m in rows]

    def _load(self, info: ObjectInfo) -> tuple[str, int, str, int, int, str, str]:
        target: Path = self._entry.place / info.key
        target.parent.mkdir(parents=True, exist_ok=True)
        found, sha256 = download(self._source, info, target)
        written = target.stat()
        return found.etag, found.size, found.etag, written.st_size, written.st_mtime_ns, sha256, info.key
