"""Bring what was made here elsewhere: a file, or a folder file by file, checked after it went."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from medloupe.errors import RemoteError, RemoteRefusedError
from medloupe.utils.files import sha256_of
from medloupe.utils.progress import Progress
from medloupe.utils.remote.address import BUCKETS, is_remote, parse_address
from medloupe.utils.remote.objects import Bucket

SUMS = "SHA256SUMS"


@contextmanager
def deliver(text: str | Path) -> Iterator[Path]:
    """Give a local path to write a file or folder to; where a person named an address, it is uploaded after the block.

    Nothing is uploaded where the block fails.

    Raises
    ------
    RemoteError
        It cannot be written, or the address is of a kind that cannot be written.
    ExtraError
        obstore is not installed.
    """
    if isinstance(text, Path) or not is_remote(text):
        yield Path(text)
        return
    address = parse_address(text)
    if address.scheme not in BUCKETS:
        raise RemoteRefusedError(f"{address} can only be read.", "Write to s3://, gs:// or az://, or to a file.")
    if not address.key:
        raise RemoteRefusedError(f"{address} names a bucket and no file in it.", f"Write {address}NAME.")
    bucket = Bucket(
        replace(address, key=address.key.rpartition("/")[0])
    )  # before the work: what cannot be opened is told now
    folder = Path(tempfile.mkdtemp(prefix="medloupe-"))
    try:
        place = folder / address.name
        yield place
        if place.is_dir():
            upload_folder(place, Bucket(address))
        for made in folder.iterdir():  # beside a table there may be a page
            if made.is_file():
                upload_file(made, bucket, made.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def upload_file(path: Path, bucket: Bucket, key: str = "") -> None:
    """Upload a file, and make sure that the server has as many bytes. Raises RemoteError."""
    bucket.put(key, path)
    _check(bucket, key, path.stat().st_size)


def upload_folder(folder: Path, bucket: Bucket, progress: Progress = lambda *_: None) -> int:
    """Upload a folder; what went in a call before that broke off is not sent again.

    Beside the files goes SHA256SUMS, the last of all, as sha256sum writes it: a folder that has it is whole.

    Returns
    -------
    int
        How many files were sent.

    Raises
    ------
    RemoteError
        A file cannot be written.
    """
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS)
    lines: list[str] = []
    sent = 0
    for done, path in enumerate(files):
        key = path.relative_to(folder).as_posix()
        sha256 = sha256_of(path)
        lines.append(f"{sha256}  {key}\n")
        mark = f".sent/{hashlib.sha256(key.encode()).hexdigest()[:32]}"
        said = json.dumps([sha256, path.stat().st_size]).encode()
        if not _went(bucket, mark, said, key, path.stat().st_size):
            upload_file(path, bucket, key)
            bucket.put(mark, said)
            sent += 1
        progress(done + 1, len(files))
    bucket.put(SUMS, "".join(lines).encode())
    bucket.delete(info.key for info in bucket.list(".sent"))
    return sent


def _went(bucket: Bucket, mark: str, said: bytes, key: str, size: int) -> bool:
    """Tell whether a call before sent this very file."""
    if bucket.stat(mark) is None or bucket.get(mark) != said:
        return False
    found = bucket.stat(key)
    return found is not None and found.size == size


def _check(bucket: Bucket, key: str, size: int) -> None:
    found = bucket.stat(key)
    if found is None or found.size != size:
        where = bucket.address.join(key) if key else bucket.address
        has = "nothing" if found is None else f"{found.size:,} bytes"
        raise RemoteError(f"{where} has {has} where {size:,} bytes were sent.", "Try again.")
