"""Read tables of rectangles: file, label, x, y, w, h in pixels of the image given."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medloupe.data.readers.base import list_some, natural_key
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.sheet import MOST_TABLES, Sheet, load_sheet
from medloupe.data.records import Box, Record
from medloupe.errors import DataError

# Each form: the columns of the top left corner, then of size or of the bottom right corner.
_SIZES = (("x", "y", "w", "h"), ("x", "y", "width", "height"))
_CORNERS = (("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
_FILES = ("file", "filename", "filepath", "path", "image", "imageid", "imagename", "imageindex", "patientid")
_LABELS = ("label", "class", "classname", "name", "finding", "findinglabel", "category")


@dataclass(frozen=True, slots=True)
class Boxes:
    """Rectangles by image, and the table they stand in.

    Attributes
    ----------
    table : Path
        The table.
    by_place : Mapping
        Rectangles by the image's place.
    labels : tuple of str
        Names of what they show, in natural order.
    notes : tuple of str
        What there is to say of them.
    """

    table: Path
    by_place: Mapping[str, tuple[Box, ...]]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def holds_boxes(sheet: Sheet) -> bool:
    """Tell whether the table has the four columns of a rectangle."""
    return any(len(sheet.usual_columns(form)) == 4 for form in _SIZES + _CORNERS)


def has_blank_boxes(sheet: Sheet) -> bool:
    """Tell whether some rows stand for images without a rectangle, so that the table also speaks of whole images."""
    form = next(form for form in _SIZES + _CORNERS if len(sheet.usual_columns(form)) == 4)
    return "" in sheet.cells(sheet.usual_columns(form)[0])


def find(locator: Locator, but: Sequence[Sheet] = ()) -> Boxes | None:
    """Find the first table of rectangles in the folder that names images there.

    Parameters
    ----------
    locator : Locator
        Knows the folder's files.
    but : Sequence of Sheet
        Tables that are not meant.
    """
    for table in locator.files.tables[:MOST_TABLES]:
        path = locator.files.root / table
        if any(sheet.path == path for sheet in but):
            continue
        try:
            sheet = load_sheet(path)
        except DataError:
            if "box" in path.stem.lower():
                raise
            continue
        if holds_boxes(sheet):
            found = read(sheet, locator)
            if found.by_place:
                return found
    return None


def read(sheet: Sheet, locator: Locator) -> Boxes:
    """Read the rectangles of one table.

    Raises
    ------
    DataError
        For cells that are no numbers.
    """
    sizes = next((form for form in _SIZES if len(sheet.usual_columns(form)) == 4), None)
    form = sizes or next(form for form in _CORNERS if len(sheet.usual_columns(form)) == 4)
    located = [
        (column, locator.locate(sheet.cells(column), sheet.path.parent)[0]) for column in sheet.usual_columns(_FILES)
    ]
    if not located:
        return Boxes(sheet.path, {}, (), ())
    column, places = max(located, key=lambda pair: len(pair[1]))
    files = sheet.cells(column)
    named = [name for name in sheet.usual_columns(_LABELS) if name != column]
    labels = sheet.cells(named[0]) if named else ["object"] * len(files)
    numbers = [sheet.cells(name) for name in sheet.usual_columns(form)]
    by_place: dict[str, list[Box]] = {}
    lost: list[str] = []
    for row, (file, label, *cells) in enumerate(zip(files, labels, *numbers, strict=True)):
        if not any(cells):
            continue
        if file not in places:
            lost.append(file)
            continue
        x, y, right, bottom = (_parse_pixels(cell, sheet, row, file) for cell in cells)
        width, height = (right, bottom) if sizes else (right - x, bottom - y)
        by_place.setdefault(places[file], []).append(Box(label or "object", x, y, width, height))
    total = sum(map(len, by_place.values()))
    notes = [f"{total} boxes on {len(by_place)} images come from {sheet.path.name}."]
    if lost:
        notes.append(f"{len(lost)} boxes name files that are not here, such as {list_some(dict.fromkeys(lost), 1)}.")
    names = {box.label for boxes in by_place.values() for box in boxes}
    frozen = {place: tuple(boxes) for place, boxes in by_place.items()}
    return Boxes(sheet.path, frozen, tuple(sorted(names, key=natural_key)), tuple(notes))


def to_detection(records: Sequence[Record], boxes: Boxes) -> tuple[list[Record], list[str]]:
    """Give records the labels of their boxes.

    In an image with boxes the other labels are absent. An image without any may just not have been annotated: its
    labels are missing.

    Returns
    -------
    records : list of Record
        With labels of the boxes.
    notes : list of str
        What there is to say of it.
    """
    done = []
    for record in records:
        present = {box.label for box in record.boxes}
        labels = {name: int(name in present) for name in boxes.labels} if present else {}
        done.append(replace(record, labels=labels))
    notes = [f"There is no second image-level class, so this is a set to find: {', '.join(boxes.labels)}."]
    without = sum(not record.boxes for record in records)
    if without:
        notes.append(f"{without} images have no box; whether there is nothing on them is not stated.")
    return done, notes


def _parse_pixels(cell: str, sheet: Sheet, row: int, file: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{sheet.path.name}, row {row + 1} ({file}): a box has {cell!r} where a number in pixels is expected.",
            "Correct or remove the row.",
        )
    return value
