"""Read tables of boxes (file, label, x, y, w, h)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from medloupe.data.labels import recognise_roles
from medloupe.data.readers.annotations.base import (
    OBJECT,
    MarkedPicture,
    are_corners,
    box_from_corners,
    box_from_size,
    parse_number,
)
from medloupe.data.readers.base import list_some, parse_split
from medloupe.data.readers.boxes import Boxes, build_boxes
from medloupe.data.readers.cells import states_label
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.sheet import MOST_TABLES, Sheet, load_sheet
from medloupe.data.records import Box
from medloupe.errors import DataError

Form = Literal["size", "corners", "centre"]
_FORMS: tuple[tuple[Form, tuple[str, str, str, str]], ...] = (
    ("size", ("x", "y", "w", "h")),
    ("size", ("x", "y", "width", "height")),
    ("size", ("bboxx", "y", "w", "h")),  # NIH's header, cut up by its own commas: Bbox [x,y,w,h]
    ("size", ("bboxx", "bboxy", "bboxw", "bboxh")),
    ("size", ("bboxx", "bboxy", "bboxwidth", "bboxheight")),
    ("corners", ("xmin", "ymin", "xmax", "ymax")),
    ("corners", ("x1", "y1", "x2", "y2")),
    ("corners", ("x0", "y0", "x1", "y1")),
    ("corners", ("left", "top", "right", "bottom")),
    ("size", ("xmin", "ymin", "width", "height")),
    ("centre", ("xcenter", "ycenter", "width", "height")),
    ("centre", ("xcentre", "ycentre", "width", "height")),
    ("centre", ("xcenter", "ycenter", "w", "h")),
    ("centre", ("cx", "cy", "w", "h")),
)
_FILES = (
    "file",
    "filename",
    "filepath",
    "path",
    "image",
    "imageid",
    "imagename",
    "imageindex",
    "imagepath",
    "patientid",
)
_LABELS = ("label", "class", "classname", "name", "finding", "findinglabel", "category", "labelname")
_PICTURE_SIZES = (
    ("imagewidth", "imageheight"),
    ("imgwidth", "imgheight"),
    ("originalwidth", "originalheight"),
    ("width", "height"),
)
_SPLITS = ("split", "subset", "set", "partition", "phase")
_MOST_TURNED = 0.1  # of the boxes, whose corners may stand in the other order


def find_form(sheet: Sheet) -> tuple[Form, list[str]] | None:
    """Find the four columns of a box and what they are; None where there are none."""
    for form, names in _FORMS:
        columns = sheet.usual_columns(names)
        if len(columns) == 4:
            return form, columns
    return None


def holds_boxes(sheet: Sheet) -> bool:
    """Tell whether the table has the four columns of a box."""
    return find_form(sheet) is not None


def labels_without_box(sheet: Sheet, column: str) -> bool:
    """Tell whether some rows with a blank box state a label in a column, so that the table speaks of whole images."""
    form = find_form(sheet)
    if form is None:
        return False
    pairs = zip(sheet.cells(form[1][0]), sheet.cells(column), strict=True)
    return any(not first and states_label(label) for first, label in pairs)


def find_all(locator: Locator, but: Sequence[Sheet] = ()) -> list[Boxes]:
    """Find the tables of boxes in the folder that name images there.

    Parameters
    ----------
    locator : Locator
        Knows the folder's files.
    but : Sequence of Sheet
        Tables that are not meant.
    """
    every = []
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
                every.append(found)
    return every


def read(sheet: Sheet, locator: Locator) -> Boxes:
    """Read the boxes of one table.

    Raises
    ------
    DataError
        For cells that are no numbers, and columns that hold something other than they are called.
    """
    form = find_form(sheet)
    located = [
        (column, locator.locate(sheet.cells(column), sheet.path.parent)[0]) for column in sheet.usual_columns(_FILES)
    ]
    if not located or form is None:
        return Boxes(sources=(sheet.path,), by_place={}, labels=())
    column, places = max(located, key=lambda pair: len(pair[1]))
    rows = _read_rows(sheet, column, form[1])
    relative = _are_shares(rows)
    _check_form(sheet, form[0], rows)
    sizes = _read_sizes(sheet, form[1])
    splits = next((sheet.cells(name) for name in sheet.usual_columns(_SPLITS)), [])
    marked: dict[str, MarkedPicture] = {}
    lost: list[str] = []
    turned = 0
    for row in rows:
        place = places.get(row.file)
        if place is None:
            lost += [row.file] if row.numbers else []
            continue
        boxes, unplaced = (), frozenset[str]()
        if row.numbers:
            boxes = (_make_box(form[0], row, f"{sheet.path.name}, row {row.at} ({row.file})"),)
            turned += form[0] == "corners" and (row.numbers[2] < row.numbers[0] or row.numbers[3] < row.numbers[1])
        elif _is_finding(row.label):
            unplaced = frozenset({row.label})
        before = marked.get(place)
        marked[place] = MarkedPicture(
            name=row.file,
            source=sheet.path,
            boxes=(*before.boxes, *boxes) if before else boxes,
            size=sizes.get(row.at),
            relative=relative,
            split=parse_split(splits[row.at - 1]) if splits else None,
            unplaced=(before.unplaced | unplaced) if before else unplaced,
        )
    notes = []
    if relative:
        notes.append(f"The numbers of {sheet.path.name} are shares of width and height: none is above 1.")
    if turned:
        notes.append(f"{turned} boxes name their corners in the other order, which is set right.")
    if lost:
        notes.append(f"{len(lost)} boxes name files that are not here, such as {list_some(dict.fromkeys(lost), 1)}.")
    return build_boxes(locator.files.root, marked, kind="table", sources=(sheet.path,), notes=notes)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a table of boxes; numbers: () where they are blank. at: counted from 1, below the header."""

    at: int
    file: str
    label: str
    numbers: tuple[float, ...]


