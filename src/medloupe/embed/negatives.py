"""Embed the negatives of grey pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from medloupe.data.contents import read_content
from medloupe.data.records import Record
from medloupe.embed.backbone import Backbone
from medloupe.embed.network import Network
from medloupe.errors import ImageError
from medloupe.imaging import decode
from medloupe.imaging.picture import negative_of
from medloupe.utils.batches import map_batches

_BATCH = 8


def embed_negatives(records: Sequence[Record], backbone: Backbone) -> tuple[np.ndarray, np.ndarray]:
    """Embed the negatives of pictures, black for white; those with colours, or unreadable, are left out.

    Parameters
    ----------
    records : sequence of Record
        Of pictures.
    backbone : Backbone
        The network, without a tail.

    Returns
    -------
    rows : np.ndarray
        int (n,), which of the records are grey.
    negatives : np.ndarray
        float32 (n, D), of the negatives of these.
    """
    network = Network(backbone, None, threads=1)
    size = backbone.card.input_size

    def look(rows: list[int]) -> tuple[list[int], np.ndarray] | None:
        made: dict[int, np.ndarray] = {}
        for row in rows:
            try:
                picture = decode.decode_picture(read_content(records[row].picture), min_side=size)
            except ImageError:
                continue
            negative = negative_of(picture.fit(size), picture.width, picture.height)
            if negative is not None:
                made[row] = negative
        if not made:
            return None
        return list(made), network.see(np.stack(list(made.values()))).embedding.astype(np.float32)

    def start() -> Callable[[list[int]], tuple[list[int], np.ndarray] | None]:
        return look

    found = [part for part in map_batches(range(len(records)), _BATCH, start) if part is not None]
    if not found:
        return np.zeros(0, np.int64), np.zeros((0, backbone.card.dimension), np.float32)
    rows = np.array([row for some, _ in found for row in some])
    order = np.argsort(rows)
    return rows[order], np.concatenate([seen for _, seen in found])[order]
