"""Delete what was computed from a patient's pictures: rows of caches where they can be told apart, else whole caches.

A cache is made anew where it is asked for; what is deleted in vain costs time and nothing else.
"""

from __future__ import annotations

import io
import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from medloupe.data.digests import decode_digests
from medloupe.embed.cache import open_any_cache
from medloupe.embed.field import name_views
from medloupe.errors import StoreError
from medloupe.metrics.box_evidence import BoxEvidence
from medloupe.metrics.evidence import Evidence
from medloupe.utils.files import write_cache
from medloupe.utils.scratch import remove_left

WHOLE = ("signals", "cuts", "maps", "tuning", "search", "scratch")
"""Under home/cache: what is kept for a data set as a whole, from which no single picture can be taken out."""


def erase_from_caches(home: Path, digests: frozenset[str], *, again: bool = False) -> dict[str, int]:
    """Delete what the caches under home hold of pictures.

    Parameters
    ----------
    home : Path
        Of the store.
    digests : frozenset of str
        sha256 of the pictures, in hexadecimal.
    again : bool
        Whether some of it may be done already, so that caches of whole data sets go even where no row is found.

    Returns
    -------
    dict
        "features": rows that were overwritten; "caches": files and folders that were deleted or written anew.

    Raises
    ------
    StoreError
        The disk cannot be written.
    OSError
        Something cannot be deleted.
    """
    if not digests:
        return {}
    contents = [bytes.fromhex(d) for d in sorted(digests)]
    root = home / "cache"
    rows = sum(_erase_rows(folder, contents) for folder in _folders(root / "features"))
    views = [name for content in contents for name in name_views(content)]
    rows += sum(_erase_rows(folder, views) for folder in _folders(root / "field"))
    gone = sum(_erase_measures(path, contents) for path in (root / "measures").glob("*.npz"))
    for path in (root / "outcomes").glob("*.npz"):
        if _holds(path, {d[:8] for d in contents}):
            path.unlink(missing_ok=True)
            gone += 1
    if rows or gone or again:  # else no training and no audit has seen any of them
        for name in WHOLE:
            for path in (root / name).glob("*"):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
                gone += 1
    gone += remove_left(root / "scoring")  # files from elsewhere that a killed worker was scoring
    for half in root.glob("*/.*"):  # of a process that was killed while it wrote
        with suppress(OSError):
            half.unlink()
    return {"features": rows, "caches": gone}


def _folders(root: Path) -> Iterator[Path]:
    return (folder for folder in root.glob("*") if (folder / "index.bin").is_file())


def _erase_rows(folder: Path, digests: list[bytes]) -> int:
    """Overwrite rows of a feature cache; where they cannot be told apart, all of it goes."""
    index = (folder / "index.bin").read_bytes()
    if not any(d in index for d in digests):
        return 0
    try:
        cache = open_any_cache(folder)
        if cache is not None:
            return cache.erase(digests)
    except (StoreError, OSError):
        pass
    shutil.rmtree(folder)
    return sum(d in index for d in digests)


def _erase_measures(path: Path, digests: list[bytes]) -> bool:
    """Take measures of pictures out of the file that keeps them; whether it had any."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            names, values = stored["digests"], stored["values"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        path.unlink(missing_ok=True)
        return False
    gone = np.array([bytes(name) in digests for name in names], bool)
    if gone.any():
        out = io.BytesIO()
        np.savez(out, allow_pickle=False, digests=names[~gone], values=values[~gone])
        write_cache(path, out.getvalue())
    return bool(gone.any())


def _holds(path: Path, prefixes: set[bytes]) -> bool:
    """Whether an outcome of training knows any of the pictures; also where it cannot be read."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            evidence, report = stored["evidence"].tobytes(), stored["report"].tobytes()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return True
    for kind in (Evidence, BoxEvidence):
        with suppress(ValueError):
            if prefixes & {d.tobytes() for d in kind.from_bytes(evidence).digests}:
                return True
    return not evidence or _names_any(report, prefixes)


def _names_any(report: bytes, prefixes: set[bytes]) -> bool:
    try:
        return bool(prefixes & decode_digests(json.loads(report)["card"]["data"].get("digests")))
    except (ValueError, KeyError, TypeError):
        return True
