"""Unpack a zip archive from elsewhere within bounds: nothing leaves its folder, and nothing fills the disk."""

from __future__ import annotations

import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from medloupe.errors import DataError

MOST_FILES = 50_000
MOST_BYTES = 16 * 2**30
MOST_FILE = 512 * 2**20
MOST_RATIO = 100
"""How many times its packed size a file of over a mebibyte may have: pictures hardly pack, bombs a thousandfold."""
SPARE_BYTES = 256 * 2**20
"""Room that is left on the disk."""
_PIECE = 2**20
_DRIVE = re.compile(r"^[A-Za-z]:")
_LONGEST = 400  # letters of a path
_DEEPEST = 20  # folders
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpack(archive: Path, folder: Path, progress: Callable[[int, int], None] | None = None) -> int:
    """Unpack an archive into a folder.

    Hidden files, and those that macOS adds, are left out; links, encrypted files, names that lead out of the folder and
    two files of one name make it refused.

    Parameters
    ----------
    archive, folder
        From where and to where.
    progress
        Told how many files are unpacked, and of how many.

    Returns
    -------
    int
        How many files.

    Raises
    ------
    DataError
        It is no zip archive, damaged, or refused.
    OSError
        The disk is full.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            return _unpack(opened, folder, progress)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as e:
        raise DataError(f"The archive cannot be read: {e}.", "Pack the folder again, as a plain .zip file.") from e


def _unpack(opened: zipfile.ZipFile, folder: Path, progress: Callable[[int, int], None] | None) -> int:
    entries = [entry for entry in opened.infolist() if not entry.is_dir()]
    if len(entries) > MOST_FILES:
        raise DataError(f"The archive has {len(entries):,} files.", f"Pack {MOST_FILES:,} at most at once.")
    places: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        place = check_entry(entry)
        if any(part.startswith((".", "__MACOSX")) for part in place.split("/")):
            continue
        if places.setdefault(place.casefold(), entry) is not entry:
            raise DataError(f"The archive has two files {place[:80]!r}.", "Pack the folder again.")
    claimed = sum(entry.file_size for entry in places.values())
    room = min(MOST_BYTES, shutil.disk_usage(folder).free - SPARE_BYTES)
    if claimed > room:
        raise DataError(f"Unpacked it has {claimed / 1e9:.1f} GB; there is not so much room.", "Send it in parts.")
    total = 0
    for number, entry in enumerate(places.values()):
        path = folder / check_entry(entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        most = min(entry.file_size, room - total)
        with opened.open(entry) as source, path.open("xb") as target:
            written = 0
            while piece := source.read(_PIECE):
                written += len(piece)
                if written > most:
                    raise DataError(f"{entry.filename[:80]!r} is longer than the archive says.", "Pack it again.")
                target.write(piece)
        total += written
        if progress is not None:
            progress(number + 1, len(places))
    return len(places)


def check_entry(entry: zipfile.ZipInfo) -> str:
    """Check one file of an archive before anything of it is read.

    Returns
    -------
    str
        Its path, with forward slashes.

    Raises
    ------
    DataError
        It is refused.
    """
    name = entry.filename.replace("\\", "/")
    shown = repr(name[:80])
    parts = name.split("/")
    if name.startswith("/") or _DRIVE.match(name) or ".." in parts or "\0" in entry.orig_filename:
        raise DataError(f"The archive names {shown}, a place outside it.", "Such an archive is not unpacked.")
    if len(name) > _LONGEST or len(parts) > _DEEPEST or not name.isprintable() or "" in parts or "." in parts:
        raise DataError(f"The archive names {shown}, which is no usual path.", "Pack the folder again.")
    mode = entry.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        raise DataError(f"{shown} in the archive is a link or device.", "Pack the files themselves.")
    if entry.flag_bits & 0x1:
        raise DataError(f"{shown} in the archive is encrypted.", "Pack it without a password.")
    if entry.compress_type not in _METHODS:
        raise DataError(f"{shown} is packed in an unusual way.", "Pack the folder again, as a plain .zip file.")
    if entry.file_size > MOST_FILE:
        raise DataError(
            f"{shown} has {entry.file_size >> 20:,} MiB unpacked.", f"At most {MOST_FILE >> 20} MiB a file."
        )
    if entry.file_size > _PIECE and entry.file_size > MOST_RATIO * max(1, entry.compress_size):
        raise DataError(f"{shown} unpacks to over {MOST_RATIO} times its size.", "Such an archive is not unpacked.")
    return name
