"""Keep copies of files from elsewhere on this machine, in no more space than was granted.

    home/cache/files/
        HASH OF THE ADDRESS/
            entry.json          what it is a copy of, its bytes, when it was last used
            lock                held while it is brought up to date or removed
            use-…               one for each program that reads it, locked as long as that runs
            NAME or NAME/…      the file or folder itself, under the name that it has elsewhere

What was used least lately goes first. An entry in use never goes; a program that died holds its lock no more.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.errors import BusyError, MedloupeError, StorageError
from medloupe.settings import home, setting
from medloupe.utils.amounts import parse_amount
from medloupe.utils.files import exclusive_lock, write_atomically
from medloupe.utils.remote.address import Address, is_safe_key

_SPARE = 256 << 20  # bytes of the disk that are left free
_PATIENCE = 3600.0  # seconds to wait for another program that downloads the same


@dataclass(frozen=True, slots=True)
class CachedCopy:
    """One copy in the cache.

    Attributes
    ----------
    folder : Path
        Its own.
    place : Path
        The file or folder copied.
    """

    folder: Path
    place: Path


class FilesCache:
    """The copies on this machine.

    Parameters
    ----------
    folder : Path, optional
        Default: under the home folder in force.
    limit : int, optional
        Bytes; default: MEDLOUPE_FILES_CACHE.

    Raises
    ------
    MedloupeError
        The setting is no amount.
    """

    def __init__(self, folder: Path | None = None, limit: int | None = None):
        self.folder = home() / "cache" / "files" if folder is None else folder
        told = setting("MEDLOUPE_FILES_CACHE")
        amount = parse_amount(told) if limit is None else limit
        if amount is None:
            raise MedloupeError(f"MEDLOUPE_FILES_CACHE is {told!r}; expected an amount such as 20GB.", "Or unset it.")
        self.limit = amount

    @contextmanager
    def hold(self, address: Address) -> Iterator[CachedCopy]:
        """Hold the entry of an address while the block reads it; it is made where it is missing. Raises BusyError."""
        own = self.folder / hashlib.sha256(address.url.encode()).hexdigest()[:24]
        name = address.name if is_safe_key(address.name) and len(address.name.encode()) < 200 else "files"
        if name in ("entry.json", "lock", "index.sqlite") or name.startswith("use-"):
            name = f"_{name}"
        with ExitStack() as held:
            while True:
                own.mkdir(parents=True, exist_ok=True)
                use = own / f"use-{os.getpid()}-{secrets.token_hex(4)}"
                with suppress(FileNotFoundError):  # another program may remove it this very moment
                    held.enter_context(exclusive_lock(use))
                    if use.exists():
                        break
            held.callback(use.unlink, missing_ok=True)
            yield CachedCopy(own, own / name)

    @contextmanager
    def update(self, entry: CachedCopy) -> Iterator[None]:
        """Be the only one to change an entry. Raises BusyError after an hour."""
        with exclusive_lock(entry.folder / "lock", _PATIENCE):
            yield

    def require_unused(self, entry: CachedCopy, address: Address) -> None:
        """Make sure that no other program reads an entry that is to change. Raises BusyError."""
        if _users(entry.folder) > 1:
            raise BusyError(
                f"What lies at {address} has changed, and another program still works with the copy from before.",
                "Wait until that is done.",
            )

    def note(self, entry: CachedCopy, address: Address, size: int) -> None:
        """Note what an entry is and that it is used now."""
        said = {"address": str(address), "bytes": size, "used": time.time()}
        write_atomically(entry.folder / "entry.json", json.dumps(said).encode())

    def make_room(self, wanted: int, entry: CachedCopy, address: Address) -> None:
        """Remove what was used least lately, until `wanted` bytes fit within the limit and on the disk.

        Parameters
        ----------
        wanted
            Bytes that the entry will have in all.
        entry
            Which is not removed.
        address
            For messages.

        Raises
        ------
        StorageError
            They cannot fit.
        """
        if wanted > self.limit:
            raise StorageError(
                f"{address} holds {_amount(wanted)}; copies of files may take {_amount(self.limit)} here.",
                "Raise MEDLOUPE_FILES_CACHE, name a part of it, or for many pictures use `medloupe score`.",
            )
        others = sorted(self._others(entry), key=lambda e: e[1])
        have = sum(size for _, _, size in others)
        present = _tree_bytes(entry.folder)
        free = shutil.disk_usage(self.folder).free - _SPARE
        for folder, _, size in others:
            if have + wanted <= self.limit and wanted - present <= free:
                return
            if self._evict(folder):
                have -= size
                free += size
        if have + wanted > self.limit:
            raise StorageError(
                f"{address} holds {_amount(wanted)}, and {_amount(have)} of the {_amount(self.limit)} that copies may"
                " take here are in use.",
                "Wait until the other programs are done, or raise MEDLOUPE_FILES_CACHE.",
            )
        if wanted - present > free:
            raise StorageError(
                f"{address} holds {_amount(wanted)}; the disk of {self.folder} has {_amount(max(0, free))} to spare.",
                "Free some disk space, or choose another place with --home.",
            )

    def _others(self, entry: CachedCopy) -> Iterator[tuple[Path, float, int]]:
        for folder in self.folder.iterdir():
            if folder == entry.folder or not folder.is_dir():
                continue
            said: dict[str, Any] = {}
            with suppress(OSError, ValueError):
                said = json.loads((folder / "entry.json").read_text("utf-8"))
            yield folder, float(said.get("used", 0.0)), int(said.get("bytes") or _tree_bytes(folder))

    def _evict(self, folder: Path) -> bool:
        """Remove an entry, unless somebody uses it."""
        with suppress(BusyError, OSError), exclusive_lock(folder / "lock", 0):
            if _users(folder):
                return False
            trash = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
            folder.rename(trash)  # from here on nobody finds it
            shutil.rmtree(trash, ignore_errors=True)
            return True
        return False


def _users(folder: Path) -> int:
    """Count the programs that hold an entry; what dead ones left is removed."""
    count = 0
    for use in folder.glob("use-*"):
        try:
            with exclusive_lock(use, 0):
                use.unlink(missing_ok=True)
        except BusyError:
            count += 1
        except OSError:
            continue
    return count


def _tree_bytes(folder: Path) -> int:
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(here) / name).stat().st_size
    return total


def _amount(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
