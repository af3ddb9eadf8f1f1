"""Read a table that names the images and says what they show."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from medloupe.data.readers import box_tables, cells, folders
from medloupe.data.readers.base import (
    LAYOUTS,
    Files,
    ReadOptions,
    compile_patient_pattern,
    list_some,
    match_patients,
    merge_reasons,
    parse_split,
    walk,
)
from medloupe.data.readers.box_search import Search, drop_sources, find_boxes
from medloupe.data.readers.columns import PATIENTS, Columns, choose_columns
from medloupe.data.readers.draft import Draft
from medloupe.data.readers.folder_names import fold_name
from medloupe.data.readers.locate import UNCLEAR, Locator
from medloupe.data.readers.origin import read_origin
from medloupe.data.readers.patient_ids import explain_unusable, settle_ids
from medloupe.data.readers.row_labels import PlacedRow, RowReader, settle_labels
from medloupe.data.readers.sheet import Sheet
from medloupe.data.readers.table_choice import find, is_table, only_boxes
from medloupe.data.records import Dataset, Record, Split
from medloupe.errors import DataError, QuestionError


def data_folder(path: Path) -> Path:
    """Return the folder whose images are meant: path itself, or the one the table lies in."""
    return path.parent if is_table(path) else path


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
    if only_boxes(sheet):
        return folders.build(locator, options, reader, box_tables.read(sheet, locator))
    columns = choose_columns(sheet, locator, options)
    rows, missing = _match_rows(sheet, columns, files)
    by_place: dict[str, list[int]] = {}
    for k, row in enumerate(rows):
        by_place.setdefault(row.place, []).append(k)
    beside = locator.places(options.folders)
    has_boxes = box_tables.holds_boxes(sheet)
    search = Search(
        options=options,
        classes=beside.labels if len(beside.names) > 1 else {},
        wanted=options.task == "detection" or not _states_classes(sheet, columns, beside),
    )
    boxes = find_boxes(locator, search, [sheet], box_tables.read(sheet, locator) if has_boxes else None)
    drawn = boxes is not None and bool(boxes.by_place)
    if options.task == "detection" and not drawn:
        raise DataError(f"{files.root} holds {len(files.images)} images, but no boxes on them.", LAYOUTS)
    several = options.task == "multilabel"
    reader_of = RowReader(sheet.columns, rows, columns.rater, has_boxes, several)
    labelling = _read_labels(sheet, columns, reader_of, beside, options, drawn)
    labels, label_notes = settle_labels(reader_of, labelling)
    label_notes += _compare_folders(sheet, columns, labels, beside, options)
    patients, patient_notes = _read_patients(sheet, columns, rows, options)
    splits, split_notes = _read_splits(sheet, columns, rows, beside)
    kept = [(k, name) for k, name in enumerate(sheet.columns) if name not in columns.used]
    records = [
        Record(
            id=place,
            image=files.root / place,
            labels=labels[place],
            patient=patients.get(place),
            split=splits.get(place) or (boxes.splits.get(place) if boxes and not splits else None),
            boxes=boxes.by_place.get(place, ()) if boxes else (),
            columns={name: cell for k, name in kept if (cell := rows[at[0]].cells[k])},
        )
        for place, at in sorted(by_place.items())
    ]
    notes = [*sheet.notes, f"The images are those that {sheet.path.name} names.", *columns.notes, *labelling.notes]
    notes += [*label_notes, *patient_notes, *split_notes]
    draft = Draft(records=records, labels=labelling.names, task=labelling.task, notes=notes)
    few = draft.task == "multiclass" and len(draft.labels) < 2
    detection = drawn and (options.task == "detection" or (few and not options.labels))
    draft.add_boxes(boxes, detection=detection, options=options)
    if not draft.labels:
        raise DataError(
            f"{sheet.path}: {list_some(map(repr, columns.labels.used))} states no label in any row whose image is "
            "there.",
            "Name another column with --labels.",
        )
    others = {
        "not in the table": [image for image in files.images if image not in by_place],
        folders.UNUSED: folders.unused_tables(files, sheet.path, *sheet.others, *(boxes.sources if boxes else ())),
    }
    left_out = drop_sources(files.skipped, files.root, boxes)
    if detection and boxes:
        out = {image for names in boxes.skipped.values() for image in names}
        draft.records = [record for record in draft.records if record.id not in out]
        others |= {reason: [*others.get(reason, ()), *names] for reason, names in boxes.skipped.items()}

    origin = read_origin(sheet.path.parent) | read_origin(files.root)
    return draft.finish(files.root, reader, merge_reasons(left_out, missing, others), origin)


def _states_classes(sheet: Sheet, columns: Columns, beside: folders.Places) -> bool:
    """Tell whether columns or folders tell at least two kinds of whole images apart."""
    used = columns.labels.used
    if len(used) > 1:
        return True
    said = {fold_name(cell) for name in used for cell in sheet.cells(name) if cells.states_label(cell)}
    return len(said) > 1 or (not used and len(beside.names) > 1)


def _match_rows(sheet: Sheet, columns: Columns, files: Files) -> tuple[list[PlacedRow], dict[str, list[str]]]:
    names = sheet.cells(columns.file)
    rows = [
        PlacedRow(columns.places[name], row)
        for name, row in zip(names, sheet.rows, strict=True)
        if name in columns.places
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
            "Write the folder before the name, such as site-a/1.png, or the suffix behind it."
            if list(missing) == [UNCLEAR]
            else "Give the folder of the images as the data and the table with --table, or name the file column with "
            "--image.",
        )
    return rows, missing


def _read_labels(
    sheet: Sheet, columns: Columns, rows: RowReader, beside: folders.Places, options: ReadOptions, boxed: bool
) -> cells.Labelling:
    """Read the labels of each row: of the columns that state them, else of the folders, else of the boxes to come."""
    if columns.labels.used:
        return rows.read(columns.labels)
    if columns.labels.question and columns.labels.pressing:
        raise columns.labels.question
    if beside.names:
        beside.require_sure()
        found = cells.read_one_label([beside.labels.get(row.place, "") for row in rows.rows])
        found.notes.insert(0, f"{sheet.path.name} has no label column; the labels are the folders' names.")
        return found
    if boxed and not options.labels:
        return cells.Labelling("multiclass", (), [{} for _ in rows.rows], [])
    if columns.labels.question:
        raise columns.labels.question
    raise DataError(
        f"{sheet.path} has no label column that goes by a usual name; it has: {', '.join(sheet.columns)}.",
        "Name it with --labels.",
    )


def _compare_folders(
    sheet: Sheet,
    columns: Columns,
    labels: Mapping[str, Mapping[str, int]],
    beside: folders.Places,
    options: ReadOptions,
) -> list[str]:
    """Say where folders called as the labels are contradict the table. QuestionError where they mostly do."""
    said = {place: fold_name(next(iter(one))) for place, one in labels.items() if len(one) == 1}
    called = {place: fold_name(beside.labels[place]) for place in said if place in beside.labels}
    if len(set(called.values())) < 2 or not set(called.values()) <= set(said.values()):
        return []
    differ = sorted(place for place, name in called.items() if said[place] != name)
    if not differ:
        return []
    where = f"Of {len(differ)} of {len(called)} images (such as {differ[0]}) the folder says another class than"
    if 2 * len(differ) > len(called) and not options.labels and len(columns.labels.columns) == 1:
        told = f"--labels {shlex.quote(columns.labels.columns[0])}"
        raise QuestionError(f"{where} {sheet.path.name}. If the folders are right, move the table away.", [told])
    return [f"{where} {sheet.path.name}, which counts."]


def _read_patients(
    sheet: Sheet, columns: Columns, rows: Sequence[PlacedRow], options: ReadOptions
) -> tuple[dict[str, str], list[str]]:
    if columns.patient:
        k = sheet.columns.index(columns.patient)
        # Reversed, so that of several rows of one image the first counts, as it does for the other columns.
        return settle_ids({row.place: row.cells[k] for row in reversed(rows) if row.cells[k]}, columns.patient)
    pattern = compile_patient_pattern(options.patient) if options.patient else None
    if pattern:
        return match_patients(pattern, dict.fromkeys(row.place for row in rows))
    return {}, [
        why for c in sheet.usual_columns(PATIENTS) if (why := explain_unusable(sheet.cells(c), f"Column {c!r}"))
    ]


def _read_splits(
    sheet: Sheet, columns: Columns, rows: Sequence[PlacedRow], beside: folders.Places
) -> tuple[dict[str, Split], list[str]]:
    chosen = columns.split
    if not chosen.used:
        of_folders: dict[str, Split] = {r.place: beside.splits[r.place] for r in rows if r.place in beside.splits}
        if set(of_folders.values()) == {"train"}:
            return {}, []  # the test part lies there without a row, or is not there at all: what is left is no split
        return of_folders, ["The splits are those of the folders."] if of_folders else []
    notes = []
    if chosen.column:
        k = sheet.columns.index(chosen.column)
        words = Counter(row.cells[k] for row in rows)
        renamed = [f"{word} is {s}" for word in sorted(words) if (s := parse_split(word)) and s != word.lower()]
        if renamed:
            notes.append(f"Splits: {', '.join(renamed)}.")
        other = {word: count for word, count in words.items() if parse_split(word) is None}
        if other:
            listed = list_some(map(repr, other))
            notes.append(f"{sum(other.values())} images have no split: {chosen.column!r} says {listed}.")
    stated = chosen.read(Sheet(sheet.path, sheet.columns, tuple(row.cells for row in rows)))
    splits: dict[str, Split] = {}
    for row, split in zip(rows, stated, strict=True):
        if row.place not in splits and split:
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
