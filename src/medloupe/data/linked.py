"""Fetch the pictures that a table names by https:// addresses, where a person allowed it (`--allow-urls`).

Whoever wrote the table is not whoever runs the command, so only hosts of the public internet are asked
(`utils/remote/hosts.py`). What comes is kept as a folder with the table beside it, which is read as any other.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from medloupe.data.modalities import sure_suffixes
from medloupe.data.readers.sheet import Sheet, load_sheet
from medloupe.errors import DataError, RemoteError, RemoteRefusedError, StorageError
from medloupe.utils.progress import Progress
from medloupe.utils.remote.address import Address, is_safe_key, parse_address
from medloupe.utils.remote.cache import CachedCopy, FilesCache
from medloupe.utils.remote.download import download
from medloupe.utils.remote.web import WebFile

MOST_BYTES = 256 << 20
"""Of one file."""
_LOADERS = 8
_PATIENCE = 30.0


@contextmanager
def fetch_linked(
    table: Path, progress: Progress = lambda *_: None, *, cache: FilesCache | None = None
) -> Iterator[Path]:
    """Give a folder with the pictures that a table names by addresses, and the table with their places in it.

    The folder is kept in the cache of files; what came before is not asked for again.

    Parameters
    ----------
    table
        A CSV, Excel or Parquet file.
    progress
        Hears of addresses that were asked, of how many.
    cache
        By default under the home folder in force.

    Raises
    ------
    DataError
        The table has no addresses, or none of them could be read.
    RemoteRefusedError
        One of them leads to this machine or network.
    StorageError
        There is no room for the pictures.
    """
    sheet = load_sheet(table)
    addresses = list(dict.fromkeys(cell for row in sheet.rows for cell in row if cell.startswith("https://")))
    if not addresses:
        raise DataError(f"{table} names no pictures by https:// addresses.", "Leave out --allow-urls.")
    cache = cache or FilesCache()
    key = hashlib.sha256("\n".join([str(table.absolute()), *addresses]).encode()).hexdigest()
    known = Address(scheme="https", host="table", key=f"{key[:24]}/{table.stem}")
    with cache.hold(known) as entry, cache.update(entry):
        places, size = _fetch_all(addresses, entry, cache, known, progress)
        if not places:
            raise DataError(
                f"None of the {len(addresses):,} addresses in {table.name} could be read.", f"Such as {addresses[0]}."
            )
        _write_table(sheet, places, entry.place / f"{table.stem}.csv")
        cache.note(entry, known, size)
        yield entry.place


def _fetch_all(
    addresses: Sequence[str], entry: CachedCopy, cache: FilesCache, known: Address, progress: Progress
) -> tuple[dict[str, str], int]:
    """Fetch what is not here yet: place by address, and the bytes of all."""
    entry.place.mkdir(parents=True, exist_ok=True)
    places: dict[str, str] = {}
    size = 0
    with ThreadPoolExecutor(_LOADERS, "linked") as pool:
        for done, (address, place) in enumerate(pool.map(lambda a: (a, _fetch(a, entry.place)), addresses)):
            progress(done + 1, len(addresses))
            if place is None:
                continue
            places[address] = place
            size += (entry.place / place).stat().st_size
            if size > cache.limit:
                cache.make_room(size, entry, known)
    cache.make_room(size, entry, known)
    return places, size


def _fetch(text: str, folder: Path) -> str | None:
    """Fetch one file, and return its place in the folder; None where it cannot be read."""
    address = parse_address(text)
    place = _place(address)
    target = folder / place
    if target.exists():
        return place
    source = WebFile(address, patience=_PATIENCE, public=True)
    try:
        info = source.stat()
        if info is None or info.size > MOST_BYTES:
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        download(source, info, target)
    except RemoteRefusedError:
        raise
    except (RemoteError, StorageError):
        return None
    return place


def _place(address: Address) -> str:
    """Choose a place: host and path as they are, where they can be one, with a suffix that says what it is."""
    path = unquote(address.key)
    usable = is_safe_key(path) and len(path.encode()) < 180 and not address.query
    name = f"{address.host.replace(':', '_')}/{path}" if usable else hashlib.sha256(address.url.encode()).hexdigest()
    suffix = Path(path).suffix.lower()
    return name if usable or suffix not in sure_suffixes() else name + suffix


def _write_table(sheet: Sheet, places: dict[str, str], path: Path) -> None:
    """Write the table with places instead of addresses; what could not be read keeps its address, and is missing."""
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(sheet.columns)
        writer.writerows([places.get(cell, cell) for cell in row] for row in sheet.rows)
