"""Keep sessions of networks within a number of bytes: leased while in use, the least recently used go first."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medloupe.errors import ModelFileError
from medloupe.graphs.optimised import computes_in_integers, describe_file, ensure_optimised, open_optimised

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

log = logging.getLogger("medloupe.serving")
OVERHEAD = 3 * 2**20
"""Bytes counted for a session besides its network's file: its graph, and buffers that are not shared."""

WIDE = 2
"""Networks that may have a session over all cores besides the usual one; it maps the file once more."""


@dataclass(slots=True)
class _Entry:
    """One network: a session for use beside others, and perhaps one over all cores for a request that is alone.

    size: bytes of one session; file: which file was mapped (describe_file).
    """

    path: Path
    size: int
    file: tuple[int, ...] | None
    widened: bool = False
    users: int = 0
    narrow: InferenceSession | None = None
    wide: InferenceSession | None = None
    opening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def bytes(self) -> int:
        return self.size * (1 + self.widened)


class Sessions:
    """Sessions by the sha256 of their network; safe to use from several threads.

    Parameters
    ----------
    budget
        Bytes that the networks held may take together.
    folder
        Where optimised copies are kept.
    cores
        Threads of a session that runs alone.

    Attributes
    ----------
    loads, evictions : int
        Sessions opened, and networks given up for others, since the start.
    """

    def __init__(self, budget: int, folder: Path, cores: int):
        self.budget = budget
        self._folder = folder
        self._cores = cores
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._free = threading.Condition()
        self._preparing: dict[str, threading.Lock] = {}
        self.loads = 0
        self.evictions = 0

    @property
    def bytes(self) -> int:
        """Bytes that the networks held take, by their files' sizes."""
        with self._free:
            return sum(e.bytes for e in self._entries.values())

    @property
    def count(self) -> int:
        """How many networks are held."""
        with self._free:
            return len(self._entries)

    def prepare(self, sha256: str, path: Path) -> bool:
        """Make the optimised copy of a network; tell whether it is held, or could be beside those that are.

        Raises
        ------
        ModelFileError, StoreError
            As `lease` does.
        """
        copy = self._prepare(sha256, path)
        size = _session_bytes(copy)
        with self._free:
            return sha256 in self._entries or sum(e.bytes for e in self._entries.values()) + size <= self.budget

    @contextmanager
    def lease(self, sha256: str, path: Path, *, alone: bool = False) -> Iterator[InferenceSession]:
        """Lease a session of a network for as long as the block runs.

        It is opened if it is not held, once also when many ask at once. Where the budget is used up, networks that
        nobody uses go first, the least recently used of them before others; if all are in use, this waits.

        Parameters
        ----------
        sha256
            Of the network.
        path
            Its ONNX file.
        alone
            The caller knows of no other work, and all cores may run for it.

        Raises
        ------
        ModelFileError
            The network cannot be opened or is larger than the budget.
        StoreError
            Its optimised copy cannot be written.
        """
        entry = self._take(sha256, path)
        try:
            yield self._session(entry, alone and self._cores > 1)
        except BaseException:
            if entry.narrow is None and entry.wide is None:  # it never opened: the next one tries anew
                with self._free:
                    if self._entries.get(sha256) is entry:
                        del self._entries[sha256]
            raise
        finally:
            with self._free:
                entry.users -= 1
                self._free.notify_all()

    def _session(self, entry: _Entry, wide: bool) -> InferenceSession:
        wide = wide and self._may_widen(entry)
        found = entry.wide if wide else entry.narrow
        if found is not None:
            return found
        with entry.opening:
            found = entry.wide if wide else entry.narrow
            if found is None:
                found = open_optimised(entry.path, self._cores if wide else 1)
                if wide:
                    entry.wide = found
                else:
                    entry.narrow = found
                self.loads += 1
        return found

    def _may_widen(self, entry: _Entry) -> bool:
        """Tell whether a network may have a session over all cores: the first few, while nothing has to go for it."""
        if entry.widened:
            return True
        with self._free:
            held = self._entries.values()
            if sum(e.widened for e in held) >= WIDE or sum(e.bytes for e in held) + entry.size > self.budget:
                return False
            entry.widened = True
        return True

    def _take(self, sha256: str, path: Path) -> _Entry:
        with self._free:
            entry = self._entries.get(sha256)
            if entry is not None and entry.file == describe_file(entry.path):
                entry.users += 1
                self._entries.move_to_end(sha256)
                return entry
            if entry is not None:  # somebody wrote to its file: what is mapped may be cut short, and must not be read
                del self._entries[sha256]
                log.error("network file changed", extra={"reason": entry.path.name})
        copy = self._prepare(sha256, path)
        file = describe_file(copy)
        size = _session_bytes(copy)
        if size > self.budget:
            raise ModelFileError(
                f"The network {path.name} takes {size >> 20} MiB; all networks together may take {self.budget >> 20}.",
                "Start the server with a larger --memory.",
            )
        with self._free:
            self._free.wait_for(lambda: sha256 in self._entries or self._make_room(size))
            entry = self._entries.setdefault(sha256, _Entry(copy, size, file))
            entry.users += 1
            self._entries.move_to_end(sha256)
            return entry

    def _prepare(self, sha256: str, path: Path) -> Path:
        with self._free:
            lock = self._preparing.setdefault(sha256, threading.Lock())
        with lock:
            copy = ensure_optimised(path, sha256, self._folder)
        with self._free:
            self._preparing.pop(sha256, None)
        return copy

    def _make_room(self, size: int) -> bool:
        """Give networks up until size more bytes fit; False where those that are left are in use. Holds the lock."""
        held = sum(e.bytes for e in self._entries.values())
        gone = False
        for sha256, entry in list(self._entries.items()):
            if held + size <= self.budget:
                break
            if entry.users == 0:
                held -= entry.bytes
                del self._entries[sha256]
                entry.narrow = entry.wide = None
                self.evictions += 1
                gone = True
        if gone:
            _trim()
        return held + size <= self.budget


def _session_bytes(copy: Path) -> int:
    """Count the bytes of a session; integer networks pack a copy of their weights."""
    return copy.stat().st_size * (1 + computes_in_integers(copy)) + OVERHEAD


def _no_trim() -> None: ...


def _find_trim() -> Callable[[], object]:
    """Find what gives freed memory back to the system, where the C library can."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return _no_trim
    return lambda: trim(0)


_trim = _find_trim()
