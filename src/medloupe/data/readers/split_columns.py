"""Choose the column that says train, val or test, or the yes/no columns that do (is_valid, is_test)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from medloupe.data.readers import cells
from medloupe.data.readers.base import list_some, parse_split
from medloupe.data.readers.column_names import split_words
from medloupe.data.readers.sheet import Sheet
from medloupe.data.records import Split
from medloupe.errors import DataError

SPLITS = ("split", "set", "subset", "partition", "fold", "dssplit", "splitset", "phase", "usage", "dataset")
_BEFORE = frozenset({"is", "in", "for", "use"})
_BEHIND = frozenset({"set", "split", "flag", "part"})
_MOST_PARTS = 20  # different numbers that a column of parts may hold
_FOLD = re.compile(r"(?:k|cv|strat)?_?folds?(?:_?id)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SplitChoice:
    """Which columns state the split.

    Attributes
    ----------
    column : str or None
        The column of words.
    flags : Mapping
        Columns of yes and no, with the split that yes means; then `column` is None.
    notes : tuple of str
        What was decided.
    """

    column: str | None = None
    flags: Mapping[str, Split] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[str, ...]:
        """All columns that were chosen."""
        return (self.column,) if self.column else tuple(self.flags)

    def read(self, sheet: Sheet) -> list[Split | None]:
        """Return the split of each row."""
        if self.column:
            return [parse_split(cell) for cell in sheet.cells(self.column)]
        columns: list[tuple[Split, list[str]]] = [(split, sheet.cells(name)) for name, split in self.flags.items()]
        rest = _rest(self.flags.values())
        found: list[Split | None] = []
        for k in range(len(sheet.rows)):
            said: list[Split] = [split for split, column in columns if cells.is_yes(column[k])]
            denied = all(cells.is_no(column[k]) for _, column in columns)
            found.append(said[0] if len(said) == 1 else rest if denied else None)
        return found


def choose_split(sheet: Sheet, told: str | None) -> SplitChoice:
    """Choose the columns of the split.

    Raises
    ------
    DataError
        For a told column that says no split.
    ColumnError
        For one that is not there.
    """
    if told:
        column = sheet.find_column(told)
        values = sorted(set(sheet.cells(column)))
        if any(parse_split(value) for value in values):
            return SplitChoice(column)
        if (split := _parse_flag(column, bare=True)) and cells.is_binary(sheet.cells(column)):
            return _by_flags({column: split})
        raise DataError(
            f"Column {column!r} of {sheet.path.name} holds {list_some(map(repr, values))}.",
            "A split column says train, val or test.",
        )
    for column in sheet.usual_columns(SPLITS):
        stated = [cell for cell in sheet.cells(column) if cell]
        if stated and 2 * sum(parse_split(cell) is not None for cell in stated) >= len(stated):
            return SplitChoice(column)
    flags: dict[str, Split] = {
        column: split for column in sheet.columns if (split := _parse_flag(column)) and _is_yes_no(sheet.cells(column))
    }
    if flags:
        return _by_flags(flags)
    parts = [c for c in sheet.usual_columns(SPLITS) if _FOLD.fullmatch(c) is None and _are_numbers(sheet.cells(c))]
    folds = parts + [
        c for c in sheet.columns if _FOLD.fullmatch(c) and all(cell.isdigit() for cell in sheet.cells(c) if cell)
    ]
    return SplitChoice(
        notes=tuple(f"Column {c!r} holds numbers, which tell no test part; it is not used." for c in folds)
    )


def _are_numbers(column: Sequence[str]) -> bool:
    stated = {cell for cell in column if cell}
    return 1 < len(stated) <= _MOST_PARTS and all(cell.isdigit() for cell in stated)


def _by_flags(flags: dict[str, Split]) -> SplitChoice:
    listed = ", ".join(f"rows where {column!r} says yes are {split}" for column, split in flags.items())
    return SplitChoice(None, flags, (f"Splits: {listed}, the others {_rest(flags.values())}.",))


def _rest(splits: Iterable[Split]) -> Split:
    """Return the split of the rows of which no column says yes."""
    said = set(splits)
    return "test" if said == {"train"} else "train" if "train" not in said else "val"


def _parse_flag(name: str, *, bare: bool = False) -> Split | None:
    """Return the split of which a yes/no column tells, by its name: is_valid, in_test, training_set."""
    words = split_words(name)
    inner = [word for word in words if word not in _BEFORE | _BEHIND]
    if len(inner) != 1 or (len(inner) == len(words) and not bare):
        return None
    return parse_split(inner[0])


def _is_yes_no(column: Sequence[str]) -> bool:
    stated = Counter(column)
    return all(cells.is_yes(cell) or cells.is_no(cell) for cell in stated if cell) and any(map(cells.is_yes, stated))