def _read_rows(sheet: Sheet, file: str, columns: Sequence[str]) -> list[_Row]:
    named = [name for name in sheet.usual_columns(_LABELS) if name != file]
    files = sheet.cells(file)
    labels = sheet.cells(named[0]) if named else [""] * len(files)
    rows = []
    for at, (name, label, *cells) in enumerate(zip(files, labels, *map(sheet.cells, columns), strict=True), 1):
        where = f"{sheet.path.name}, row {at} ({name})"
        numbers = tuple(parse_number(cell, "a number of a box", where) for cell in cells) if any(cells) else ()
        rows.append(_Row(at, name, label, numbers))
    return rows


def _make_box(form: Form, row: _Row, where: str) -> Box:
    a, b, c, d = row.numbers
    label = row.label or OBJECT
    if form == "corners":
        return box_from_corners(label, row.numbers)
    if form == "centre":
        return box_from_size(label, (a - c / 2, b - d / 2, c, d), where)
    return box_from_size(label, row.numbers, where)


def _is_finding(label: str) -> bool:
    """Tell whether the label of a row without a box says that something is there."""
    return states_label(label) and recognise_roles((label,)).of(label) != "normal"


def _are_shares(rows: Sequence[_Row]) -> bool:
    """Tell whether numbers are proven to be shares of the image: none is above 1, and not all are whole."""
    held = [value for row in rows for value in row.numbers]
    return bool(held) and max(held) <= 1 and min(held) >= 0 and any(value % 1 for value in held)


def _read_sizes(sheet: Sheet, used: Sequence[str]) -> dict[int, tuple[int, int]]:
    """Read the sizes of the images that the table declares, by row."""
    for names in _PICTURE_SIZES:
        columns = sheet.usual_columns(names)
        if len(columns) != 2 or set(columns) & set(used):
            continue
        sizes: dict[int, tuple[int, int]] = {}
        for at, pair in enumerate(zip(*map(sheet.cells, columns), strict=True), 1):
            try:
                width, height = (round(float(cell)) for cell in pair)
            except (ValueError, OverflowError):
                continue
            if width > 0 and height > 0:
                sizes[at] = (width, height)
        return sizes
    return {}


def _check_form(sheet: Sheet, form: Form, rows: Sequence[_Row]) -> None:
    """Raise DataError where columns are called corners and hold sizes, or the other way round."""
    boxes = [row for row in rows if row.numbers]
    if form == "corners":
        turned = sum(row.numbers[2] < row.numbers[0] or row.numbers[3] < row.numbers[1] for row in boxes)
        if boxes and turned > max(1, _MOST_TURNED * len(boxes)):
            raise DataError(
                f"{sheet.path}: of {turned} of {len(boxes)} boxes the second corner lies left of or above the first, so"
                " these columns hold no corners.",
                "If they are width and height, call them w and h.",
            )
    elif form == "size":
        columns = find_form(sheet)
        sizes = _read_sizes(sheet, columns[1] if columns else ())
        if are_corners([(row.numbers, sizes[row.at]) for row in boxes if row.at in sizes]):
            raise DataError(
                f"{sheet.path}: as widths and heights, boxes leave their images, and as corners all lie inside.",
                "If these columns are corners, call them xmin, ymin, xmax, ymax.",
            )
