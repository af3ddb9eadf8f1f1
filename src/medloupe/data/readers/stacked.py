"""Read several tables as one: train.csv and test.csv, or a table for each hospital."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from medloupe.data.readers.base import list_some, normalise_name
from medloupe.data.readers.folder_names import find_split
from medloupe.data.readers.locate import Locator
from medloupe.data.readers.sheet import Sheet
from medloupe.data.readers.split_columns import choose_split
from medloupe.errors import DataError

SPLIT = "split"
"""The column that is added where tables are named after splits."""

_FORM = re.compile(r"submission|sample|template|example", re.IGNORECASE)  # their labels are placeholders
_APART = 0.1  # of a table's images that may stand in another too


@dataclass(frozen=True, slots=True)
class NamingSheet:
    """A table that names images.

    Attributes
    ----------
    sheet : Sheet
        The table.
    file : str
        The column that names them.
    places : dict
        Place by cell, of those found.
    labels : tuple of str
        The columns that state labels.
    """

    sheet: Sheet
    file: str
    places: dict[str, str]
    labels: tuple[str, ...]


def is_form(sheet: Sheet) -> bool:
    """Tell whether a table is a form to be filled in, such as sample_submission.csv, by its name."""
    return _FORM.search(sheet.path.stem) is not None


def stack_sheets(sheets: Sequence[Sheet]) -> Sheet:
    """Stack tables of the same columns; where a file is named after a split, the column `split` says so."""
    splits = [find_split(sheet.path.stem) for sheet in sheets]
    first = sheets[0]
    if len(sheets) == 1:
        return first
    columns = tuple(dict.fromkeys(name for sheet in sheets for name in sheet.columns))
    add = any(splits) and SPLIT not in columns
    rows = []
    for sheet, split in zip(sheets, splits, strict=True):
        at = [sheet.columns.index(name) if name in sheet.columns else None for name in columns]
        tail = (split or "train",) if add else ()
        rows += [tuple("" if k is None else row[k] for k in at) + tail for row in sheet.rows]
    names = [sheet.path.name for sheet in sheets]
    if len(set(names)) < len(names):
        names = [f"{sheet.path.parent.name}/{sheet.path.name}" for sheet in sheets]
    listed = " and ".join(names) if len(names) < 4 else list_some(names)
    notes = (*(note for sheet in sheets for note in sheet.notes), f"{listed} are read as one table.")
    others = tuple(path for sheet in sheets for path in (sheet.path, *sheet.others))[1:]
    return Sheet(first.path, columns + ((SPLIT,) if add else ()), tuple(rows), notes, others)


def stack_alike(first: NamingSheet, others: Iterable[NamingSheet], locator: Locator) -> Sheet:
    """Stack a table with those that have the same file and label columns and name other images.

    Parameters
    ----------
    first : NamingSheet
        The table that was chosen.
    others : iterable of NamingSheet
        Further ones in the folder.
    locator : Locator
        Finds their files.
    """
    if not first.labels or is_form(first.sheet):
        return first.sheet
    taken = set(first.places.values())
    together = [first]
    for other in sorted(others, key=lambda o: o.sheet.path.name):
        places = set(other.places.values())
        if (
            other.sheet is not first.sheet
            and _names_of(other) == _names_of(first)
            and not is_form(other.sheet)
            and len(places & taken) <= _APART * len(places)
        ):
            together.append(other)
            taken |= places
    if len(together) == 1:
        return first.sheet
    together.sort(key=lambda n: (find_split(n.sheet.path.stem) not in (None, "train"), n.sheet.path.name))
    sheets = [_align(naming, together[0], locator) for naming in together]
    found = stack_sheets(sheets)
    if SPLIT in found.columns and SPLIT not in first.sheet.columns:
        parts = ", ".join(f"{s.path.name} is {find_split(s.path.stem) or 'train'}" for s in sheets)
        return replace(found, notes=(*found.notes, f"Splits are those the tables are named after: {parts}."))
    return found


def _names_of(naming: NamingSheet) -> tuple[str, frozenset[str]]:
    return normalise_name(naming.file), frozenset(map(normalise_name, naming.labels))


def _align(naming: NamingSheet, first: NamingSheet, locator: Locator) -> Sheet:
    """Give columns the names that the first table has, and files their places, as two splits may use one name."""
    sheet = naming.sheet
    known = {normalise_name(name): name for name in first.sheet.columns}
    columns = [known.get(normalise_name(name), name) for name in sheet.columns]
    if len(set(columns)) < len(columns):
        columns = list(sheet.columns)
    k = sheet.columns.index(naming.file)
    split = find_split(sheet.path.stem)
    found, _ = locator.locate(sheet.cells(naming.file), sheet.path.parent, split)
    taken = {place for name, place in found.items() if name != place}
    rows = tuple(
        (*row[:k], found.get(row[k], row[k]) if found.get(row[k]) in taken else row[k], *row[k + 1 :])
        for row in sheet.rows
    )
    if SPLIT not in sheet.columns and (stated := choose_split(sheet, None)).used:
        # Each table has its own words for the split; one column says it for all.
        rows = tuple((*row, split or "") for row, split in zip(rows, stated.read(sheet), strict=True))
        columns.append(SPLIT)
    return replace(sheet, columns=tuple(columns), rows=rows)


def set_column(sheet: Sheet, name: str, cells: Iterable[str], *notes: str) -> Sheet:
    """Return the sheet with one more column (or other cells in one), and what there is to say of it."""
    if name in sheet.columns:
        k = sheet.columns.index(name)
        rows = tuple((*row[:k], cell, *row[k + 1 :]) for row, cell in zip(sheet.rows, cells, strict=True))
        return replace(sheet, rows=rows, notes=(*sheet.notes, *notes))
    rows = tuple((*row, cell) for row, cell in zip(sheet.rows, cells, strict=True))
    return replace(sheet, columns=(*sheet.columns, name), rows=rows, notes=(*sheet.notes, *notes))


def find_column(sheet: Sheet, name: str) -> str:
    """Find the column that goes by a name, as `normalise_name` writes it.

    Raises
    ------
    DataError
        When there is none.
    """
    found = sheet.usual_columns((name,))
    if not found:
        raise DataError(f"{sheet.path} has no column {name!r}; it has: {', '.join(sheet.columns)}.")
    return found[0]
