"""Pack the files of an ECG as one to be kept, and shorten of its answer what is remembered."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from medloupe.ecg.recording_files import Source
from medloupe.errors import SignalError
from medloupe.imaging import headers

DRAWN_SECONDS = 60
"""Most that is drawn on a page."""

_SUFFIXES = {b"PK\x03\x04": "npz", b"0       ": "edf", b"\xffBIOSEMI": "bdf"}


def guess_suffix(data: bytes) -> str:
    """Guess the suffix by which a file is read that came without a name."""
    if headers.sniff(data[: headers.SNIFF_BYTES]) == "DICOM":
        return "dcm"
    return next((name for start, name in _SUFFIXES.items() if data.startswith(start)), "csv")


def pack(data: Source) -> tuple[str, bytes]:
    """Return under what suffix an ECG is kept, and its bytes: several files as one archive."""
    if isinstance(data, bytes):
        return guess_suffix(data), data
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(data):
            archive.writestr(zipfile.ZipInfo(name), data[name])
    return "zip", out.getvalue()


def unpack(name: str, data: bytes) -> Source:
    """Undo `pack`.

    Parameters
    ----------
    name
        Ends with the suffix.
    data
        What was kept.

    Raises
    ------
    SignalError
        It is damaged.
    """
    if not name.endswith(".zip"):
        return data
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {entry: archive.read(entry) for entry in archive.namelist()}
    except (zipfile.BadZipFile, OSError, ValueError) as e:
        raise SignalError("The ECG that was kept is damaged.") from e


def shorten_entry(said: dict[str, Any]) -> dict[str, Any]:
    """Shorten the entry `ecg` of an answer to what is remembered.

    Of a long recording, beats are kept one by one only for what is drawn of it; how many there are of each class stays.
    """
    if said["seconds"] <= DRAWN_SECONDS:
        return said
    found = {**said, "r_peaks": [t for t in said["r_peaks"] if t < DRAWN_SECONDS]}
    if "beats" in said:
        found["beats"] = [b for b in said["beats"] if b["second"] < DRAWN_SECONDS]
    return found
