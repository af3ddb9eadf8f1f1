"""Read a table as text, whole: CSV, TSV, semicolon CSV, Excel or Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from medloupe.data.readers.base import EXCEL_SUFFIXES, normalise_name
from medloupe.data.readers.delimited import Grid, read_delimited
from medloupe.data.readers.excel import OLD_SUFFIXES, read_excel
from medloupe.data.readers.header import find_header
from medloupe.errors import ColumnError, DataError, ExtraError

# Some sets bring one small table for each image; the table of all images is not among thousands.
MOST_TABLES = 50
_INDEX = "index"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: header and rows, every cell stripped text; short rows are filled with blanks.

    Attributes
    ----------
    path : Path
        Its file.
    columns : tuple of str
        Names of the columns.
    rows : tuple
        The cells of each row.
    notes : tuple of str
        What was decided in reading it.
    others : tuple of Path
        Further tables of which it holds rows or columns.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    others: tuple[Path, ...] = ()

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


def load_sheet(path: Path, is_file: Callable[[str], bool] = lambda cell: False) -> Sheet:
    """Read a table.

    Parameters
    ----------
    path : Path
        The file.
    is_file : callable, optional
        Tells whether a cell names a file that is there. No header does: such a first line is data.

    Raises
    ------
    DataError
        When it is empty or broken, or of a kind that needs a package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _read_parquet(path)
    if suffix in EXCEL_SUFFIXES:
        try:
            grid, notes = read_excel(path)
        except ExtraError as error:
            raise DataError(error.message, error.hint) from None
    elif suffix in OLD_SUFFIXES:
        raise DataError(f"{path} is a spreadsheet of a kind that is not read.", "Save it as CSV.")
    else:
        grid, notes = read_delimited(path)
    return _head_grid(path, grid, notes, is_file)


def _head_grid(path: Path, grid: Grid, notes: tuple[str, ...], is_file: Callable[[str], bool]) -> Sheet:
    if len(grid) < 2:
        raise DataError(f"{path} holds no rows.", "Expected a header line and one line for each image.")
    headed = find_header(path.name, grid, is_file)
    header = headed.header
    body = []
    for line, cells in headed.body:
        if any(cells[len(header) :]):
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells, but the header has {len(header)}.",
                "Put quotes around cells that hold the delimiter.",
            )
        body.append(cells[: len(header)] + [""] * (len(header) - len(cells)))
    return _make_sheet(path, header, body, (*notes, *headed.notes))


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
    if not any(header):
        raise DataError(f"{path} has no column names in its first line.", "Expected a header such as file,label.")
    header = [name or _name_index(header, [row[k] for row in body]) for k, name in enumerate(header)]
    named = [k for k, name in enumerate(header) if name]
    columns = tuple(header[k] for k in named)
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path} has the column {twice[0]!r} more than once.", "Rename or remove one of them.")
    return Sheet(path, columns, tuple(tuple(row[k] for k in named) for row in body), notes)


def _name_index(header: list[str], cells: list[str]) -> str:
    """Name a column that has no name; "" where it says nothing.

    Other tools write the row number so, but also the index of their table, which may be the files' names.
    """
    numbers = [str(k + first) for first in (0, 1) for k in range(len(cells))]
    if cells in (numbers[: len(cells)], numbers[len(cells) :]) or len(set(cells)) < len(cells) or "" in cells:
        return ""
    return "" if _INDEX in header else _INDEX
