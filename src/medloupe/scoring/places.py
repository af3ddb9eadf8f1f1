"""Keep a run's results where a person said: a folder of this machine, or a place in object storage.

In object storage what is written is made under a condition (`create`), so that of two programs one makes it; where it
is there already with other bytes, which were spoilt, it is written anew. A server that knows no conditions overwrites
with the same bytes.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from medloupe.errors import RemoteMissingError, RemoteRefusedError, StoreError
from medloupe.utils.files import exclusive_lock, sha256_of, write_atomically
from medloupe.utils.remote.address import BUCKETS, is_remote, parse_address
from medloupe.utils.remote.objects import Bucket

T = TypeVar("T")
R = TypeVar("R")
READERS = 16
"""Files of object storage asked for side by side."""
_ENDING_SECONDS = 60.0  # for a run that was killed and may be ending still


class ResultPlace(Protocol):
    """Where results are kept; names are below it, with forward slashes."""

    @property
    def name(self) -> str:
        """As people know it."""
        ...

    def prepare(self, folders: Iterable[str]) -> None:
        """Make sure that it can be written. Raises StoreError."""
        ...

    def hold(self) -> contextlib.AbstractContextManager[Path]:
        """Work on it, alone where that can be; gives the folder of this machine in which its list of files lies."""
        ...

    def read(self, name: str) -> bytes | None:
        """Read a file; None where there is none."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there; False where it is."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all."""
        ...

    def send(self, name: str, path: Path) -> None:
        """Write a file that lies in the folder of `hold`."""
        ...

    def bring(self, name: str, path: Path) -> bool:
        """Bring a file into the folder of `hold`; False where there is none."""
        ...

    def holds(self, told: Mapping[str, Any]) -> bool:
        """Tell whether a file is there as an entry tells: `file`, `bytes`, `sha256`."""
        ...

    def many(self, function: Callable[[T], R], given: Iterable[T]) -> Iterator[R]:
        """Do what reads one file for each, in their order."""
        ...

    def clean(self, folders: Iterable[str]) -> None:
        """Remove what was begun and never whole."""
        ...


class LocalPlace:
    """A folder of this machine. path: where it is."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def name(self) -> str:
        """As people know it."""
        return str(self.path)

    def prepare(self, folders: Iterable[str]) -> None:
        """Make the folders. Raises StoreError where they cannot be made."""
        try:
            for name in folders:
                (self.path / name).mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise StoreError(
                f"{self.path} cannot be written: {e.strerror or e}.", "Choose another place with --out."
            ) from e

    @contextmanager
    def hold(self) -> Iterator[Path]:
        """Be the only one to work on it. Raises BusyError."""
        with exclusive_lock(self.path / ".lock", seconds=_ENDING_SECONDS):
            yield self.path

    def read(self, name: str) -> bytes | None:
        """Read a file; None where there is none. Raises OSError."""
        path = self.path / name
        return path.read_bytes() if path.is_file() else None

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there; False where it is."""
        if (self.path / name).exists():
            return False
        self.write(name, data)
        return True

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all."""
        write_atomically(self.path / name, data)

    def send(self, name: str, path: Path) -> None:
        """Nothing: it lies here already."""

    def bring(self, name: str, path: Path) -> bool:
        """Tell whether it is here."""
        return path.is_file()

    def holds(self, told: Mapping[str, Any]) -> bool:
        """Tell whether a file is there as an entry tells, by its sha256."""
        with contextlib.suppress(OSError):
            return sha256_of(self.path / told["file"]) == told["sha256"]
        return False

    def many(self, function: Callable[[T], R], given: Iterable[T]) -> Iterator[R]:
        """Do one after the other."""
        return map(function, given)

    def clean(self, folders: Iterable[str]) -> None:
        """Remove what a process left that was killed while it wrote."""
        for name in folders:
            for left in (self.path / name).glob(".*"):
                left.unlink(missing_ok=True)


class BucketPlace:
    """A place in object storage. address: s3://BUCKET/KEY or alike. Raises ExtraError or RemoteError."""

    def __init__(self, address: str):
        parsed = parse_address(address)
        if parsed.scheme not in BUCKETS:
            raise RemoteRefusedError(f"{parsed} can only be read.", "Write to s3://, gs:// or az://, or to a folder.")
        if not parsed.key:
            raise RemoteRefusedError(f"{parsed} names a bucket and no folder in it.", f"Write {parsed}NAME/.")
        self._bucket = Bucket(parsed)
        self._sizes: dict[str, int] | None = None

    @property
    def name(self) -> str:
        """As people know it."""
        return str(self._bucket.address)

    def prepare(self, folders: Iterable[str]) -> None:
        """Ask for something, so that what is wrong with the place is told before the work. Raises RemoteError."""
        self._bucket.stat("plan.json")

    @contextmanager
    def hold(self) -> Iterator[Path]:
        """Give a folder for the list of files. Several may work on one place: they make the same bytes."""
        with tempfile.TemporaryDirectory(prefix="medloupe-score-") as folder:
            yield Path(folder)

    def read(self, name: str) -> bytes | None:
        """Read a file; None where there is none. Raises RemoteError."""
        try:
            return self._bucket.get(name)
        except RemoteMissingError:
            return None

    def create(self, name: str, data: bytes) -> bool:
        """Write a file that is not there; False where it is. Raises RemoteError."""
        return self._bucket.put(name, data, anew=True)

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all; what is there with the same bytes stays. Raises RemoteError."""
        if not self._bucket.put(name, data, anew=True) and self._bucket.get(name) != data:
            self._bucket.put(name, data)

    def send(self, name: str, path: Path) -> None:
        """Upload a file. Raises RemoteError."""
        self._bucket.put(name, path)

    def bring(self, name: str, path: Path) -> bool:
        """Download a file; False where there is none. Raises RemoteError."""
        from medloupe.utils.remote.download import download

        found = self._bucket.stat(name)
        if found is None:
            return False
        download(self._bucket, found, path)
        return True

    def holds(self, told: Mapping[str, Any]) -> bool:
        """Tell whether a file was there as an entry tells when this was first asked, by its size."""
        if self._sizes is None:
            found = (o for folder in ("answers", "unreadable") for o in self._bucket.list(folder))
            self._sizes = {o.key: o.size for o in found}
        return self._sizes.get(told["file"]) == told["bytes"]

    def many(self, function: Callable[[T], R], given: Iterable[T]) -> Iterator[R]:
        """Do several at once: they wait for the network."""
        with ThreadPoolExecutor(READERS, "results") as pool:
            yield from pool.map(function, given)

    def clean(self, folders: Iterable[str]) -> None:
        """Nothing: object storage has no file that is not whole."""


def open_place(out: str | Path) -> ResultPlace:
    """Open the place that a person named.

    Raises
    ------
    RemoteRefusedError
        It cannot be written.
    ExtraError, RemoteError
        Object storage cannot be reached.
    """
    if isinstance(out, Path) or not is_remote(out):
        return LocalPlace(Path(out))
    return BucketPlace(out)
