"""Read a table that names the images and says what they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medloupe.data.readers import box_tables, cells, folders
from medloupe.data.readers.base import (
    TABLE_SUFFIXES,
    Files,
    ReadOptions,
    compile_patient_pattern,
    list_some,
    match_patients,
    merge_reasons,
    normalise_name,
    parse_split,
    require_path,
    walk,
)
from medloupe.data.readers.columns import LABELS, Columns, choose_columns, find_file_column, find_label_columns
from medloupe.data.readers.draft import Draft
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.origin import read_origin
from medloupe.data.readers.sheet import MOST_TABLES, Sheet, load_sheet
from medloupe.data.records import Dataset, Record, Split
from medloupe.errors import DataError


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table whose image is there."""

    place: str
    cells: tuple[str, ...]


def is_table(path: Path) -> bool:
    """Tell whether path is a table file."""
    return path.is_file() and path.suffix.lower() in TABLE_SUFFIXES


def data_folder(path: Path) -> Path:
    """Return the folder whose images are meant: path itself, or the one the table lies in."""
    return path.parent if is_table(path) else path


def find(path: Path, locator: Locator, options: ReadOptions) -> Sheet | None:
    """Find the table of the images under path: the one told, or that whose file column names most of them.

    A table of boxes alone is none. A table that names no image is one only where the folders tell nothing either.

    Raises
    ------
    DataError
        Where the table told is not there, or a broken one may be the one that matters.
    """
    told = path if is_table(path) else options.table
    if told:
        return load_sheet(require_path(told))
    candidates = []
    broken: DataError | None = None
    for order, name in enumerate(locator.files.tables[:MOST_TABLES]):
        try:
            sheet = load_sheet(locator.files.root / name)
        except DataError as error:
            broken = broken or error
            continue
        if _only_boxes(sheet):
            continue
        file = find_file_column(
            sheet, locator, options.image if options.image and sheet.has_column(options.image) else None
        )
        if file is None:
            continue
        wanted = [name.strip() for name in (options.labels or "").split(",") if name.strip()]
        has_told = bool(wanted) and (sheet.has_column(options.labels or "") or all(map(sheet.has_column, wanted)))
        has_labels = bool(find_label_columns(sheet, {file[0]}, None))
        candidates.append(((has_told, has_labels and bool(file[1]), len(file[1]), has_labels, -order), sheet))
    rank, sheet = max(candidates, key=lambda c: c[0], default=(None, None))
    hits = rank[2] if rank else 0
    if broken and not hits:
        # It may have been the one that matters: reading on without it would be guessing.
        raise DataError(broken.message, f"{broken.hint} If it has nothing to do with the images, move it away.".strip())
    if not rank or (not hits and (folders.read_places(locator.files.images).names or not rank[3])):
        return None
    return sheet


def build(sheet: Sheet, locator: Locator, options: ReadOptions, reader: str) -> Dataset:
    """Build the data set that a table describes.

    Parameters
    ----------
    sheet : Sheet
        The table.
    locator : Locator
        Finds the files that its cells name.
    options : ReadOptions
        What was told.
    reader : str
        The reader's name.

    Raises
    ------
    DataError
        Where no image is there, or nothing states a label.
    ColumnError
        For a told column that is not there.
    """
    files = locator.files
    if _only_boxes(sheet):
        return folders.build(files, options, reader, box_tables.read(sheet, locator))
    columns = choose_columns(sheet, locator, options)
    rows, missing = _match_rows(sheet, columns, files)
    by_place: dict[str, list[int]] = {}
    for k, row in enumerate(rows):
        by_place.setdefault(row.place, []).append(k)
    beside = folders.read_places(files.images)
    has_boxes = box_tables.holds_boxes(sheet)
    boxes = box_tables.read(sheet, locator) if has_boxes else box_tables.find(locator, but=[sheet])
    labelling = _read_labels(sheet, columns, rows, beside, options, boxes is not None)
    labels, label_notes = _merge_labels(by_place, labelling.rows)
    patients, patient_notes = _read_patients(sheet, columns, rows, options)
    splits, split_notes = _read_splits(sheet, columns, rows, beside)
    kept = [(k, name) for k, name in enumerate(sheet.columns) if name not in columns.used]
    records = [
        Record(
            id=place,
            image=files.root / place,
            labels=labels[place],
            patient=patients.get(place),
            split=splits.get(place),
            boxes=boxes.by_place.get(place, ()) if boxes else (),
            columns={name: cell for k, name in kept if (cell := rows[at[0]].cells[k])},
        )
        for place, at in sorted(by_place.items())
    ]
    notes = [*sheet.notes, f"The images are those that {sheet.path.name} names.", *columns.notes, *labelling.notes]
    notes += [*label_notes, *patient_notes, *split_notes]
    draft = Draft(records=records, labels=labelling.names, task=labelling.task, notes=notes)
    few = draft.task == "multiclass" and len(draft.labels) < 2
    draft.add_boxes(boxes, detection=few and not options.labels)
    if not draft.labels:
        raise DataError(
            f"{sheet.path}: {', '.join(map(repr, columns.labels))} states no label in any row whose image is there.",
            "Name another column with --labels.",
        )
    others = {
        "not in the table": [image for image in files.images if image not in by_place],
        folders.UNUSED: folders.unused_tables(files, sheet.path, boxes and boxes.table),
    }
    origin = read_origin(sheet.path.parent) | read_origin(files.root)
    return draft.finish(files.root, reader, merge_reasons(files.skipped, missing, others), origin)


