"""Read every file of a data set once: its digest."""

from __future__ import annotations

from dataclasses import dataclass

from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Dataset
from medloupe.errors import ImageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A data set whose files have been read once. digest: by record id, b"" where the file cannot be read, with the
    reason in unreadable."""

    data: Dataset
    digest: dict[str, bytes]
    unreadable: dict[str, str]


def scan(data: Dataset) -> Scan:
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
