"""Tell which format of pictures a file has: by its suffix, or by its first bytes."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from medloupe.data.modalities import DICOM_SUFFIXES, ECG_SUFFIXES, IMAGE_SUFFIXES, of_suffix
from medloupe.imaging import headers, heif

# Files that hold no picture, whatever their first bytes: recordings, text, programs.
_OTHERS = ECG_SUFFIXES | {
    *(".npz", ".npy", ".atr", ".qrs", ".xyz", ".txt", ".md", ".rst", ".xml", ".json", ".yaml", ".yml", ".html", ".pdf"),
    *(".py", ".ipynb", ".m", ".mat", ".h5", ".pkl", ".onnx", ".zip", ".gz", ".tar", ".doc", ".docx", ".xls", ".xlsx"),
}


def find_kind(entry: os.DirEntry[str] | Path) -> str | None:
    """Tell which format of pictures a file has: by its suffix, or, where that is none of a picture, by its first bytes.

    Exported studies carry no suffix, one of the maker's (.IMA), or are named by UID, whose last number poses as one.

    Returns
    -------
    str or None
        "DICOM", another format's name, or the suffix where that tells; None for what is no picture.
    """
    suffix = PurePosixPath(entry.name).suffix.lower()
    if suffix in DICOM_SUFFIXES:
        return "DICOM"
    if suffix in IMAGE_SUFFIXES:
        return suffix
    if suffix in _OTHERS or entry.name.upper() == "DICOMDIR" or of_suffix(entry.name) is not None:
        return None
    kind = headers.sniff(read_start(entry))
    if kind in heif.KINDS and not heif.can_read(kind):
        return None
    # Raw photographs and whole slides begin as TIFF does, and hold their picture elsewhere.
    return None if kind == "TIFF" and suffix and not suffix[1:].isdigit() else kind


def read_start(entry: os.DirEntry[str] | Path) -> bytes:
    """Read the first bytes of a file, as many as tell its format; none where it cannot be read."""
    try:
        with Path(entry).open("rb") as file:
            return file.read(headers.SNIFF_BYTES)
    except OSError:
        return b""
