"""Tell how columns of numbers are written as text: where they begin, what separates them, what marks decimals.

A comma may separate columns, mark decimals, or part thousands. Which of them is proved by the numbers themselves, or
asked.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from medloupe.ecg.signal import lead_name
from medloupe.ecg.units import unit_in_millivolts
from medloupe.errors import SignalError

MISSING = frozenset(("", "nan", "na", "n/a", "null", "none", "-"))
"""What cells hold, in lower case, where there is no number."""

_NUMBER = re.compile(r"[-+]?(?:\d{1,30}(?:[.,]\d{0,30})?|[.,]\d{1,30})(?:[eE][-+]?\d{1,4})?")
_FRACTION = re.compile(r"\d{1,30}(?:[eE][-+]?\d{1,4})?", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d{0,30}", re.ASCII)
_CLOCK = re.compile(r"[hdms:. ]*|sec|seconds?|us|msec|samples?", re.I)
_STAMP = frozenset("0123456789:.- /TZ")
_COUNTER = frozenset(("time", "t", "sample", "index", "row", "n", "no", "nr", "number", "timestamp"))
_MOST_PREAMBLE = 200  # lines before the numbers
_MOST_JUDGED = 20_000  # lines by which the comma is judged
_MANY = 200  # lines after which it has shown itself
_FEW, _RAGGED = 10, 0.02  # lines without a comma from which they are no accident, and their share
_MOST_CELLS = 500  # of a line, that are looked at


@dataclass(frozen=True, slots=True)
class TextLayout:
    """How the text is written.

    Attributes
    ----------
    start : int
        The line at which numbers begin.
    delimiter : str or None
        What separates columns; None for blanks, or a lone column.
    decimal_comma : bool
        Whether commas mark decimals.
    header : tuple of str
        Names of the columns, as far as they are told.
    told : str
        The lines before, where rate and unit may stand.
    """

    start: int
    delimiter: str | None
    decimal_comma: bool
    header: tuple[str, ...]
    told: str


def find_layout(lines: Sequence[str], name: str) -> TextLayout:
    """Find where the numbers begin, and how they are written.

    Parameters
    ----------
    lines : Sequence of str
        Of the whole text, or of its beginning.
    name : str
        The file.

    Raises
    ------
    SignalError
        Where there are no numbers, or it cannot be told what commas mean.
    """
    before: list[str] = []
    for k, line in enumerate(lines[:_MOST_PREAMBLE]):
        if not line.strip() or is_comment(line):
            before.append(line)
            continue
        # Two lines of numbers: a lone one may be a rate.
        following = next((other for other in lines[k + 1 : k + 4] if other.strip()), "")
        for delimiter in ("\t", ";", ",", None):
            cells, below = split_cells(line, delimiter), split_cells(following, delimiter)
            if delimiter and len(cells) < 2:
                continue
            alike = len(below) == len(cells) and _are_numbers(cells) and _are_numbers(below)
            if not alike and (following or len(cells) <= 50 or not _are_numbers(cells)):
                continue
            rows = [row for row in islice(lines, k, k + _MOST_JUDGED) if row.strip() and not is_comment(row)]
            if delimiter == "," and '"' not in line:
                if len(cells) == 2 and _is_lone_column(rows, before, name):
                    delimiter = None
                else:
                    _refuse_double_commas(rows, len(cells), name)
            comma = (delimiter != "," or '"' in line) and _marks_decimals(rows, delimiter, name)
            width = len(split_cells(line, delimiter))
            return TextLayout(k, delimiter, comma, _find_header(before, delimiter, width), "\n".join(before))
        before.append(line)
    raise SignalError(
        f"{name} holds no columns of numbers.",
        "Expected a column for each lead, separated by commas, semicolons, tabs or blanks.",
    )


def is_comment(line: str) -> bool:
    """Tell whether a line is a comment."""
    return line.lstrip().startswith(("#", "%", "//", "*"))


def split_cells(line: str, delimiter: str | None) -> list[str]:
    """Split a line into cells, without their quotes."""
    if delimiter is None:
        return [cell.strip("\"'") for cell in line.split()]
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:  # a cell of over 128 kB
        return line.split(delimiter)


def split_name(column: str) -> tuple[str, str]:
    """Split a column's name into the bare name and the voltage it tells, in brackets or at its end; "" for none."""
    text, unit, at = column[:200].strip(), "", 0
    while (at := min((k for k in (text.find("(", at), text.find("[", at)) if k >= 0), default=-1)) >= 0:
        end = min((k for k in (text.find(")", at), text.find("]", at)) if k >= 0), default=-1)
        if end < 0:
            break
        unit = unit or text[at + 1 : end].strip()
        text = text[:at] + text[end + 1 :]
    for ending in ("mv", "uv", "µv", "μv"):
        if text.lower().endswith(ending) and text[-3:-2] in (" ", "_", "\t"):
            unit = unit or text[-2:]
            text = text[:-3]
            break
    return text.strip(" '\"\t"), unit if unit_in_millivolts(unit) is not None else ""


def _are_numbers(cells: Sequence[str]) -> bool:
    """Tell whether cells are numbers (time stamps of the first column aside), and not all blank."""
    seen = [cell.strip() for cell in cells[:_MOST_CELLS]]
    rest = seen[1:] if len(seen) > 1 and _is_stamp(seen[0]) else seen
    numbers = [_NUMBER.fullmatch(cell) is not None for cell in rest]
    known = any(c.isdigit() for cell in rest for c in cell[:60])
    return known and all(n or cell.lower() in MISSING for n, cell in zip(numbers, rest, strict=True))


