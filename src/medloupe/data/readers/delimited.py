"""Read text tables as a grid of cells: encoding, delimiter, and what spreadsheet programs add."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

from medloupe.errors import DataError

_DELIMITERS = ",;\t"
_SEP_LINE = re.compile(r'^"?sep=(.)"?[,;\t]*$', re.IGNORECASE)
_LOOKED_AT = 200  # lines by which a delimiter is judged

Grid = list[tuple[int, list[str]]]
"""Rows that are not blank: the number of the line each ends in, and its cells, stripped."""


def read_delimited(path: Path) -> tuple[Grid, tuple[str, ...]]:
    """Read a text table.

    Returns
    -------
    grid : list
        As `Grid`.
    notes : tuple of str
        What was decided of its encoding.

    Raises
    ------
    DataError
        Where it cannot be read.
    """
    try:
        text, notes = _read_text(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", "Check its permissions.") from None
    lines = text.splitlines(keepends=True)
    first = next((k for k, line in enumerate(lines) if line.strip()), 0)
    told = _SEP_LINE.match(lines[first].strip()) if lines else None
    # Excel reads the line "sep=;" as the delimiter's name; it is no row.
    skipped = first + 1 if told else 0
    text = "".join(lines[skipped:])
    if told:
        notes = (*notes, f"{path.name} names its delimiter in its first line ({lines[first].strip()}).")
    delimiter = told[1] if told else _choose_delimiter(path, text)
    try:
        return [(line + skipped, cells) for line, cells in _parse(text, delimiter)], notes
    except csv.Error as error:
        raise DataError(f"{path} is not a readable table: {error}.", "Save it again as CSV.") from None


def _read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), ()
    if wide := _utf16_without_mark(data[:2000]):
        return data.decode(wide, "replace"), ()
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        note = f"{path.name} is not UTF-8; it was read as Latin-1 (Windows-1252)."
    try:
        return data.decode("cp1252"), (note,)
    except UnicodeDecodeError:
        return data.decode("latin-1"), (note,)


def _utf16_without_mark(start: bytes) -> str:
    """Tell the byte order of UTF-16 without a mark by where the zeros of its ASCII letters stand; "" for other text."""
    low, high = start[::2].count(0), start[1::2].count(0)
    enough = max(2, len(start) // 4)
    return "utf-16-le" if high >= enough and not low else "utf-16-be" if low >= enough and not high else ""


def _choose_delimiter(path: Path, text: str) -> str:
    """Choose the delimiter by the header; where the lines below have another number of cells, by the lines."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    start = [line for line in text.splitlines() if line.strip()][:_LOOKED_AT]
    if not start:
        return ","
    # The header decides: label cells may hold commas in any of the dialects.
    by_header = max(_DELIMITERS, key=start[0].count)
    widths = {d: _count_widths(start, d) for d in _DELIMITERS}
    common = widths[by_header].most_common(1)
    if by_header in start[0] and common and len(next(csv.reader([start[0]], delimiter=by_header))) == common[0][0]:
        return by_header
    # A title above the header, or none: the delimiter that cuts most lines into the same number of cells.
    shares = {d: max((n for width, n in widths[d].items() if width > 1), default=0) for d in _DELIMITERS}
    return max(_DELIMITERS, key=lambda d: (shares[d], start[0].count(d)))


def _count_widths(lines: list[str], delimiter: str) -> Counter[int]:
    try:
        return Counter(len(cells) for _, cells in _parse("\n".join(lines), delimiter))
    except csv.Error:
        return Counter()


def _parse(text: str, delimiter: str) -> Grid:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: Grid = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from None
    return rows
