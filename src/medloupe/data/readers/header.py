"""Find the header of a grid of cells: below titles, repeated further down, or missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from medloupe.data.modalities import sure_suffixes
from medloupe.data.readers.base import list_some, parse_split
from medloupe.data.readers.delimited import Grid

_TITLES = 10  # lines above the header, at most
_FULL = 0.6  # of the usual number of cells, that a header has at least
_MOST = 0.9
_LOOKED_AT = 50  # rows in which files are looked for
_JUDGED_BY = 2000  # rows
_FEW = 20  # different words in a column of classes, at most
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?")


@dataclass(frozen=True, slots=True)
class Headed:
    """A grid with its header.

    Attributes
    ----------
    header : list of str
        Names of the columns; "" for none.
    body : list
        The rows below, as in `Grid`.
    notes : tuple of str
        What was decided.
    """

    header: list[str]
    body: Grid
    notes: tuple[str, ...]


def find_header(name: str, grid: Grid, is_file: Callable[[str], bool]) -> Headed:
    """Find the header.

    Parameters
    ----------
    name : str
        The table's name, for the notes.
    grid : list
        Its rows.
    is_file : callable
        Tells whether a cell names a file that is there, which no header does.
    """
    titles = _count_titles(grid)
    notes = []
    if titles:
        cells = [cell for _, row in grid[:titles] for cell in row if cell]
        lines = "first line of {} is" if titles == 1 else f"first {titles} lines of {{}} are"
        notes.append(f"The {lines.format(name)} no header ({list_some(cells)}); the header is line {grid[titles][0]}.")
    grid = grid[titles:]
    header, body = grid[0][1], grid[1:]
    numbered = [cell for cell in header if cell]
    if len(numbered) > 1 and numbered == [str(k) for k in range(len(numbered))]:
        # Other tools write the columns' numbers where there are no names.
        columns = _name_columns(header, [row for _, row in body[:_JUDGED_BY]], is_file)
        listed = ", ".join(filter(None, columns))
        notes.append(f"The columns of {name} have numbers and no names; they are read as {listed}.")
        return Headed(columns, body, tuple(notes))
    rows = [row for _, row in body if row != header]
    if rows and _is_data(header, rows[:_JUDGED_BY], is_file):
        columns = _name_columns(header, [header, *rows[:_JUDGED_BY]], is_file)
        notes.append(
            f"{name} has no header line: its first line ({list_some(header)}) is data. "
            f"The columns are read as {', '.join(filter(None, columns))}."
        )
        return Headed(columns, grid, tuple(notes))
    if repeated := len(body) - len(rows):
        notes.append(f"The header of {name} is repeated in {repeated} lines below, which are left out.")
        body = [(line, row) for line, row in body if row != header]
    return Headed(header, body, tuple(notes))


def _count_titles(grid: Grid) -> int:
    """Count the lines above the header: those with far fewer cells than the rows have."""
    filled = sorted(sum(map(bool, row)) for _, row in grid[:_JUDGED_BY])
    usual = filled[len(filled) // 2] if filled else 0
    for k, (_, row) in enumerate(grid[: min(_TITLES, len(grid) - 1)]):
        filled_here = sum(map(bool, row))
        # The index of other tools stands below no name: ",label" is a header.
        index = not row[0] and 0 < filled_here == len(row) - 1 and usual == len(row)
        if filled_here >= _FULL * usual or usual < 2 or index:
            return k
    return 0


def _is_data(first: Sequence[str], rows: Sequence[Sequence[str]], is_file: Callable[[str], bool]) -> bool:
    """Tell whether the first line is one of the rows: it names a file, or each cell is of the kind of its column."""
    if any(_names_file(cell) for cell in first):
        return True
    for k, cell in enumerate(first):
        # A bare word or number may well be a header and, by chance, a file's name, too.
        if re.search(r"[\d/\\]", cell) and not cell.isdigit() and is_file(cell):
            below = [row[k] for row in rows[:_LOOKED_AT] if k < len(row)]
            if 2 * sum(map(is_file, below)) > len(below):
                return True
    kinds = [_kind_of(cell, [row[k] for row in rows if k < len(row)]) for k, cell in enumerate(first)]
    return len(first) > 1 and None not in kinds and any(kinds)


def _names_file(cell: str) -> bool:
    path = PurePosixPath(cell.replace("\\", "/"))
    return path.suffix.lower() in sure_suffixes() and path.stem.lower() not in ("", "file", "image", "path")


def _kind_of(cell: str, column: Sequence[str]) -> bool | None:
    """Tell whether a cell fits below no header: True, for sure; False, it may; None, it does not.

    column: the cells below it.
    """
    stated = [other for other in column if other]
    if not cell or not stated:
        return False
    words = Counter(stated)
    if _NUMBER.fullmatch(cell):
        numbers = sum(bool(_NUMBER.fullmatch(other)) for other in stated)
        return True if numbers >= _MOST * len(stated) else None
    if cell in words and len(words) <= _FEW:
        return True
    shape = _shape_of(cell)
    alike = sum(_shape_of(other) == shape for other in stated)
    return True if "#" in shape and alike >= _MOST * len(stated) else None


def _shape_of(cell: str) -> str:
    return re.sub(r"\d+", "#", cell[:200])


def _name_columns(first: Sequence[str], rows: Sequence[Sequence[str]], is_file: Callable[[str], bool]) -> list[str]:
    """Name the columns of a table without names: file, split, and label where only one is left."""
    names = ["" for _ in first]
    columns = [[row[k] for row in rows if k < len(row) and row[k]] for k in range(len(first))]
    named = [sum(map(_names_file, column[:_LOOKED_AT])) for column in columns]
    there = [sum(map(is_file, set(column[:_LOOKED_AT]))) for column in columns]
    shapes = [len(set(column)) if any("#" in _shape_of(cell) for cell in column) else 0 for column in columns]
    file = max(range(len(first)), key=lambda k: (named[k], there[k], shapes[k]))
    names[file] = "file"
    for k, column in enumerate(columns):
        if not names[k] and column and all(parse_split(cell) for cell in column):
            names[k] = "split"
            break
    rest = [k for k, name in enumerate(names) if not name and columns[k] and not _counts_rows(columns[k])]
    for k in rest:
        names[k] = "label" if len(rest) == 1 else f"column {k + 1}"
    return names


def _counts_rows(column: Sequence[str]) -> bool:
    """Tell whether a column only counts the rows, from 0 or 1."""
    numbers = [[str(k + first) for k in range(len(column))] for first in (0, 1)]
    return len(column) > 2 and list(column) in numbers
