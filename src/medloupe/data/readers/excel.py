"""Read the first sheet of an Excel workbook as a grid of cells, through openpyxl."""

from __future__ import annotations

import datetime
import warnings
from pathlib import Path

from medloupe.data.readers.delimited import Grid
from medloupe.errors import DataError, ExtraError

OLD_SUFFIXES = frozenset({".xls", ".xlsb", ".ods"})
"""Of spreadsheets that cannot be read."""


def read_excel(path: Path) -> tuple[Grid, tuple[str, ...]]:
    """Read a workbook's first sheet that holds anything.

    Returns
    -------
    grid : list
        As `Grid`.
    notes : tuple of str
        Which sheet was read.

    Raises
    ------
    ExtraError
        Without openpyxl.
    DataError
        Where it is no workbook, or holds nothing.
    """
    try:
        import openpyxl
    except ImportError:
        raise ExtraError(
            f"{path} is an Excel file, which needs openpyxl.",
            "pip install 'medloupe[excel]', or save it as CSV.",
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that say nothing of the cells
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            try:
                sheets = {sheet.title: _read_cells(sheet) for sheet in book.worksheets}
            finally:
                book.close()
    except Exception as error:  # openpyxl raises whatever a broken archive or its XML leads to
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"{path} is not a readable Excel file ({first}).", "Save it as CSV.") from None
    name = next((name for name, grid in sheets.items() if grid), None)
    if name is None:
        raise DataError(f"{path} holds no rows.", "Expected a header line and one line for each image.")
    others = [other for other, grid in sheets.items() if grid and other != name]
    also = f"; not read: {', '.join(others)}" if others else ""
    return sheets[name], (f"{path.name} is an Excel file; its sheet {name!r} was read{also}.",)


def _read_cells(sheet: object) -> Grid:
    rows: Grid = []
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):  # type: ignore[attr-defined]
        cells = [_cell_text(value) for value in row]
        if any(cells):
            while not cells[-1]:
                cells.pop()
            rows.append((number, cells))
    return rows


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value).strip()
