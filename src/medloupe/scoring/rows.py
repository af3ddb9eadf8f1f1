"""Turn answers into rows of a table, by the names that `predict --json` prints, and rows back into those lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from medloupe.errors import ExtraError, MedloupeError
from medloupe.model.prediction import Prediction

if TYPE_CHECKING:
    import pyarrow

MAPS = ("probabilities", "at_least", "counts", "lines")
"""Columns of numbers by label."""
AS_TEXT = ("inputs", "ecg", "measurements", "asked", "tiling", "picture", "photo", "ask", "answers")
"""Columns that hold JSON as text: what is nested deeper, and has other fields from model to model."""


def import_pyarrow() -> Any:
    """Import what writes Parquet. Raises ExtraError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as e:
        raise ExtraError("Tables of answers need pyarrow.", "pip install 'medloupe[scale]'") from e
    return pyarrow


def answer_schema() -> pyarrow.Schema:
    """Describe the table of answers; the same for all models."""
    pa = import_pyarrow()
    text, number = pa.string(), pa.float64()
    box = pa.struct([("label", text), *((name, number) for name in ("score", "x", "y", "w", "h"))])
    return pa.schema(
        [
            pa.field("file", text, nullable=False),
            ("model", text),
            ("version", pa.int32()),
            pa.field("state", text, nullable=False),
            ("why", pa.struct([("code", text), ("text", text)])),
            ("prediction", text),
            ("flagged", pa.list_(text)),
            ("probabilities", pa.map_(text, number)),
            ("grade", text),
            ("at_least", pa.map_(text, number)),
            ("scope", text),
            ("refused", pa.struct([("reason", text), ("looks_like", text)])),
            ("boxes", pa.list_(box)),
            ("counts", pa.map_(text, pa.int64())),
            ("lines", pa.map_(text, number)),
            *((name, text) for name in AS_TEXT),
        ]
    )


def unreadable_schema() -> pyarrow.Schema:
    """Describe the table of files that have no answer."""
    pa = import_pyarrow()
    return pa.schema([("file", pa.string()), ("kind", pa.string()), ("error", pa.string())])


def answer_row(answer: Prediction, file: str) -> dict[str, Any]:
    """Make the row of an answer. file: as it was named, whatever path it was read at."""
    told = answer.as_json()
    row: dict[str, Any] = {name: told.pop(name) for name in list(told) if name not in AS_TEXT and name not in MAPS}
    row["file"] = _text(file)
    for name in MAPS:
        if told.get(name) is not None:
            row[name] = list(told[name].items())
    for name in AS_TEXT:
        if name in told:
            row[name] = json.dumps(told[name], ensure_ascii=False)
    return row


def unreadable_row(file: str, error: MedloupeError) -> dict[str, str]:
    """Make the row of a file without an answer. error: why, whose class is its kind."""
    return {"file": _text(file), "kind": type(error).__name__, "error": _text(str(error))}


def json_line(row: Mapping[str, Any]) -> dict[str, Any]:
    """Give the line that `predict --json` prints, from a row as pyarrow reads it."""
    line: dict[str, Any] = {}
    for name, value in row.items():
        if value is None:
            if name in ("model", "version", "why", "refused"):
                line[name] = None
        elif name in AS_TEXT:
            line[name] = json.loads(value)
        else:
            line[name] = dict(value) if name in MAPS else value
    return line


def table_bytes(rows: Iterable[Mapping[str, Any]], schema: pyarrow.Schema) -> bytes:
    """Write rows as a Parquet file; the same rows give the same bytes."""
    pa = import_pyarrow()
    out = pa.BufferOutputStream()
    pa.parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), out, compression="zstd")
    return out.getvalue().to_pybytes()


def _text(name: str) -> str:
    """Spell a file name that is no text, which a table cannot hold as it is."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
