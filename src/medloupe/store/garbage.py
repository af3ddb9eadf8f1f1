"""Remove from object storage what no version names any more.

A blob goes only if nobody named it when it was marked, nobody wrote it since, nobody names it a grace period later,
and no writer is at work: three of these alone would do, so that a lock that was lost, or a writer that was stopped for
an hour between a blob and its row, costs nothing. Times are the storage's own.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from medloupe.errors import RemoteMissingError
from medloupe.store.shared import SharedParts, blob_key

if TYPE_CHECKING:
    from medloupe.store.models import Store

_T = TypeVar("_T")
GRACE = 24 * 3600.0
"""Seconds for which a blob that nobody names stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one look for garbage did: how many blobs are named, marked now, waiting still, removed; bytes freed."""

    kept: int
    marked: int
    waiting: int
    removed: int
    freed: int


def collect_garbage(store: Store, *, grace: float = GRACE) -> Collected:
    """Mark what no version names, and remove what has been so for the grace period.

    Parameters
    ----------
    store
        Whose storage is looked at.
    grace
        Seconds.

    Raises
    ------
    StoreError
        There is no object storage, it belongs to another store, or it or the database cannot be read.
    """
    shared = store.require_shared()
    wanted = _find_wanted(store, shared)
    kept = marked = waiting = 0
    due: list[tuple[str, int]] = []
    now = _now(shared)
    for info in shared.bucket.list("blobs"):
        sha256 = info.key.removeprefix("blobs/").replace("/", "")
        if sha256 in wanted:
            kept += 1
            shared.bucket.delete([f"marks/{sha256}"])
            continue
        mark = shared.bucket.stat(f"marks/{sha256}")
        if mark is None or info.modified > mark.modified:
            if now - info.modified >= grace:
                shared.bucket.put(f"marks/{sha256}", b"")
                marked += 1
            else:
                waiting += 1
        elif now - mark.modified < grace:
            waiting += 1
        else:
            due.append((sha256, info.size))
    removed = freed = 0
    for some in _batches(due):
        for size in _remove(store, shared, dict(some), grace):
            removed += 1
            freed += size
    _drop_lists(store, shared, grace)
    return Collected(kept=kept, marked=marked, waiting=waiting + len(due) - removed, removed=removed, freed=freed)


def _remove(store: Store, shared: SharedParts, due: dict[str, int], grace: float) -> Iterator[int]:
    """Remove blobs that are still nobody's, while no writer is at work; give their sizes."""
    with store.hold_writers():
        wanted, now = _find_wanted(store, shared), _now(shared)
        for sha256, size in due.items():
            mark, blob = (shared.bucket.stat(key) for key in (f"marks/{sha256}", blob_key(sha256)))
            if sha256 in wanted or mark is None or blob is None:
                continue
            if blob.modified > mark.modified or now - mark.modified < grace:
                continue
            shared.bucket.delete([blob_key(sha256), f"marks/{sha256}"])
            yield size


def _find_wanted(store: Store, shared: SharedParts) -> set[str]:
    """List the blobs that versions name, and those that are their files."""
    blobs, lists = store.list_shared()
    wanted = set(blobs)
    for key in lists:
        with suppress(RemoteMissingError):  # of a version from before there was object storage
            wanted.update(shared.list_files(key).values())
    return wanted


def _drop_lists(store: Store, shared: SharedParts, grace: float) -> None:
    """Remove lists of files that no version has: of removed ones, and of writers that were killed."""
    now = _now(shared)
    for some in _batches(i for i in shared.bucket.list("versions") if now - i.modified >= grace):
        with store.hold_writers():
            _, lists = store.list_shared()
            shared.bucket.delete(info.key for info in some if info.key not in lists)


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    """Give some at a time: between them writers get their turn."""
    left = iter(items)
    while some := list(islice(left, 100)):
        yield some


def _now(shared: SharedParts) -> float:
    """Ask the storage what time it is."""
    key = f"marks/.now-{secrets.token_hex(8)}"
    shared.bucket.put(key, json.dumps("now").encode())
    found = shared.bucket.stat(key)
    shared.bucket.delete([key])
    return 0.0 if found is None else found.modified
