"""Get at the files of a shard: those of this machine as they are, others downloaded ahead and removed once answered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

from medloupe.errors import ImageError, RemoteMissingError
from medloupe.scoring.inputs import Item
from medloupe.scoring.remote_inputs import read_file_address
from medloupe.settings import home
from medloupe.utils.remote.address import BUCKETS, Address, is_remote, is_safe_key
from medloupe.utils.remote.download import download
from medloupe.utils.remote.objects import PATIENCE, Bucket
from medloupe.utils.remote.source import Source
from medloupe.utils.remote.web import WebFile
from medloupe.utils.scratch import own_folder

AHEAD = 32
"""Files that are downloaded before it is their turn."""
LOADERS = 8
"""Files downloaded side by side by one worker."""


class GoneError(ImageError):
    """The file was listed and is no longer there."""


class FetchedItems:
    """The files of a shard, as a context. items: in their order."""

    def __init__(self, items: Sequence[Item]):
        self._items = items
        self._waiting: dict[int, Future[Path]] = {}
        self._begun = 0
        self._held = ExitStack()
        self._folder: Path | None = None
        self._pool: ThreadPoolExecutor | None = None
        self.items: dict[Path, Item] = {}
        """By the path at which a file can be read."""

    def __enter__(self) -> FetchedItems:
        """Make room for what is elsewhere."""
        if any(is_remote(item.file) for item in self._items):
            self._folder = self._held.enter_context(own_folder(home() / "cache" / "scoring"))
            self._pool = self._held.enter_context(ThreadPoolExecutor(LOADERS, "fetch"))
            self._held.callback(self._pool.shutdown, cancel_futures=True)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        self._held.close()

    def locate(self, number: int) -> Path | GoneError:
        """Return where the file of an item can be read, once it is here; an error where it is no longer there.

        Raises
        ------
        BusyError, RemoteError
            Its storage does not answer, or does not let it be read.
        """
        item = self._items[number]
        if not is_remote(item.file):
            path = Path(item.file)
            self.items[path] = item
            return path
        assert self._pool is not None
        while self._begun < min(number + AHEAD, len(self._items)):
            if is_remote(self._items[self._begun].file):
                self._waiting[self._begun] = self._pool.submit(self._fetch, self._begun)
            self._begun += 1
        try:
            path = self._waiting[number].result()
        except RemoteMissingError as e:
            return GoneError(e.message, "It was there when the files were listed.")
        self.items[path] = item
        return path

    def readable(self, numbers: Sequence[int]) -> Iterator[Path]:
        """Give the paths of items that are there, one after the other."""
        for number in numbers:
            found = self.locate(number)
            if isinstance(found, Path):
                yield found

    def drop(self, path: Path) -> None:
        """Remove what was downloaded for an item that is answered."""
        if self._folder is not None and path.is_relative_to(self._folder):
            shutil.rmtree(path.parent, ignore_errors=True)

    def name(self, text: str, item: Item, path: Path) -> str:
        """Write the address in place of the path in a text for people."""
        return text if path == Path(item.file) else text.replace(str(path), item.file)

    def _fetch(self, number: int) -> Path:
        assert self._folder is not None
        item = self._items[number]
        address = read_file_address(item.file)
        target = self._folder / f"{number:06d}" / _local_name(address.name)
        target.parent.mkdir()
        source, key = _open_source(address, public=item.linked)
        _download(source, key, target)
        if target.suffix.lower() == ".hea":
            for name in _parts_of(target):
                with suppress(RemoteMissingError):  # the reader says what is missing
                    _download(source, f"{key.rpartition('/')[0]}/{name}".lstrip("/"), target.with_name(name))
        return target


def _local_name(name: str) -> str:
    """Name the copy of a file: as it is, or where that cannot be with the end of its name, which tells its kind."""
    usable = is_safe_key(name) and "/" not in name and len(name.encode()) < 200
    suffix = PurePosixPath(name).suffix
    return name if usable else f"file{suffix if suffix[1:].isalnum() else ''}"


def _download(source: Source, key: str, target: Path) -> None:
    info = source.stat(key)
    if info is None:
        raise RemoteMissingError(f"There is nothing at {source.address.join(key)}.", "Check the bucket and the key.")
    download(source, info, target)


def _parts_of(header: Path) -> Iterator[str]:
    """Name the signal files that the header of a WFDB record names."""
    lines = [line for line in header.read_text("latin-1").splitlines() if line.strip() and not line.startswith("#")]
    yield from sorted({name for line in lines[1:] if is_safe_key(name := line.split()[0]) and "/" not in name})


def _open_source(address: Address, *, public: bool) -> tuple[Source, str]:
    """Open what a file lies in, and give its key there."""
    if address.scheme in BUCKETS:
        return _open_bucket(address.scheme, address.host), address.key
    return WebFile(address, patience=PATIENCE, public=public), ""


@lru_cache(maxsize=8)
def _open_bucket(scheme: str, host: str) -> Bucket:
    return Bucket(Address(scheme=scheme, host=host, key=""))