def _only_boxes(sheet: Sheet) -> bool:
    """Tell whether the table speaks of boxes and not of whole images.

    With labels, blank boxes are images without any.
    """
    if not box_tables.holds_boxes(sheet):
        return False
    return not (sheet.usual_columns(LABELS) and box_tables.has_blank_boxes(sheet))


def _match_rows(sheet: Sheet, columns: Columns, files: Files) -> tuple[list[_Row], dict[str, list[str]]]:
    names = sheet.cells(columns.file)
    rows = [
        _Row(columns.places[name], row) for name, row in zip(names, sheet.rows, strict=True) if name in columns.places
    ]
    missing: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        if name in columns.lost:
            missing.setdefault(columns.lost[name], []).append(name)
    if not rows:
        where = files.root if files.root == sheet.path.parent else f"{files.root} and {sheet.path.parent}"
        reasons = "; ".join(f"{len(lost)} {reason}" for reason, lost in missing.items())
        raise DataError(
            f"None of the {len(names)} images in column {columns.file!r} of {sheet.path.name} is there ({reasons}). "
            f"Looked in {where}, which holds {len(files.images)} images, for {list_some(dict.fromkeys(names))}.",
            "Give the folder of the images as the data and the table with --table, or name the file column with "
            "--image.",
        )
    return rows, missing


def _read_labels(
    sheet: Sheet, columns: Columns, rows: Sequence[_Row], beside: folders.Places, options: ReadOptions, boxed: bool
) -> cells.Labelling:
    """Read the labels of each row: of the columns that state them, else of the folders, else of the boxes to come."""
    if len(columns.labels) > 1:
        return cells.read_indicators({name: _cells_of(sheet, rows, name) for name in columns.labels})
    if columns.labels:
        return _read_label_column(sheet, rows, columns.labels[0])
    if beside.names:
        found = cells.read_one_label([beside.labels.get(row.place, "") for row in rows])
        found.notes.insert(0, f"{sheet.path.name} has no label column; the labels are the folders' names.")
        return found
    if boxed and not options.labels:
        return cells.Labelling("multiclass", (), [{} for _ in rows], [])
    raise DataError(
        f"{sheet.path} has no label column that goes by a usual name; it has: {', '.join(sheet.columns)}.",
        "Name it with --labels.",
    )


def _read_label_column(sheet: Sheet, rows: Sequence[_Row], name: str) -> cells.Labelling:
    stated = _cells_of(sheet, rows, name)
    if box_tables.holds_boxes(sheet):
        # One row a box: an image with boxes of two kinds has two labels, not a contradiction.
        by_place: dict[str, list[str]] = {}
        for row, cell in zip(rows, stated, strict=True):
            by_place.setdefault(row.place, []).append(cell)
        if any(len(set(found)) > 1 for found in by_place.values()):
            return cells.read_joined(name, ["|".join(by_place[row.place]) for row in rows])
    if cells.holds_several_labels(name, sheet.cells(name)):
        return cells.read_joined(name, stated)
    # A 1/0 column named after a finding speaks of it; one called "label" or "target" has classes 0 and 1.
    if normalise_name(name) not in LABELS and cells.is_binary(stated):
        return cells.read_presence(name, stated)
    return cells.read_one_label(stated)


