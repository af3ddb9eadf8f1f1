"""Choose the table of the images under a folder, with what other tables there add to it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from medloupe.data.readers import box_tables, folders
from medloupe.data.readers.base import (
    EXCEL_SUFFIXES,
    TABLE_SUFFIXES,
    Files,
    ReadOptions,
    normalise_name,
    require_path,
)
from medloupe.data.readers.cells import states_label
from medloupe.data.readers.column_names import GENERAL
from medloupe.data.readers.columns import FILES, PATIENTS, find_file_column, look_like_files
from medloupe.data.readers.delimited import read_delimited
from medloupe.data.readers.excel import OLD_SUFFIXES
from medloupe.data.readers.folder_names import fold_name
from medloupe.data.readers.keyed import join_tables, spread_over_folders
from medloupe.data.readers.label_columns import choose_label_columns
from medloupe.data.readers.locate import UNCLEAR, Locator
from medloupe.data.readers.qualified import qualify_names
from medloupe.data.readers.sheet import MOST_TABLES, Sheet, load_sheet
from medloupe.data.readers.split_columns import choose_split
from medloupe.data.readers.stacked import NamingSheet, is_form, stack_alike
from medloupe.errors import DataError, QuestionError

_PACKED = re.compile(r"\.(?:csv|tsv|xlsx)\.(?:gz|zip|bz2|xz|zst)$", re.IGNORECASE)
_TEXTS = frozenset({".txt", ".tab", ".psv", ".lst"})
_MOST_TEXTS, _LONGEST_TEXT = 20, 5_000_000  # looked into, and bytes of each
_FIRST_ROWS = 5
_MOST = 0.9  # of the images in class folders, that a table without labels must name to be of use


class _Rank(NamedTuple):
    """By what tables that name images are compared, the weightiest first."""

    told: bool
    filled: bool
    useful: bool
    hits: int
    labelled: bool
    order: int


def is_table(path: Path) -> bool:
    """Tell whether path is a table file."""
    return path.is_file() and path.suffix.lower() in TABLE_SUFFIXES


def only_boxes(sheet: Sheet) -> bool:
    """Tell whether the table speaks of boxes and not of whole images.

    Where rows with a blank box state a label, they speak of whole images.
    """
    if not box_tables.holds_boxes(sheet):
        return False
    return not any(box_tables.labels_without_box(sheet, name) for name in sheet.usual_columns(GENERAL))


def find(path: Path, locator: Locator, options: ReadOptions) -> Sheet | None:
    """Find the table of the images under path: the one told, or that whose file column names most of them.

    Tables of the same columns that name other images are read with it. Labels, splits and patients that stand in
    another table, by a column of both, are added. A table of boxes alone is none. A table that names no image is one
    only where the folders tell nothing either, or where it is by the folders.

    Raises
    ------
    DataError
        Where the table told is not there, or a broken one may be the one that matters.
    """
    told = path if is_table(path) else options.table
    if told:
        sheet = _load(require_path(told), locator)
        return sheet if box_tables.holds_boxes(sheet) else _complete_told(sheet, locator, options)
    naming: list[tuple[_Rank, NamingSheet]] = []
    loaded: list[Sheet] = []
    broken: DataError | None = None
    classes = locator.places(options.folders)
    for order, name in enumerate(locator.files.tables[:MOST_TABLES]):
        try:
            sheet = _load(locator.files.root / name, locator)
        except DataError as error:
            # Other programs bring Excel files of their own; where folders name the classes they stop nobody.
            if not (classes.names and Path(name).suffix.lower() in EXCEL_SUFFIXES):
                broken = broken or error
            continue
        if only_boxes(sheet):
            continue
        loaded.append(sheet)
        image = options.image if options.image and sheet.has_column(options.image) else None
        file = find_file_column(sheet, locator, image)
        if file is None or (
            classes.names and not image and _may_be_chance(sheet, file[0], len(file[1]), locator.files)
        ):
            continue
        labels = choose_label_columns(sheet, {file[0], *choose_split(sheet, None).used}, None).used
        hits = len(file[1])
        rank = _Rank(
            _has_told(sheet, options), not is_form(sheet), bool(labels) and hits > 0, hits, bool(labels), -order
        )
        naming.append((rank, NamingSheet(sheet, file[0], file[1], _told_labels(sheet, options) or labels)))
    naming = [one for one in naming if not _is_of_patients(one, naming)]
    rank, best = max(naming, key=lambda c: c[0], default=(None, None))
    hits = rank.hits if rank else 0
    if broken and not hits:
        # It may have been the one that matters: reading on without it would be guessing.
        raise DataError(broken.message, f"{broken.hint} If it has nothing to do with the images, move it away.".strip())
    if best is None or rank is None or not hits:
        spread = (spread_over_folders(sheet, locator.files, options.labels) for sheet in loaded)
        if found := next(filter(None, spread), None):
            return found
        _refuse_unread(locator, classes)
        # A table of labels whose names fit several files each is told of, and no folder's name stands for its labels.
        told_of = best is not None and bool(best.labels) and (not classes.names or _are_unclear(best, locator))
        return best.sheet if best and told_of else None
    _refuse_test_alone(best, [n for _, n in naming if n.labels], classes)
    sheet = stack_alike(best, [n for r, n in naming if r.hits and n is not best], locator)
    if sheet is best.sheet:
        sheet = _compare_others(best, [n for r, n in naming if r.hits and r.filled and n is not best], options)
        best = replace(best, sheet=sheet)
        sheet = join_tables(sheet, best.file, [s for s in loaded if s.path != sheet.path], options.labels)
    idle = sheet is best.sheet and not best.labels and not _serves(best, options)
    return None if idle and classes.names and hits < _MOST * len(classes.labels) else sheet


def _is_of_patients(one: tuple[_Rank, NamingSheet], naming: Sequence[tuple[_Rank, NamingSheet]]) -> bool:
    """Tell whether a table names patients, and files by chance: another names more of these, and the patients beside.

    Patient 3 is not the picture 3.png.
    """
    rank, mine = one
    key = normalise_name(mine.file)
    return key in PATIENTS and any(
        other.hits > rank.hits and normalise_name(theirs.file) != key and theirs.sheet.usual_columns((key,))
        for other, theirs in naming
    )


def _compare_others(best: NamingSheet, others: Sequence[NamingSheet], options: ReadOptions) -> Sheet:
    """Note tables that say other labels of the same images. QuestionError where one does so of most of them."""
    if len(best.labels) != 1:
        return best.sheet
    said = _say(best)
    notes = []
    for other in others:
        if len(other.labels) != 1 or normalise_name(other.labels[0]) != normalise_name(best.labels[0]):
            continue
        there = _say(other)
        differ = [place for place in said.keys() & there.keys() if said[place] != there[place]]
        if not differ:
            continue
        where = f"{other.sheet.path.name} says another label than {best.sheet.path.name}"
        if 2 * len(differ) > len(said) and set(there.values()) <= set(said.values()) and not options.labels:
            paths = [shlex.quote(str(naming.sheet.path)) for naming in (best, other)]
            raise QuestionError(
                f"{where} of {len(differ)} of {len(said)} images, such as {min(differ)}.",
                [f"--table {p}" for p in paths],
            )
        notes.append(f"{where} of {len(differ)} images; the latter counts.")
    return replace(best.sheet, notes=(*best.sheet.notes, *notes)) if notes else best.sheet


def _say(naming: NamingSheet) -> dict[str, str]:
    """Return the label of each image that has one, in one spelling."""
    names, stated = naming.sheet.cells(naming.file), naming.sheet.cells(naming.labels[0])
    pairs = zip(names, stated, strict=True)
    return {naming.places[n]: fold_name(cell) for n, cell in pairs if n in naming.places and states_label(cell)}


def _refuse_test_alone(best: NamingSheet, labelled: Sequence[NamingSheet], classes: folders.Places) -> None:
    """Raise DataError where tables say the labels of the test part alone, and class folders those of train."""
    named = {place for naming in labelled for place in naming.places.values()}
    if not named or {classes.splits.get(place) for place in named} - {"test", "val"}:
        return
    train = [place for place in classes.labels if classes.splits.get(place) == "train"]
    called = {fold_name(classes.labels[place]) for place in train}
    stated = {fold_name(cell) for name in best.labels[:1] for cell in best.sheet.cells(name) if states_label(cell)}
    if len(called) > 1 and stated <= called:  # a table of other classes is a question of its own
        raise DataError(
            f"{best.sheet.path.name} says the labels of the test part alone ({len(named)} images), and the folders"
            f" those of train ({len(train)} images); the two are not read together.",
            "Write the images of train into the table, too, or sort those of the test part into class folders; with"
            " --table the table is read alone.",
        )


def _may_be_chance(sheet: Sheet, file: str, hits: int, files: Files) -> bool:
    """Tell whether cells may be names of a few files by chance only: the numbers of classes, where a file is 1.png."""
    names = sheet.cells(file)
    return file not in sheet.usual_columns(FILES) and not look_like_files(names) and 2 * hits < len(files.images)


def _load(path: Path, locator: Locator) -> Sheet:
    sheet = load_sheet(path, lambda cell: locator.names_file(cell, path.parent))
    return qualify_names(sheet, locator)


def _are_unclear(naming: NamingSheet, locator: Locator) -> bool:
    """Tell whether most names of a table are those of several files each."""
    names = naming.sheet.cells(naming.file)
    _, lost = locator.locate(names, naming.sheet.path.parent)
    return 2 * sum(lost.get(name) == UNCLEAR for name in names) > len(names)


def _complete_told(sheet: Sheet, locator: Locator, options: ReadOptions) -> Sheet:
    """Add to the table told what stands in others of the folder, or give its rows to the images by their folders."""
    file = find_file_column(sheet, locator, options.image)
    if file is None or not file[1]:
        return spread_over_folders(sheet, locator.files, options.labels) or sheet
    if choose_label_columns(sheet, {file[0]}, None).used or _has_told(sheet, options):
        return sheet
    others = []
    for name in locator.files.tables[:MOST_TABLES]:
        if locator.files.root / name != sheet.path:
            try:
                others.append(_load(locator.files.root / name, locator))
            except DataError:
                continue
    return join_tables(sheet, file[0], others, options.labels)


def _told_labels(sheet: Sheet, options: ReadOptions) -> tuple[str, ...]:
    """Return the columns told as labels, where the table has them all."""
    told = options.labels or ""
    names = [told] if sheet.has_column(told) else [name.strip() for name in told.split(",") if name.strip()]
    return tuple(map(sheet.find_column, names)) if names and all(map(sheet.has_column, names)) else ()


def _has_told(sheet: Sheet, options: ReadOptions) -> bool:
    return bool(_told_labels(sheet, options))


def _serves(naming: NamingSheet, options: ReadOptions) -> bool:
    """Tell whether a table without labels says something that was asked for: patients, a split, or what was told."""
    sheet = naming.sheet
    told = (options.patient, options.split, options.image)
    return bool(choose_split(sheet, None).used or sheet.usual_columns(PATIENTS) or any(told)) or _has_told(
        sheet, options
    )


def _refuse_unread(locator: Locator, classes: folders.Places) -> None:
    """Raise DataError where no table names the images, and one in a form that is not read may be the one that does."""
    files = locator.files
    for place in (place for places in files.skipped.values() for place in places):
        if _PACKED.search(place):
            raise DataError(
                f"{files.root} holds {place}, a packed table, which is not read.",
                "Unpack it (gunzip). If it has nothing to do with the images, move it away.",
            )
        if Path(place).suffix.lower() in OLD_SUFFIXES and not classes.names:
            raise DataError(
                f"{files.root} holds {len(files.images)} images and {place}, a spreadsheet of a kind that is not read.",
                "Save it as CSV.",
            )
    texts = [p for places in files.skipped.values() for p in places if Path(p).suffix.lower() in _TEXTS]
    for place in [] if classes.names else texts[:_MOST_TEXTS]:
        if _names_images(files.root / place, locator):
            raise DataError(
                f"{files.root / place} names the images, but is called neither .csv nor .tsv.",
                "Rename it; a table has a file column and a label column.",
            )


def _names_images(path: Path, locator: Locator) -> bool:
    """Tell whether the first rows of a text name images that are there."""
    try:
        if path.stat().st_size > _LONGEST_TEXT:
            return False
        grid, _ = read_delimited(path)
    except (OSError, DataError):
        return False
    cells = {cell for _, row in grid[:_FIRST_ROWS] for cell in (*row, *" ".join(row).split())}
    return sum(locator.names_file(cell, path.parent) for cell in cells) > 1
