"""Embed every example of a data set once, cached by content, each kind of data in its own way."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medloupe.data.cropped import CroppedPicture
from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import Scan, scan_dataset
from medloupe.embed.backbone import Backbone
from medloupe.embed.modalities import EMBEDDINGS
from medloupe.embed.tail import Tail
from medloupe.utils.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The embeddings of a data set under one backbone.

    Attributes
    ----------
    data : Dataset
        The readable records, in the order of the rows.
    embeddings : np.ndarray
        float32 (N, D), possibly mapped from the cache.
    facts : np.ndarray
        (N,) of embed.cache.FACTS, size in pixels and bytes, thumbnail; nothing of other kinds.
    digests : tuple of bytes
        sha256 of the content of each.
    unreadable : tuple of (str, str)
        (id, why) of records left out.
    decoded : int
        How many had to be decoded now; the others were cached.
    wholes : Features or None
        Of the pictures that the records were cut out of, each once and without labels; None where these are whole.
    """

    data: Dataset
    embeddings: np.ndarray
    facts: np.ndarray
    digests: tuple[bytes, ...]
    unreadable: tuple[tuple[str, str], ...]
    decoded: int
    wholes: Features | None = None


def embed(scanned: Scan, backbone: Backbone, progress: Progress | None = None, *, tail: Tail | None = None) -> Features:
    """Embed every example of the data set that the cache does not hold yet.

    Unreadable examples are left out and listed, never replaced.

    Parameters
    ----------
    scanned : Scan
        The data set, and the digest of each record.
    backbone : Backbone
        The network.
    progress : callable, optional
        Called with how many are embedded, and of how many.
    tail : Tail, optional
        With it they are embedded by the network as tuned.

    Raises
    ------
    DataError
        When none can be read.
    StoreError
        When the cache cannot be written.
    """
    kind = EMBEDDINGS[scanned.data.modality]
    data, embeddings, facts, digests, unreadable, new = kind.embed(scanned, backbone, tail, progress)
    wholes = list_whole_pictures(data)
    return Features(
        data=data,
        embeddings=embeddings,
        facts=facts,
        digests=digests,
        unreadable=tuple(sorted(unreadable.items())),
        decoded=new,
        wholes=None if wholes is None else embed(scan_dataset(wholes), backbone, progress, tail=tail),
    )


def list_whole_pictures(data: Dataset) -> Dataset | None:
    """List the pictures that records were cut out of, each once and without labels; None where records are whole."""
    if data.cropped is None:
        return None
    held: dict[str, Record] = {}
    for record in data.records:
        if isinstance(record.image, CroppedPicture):
            source = record.image.source
            held.setdefault(source, Record(id=source, image=record.image.picture))
    return replace(data, records=tuple(held.values()), cropped=None)


def fit_record(record: Record, backbone: Backbone) -> np.ndarray:
    """Fit a record to the network: uint8 (S, S, 3) of a picture, a window float32 (L, T) of an ECG.

    Raises
    ------
    ImageError
        When it cannot be read.
    """
    name = backbone.card.modality
    return EMBEDDINGS[name].window(MODALITIES[name].held(record), backbone.card)
