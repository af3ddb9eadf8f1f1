"""Read every file of a data set once, for its digest."""

from __future__ import annotations

from dataclasses import dataclass

from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Dataset
from medloupe.errors import ImageError


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
    """Hash every example of the data set, without decoding."""
    modality = MODALITIES[data.modality]
    digest: dict[str, bytes] = {}
    unreadable: dict[str, str] = {}
    for record in data.records:
        try:
            digest[record.id] = modality.digest(record)
        except ImageError as e:
            digest[record.id] = b""
            unreadable[record.id] = e.message
    return Scan(data=data, digest=digest, unreadable=unreadable)
