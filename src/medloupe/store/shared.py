"""Keep the parts and files of versions in object storage, so that several servers share them.

    PREFIX/
        store.json                     which store this is
        blobs/ab/cdef…                 parts and files of versions by sha256, each kept once
        versions/NAME/NUMBER/….json    which files a version has, by their sha256
        marks/…                        blobs that no version named when garbage was last looked for (garbage.py)

All goes there before the row that makes a version is committed. Each object is named by its content or written once,
so where a server knows no conditions, what overwrites it is the same bytes; whatever is read is checked by its sha256.
Servers keep copies under their home folder.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from medloupe.errors import RemoteMissingError, StorageError, StoreError
from medloupe.utils.files import sync_folder, write_atomically
from medloupe.utils.remote.objects import Bucket, open_told_bucket

if TYPE_CHECKING:
    from medloupe.store.tables import VersionRow

MARKER = ".shared"  # in a version's folder: which version it is a copy of
_PRIVATE = ("data.json",)  # where images lie on this machine
_HINT = "Restore it from a backup of the bucket, or remove the version and train it again."


def open_shared(patience: float, owner: Callable[[], str]) -> SharedParts | None:
    """Open what MEDLOUPE_BLOBS names; None where nothing is told. Nothing is asked of it yet.

    Parameters
    ----------
    patience
        Seconds for which requests are sent again.
    owner
        Tells which store this is.

    Raises
    ------
    RemoteRefusedError
        It is no object storage.
    ExtraError
        obstore is not installed.
    """
    bucket = open_told_bucket("MEDLOUPE_BLOBS", patience=patience)
    return None if bucket is None else SharedParts(bucket, owner)


class SharedParts:
    """The parts and files of versions in a bucket; owner: tells which store they are of."""

    def __init__(self, bucket: Bucket, owner: Callable[[], str]):
        self.bucket = bucket
        self._owner = owner
        self._claimed = False

    def claim(self) -> None:
        """Make sure that the place belongs to this store, or to none yet, before anything is written or removed.

        Raises
        ------
        StoreError
            It is another's.
        BusyError, RemoteError
            It cannot be used.
        """
        if self._claimed:
            return
        said = json.dumps({"store": self._owner()}).encode()
        try:
            found = self.bucket.get("store.json")
        except RemoteMissingError:
            self.bucket.put("store.json", said, anew=True)
            found = self.bucket.get("store.json")
        if found != said:
            raise StoreError(
                f"{self.bucket.address} keeps the parts of another store.",
                "Name another place with MEDLOUPE_BLOBS: what no version here names is removed there as garbage.",
            )
        self._claimed = True

    # ------------------------------------------------------------------ blobs

    def put(self, sha256: str, data: bytes) -> None:
        """Keep data under its sha256; what is marked as garbage, or damaged, is written anew. Raises RemoteError."""
        self.claim()
        key = blob_key(sha256)
        if not self.bucket.put(key, data, anew=True):
            marked = self.bucket.stat(f"marks/{sha256}") is not None
            if marked or not self._is_whole(key, data):
                self.bucket.put(key, data)  # the newer time tells who collects garbage that it is wanted again
            if marked:
                self.bucket.delete([f"marks/{sha256}"])

    def get(self, sha256: str) -> bytes:
        """Read what is kept under a sha256.

        Raises
        ------
        StorageError
            It is missing or damaged.
        BusyError, RemoteError
            The bucket cannot be read.
        """
        key = blob_key(sha256)
        place = self.bucket.address.join(key)
        try:
            data = self.bucket.get(key)
        except RemoteMissingError:
            raise StorageError(f"The blob {place} is missing.", _HINT) from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StorageError(f"The blob {place} is damaged: its content does not match its name.", _HINT)
        return data

    def require(self, blobs: Iterable[str]) -> None:
        """Make sure that blobs are there still, before a row names them. Raises StorageError."""
        for sha256 in blobs:
            if self.bucket.stat(blob_key(sha256)) is None:
                raise StorageError(f"The blob {sha256} vanished while a version was written.", "Try again.")

    def _is_whole(self, key: str, data: bytes) -> bool:
        found = self.bucket.stat(key)
        if found is None or found.size != len(data):
            return False
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        return found.etag.strip('"') == md5 or self.bucket.get(key) == data

    # ------------------------------------------------------------------ files of versions

    def put_files(self, name: str, row: VersionRow, folder: Path) -> list[str]:
        """Keep the files of a version that is about to be committed; return their sha256. Raises RemoteError."""
        listed: dict[str, list[str | int]] = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            place = path.relative_to(folder).as_posix()
            if place in _PRIVATE:
                continue
            data = path.read_bytes()
            sha256 = hashlib.sha256(data).hexdigest()
            self.put(sha256, data)
            listed[place] = [sha256, len(data)]
        self.bucket.put(files_key(name, row), json.dumps({"files": listed}, sort_keys=True).encode())
        return [str(sha256) for sha256, _ in listed.values()]

    def list_files(self, key: str) -> dict[str, str]:
        """Read which files a version has, with their sha256. Raises RemoteMissingError, StorageError or RemoteError."""
        try:
            said = json.loads(self.bucket.get(key))["files"]
            return {str(place): str(sha256) for place, (sha256, _) in said.items()}
        except (ValueError, KeyError, TypeError) as e:
            raise StorageError(f"{self.bucket.address.join(key)} is damaged.", _HINT) from e

    def fetch_files(self, key: str, folder: Path) -> None:
        """Copy the files of a version into its folder here, whole or not at all; one from before is replaced.

        Raises
        ------
        StorageError
            They are missing or damaged.
        OSError
            They cannot be written.
        """
        listed = self.list_files(key)
        for dead in folder.parent.glob(f".{folder.name}.*"):  # of a program that was killed
            if dead.suffix in (".copy", ".old"):
                shutil.rmtree(dead, ignore_errors=True)
        made = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.copy")
        try:
            for place, sha256 in listed.items():
                target = made / place
                if not target.resolve().is_relative_to(made.resolve()):
                    raise StorageError(f"{self.bucket.address.join(key)} is damaged.", _HINT)
                target.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(target, self.get(sha256))
            made.mkdir(parents=True, exist_ok=True)
            write_atomically(made / MARKER, key.encode())
            if folder.exists():
                folder.rename(old := made.with_suffix(".old"))
                shutil.rmtree(old, ignore_errors=True)
            made.rename(folder)
            sync_folder(folder.parent)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def blob_key(sha256: str) -> str:
    """Return under which key a blob lies."""
    return f"blobs/{sha256[:2]}/{sha256[2:]}"


def files_key(name: str, row: VersionRow) -> str:
    """Return under which key the list of a version's files lies: no two attempts at a version share it."""
    return f"versions/{name}/{row.number}/{row.head_blob[:16]}-{row.created.replace(':', '')}.json"


def remove_old_copies(models: Path, keys: Collection[str]) -> None:
    """Remove the copies of versions that another server removed; keys: of the lists that are still there."""
    for marker in models.glob(f"*/*/{MARKER}"):
        with suppress(OSError):
            if marker.read_text("utf-8") not in keys:
                shutil.rmtree(marker.parent)
