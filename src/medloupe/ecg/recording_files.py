"""Find which files belong together: a WFDB recording comes as several, every other ECG as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from medloupe.errors import SignalError
from medloupe.imaging import headers

Source = bytes | Mapping[str, bytes]
"""What was sent for one answer: the bytes of a file, or those of a recording's files by name."""

_PARTS = frozenset({".dat", ".atr", ".qrs", ".xyz", ".ecg"})  # of WFDB recordings, beside their .hea


def group_files(files: Sequence[tuple[str, bytes]]) -> list[tuple[str, Source]]:
    """Group the files sent, those of one WFDB recording as one, under the name of its header.

    To a header belong the files it names and those of its own name with another suffix.

    Parameters
    ----------
    files : Sequence of (str, bytes)
        Name and content of each.

    Returns
    -------
    list of (str, Source)
        In the order in which they were sent.
    """
    left = dict(enumerate(files))
    found: list[tuple[int, str, Source]] = []
    for i, (name, data) in enumerate(files):
        if not name.lower().endswith(".hea") or headers.sniff(data[: headers.SNIFF_BYTES]) is not None:
            continue  # of a picture the name means nothing
        del left[i]
        stem = bare_name(name)[:-4]
        wanted = {f.lower() for f in _partners(data, name)}
        parts = {bare_name(name): data}
        for j, (other, content) in [*left.items()]:
            plain = bare_name(other)
            same = PurePosixPath(plain).stem == stem and PurePosixPath(plain).suffix.lower() in _PARTS
            if (plain.lower() in wanted or same) and plain not in parts:
                parts[plain] = content
                del left[j]
        found.append((i, name, parts))
    rest: list[tuple[int, str, Source]] = [(i, name, data) for i, (name, data) in left.items()]
    return [(name, content) for _, name, content in sorted([*found, *rest], key=lambda f: f[0])]


def join_bytes(data: Source) -> bytes:
    """Join all bytes of it, by which it is recognised: of several files one after the other, by name."""
    return data if isinstance(data, bytes) else b"".join(data[name] for name in sorted(data))


def bare_name(name: str) -> str:
    """Return a file's name without folders."""
    return name.replace("\\", "/").rpartition("/")[2]


def _partners(data: bytes, name: str) -> tuple[str, ...]:
    from medloupe.ecg.wfdb import read_header

    try:
        return read_header(data, name).files
    except SignalError:  # told when it is read
        return ()
