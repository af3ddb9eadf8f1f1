"""Draw boxes on the pictures of a data set: what is to be drawn next, and what was drawn, checked and kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from medloupe.errors import StoreError
from medloupe.imaging.sandbox.pool import DecoderPool
from medloupe.store.dataset_nouns import MOST_BOXES, DatasetItem, StoredDataset, check_boxes
from medloupe.store.datasets import Datasets
from medloupe.studio.turns import Turn, find_turn, find_waiting

_SIDE = 32  # pixels of the decoding that only asks for the picture's size
_ROOM = 1.0  # pixels by which rounding may lead out of the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTask:
    """A picture to draw boxes on.

    Attributes
    ----------
    width, height
        Of the upright picture in pixels.
    boxes
        Those that are drawn, as JSON.
    looked
        Whether somebody has looked at it: without boxes it then shows nothing that is sought.
    turn, waiting
        Which picture of how many it is, and at how many nobody has looked.
    """

    data: StoredDataset
    item: DatasetItem
    width: int
    height: int
    boxes: str
    looked: bool
    turn: Turn
    waiting: int
    most: int = MOST_BOXES


def find_box_task(sets: Datasets, decoders: DecoderPool, id: str, item: str) -> BoxTask:
    """Find what is drawn on a picture, and how large it is.

    Raises
    ------
    UnknownError
        There is no such data set or picture.
    StoreError
        The data set has no boxes.
    ImageError
        The picture cannot be read.
    """
    data, found = _require_boxed(sets, id), sets.item(id, item)
    items = sets.items(id)
    width, height = _measure(sets, decoders, found)
    return BoxTask(
        data=data,
        item=found,
        width=width,
        height=height,
        boxes=json.dumps([dict(box) for box in found.boxes or ()]),
        looked=found.boxes is not None,
        turn=find_turn(items, item),
        waiting=sum(one.boxes is None for one in items),
    )


def find_next(sets: Datasets, id: str, after: str = "") -> str | None:
    """Find the picture to draw on next: the first at which nobody looked, from one on, then from the beginning."""
    items = sets.items(_require_boxed(sets, id).id)
    return find_waiting(items, after, lambda item: item.boxes is None)


def draw_boxes(
    sets: Datasets,
    decoders: DecoderPool,
    id: str,
    item: str,
    boxes: Sequence[Mapping[str, Any]] | None,
    *,
    by: str,
    why: str = "",
) -> DatasetItem:
    """Keep the boxes of a picture as one change that can be undone; the same again changes nothing.

    Parameters
    ----------
    sets, decoders
        Where the picture lies, and what looks at it.
    id, item
        The data set and the picture.
    boxes
        Each {"label", "x", "y", "width", "height"} in pixels of the upright picture; an empty list where there is
        nothing to mark, None where nobody is to have looked.
    by, why
        Who drew them, and what the log is to say beside that.

    Raises
    ------
    UnknownError
        There is no such data set or picture.
    StoreError
        The data set has no boxes, or one is of no class, or does not lie in the picture.
    ImageError
        The picture cannot be read.
    """
    data, found = _require_boxed(sets, id), sets.item(id, item)
    told = None if boxes is None else check_boxes(boxes, data.labels)
    if told:
        width, height = _measure(sets, decoders, found)
        for box in told:
            if box["x"] + box["width"] > width + _ROOM or box["y"] + box["height"] > height + _ROOM:
                raise StoreError(
                    f"The box {box['x']:g}, {box['y']:g}, {box['width']:g} × {box['height']:g} does not lie in the"
                    f" picture of {width} × {height} pixels.",
                    "Give x, y, width and height in pixels of the upright picture.",
                )
    if told != (None if found.boxes is None else [dict(box) for box in found.boxes]):
        sets.change(id, "annotate", {item: {"boxes": told}}, by=by, why={"why": why} if why else None)
    return sets.item(id, item)


def _measure(sets: Datasets, decoders: DecoderPool, item: DatasetItem) -> tuple[int, int]:
    return decoders.decode(sets.blobs.get(item.digest), _SIDE).given_size


def _require_boxed(sets: Datasets, id: str) -> StoredDataset:
    data = sets.get(id)
    if not data.boxed:
        raise StoreError(f"The data set {data.name} has a class for each of its {data.things}, no boxes.", "")
    return data