def _is_stamp(cell: str) -> bool:
    core = cell[:64].strip("'\"[](){} ")
    return bool(core) and len(cell) <= 64 and set(core) <= _STAMP


def _is_lone_column(rows: Sequence[str], before: Sequence[str], name: str) -> bool:
    """Tell whether lines of two cells are one column of numbers with a decimal comma."""
    above = [split_cells(line.lstrip("#% "), ",") for line in before if line.strip()]
    heads = above[-1] if above else []
    if len(heads) == 2 and all(_names_column(head) for head in heads):
        return False
    parts = [row.strip().partition(",") for row in rows]
    pairs = [(left, right) for left, comma, right in parts if comma]
    if not all(_WHOLE.fullmatch(left) and _FRACTION.fullmatch(right) for left, right in pairs):
        return False  # signs, points or blanks: numbers of their own
    ragged = len(pairs) < len(parts)
    lefts, rights = [left.lstrip("+-") for left, _ in pairs], [right for _, right in pairs]
    zero_left = any(left in ("", "0") for left in lefts)
    padded = any(len(right) > 1 and right[0] == "0" for right in rights)  # which no whole number is
    if any(left == "-0" for left, _ in pairs) or ((padded or ragged) and zero_left):
        return True
    without = len(parts) - len(pairs)
    if padded or (without >= _FEW and without > _RAGGED * len(parts)):  # no table has such lines
        if _are_thousands(lefts, rights):
            raise _ask(name, rows[0], "marks decimals or thousands")
        return True
    if ragged:
        return False  # a line or two cut short: told when the numbers are read
    if len(set(rights)) == 1 or len(set(map(len, rights))) > 1 or (len(rights[0]) > 1 and len(rights) >= _MANY):
        return False  # digits behind a comma would begin with 0 in a tenth of the lines
    if len(heads) == 1 and lead_name(split_name(heads[0])[0]):
        return True
    if len(rights[0]) == 1 and len(set(rights)) == 10:
        return True
    raise _ask(name, rows[0], "marks decimals or separates two columns")


def _names_column(head: str) -> bool:
    bare, _ = split_name(head.strip(" '\"#%"))
    return bool(lead_name(bare)) or bare.lower().split("(")[0].strip(" #'") in _COUNTER


def _refuse_double_commas(rows: Sequence[str], width: int, name: str) -> None:
    """Ask where commas seem both to separate columns and to mark decimals: each second cell is padded with zeros."""
    if width < 4 or width % 2:
        return
    cells = [split_cells(row, ",") for row in rows[:_MANY]]
    behind = [cell for row in cells for cell in row[1::2]]
    fractions = all(_FRACTION.fullmatch(cell) for cell in behind)
    padded = [any(row[k][:1] == "0" and len(row[k]) > 1 for row in cells if len(row) > k) for k in range(1, width, 2)]
    if fractions and all(padded):
        raise _ask(name, rows[0], "marks decimals, separates columns, or both")


def _marks_decimals(rows: Iterable[str], delimiter: str | None, name: str) -> bool:
    """Tell whether commas within cells mark decimals. SignalError where they may part thousands."""
    found = [
        (row, cell.strip()) for row in rows if "," in row for cell in split_cells(row, delimiter)[:32] if "," in cell
    ]
    if not found:
        return False
    pairs = []
    for row, cell in found:
        left, _, right = cell.partition(",")
        if not _WHOLE.fullmatch(left) or not _FRACTION.fullmatch(right):
            if _NUMBER.fullmatch(cell.replace(",", "")):
                raise _ask(name, row, "marks decimals or thousands")
            continue  # text
        pairs.append((left, right))
    lefts, rights = [left.lstrip("+-") for left, _ in pairs], [right for _, right in pairs]
    if pairs and _are_thousands(lefts, rights) and not any(left == "-0" for left, _ in pairs):
        raise _ask(name, found[0][0], "marks decimals or thousands")
    return bool(pairs)


def _are_thousands(lefts: Sequence[str], rights: Sequence[str]) -> bool:
    """Tell whether all of the numbers could be written with a comma between thousands."""
    return all(len(right) == 3 for right in rights) and all(1 <= len(left) <= 3 and left[0] != "0" for left in lefts)


def _ask(name: str, line: str, what: str) -> SignalError:
    return SignalError(
        f"{name} has lines such as {line.strip()[:40]!r}: it cannot be told whether the comma {what}.",
        "Write it with decimal points, or separate columns by semicolons and name them.",
    )


def _find_header(before: Sequence[str], delimiter: str | None, width: int) -> tuple[str, ...]:
    """Read column names from the last lines before the numbers (names, and below them units, as PhysioNet writes)."""
    rows: list[list[str]] = []
    for line in [line for line in before if line.strip()][-3:]:
        cells = [cell.strip(" '\"#%") for cell in split_cells(line[:20_000].lstrip("#% "), delimiter)]
        if delimiter is None and width == 1 and len(cells) > 1 and _names_column(line[:200].strip("#% \"'")):
            cells = [line[:200].strip("#% \"'")]  # II (mV)
        if delimiter is None and any("," in cell for cell in cells):
            continue  # "Unit,µV": a word and its value
        if len(cells) == width and any(cells) and not _are_numbers(cells):
            rows.append(cells)
    if not rows:
        return ()
    units = [cell.strip("()[]") for cell in rows[-1]]
    if len(rows) > 1 and all(unit_in_millivolts(unit) is not None or _CLOCK.fullmatch(unit[:20]) for unit in units):
        return tuple(f"{one} ({unit})" for one, unit in zip(rows[-2], units, strict=True))
    return tuple(rows[-1])
