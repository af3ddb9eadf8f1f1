"""Data set → Features: every example embedded once, cached by content, each kind in its own way."""

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

    data: the readable records, in the order of the rows. embeddings: float32 (N, D), possibly mapped from the cache.
    facts: (N,) of featurecache.FACTS, size in pixels and bytes, thumbnail; nothing of other kinds. digests: sha256 of
    the content of each. unreadable: (id, why) of records left out. decoded: how many had to be decoded now; the others
    were cached.
    """

    data: Dataset
    embeddings: np.ndarray
    facts: np.ndarray
    digests: tuple[bytes, ...]
    unreadable: tuple[tuple[str, str], ...]
    decoded: int


def embed(scanned: Scan, backbone: Backbone, progress: Progress | None = None, *, tail: Tail | None = None) -> Features:
    """Embed every example of the data set that the cache does not hold yet; with a tail, by the network as tuned.

    Unreadable examples are left out and listed, never replaced. Raises DataError when none can be read, StoreError when
    the cache cannot be written.
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


def fitted(record: Record, backbone: Backbone) -> np.ndarray:
    """Fit a record as the network gets it: uint8 (S, S, 3), or of an ECG a window float32 (L, T). Raises ImageError."""
    name = backbone.card.modality
    return EMBEDDINGS[name].window(MODALITIES[name].held(record), backbone.card)
