"""List files that lie elsewhere, in object storage or by https://, as files to score: names alone are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from medloupe.data.modalities import MODALITIES
from medloupe.data.readers.base import is_hidden
from medloupe.errors import RemoteMissingError, RemoteRefusedError
from medloupe.utils.remote.address import BUCKETS, Address, is_remote, parse_address
from medloupe.utils.remote.objects import Bucket

PARTS = frozenset({".dat", ".atr", ".qrs", ".xyz"})
"""Of a WFDB record, which is read by its header."""


def read_file_address(text: str) -> Address:
    """Read the address of something to score.

    Raises
    ------
    RemoteRefusedError
        It is of another kind, or signed: results would hold the signature.
    """
    address = parse_address(text)
    if address.query:
        raise RemoteRefusedError(
            f"{address} is signed, and results name what they are of.",
            "Download it first, or name object storage with credentials in the environment.",
        )
    return address


def list_place(address: Address, kinds: Collection[str]) -> Iterator[str]:
    """List what lies at an address, in the order of the server: a file, or in object storage all below that count.

    What counts is told by the end of the name: there is no look into each file.

    Raises
    ------
    RemoteMissingError
        Nothing lies there.
    RemoteError
        It cannot be read.
    """
    if address.scheme not in BUCKETS:
        yield address.url
        return
    bucket = Bucket(address)
    if address.key and bucket.stat() is not None:
        yield address.url
        return
    empty = True
    for found in bucket.list():
        empty = False
        if counts(found.key, kinds):
            yield address.join(found.key).url
    if empty:
        raise RemoteMissingError(f"There is nothing at {address}.", "Check the bucket and the key.")


def counts(key: str, kinds: Collection[str]) -> bool:
    """Tell whether a key may hold an example of some kinds; DICOM files often have no suffix."""
    if key.endswith("/") or any(is_hidden(part) for part in key.split("/")):
        return False
    suffix = PurePosixPath(key).suffix.lower()
    known = frozenset().union(*(MODALITIES[kind].suffixes for kind in kinds))
    return not suffix or (suffix in known and suffix not in PARTS)


def beside(table: Address, name: str) -> str:
    r"""Find what a list or table means by a name, with / or \ between folders: relative to where it lies itself.

    Raises
    ------
    RemoteRefusedError
        It leads elsewhere.
    """
    parts = name.replace("\\", "/").split("/")
    if is_remote(name) or name.startswith(("/", "\\")) or ".." in parts:
        raise RemoteRefusedError(
            f"{table} names {name!r}, which does not lie beside it.", "Names in a list elsewhere are relative to it."
        )
    folder = replace(table, key=table.key.rpartition("/")[0])
    return folder.join("/".join(part for part in parts if part not in ("", "."))).url
