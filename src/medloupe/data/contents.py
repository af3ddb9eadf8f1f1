"""Read what a record holds, as bytes or numbers, and compute the digest by which it is known again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from medloupe.data.records import Record
from medloupe.ecg.files import gather_files
from medloupe.ecg.recording_files import join_bytes
from medloupe.errors import UnreadableImageError


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
