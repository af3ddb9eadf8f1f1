"""Read a table as text, whole: CSV, TSV, semicolon CSV or Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medloupe.data.readers.base import normalise_name
from medloupe.errors import ColumnError, DataError

# Some sets bring one small table for each image; the table of all images is not among thousands.
MOST_TABLES = 50


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: header and rows, every cell stripped text; short rows are filled with blanks."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    def cells(self, column: str) -> list[str]:
        """Return one column, top to bottom."""
        k = self.columns.index(column)
        return [row[k] for row in self.rows]

    def has_column(self, told: str) -> bool:
        """Tell whether a column goes by this name, whatever its case."""
        return any(column.lower() == told.lower() for column in self.columns)

    def find_column(self, name: str) -> str:
        """Find the column a person named.

        Raises
        ------
        ColumnError
            When there is none.
        """
        if name in self.columns:
            return name
        same = [column for column in self.columns if column.lower() == name.strip().lower()]
        if len(same) == 1:
            return same[0]
        raise ColumnError(name, self.columns, self.path.name)

    def usual_columns(self, names: Iterable[str]) -> list[str]:
        """List the columns that go by one of the usual names (see `normalise_name`), in the order of the names."""
        by_name: dict[str, str] = {}
        for column in self.columns:
            by_name.setdefault(normalise_name(column), column)
        return [by_name[name] for name in names if name in by_name]


def load_sheet(path: Path) -> Sheet:
    """Read a table.

    Raises
    ------
    DataError
        When it is empty, broken, or Parquet without pyarrow.
    """
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path)
    try:
        text, notes = _read_text(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).", "Check its permissions.") from None
    return _parse_delimited(path, text, notes)


def _read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), ()
    try:
        return data.decode("utf-8-sig"), ()
    except UnicodeDecodeError:
        return data.decode("latin-1"), (f"{path.name} is not UTF-8; it was read as Latin-1.",)


def _parse_delimited(path: Path, text: str, notes: tuple[str, ...]) -> Sheet:
    first = next((line for line in text.splitlines() if line.strip()), "")
    # The header decides: label cells may hold commas in any of the dialects.
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise DataError(
            f"{path} is not a readable table: line {reader.line_num}: {error}.", "Save it again as CSV."
        ) from None
    if len(rows) < 2:
        raise DataError(f"{path} holds no rows.", "Expected a header line and one line for each image.")
    header = rows[0][1]
    body = []
    for line, cells in rows[1:]:
        if any(cells[len(header) :]):
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells, but the header has {len(header)}.",
                "Put quotes around cells that hold the delimiter.",
            )
        body.append(cells[: len(header)] + [""] * (len(header) - len(cells)))
    return _make_sheet(path, header, body, notes)


def _read_parquet(path: Path) -> Sheet:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(f"{path} is Parquet, which needs pyarrow.", "pip install 'medloupe[parquet]'") from None
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        first = next(iter(str(error).splitlines()), "")
        raise DataError(f"{path} is not a readable Parquet file ({first}).", "Save it again.") from None
    # Pictures and lists inside the table are not text; the columns that can name and describe files are.
    keep = [f.name for f in table.schema if not (pa.types.is_nested(f.type) or pa.types.is_binary(f.type))]
    columns = [[_cell_text(value) for value in table.column(name).to_pylist()] for name in keep]
    if not columns or not columns[0]:
        raise DataError(f"{path} holds no rows.", "Expected one row for each image.")
    return _make_sheet(path, keep, [list(row) for row in zip(*columns, strict=True)], ())


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    # Whole numbers with gaps are stored as floats: 3.0 is grade 3.
    if isinstance(value, float):
        return "" if value != value else str(int(value)) if value.is_integer() else str(value)
    return str(value).strip()


def _make_sheet(path: Path, header: list[str], body: list[list[str]], notes: tuple[str, ...]) -> Sheet:
    # A column without a name is the row number that other tools write.
    named = [k for k, name in enumerate(header) if name]
    columns = tuple(header[k] for k in named)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the column {twice[0]!r} more than once.", "Rename or remove one of them.")
    if not columns:
        raise DataError(f"{path} has no column names in its first line.", "Expected a header such as file,label.")
    return Sheet(path, columns, tuple(tuple(row[k] for k in named) for row in body), notes)
