"""Bring boxes into the pixels of the upright picture: shares, resized copies, pictures that lie on their side.

What an annotation declares of a picture's size decides. Cameras store pictures turned and note it (EXIF orientation);
some tools draw on the picture as it is shown, others on the pixels as they are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from medloupe.data.readers.annotations.base import MarkedPicture
from medloupe.data.readers.base import list_some
from medloupe.data.records import Box
from medloupe.errors import DataError
from medloupe.imaging.sizes import PictureSize, read_size

OTHER_SIZE = "annotated on a picture of another shape"
_MOST = 0.02  # of the pictures, that may be of another shape than annotated
_STORED, _UPRIGHT, _EITHER = "stored", "upright", "either"


class _Frame(NamedTuple):
    """In what boxes are drawn: pixels as stored, upright, or where that cannot be told; and how large that is."""

    kind: str
    scaled: bool


@dataclass(slots=True)
class Framed:
    """Boxes in pixels of the upright picture.

    Attributes
    ----------
    boxes : dict
        By the picture's place.
    unplaced : dict
        Labels of boxes that could not be brought there, as the picture's size cannot be read.
    skipped : dict
        Pictures to be left out, by reason.
    notes : list of str
        What was decided.
    """

    boxes: dict[str, tuple[Box, ...]] = field(default_factory=dict)
    unplaced: dict[str, frozenset[str]] = field(default_factory=dict)
    skipped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def frame_boxes(root: Path, marked: Mapping[str, MarkedPicture]) -> Framed:
    """Bring boxes into the pixels of their upright pictures.

    Parameters
    ----------
    root : Path
        The data folder.
    marked : Mapping
        What is annotated, by the picture's place.

    Raises
    ------
    DataError
        Where many pictures are of another shape than those annotated.
    """
    found = Framed()
    sizes = {place: read_size(root / place) for place, one in marked.items() if one.size or one.relative}
    frames: dict[str, _Frame] = {}
    others: list[str] = []
    for place, one in marked.items():
        size = sizes.get(place)
        if size is None:
            if one.relative and one.boxes:
                found.unplaced[place] = frozenset(box.label for box in one.boxes)
            found.boxes[place] = () if one.relative else one.boxes
            continue
        frame = _find_frame(one, size)
        if frame is None:
            others.append(place)
        else:
            frames[place] = frame
    if others:
        _judge_others(root, marked, sizes, others)
        found.skipped[OTHER_SIZE] = tuple(sorted(others))
        found.notes.append(
            f"{len(others)} pictures are of another shape than the annotation declares, such as {others[0]}: left out."
        )
    stored = sum(frame.kind == _STORED for frame in frames.values())
    upright = sum(
        frame.kind == _UPRIGHT and (size := sizes[place]) is not None and size.orientation >= 5
        for place, frame in frames.items()
    )
    unsure = stored > 0 and upright == 0  # a tool that draws on stored pixels does so on all of them
    for place, frame in frames.items():
        size = sizes[place]
        if size is not None:
            as_stored = frame.kind == _STORED or (frame.kind == _EITHER and unsure)
            found.boxes[place] = tuple(_place(box, marked[place], size, as_stored) for box in marked[place].boxes)
    found.notes += _note(frames, stored, upright, unsure)
    return found


def _find_frame(one: MarkedPicture, size: PictureSize) -> _Frame | None:
    """Tell in what a picture's boxes are drawn; None where the size declared is of another shape."""
    if one.size is None:
        return _Frame(_UPRIGHT if size.orientation == 1 else _EITHER, False)
    for exact in (True, False):
        agree = _is_same if exact else _is_alike
        upright, stored = agree(one.size, size.upright), agree(one.size, size.stored)
        if upright and stored and size.orientation > 1:
            return _Frame(_EITHER, not exact)
        if upright or stored:
            return _Frame(_UPRIGHT if upright else _STORED, not exact)
    return None


def _is_same(declared: tuple[int, int], real: tuple[int, int]) -> bool:
    return declared == real


def _is_alike(declared: tuple[int, int], real: tuple[int, int]) -> bool:
    """Tell whether two sizes are of one shape, but for the rounding to whole pixels."""
    (w, h), (rw, rh) = declared, real
    return abs(rw * h / w - rh) <= 1 or abs(rh * w / h - rw) <= 1 or abs(w * rh / rw - h) <= 1


def _place(box: Box, one: MarkedPicture, size: PictureSize, as_stored: bool) -> Box:
    """Bring one box into the pixels of the upright picture."""
    width, height = size.stored if as_stored else size.upright
    declared = (1, 1) if one.relative else one.size or (width, height)
    across, down = width / declared[0], height / declared[1]
    if (across, down) != (1, 1):
        box = Box(box.label, box.x * across, box.y * down, box.width * across, box.height * down)
    return turn_box(box, size) if as_stored else box


def turn_box(box: Box, size: PictureSize) -> Box:
    """Turn a box in stored pixels as EXIF orientation turns the picture."""
    right, below = size.width - box.x - box.width, size.height - box.y - box.height
    x, y = {
        1: (box.x, box.y),
        2: (right, box.y),
        3: (right, below),
        4: (box.x, below),
        5: (box.y, box.x),
        6: (below, box.x),
        7: (below, right),
        8: (box.y, right),
    }[size.orientation]
    lying = size.orientation >= 5
    return Box(box.label, x, y, box.height if lying else box.width, box.width if lying else box.height)


def _judge_others(
    root: Path, marked: Mapping[str, MarkedPicture], sizes: Mapping[str, PictureSize | None], others: list[str]
) -> None:
    """Raise DataError unless those of another shape are few."""
    if len(others) <= _MOST * len(marked):
        return
    first = marked[others[0]]
    size = sizes[others[0]]
    declared = "×".join(map(str, first.size or ()))
    real = "×".join(map(str, size.upright)) if size else ""
    raise DataError(
        f"{first.source} declares {first.name} to have {declared} pixels, but {root / others[0]} has {real}: boxes"
        f" cannot be brought from one shape to the other ({len(others)} of {len(marked)} pictures, such as"
        f" {list_some(others)}).",
        "Bring the pictures as they were annotated (not cropped, padded or squeezed), or correct the declared sizes.",
    )


def _note(frames: Mapping[str, _Frame], stored: int, upright: int, unsure: bool) -> list[str]:
    notes = []
    scaled = sum(frame.scaled for frame in frames.values())
    if scaled:
        notes.append(
            f"{scaled} pictures are larger or smaller than annotated, in the same shape: their boxes are scaled."
        )
    if stored:
        notes.append(
            f"{stored} pictures are stored on their side (EXIF orientation), and were annotated so, as the declared"
            " sizes say: their boxes are turned with them."
        )
    if upright:
        notes.append(f"{upright} pictures are stored on their side (EXIF orientation) and were annotated upright.")
    either = sum(frame.kind == _EITHER for frame in frames.values())
    if either:
        taken = "as stored, as the others were" if unsure else "upright, as they are shown"
        notes.append(
            f"{either} pictures are stored turned (EXIF orientation), and no size tells whether they were annotated so:"
            f" boxes are taken to be drawn {taken}. Look at one of them, such as"
            f" {next(place for place, frame in frames.items() if frame.kind == _EITHER)}."
        )
    return notes
