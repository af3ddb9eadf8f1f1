"""Bring what a person named to this machine: a path stays as it is, an address becomes the path of its copy.

Only for what people and operators write: on the command line, in settings, to the Python face. Addresses in requests,
cards and tables never come here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medloupe.errors import RemoteMissingError
from medloupe.utils.files import sha256_of
from medloupe.utils.progress import Progress
from medloupe.utils.remote.address import BUCKETS, Address, is_remote, parse_address
from medloupe.utils.remote.cache import CachedCopy, FilesCache
from medloupe.utils.remote.download import download
from medloupe.utils.remote.mirror import Mirror
from medloupe.utils.remote.objects import PATIENCE, Bucket
from medloupe.utils.remote.source import ObjectInfo, Source
from medloupe.utils.remote.web import WebFile

_told: dict[Path, Address] = {}  # what the copies in use are copies of


def open_source(address: Address, *, patience: float = PATIENCE) -> Source:
    """Open a place elsewhere. Raises ExtraError or RemoteError."""
    if address.scheme in BUCKETS:
        return Bucket(address, patience=patience)
    return WebFile(address, patience=patience)


@contextmanager
def fetch(text: str | Path, progress: Progress = lambda *_: None, *, cache: FilesCache | None = None) -> Iterator[Path]:
    """Give a local path for what a person named, for as long as the block runs.

    Parameters
    ----------
    text
        A path, or an address of a file or, in object storage, a folder.
    progress
        Hears of files that came, of how many.
    cache
        Where copies are kept; by default under the home folder in force.

    Raises
    ------
    RemoteError
        It is not there, cannot be read, or is of a kind that is not read.
    StorageError
        There is no room for it.
    ExtraError
        obstore is not installed.
    """
    if isinstance(text, Path) or not is_remote(text):
        yield Path(text)
        return
    address = parse_address(text)
    cache = cache or FilesCache()
    with cache.hold(address) as entry:
        with cache.update(entry):
            _bring_up_to_date(open_source(address), cache, entry, progress)
        _told[entry.place] = address
        try:
            yield entry.place
        finally:
            _told.pop(entry.place, None)


def name_of(path: Path) -> str:
    """Return what a path is a copy of, as people know it; the path itself where it is none."""
    for place, address in _told.items():
        if path == place:
            return str(address)
        with suppress(ValueError):
            return str(address.join(path.relative_to(place).as_posix()))
    return str(path)


def rename_copies(text: str) -> str:
    """Write addresses in place of the paths of copies in a text for people."""
    for place, address in _told.items():
        text = text.replace(str(place), str(address))
    return text


def _bring_up_to_date(source: Source, cache: FilesCache, entry: CachedCopy, progress: Progress) -> None:
    address = source.address
    info = source.stat() if address.key or address.scheme == "https" else None
    if info is None and address.scheme == "https":
        raise RemoteMissingError(f"There is nothing at {address}.", "Check the address.")
    if info is None:
        listing = Mirror(source, cache, entry).update(progress)
        cache.note(entry, address, listing.size)
        return
    if not _is_whole(entry, info):
        cache.require_unused(entry, address)
        cache.make_room(info.size, entry, address)
        progress(0, 1)
        info, sha256 = download(source, info, entry.place)
        note = {"etag": info.etag, "size": info.size, "modified": info.modified, "sha256": sha256}
        (entry.folder / "file.json").write_text(json.dumps(note), "utf-8")
        progress(1, 1)
    cache.note(entry, address, info.size)


def _is_whole(entry: CachedCopy, info: ObjectInfo) -> bool:
    """Tell whether the copy of a file is still the file elsewhere, byte for byte."""
    try:
        note = json.loads((entry.folder / "file.json").read_text("utf-8"))
        same = (note["etag"], note["size"]) == (info.etag, info.size) and bool(info.etag)
        return same and sha256_of(entry.place) == note["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
