"""Embed every example of a data set once, cached by content, each kind of data in its own way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medloupe.data.modalities import MODALITIES
from medloupe.data.records import Dataset, Record
from medloupe.data.scan import Scan
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
    """

    data: Dataset
    embeddings: np.ndarray
    facts: np.ndarray
    digests: tuple[bytes, ...]
    unreadable: tuple[tuple[str, str], ...]
    decoded: int


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
    return Features(
        data=data,
        embeddings=embeddings,
        facts=facts,
        digests=digests,
        unreadable=tuple(sorted(unreadable.items())),
        decoded=new,
    )


def fit_record(record: Record, backbone: Backbone) -> np.ndarray:
    """Fit a record to the network: uint8 (S, S, 3) of a picture, a window float32 (L, T) of an ECG.

    Raises
    ------
    ImageError
        When it cannot be read.
    """
    name = backbone.card.modality
    return EMBEDDINGS[name].window(MODALITIES[name].held(record), backbone.card)
