"""Download a file from elsewhere: in parts, going on where it broke off, checked, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from medloupe.errors import RemoteError, RemoteMissingError
from medloupe.utils.files import sha256_of
from medloupe.utils.remote.source import ChangedError, ObjectInfo, Source

CHUNK = 16 << 20
"""Bytes asked for at a time."""
_TRIES = 3  # of a file that is replaced while it is read


def download(
    source: Source, info: ObjectInfo, target: Path, tell: Callable[[int], None] = lambda _: None
) -> tuple[ObjectInfo, str]:
    """Write a file from elsewhere to target.

    What came before a kill lies beside it as `.NAME.part`, with what it is of; the next call goes on from there, as
    long as the file elsewhere is the same one.

    Parameters
    ----------
    source
        Where it is.
    info
        Which file.
    target
        Where it goes; its folder exists.
    tell
        Called with the bytes that came each time.

    Returns
    -------
    info : ObjectInfo
        Of what was read: a file that was replaced meanwhile is read as it is now.
    sha256 : str
        Of its content, hexadecimal.

    Raises
    ------
    RemoteError
        It cannot be read, or is replaced again and again.
    OSError
        It cannot be written.
    """
    part, note = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.note")
    for _ in range(_TRIES):
        try:
            sha256 = _fetch(source, info, part, note, tell)
        except ChangedError:
            part.unlink(missing_ok=True)
            found = source.stat(info.key)
            if found is None:
                raise RemoteMissingError(f"{source.address.join(info.key)} vanished while it was read.") from None
            info = found
            continue
        part.replace(target)
        note.unlink(missing_ok=True)
        return info, sha256
    raise RemoteError(
        f"{source.address.join(info.key)} changes again and again while it is read.",
        "Wait until whoever writes it is done.",
    )


def _fetch(source: Source, info: ObjectInfo, part: Path, note: Path, tell: Callable[[int], None]) -> str:
    """Bring the part up to the whole file, and return its SHA-256."""
    said = json.dumps([info.etag, info.size])
    have = 0
    with suppress(OSError):
        if info.etag and note.read_text("utf-8") == said:
            have = min(part.stat().st_size, info.size)
    whole = hashlib.sha256()
    if not have:
        part.unlink(missing_ok=True)
        if info.size > CHUNK:  # smaller ones come in one go: nothing to go on from
            note.write_text(said, "utf-8")
    with part.open("r+b" if have else "wb") as f:
        f.truncate(have)
        f.seek(have)
        while have < info.size:
            data = source.read(info, have, min(have + CHUNK, info.size))
            if not data:
                raise ChangedError
            f.write(data)
            whole.update(data)
            have += len(data)
            tell(len(data))
            if have < info.size:
                f.flush()
        f.flush()
        os.fsync(f.fileno())
    if part.stat().st_size != info.size:
        raise ChangedError
    return whole.hexdigest() if not note.exists() else sha256_of(part)  # of one that went on, all of it
