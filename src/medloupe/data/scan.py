"""Read every file of a data set once, for its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medloupe.data.records import Dataset, Record
from medloupe.ecg.files import gather_files
from medloupe.ecg.recording_files import join_bytes
from medloupe.errors import ImageError, UnreadableImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A data set whose files have been read once.

    Attributes
    ----------
    data : Dataset
        The data set.
    digest : dict
        SHA-256 by record id; b"" where the file cannot be read.
    unreadable : dict
        Why, by record id, of those that cannot.
    """

    data: Dataset
    digest: dict[str, bytes]
    unreadable: dict[str, str]


def scan_dataset(data: Dataset) -> Scan:
    """Hash every image or ECG of the data set, without decoding."""
    digest: dict[str, bytes] = {}
    unreadable: dict[str, str] = {}
    for record in data.records:
        try:
            if data.modality == "ecg":
                digest[record.id] = digest_ecg(record)
            else:
                digest[record.id] = digest_image(read_content(record.picture))
        except ImageError as e:
            digest[record.id] = b""
            unreadable[record.id] = e.message
    return Scan(data=data, digest=digest, unreadable=unreadable)


def read_content(image: Path | np.ndarray) -> bytes | np.ndarray:
    """Return the bytes of a file, or the pixels given.

    Raises
    ------
    UnreadableImageError
        Where the file cannot be read, naming it.
    """
    if isinstance(image, np.ndarray):
        return image
    try:
        return image.read_bytes()
    except OSError as e:
        raise UnreadableImageError(f"{image} cannot be read: {e.strerror or e}.", "Check the path and rights.") from e


def digest_image(image: bytes | np.ndarray) -> bytes:
    """Compute the SHA-256 of a file's bytes, or of pixels with their shape and type."""
    if isinstance(image, np.ndarray):
        head = f"{image.dtype.str}{image.shape}".encode()
        return hashlib.sha256(head + np.ascontiguousarray(image).tobytes()).digest()
    return hashlib.sha256(image).digest()


def digest_ecg(record: Record) -> bytes:
    """Compute the SHA-256 of an ECG's samples, rate and leads, or of the bytes of its files.

    Raises
    ------
    ImageError
        Where the record has no ECG, or its files cannot be read.
    """
    signal = record.signal
    if signal is None:
        raise UnreadableImageError(f"{record.id} has no ECG.", "The data set mixes pictures and ECGs: separate them.")
    if isinstance(signal, Path):
        return hashlib.sha256(join_bytes(gather_files(signal))).digest()
    head = f"{signal.samples.dtype.str}{signal.samples.shape}{signal.rate}{signal.leads}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(signal.samples).tobytes()).digest()
