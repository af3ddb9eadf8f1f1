"""Keep lists of facilities in the home folder: one compact file, written whole or not at all.

home/facilities/places.json.gz has every list with its licence, and which entries name one place. A table of the
database would be heavier (a migration, two kinds of database, all rows to be brought into memory at each start) and
give nothing: lists are replaced as wholes, by one person at a time, and answers search them in memory.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from medloupe.errors import StorageError, UnknownError, did_you_mean
from medloupe.facilities.directory import Directory
from medloupe.facilities.duplicates import find_duplicates
from medloupe.facilities.facility import Facility, ListInfo
from medloupe.facilities.reading import ReadList
from medloupe.utils.files import exclusive_lock, write_atomically

FOLDER = "facilities"
_FILE = "places.json.gz"
_FORMAT = 1
_MOST_BYTES = 1 << 30  # of the file unpacked
_KEYS = tuple(f.name for f in fields(Facility))


class FacilityStore:
    """The lists of a home folder. Safe to use from several processes.

    Parameters
    ----------
    home
        The folder of the store.
    """

    def __init__(self, home: Path):
        self.folder = home / FOLDER
        self.path = self.folder / _FILE

    def load(self) -> Directory:
        """Read all lists; an empty directory where there are none.

        Raises
        ------
        StorageError
            The file cannot be read, or is damaged.
        """
        try:
            packed = self.path.read_bytes()
        except FileNotFoundError:
            return Directory((), (), (), ())
        except OSError as e:
            raise StorageError(f"{self.path} cannot be read: {e.strerror or e}.", "Look at the disk.") from e
        try:
            return _unpack(packed)
        except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError, zlib.error) as e:
            raise StorageError(
                f"{self.path} is damaged ({e}).",
                "Restore it from the back-up, or remove it and import the lists again.",
            ) from e

    def add(self, lists: Sequence[ReadList]) -> Directory:
        """Put lists in, in the place of those of the same id; returns what there is then. Raises StorageError."""
        with self._changing() as before:
            fresh = {made.info.id for made in lists}
            kept = [made for made in _as_lists(before) if made.info.id not in fresh]
            return self._write([*kept, *lists])

    def remove(self, id: str) -> ListInfo:
        """Take a list out, and return what it was.

        Raises
        ------
        UnknownError
            There is no such list.
        StorageError
            It cannot be written.
        """
        with self._changing() as before:
            lists = _as_lists(before)
            gone = next((made.info for made in lists if made.info.id == id), None)
            if gone is None:
                known = [made.info.id for made in lists]
                raise UnknownError(
                    f"There is no list {id!r}; there are: {', '.join(known) or 'none'}.", did_you_mean(id, known)
                )
            self._write([made for made in lists if made.info.id != id])
            return gone

    @contextmanager
    def _changing(self) -> Iterator[Directory]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with exclusive_lock(self.folder / ".lock", 60.0):
                yield self.load()
        except OSError as e:
            raise StorageError(
                f"{self.folder} cannot be written: {e.strerror or e}.", "Free some disk space, or look at your rights."
            ) from e

    def _write(self, lists: Sequence[ReadList]) -> Directory:
        places = [place for made in lists for place in made.places]
        numbers = [n for n, made in enumerate(lists) for _ in made.places]
        groups = find_duplicates(places, numbers)
        told = {
            "format": _FORMAT,
            "lists": [asdict(made.info) for made in lists],
            "list": numbers,
            "places": {key: [getattr(place, key) for place in places] for key in _KEYS},
            "joined": groups,
        }
        data = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        write_atomically(self.path, gzip.compress(data, 6, mtime=0))
        return Directory([made.info for made in lists], numbers, places, groups)


def _unpack(packed: bytes) -> Directory:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    data = unpacker.decompress(packed, _MOST_BYTES)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("too large, or cut off")
    told: Mapping[str, Any] = json.loads(data)
    if told["format"] != _FORMAT:
        raise ValueError(f"format {told['format']}")
    lists = [ListInfo(**info) for info in told["lists"]]
    columns = [told["places"][key] for key in _KEYS]
    places = [Facility(**dict(zip(_KEYS, row, strict=True))) for row in zip(*columns, strict=True)]
    if len(told["list"]) != len(places):
        raise ValueError("columns of different lengths")
    return Directory(lists, told["list"], places, [tuple(group) for group in told["joined"]])


def _as_lists(directory: Directory) -> list[ReadList]:
    return [
        ReadList(
            info=info,
            places=tuple(p for p, k in zip(directory.places, directory.list_of, strict=True) if k == n),
        )
        for n, info in enumerate(directory.lists)
    ]