def _cells_of(sheet: Sheet, rows: Sequence[_Row], column: str) -> list[str]:
    k = sheet.columns.index(column)
    return [row.cells[k] for row in rows]


def _merge_labels(
    by_place: dict[str, list[int]], labels: Sequence[dict[str, int]]
) -> tuple[dict[str, dict[str, int]], list[str]]:
    """Find the labels of each image; an image that stands in two rows with different labels has none."""
    result: dict[str, dict[str, int]] = {}
    twice = [place for place, at in by_place.items() if len(at) > 1]
    contradicting = []
    for place, at in by_place.items():
        different = [labels[k] for k in at if labels[k] and labels[k] != labels[at[0]]]
        stated = labels[at[0]] or next(iter(different), {})
        if any(other != stated for other in different):
            contradicting.append(place)
            stated = {}
        result[place] = stated
    notes = []
    if twice:
        notes.append(f"{len(twice)} images stand in several rows, such as {twice[0]}; each is one record.")
    if contradicting:
        notes.append(
            f"{len(contradicting)} of them have different labels there and count as unlabelled: "
            f"{list_some(contradicting)}. If images have several labels, join them by '|' in one cell."
        )
    return result, notes


def _read_patients(
    sheet: Sheet, columns: Columns, rows: Sequence[_Row], options: ReadOptions
) -> tuple[dict[str, str], list[str]]:
    if columns.patient:
        k = sheet.columns.index(columns.patient)
        # Reversed, so that of several rows of one image the first counts, as it does for the other columns.
        return {row.place: row.cells[k] for row in reversed(rows) if row.cells[k]}, []
    pattern = compile_patient_pattern(options.patient) if options.patient else None
    return match_patients(pattern, dict.fromkeys(row.place for row in rows)) if pattern else ({}, [])


def _read_splits(
    sheet: Sheet, columns: Columns, rows: Sequence[_Row], beside: folders.Places
) -> tuple[dict[str, Split], list[str]]:
    if columns.split is None:
        splits = {row.place: beside.splits[row.place] for row in rows if row.place in beside.splits}
        return splits, ["The splits are those of the folders."] if splits else []
    k = sheet.columns.index(columns.split)
    words = Counter(row.cells[k] for row in rows)
    notes = []
    renamed = [f"{word} is {split}" for word in sorted(words) if (split := parse_split(word)) and split != word.lower()]
    if renamed:
        notes.append(f"Splits: {', '.join(renamed)}.")
    other = {word: count for word, count in words.items() if parse_split(word) is None}
    if other:
        notes.append(
            f"{sum(other.values())} images have no split: {columns.split!r} says {list_some(map(repr, other))}."
        )
    splits: dict[str, Split] = {}
    for row in rows:
        if row.place not in splits and (split := parse_split(row.cells[k])):
            splits[row.place] = split
    return splits, notes


class TableReader:
    """Reader of a table beside the images, apart from them, or given itself."""

    name = "table"

    def recognises(self, path: Path, options: ReadOptions) -> bool:
        """Tell whether path is a table, or a folder whose images a table names."""
        if is_table(path) or not path.is_dir():
            return is_table(path)
        if options.table:
            return True
        files = walk(path)
        return bool(files.images) and find(path, Locator(files), options) is not None

    def read(self, path: Path, options: ReadOptions) -> Dataset:
        """Read the data set. As `build`."""
        locator = Locator(walk(data_folder(path)))
        if not locator.files.images:
            raise DataError(
                f"{path} names no images that are here: {locator.files.root} holds no image files.",
                "Give the folder of the images as the data and the table with --table.",
            )
        sheet = find(path, locator, options)
        if sheet is None:
            raise DataError(f"{path} holds no table that names its images.", "Name it with --table.")
        return build(sheet, locator, options, self.name)


TABLE = TableReader()
