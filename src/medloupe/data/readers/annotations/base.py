"""Define what the readers of annotations share: one picture's boxes as written, and all of one kind together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medloupe.data.readers.base import parse_split
from medloupe.data.records import Box, Split
from medloupe.errors import DataError

FEWEST = 5
"""Boxes that prove anything of all."""

OBJECT = "object"
"""The label of what has none."""


_ROUNDING = 2.0  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedPicture:
    """What an annotation says of one picture.

    Attributes
    ----------
    name : str
        The picture's file, as the annotation writes it.
    source : Path
        The annotation's file.
    boxes : tuple of Box
        In pixels of a picture of `size`, or in shares of its sides.
    size : tuple of (int, int) or None
        Width and height that the annotation declares.
    relative : bool
        Whether boxes are shares of width and height, 0 to 1.
    split : "train", "val", "test" or None
        The part it belongs to, where the annotation says so.
    unplaced : frozenset of str
        Labels it is said to show, without a place.
    home : Path or None
        The folder that `name` is relative to; the annotation's own where None.
    """

    name: str
    source: Path
    boxes: tuple[Box, ...]
    size: tuple[int, int] | None = None
    relative: bool = False
    split: Split | None = None
    unplaced: frozenset[str] = frozenset()
    home: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotations:
    """All annotations of one kind in a folder.

    Attributes
    ----------
    kind : str
        "COCO", "YOLO", "Pascal VOC", "LabelMe", "CVAT", "Label Studio" or "masks".
    pictures : sequence of MarkedPicture
        What is annotated; one without boxes is known to show nothing.
    labels : tuple of str
        Names declared, in their order; () where only the boxes name them.
    sources : tuple of Path
        Their files, and those that describe them.
    notes : tuple of str
        What was decided in reading them.
    negatives : str
        How a picture that shows nothing is written in this kind, for a note.
    """

    kind: str
    pictures: Sequence[MarkedPicture]
    labels: tuple[str, ...]
    sources: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    negatives: str = ""


def parse_number(value: Any, what: str, where: str) -> float:
    """Read one number of a box.

    Raises
    ------
    DataError
        Where it is none, or not finite; `what` is told to be expected, `where` is the file and place.
    """
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        written = "nothing" if value is None or value == "" else repr(str(value)[:40])
        raise DataError(f"{where}: {written} where {what} is expected.", "Correct or remove it.")
    return number


def box_from_corners(label: str, corners: Sequence[float]) -> Box:
    """Build a box from two opposite corners x0, y0, x1, y1, whichever is first."""
    x0, y0, x1, y1 = corners
    return Box(label, min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))


def box_around(label: str, xs: Sequence[float], ys: Sequence[float]) -> Box:
    """Build the box around points."""
    return Box(label, min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def box_from_size(label: str, numbers: Sequence[float], where: str) -> Box:
    """Build a box from x, y, width, height.

    Raises
    ------
    DataError
        For a negative width or height.
    """
    x, y, width, height = numbers
    if width < 0 or height < 0:
        raise DataError(
            f"{where}: a box is {width:g} × {height:g}, but width and height cannot be negative.",
            "Correct or remove it; where the numbers are corners, write width and height.",
        )
    return Box(label, x, y, width, height)


def split_of_path(parts: Iterable[str]) -> Split | None:
    """Return the split that file or folder names tell, the last of them first: "instances_val2017" is val."""
    for part in reversed(list(parts)):
        stem = part.rpartition(".")[0] if part.lower().endswith((".json", ".xml", ".txt", ".coco.json")) else part
        words = stem.replace("-", "_").replace(".", "_").replace(" ", "_").split("_")
        for word in (stem, *reversed(words)):
            if split := parse_split(word.rstrip("0123456789")):
                return split
    return None


def parts_below(path: Path, root: Path) -> tuple[str, ...]:
    """Return the parts of a path below the data folder; of one outside of it its name alone."""
    return path.relative_to(root).parts if path.is_relative_to(root) else (path.name,)


def are_corners(boxes: Sequence[tuple[Sequence[Any], tuple[float, float]]], share: float = 0.2) -> bool:
    """Tell whether four numbers can only be corners: as sizes many leave the picture, as corners all fit.

    Parameters
    ----------
    boxes : sequence
        Four numbers and the picture's width and height.
    share : float
        Of the boxes, that must leave the picture by more than 2 pixels when read as sizes.
    """
    leaving = 0
    for numbers, (width, height) in boxes:
        try:
            a, b, c, d = (float(value) for value in numbers)
        except (TypeError, ValueError):
            return False
        if not (c > a and d > b and c <= width + _ROUNDING and d <= height + _ROUNDING):
            return False
        leaving += a + c > width + _ROUNDING or b + d > height + _ROUNDING
    return len(boxes) >= FEWEST and leaving >= share * len(boxes)
