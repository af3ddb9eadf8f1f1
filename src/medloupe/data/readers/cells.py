"""Read the cells of label columns: 1, 0 or nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from medloupe.data.readers.base import natural_key, says_no_finding
from medloupe.data.readers.label_spelling import merge_spellings
from medloupe.data.records import Task
from medloupe.errors import DataError

# "none" and "no finding" are not among them: they state that nothing was found, which is a label.
_NOT_STATED = frozenset(
    {"", "unknown", "todo", "unlabelled", "unlabeled", "n/a", "#n/a", "na", "nan", "null", "none given", "?"}
)
_YES = frozenset({"1", "1.0", "true", "yes", "y", "t"})
_NO = frozenset({"0", "0.0", "false", "no", "n", "f"})
_UNSURE = frozenset({"-1", "-1.0"})  # CheXpert: the report is uncertain
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:[.,]\d{1,15})?")
_MOST_GRADES = 50  # different numbers that may still be classes
_MOST_TEXTS = 25  # different texts that may be classes, whatever the number of rows
_ENOUGH = 10  # rows; fewer are no evidence that labels exclude each other


@dataclass(frozen=True, slots=True)
class Labelling:
    """What label columns say.

    Attributes
    ----------
    task : str
        Multi-class or multi-label.
    names : tuple of str
        Names of the labels in their fixed order.
    rows : list of dict
        Labels of each row: 1 or 0 by name.
    notes : list of str
        What was decided.
    """

    task: Task
    names: tuple[str, ...]
    rows: list[dict[str, int]]
    notes: list[str]


def states_label(cell: str) -> bool:
    """Tell whether a label cell says anything."""
    return cell.lower() not in _NOT_STATED


def is_yes(cell: str) -> bool:
    """Tell whether a cell says 1, in whatever word."""
    return cell.lower() in _YES


def is_no(cell: str) -> bool:
    """Tell whether a cell says 0, in whatever word."""
    return cell.lower() in _NO


def is_mark(cell: str) -> bool:
    """Tell whether a cell says 1, 0 or uncertain."""
    return cell.lower() in _YES | _NO | _UNSURE


def is_binary(cells: Iterable[str]) -> bool:
    """Tell whether all cells are 1, 0, uncertain or blank, and some are 1."""
    values = set(cells)
    return any(map(is_yes, values)) and all(is_mark(value) or not states_label(value) for value in values)


def is_measure(cells: Iterable[str], most: int = _MOST_GRADES) -> bool:
    """Tell whether cells are numbers that measure something, and no classes.

    These are more than `most` different ones, and many for the number of cells; or fractions; or shares of 1, as of
    votes and probabilities.
    """
    stated = [cell for cell in cells if states_label(cell)]
    different = set(stated)
    if not stated or not all(_NUMBER.fullmatch(cell) for cell in different):
        return False
    values = {float(cell.replace(",", ".")) for cell in different}
    fractions = sum(value % 1 != 0 for value in values)
    if all(0 <= value <= 1 for value in values) and values - {0, 0.5, 1}:  # 0.5 alone is a code: perhaps
        return True
    many = len(different) > most and (3 * len(different) > len(stated) or most < _MOST_GRADES)
    return many or (len(different) > 10 and 2 * fractions > len(different))


def is_free_text(cells: Iterable[str]) -> bool:
    """Tell whether cells are texts or names of their own, and no classes: many, and most of them different."""
    stated = [cell for cell in cells if states_label(cell)]
    return len(set(stated)) > _MOST_TEXTS and 2 * len(set(stated)) > len(stated)


def read_one_label(cells: Sequence[str]) -> Labelling:
    """Read cells of one label a row; spellings of one label are one."""
    spelled = merge_spellings(cells)
    rows = [{cell: 1} if states_label(cell) else {} for cell in spelled.cells]
    names = {cell for cell in spelled.cells if states_label(cell)}
    if names and all(name.endswith(".0") and name[:-2].isdigit() for name in names):
        # Grades that passed through a table with gaps come back as 0.0, 1.0, 2.0.
        rows = [{name[:-2]: 1 for name in row} for row in rows]
        names = {name[:-2] for name in names}
    notes = [*spelled.notes, *note_unlabelled(cells)]
    return Labelling("multiclass", tuple(sorted(names, key=natural_key)), rows, notes)


def read_presence(column: str, cells: Sequence[str]) -> Labelling:
    """Read one 1/0 column told by name: the label and its opposite.

    Raises
    ------
    DataError
        For a cell that is neither 1 nor 0 nor blank.
    """
    _refuse_signs(column, cells)
    absent = f"no {column}"
    values = [_value(cell, column) for cell in cells]
    rows: list[dict[str, int]] = [{} if v is None else {column: 1} if v else {absent: 1} for v in values]
    notes = [f"Column {column!r} holds 1 and 0; the classes are {column!r} and {absent!r}."]
    missing = values.count(None)
    if missing:
        notes.append(f"{missing} images are unlabelled: the cell in {column!r} is blank or uncertain.")
    return Labelling("multiclass", (column, absent), rows, notes)


def read_indicators(columns: Mapping[str, Sequence[str]], *, several: bool = False) -> Labelling:
    """Read one 1/0 column a label; blank and uncertain (-1) are missing.

    A column "No Finding" is no label: where it is 1, the blanks beside it are absent findings.

    Parameters
    ----------
    columns
        Their cells, by name.
    several
        Whether it was told that they do not exclude each other.

    Raises
    ------
    DataError
        For a cell that is neither 1 nor 0 nor blank.
    """
    for name, cells in columns.items():
        _refuse_signs(name, cells)
    values = {name: [_value(cell, name, row) for row, cell in enumerate(cells)] for name, cells in columns.items()}
    names = tuple(name for name in values if not says_no_finding(name)) or tuple(values)
    none = [name for name in values if name not in names]
    notes = [f"Each of these columns is a label: {', '.join(names)}."]
    rows: list[dict[str, int]] = []
    for i in range(len(values[names[0]])):
        blank = 0 if any(values[name][i] == 1 for name in none) else None
        cells = {name: blank if values[name][i] is None else values[name][i] for name in names}
        rows.append({name: value for name, value in cells.items() if value is not None})
    if none:
        notes.append(f"{none[0]!r} is not a label of its own: where it is 1, the blank cells beside it mean absent.")
    gaps = sum(len(names) - len(row) for row in rows)
    if gaps:
        notes.append(f"{gaps} cells are blank or uncertain (-1): missing, not absent.")
    if (
        not several
        and len(names) > 1
        and len(rows) >= _ENOUGH
        and all(len(r) == len(names) and sum(r.values()) == 1 for r in rows)
    ):
        notes.append("Exactly one of them is 1 in every row: they are read as classes that exclude each other.")
        rows = [{name: 1 for name, value in row.items() if value} for row in rows]
        return Labelling("multiclass", names, rows, notes)
    return Labelling("multilabel", names, rows, notes)


def note_unlabelled(cells: Iterable[str], where: str = "label cell") -> list[str]:
    """Say how many images have no label, by the word that says so, in one sentence; none where there are none."""
    words = Counter(cell.lower() for cell in cells if not states_label(cell))
    if not words:
        return []
    by_word = ", ".join(f"{word or '(blank)'}: {count}" for word, count in sorted(words.items()))
    return [f"{words.total()} images are unlabelled, as their {where} does not state a label ({by_word})."]


def _refuse_signs(column: str, cells: Sequence[str]) -> None:
    """Refuse a column of 1 and -1 alone, where -1 more likely says absent than uncertain."""
    held = set(map(str.lower, cells))
    if held and held <= _YES | _UNSURE and held & _UNSURE and held & _YES:
        raise DataError(
            f"Label column {column!r} holds 1 and -1, and nothing else: -1 may say absent, or uncertain.",
            "Write 0 for absent, and leave cells blank that are uncertain.",
        )


def _value(cell: str, column: str, row: int | None = None) -> int | None:
    low = cell.lower()
    if low in _YES:
        return 1
    if low in _NO:
        return 0
    if low in _UNSURE or not states_label(low):
        return None
    where = "" if row is None else f", row {row + 1}"
    raise DataError(
        f"Label column {column!r}{where} holds {cell!r}.",
        "Expected 1, 0 or blank (also true/false, yes/no; -1 is uncertain).",
    )
