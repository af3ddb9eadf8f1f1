"""Read cells that hold several labels: joined by a sign, or as a list of Python or JSON."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from medloupe.data.readers.base import natural_key, normalise_name, says_no_finding
from medloupe.data.readers.cells import Labelling, note_unlabelled, states_label
from medloupe.data.readers.label_spelling import merge_spellings
from medloupe.errors import DataError

LIST = "[]"
"""Stands for cells that hold lists, among the signs that join labels."""

_SEVERAL = frozenset({"labels", "findings", "findinglabels", "superclasses", "problems", "diagnoses"})
_NORMAL = frozenset({"normal", "healthy", "none"})
_BRACKETS = ("[]", "()", "{}")
_DICT = re.compile(r"\{.{0,200}?['\"].{0,200}?['\"]\s{0,10}:", re.DOTALL)
_LONGEST = 10_000  # characters of a list
_HALF = 0.5


def holds_dictionaries(cells: Iterable[str]) -> bool:
    """Tell whether cells hold dictionaries ({'NORM': 100.0}), which say more than labels."""
    stated = [cell for cell in cells if cell]
    return bool(stated) and 2 * sum(_DICT.match(cell) is not None for cell in stated) >= len(stated)


def find_sign(column: str, cells: Sequence[str]) -> str | None:
    """Find the sign that joins labels in the cells of a column; None where each cell is one label.

    A sign that labels may hold themselves (comma, slash, blank) counts only where single parts occur alone, too.
    """
    different = {cell for cell in cells if states_label(cell)}
    plural = normalise_name(column) in _SEVERAL
    if different and all(map(_is_list, different)):
        return LIST
    if any("|" in cell for cell in different):
        return "|"
    for sign in (";", ",", "/", "+", "&", "\n"):
        if _joins(sign, different, plural):
            return sign
    if _joins(" ", different, False):
        return " "
    return "|" if plural else None


def _is_list(cell: str) -> bool:
    """Tell whether a cell is written as a list; in round brackets only with a comma, as words may stand in them."""
    return f"{cell[:1]}{cell[-1:]}" in _BRACKETS and len(cell) > 1 and (cell[0] != "(" or "," in cell)


def note_single(column: str, cells: Sequence[str]) -> list[str]:
    """Say that cells with a comma or semicolon were read as one label each, where a part of them occurs alone."""
    different = {cell for cell in cells if states_label(cell)}
    for sign in ";,":
        mixed = sorted(cell for cell in different if sign in cell)
        if any(part.strip() in different for cell in mixed for part in cell.split(sign)):
            return [
                f"Column {column!r} is read as one label a cell, also where it holds {sign!r} ({mixed[0]!r}); "
                "if these are several labels, join them by '|'."
            ]
    return []


def read_joined(column: str, cells: Sequence[str], sign: str = "|") -> Labelling:
    """Read cells of several labels: those a cell does not name are absent; a blank cell states nothing.

    Parameters
    ----------
    column : str
        Its name.
    cells : sequence of str
        The cells.
    sign : str
        As `find_sign` returns it.

    Raises
    ------
    DataError
        For a list that cannot be read, and where blanks may part labels or the words of one.
    """
    if sign == "|":
        _refuse_blanks(column, {part.strip() for cell in cells if states_label(cell) for part in cell.split("|")})
    parts = [[part for part in split_labels(cell, sign, column) if states_label(part)] for cell in cells]
    spelled = merge_spellings([part for row in parts for part in row])
    left = iter(spelled.cells)
    said = [[next(left) for _ in row] for row in parts]
    nothing = _names_of_nothing(said)
    names = tuple(sorted({name for row in said for name in row} - nothing, key=natural_key))
    empty = [sign == LIST and states_label(cell) and not row for cell, row in zip(cells, said, strict=True)]
    # An empty list says that there is nothing, unless the table has a word for that.
    absent = bool(names) and not nothing
    rows = [
        {name: int(name in row) for name in names} if row or (absent and e) else {}
        for row, e in zip(map(set, said), empty, strict=True)
    ]
    how = "which the cells list" if sign == LIST else f"joined by {sign!r}"
    notes = [f"Column {column!r} is read as several labels an image, {how}.", *spelled.notes]
    if nothing:
        word = sorted(nothing)[0]
        none = sum(bool(nothing & set(row)) for row in said)
        notes.append(f"{word!r} ({none} images) is not a label of its own: it means that all others are absent.")
    if any(empty):
        means = "all labels are absent there" if absent else "they count as unlabelled"
        notes.append(f"{sum(empty)} lists are empty: {means}.")
    if not any(len(set(row)) > 1 for row in said):
        notes.append(f"No image has two labels; if there is always exactly one, name the column other than {column!r}.")
    blank = [cell for cell, e in zip(cells, empty, strict=True) if not e]
    return Labelling("multilabel", names, rows, notes + note_unlabelled(blank))


def _names_of_nothing(said: Sequence[Sequence[str]]) -> set[str]:
    """Find the words that mean that nothing was found: "No Finding", and "normal" where it never has company."""
    found = {name for row in said for name in row if says_no_finding(name)}
    together = {name for row in said if len(set(row)) > 1 for name in row}
    alone = {name for row in said for name in row if normalise_name(name) in _NORMAL} - together
    return found | (alone if together else set())


def _joins(sign: str, cells: set[str], plural: bool) -> bool:
    """Tell whether a sign joins labels in some of the cells."""
    mixed = [
        [part.strip() for part in cell.split(sign)] for cell in cells if sign in cell and not says_no_finding(cell)
    ]
    parts = Counter(part for row in mixed for part in set(row) if part)
    if not parts or any(len(row) < 2 or not all(row) for row in mixed):
        return False
    alone = sum(part in cells for part in parts) / len(parts)
    if sign == ";":
        return alone > 0 or plural or any(n > 1 for n in parts.values())
    if sign == ",":
        return alone >= _HALF or (plural and (alone > 0 or any(n > 1 for n in parts.values())))
    return alone == 1


def _refuse_blanks(column: str, cells: set[str]) -> None:
    """Raise DataError where a cell may be two labels that also occur alone."""
    for cell in sorted(cells):
        parts = cell.split()
        if len(parts) > 1 and not says_no_finding(cell) and all(part in cells for part in parts):
            raise DataError(
                f"Column {column!r} may hold several labels a cell: {cell!r} is one label or two, as "
                f"{' and '.join(map(repr, parts))} occur alone, too.",
                "Join several labels by '|' or ';', such as " + repr("|".join(parts)) + ".",
            )


def split_labels(cell: str, sign: str, column: str) -> list[str]:
    """Split a cell into its labels; none for one that states nothing.

    Raises
    ------
    DataError
        For a list that cannot be read.
    """
    if not states_label(cell):
        return []
    if sign != LIST:
        return [part.strip() for part in cell.split(sign)]
    if len(cell) <= _LONGEST:
        try:
            held = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            # [Mass, Edema], without quotes
            held = [part.strip(" '\"") for part in cell[1:-1].split(",")]
        if isinstance(held, list | tuple | set) and all(isinstance(x, str | int | float | None) for x in held):
            return [str(x).strip() for x in held if x is not None and str(x).strip()]
    raise DataError(
        f"Column {column!r} holds {cell[:60]!r}, which is no list of labels.", "Join labels by '|', such as Mass|Edema."
    )
