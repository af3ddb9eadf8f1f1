"""Write answers as a CSV table whose cells no spreadsheet takes for a formula (RFC 4180)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_COLUMNS = ("file", "id", "at", "model", "version", "state", "why.code", "why.text", "prediction", "flagged", "grade")
_LAST = ("scope", "refused.reason", "refused.looks_like")


def write_answers(answers: Iterable[Mapping[str, Any]]) -> str:
    """Write answers, one a line, in the columns of `predict --json`.

    Parameters
    ----------
    answers
        The JSON of each, with `id` and `at`. Nested entries become columns such as "probabilities.melanoma"; several
        flagged labels are joined by "|". The first column is the file's name, which a server does not keep.
    """
    rows = [_flat(answer) for answer in answers]
    nested = [key for row in rows for key in row if key.startswith(("probabilities.", "at_least."))]
    columns = [*_COLUMNS, *dict.fromkeys(nested), *_LAST]
    lines = [columns, *([str(row.get(c, "")) for c in columns] for row in rows)]
    return "".join(",".join(map(escape_cell, line)) + "\r\n" for line in lines)


def escape_cell(text: str) -> str:
    """Write a cell: formulas begin with an apostrophe, line breaks are spaces, commas and quotes are quoted."""
    safe = escape_formula(text)
    safe = " ".join(safe.splitlines()) if safe else safe
    return '"' + safe.replace('"', '""') + '"' if any(c in safe for c in '",;\t') else safe


def escape_formula(cell: str) -> str:
    """Put a quotation mark before what a spreadsheet would take for a formula, and run."""
    return f"'{cell}" if cell.lstrip()[:1] in tuple("=+-@|%") or cell[:1] in ("\t", "\r", "\n") else cell


def _flat(answer: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for key, value in answer.items():
        if isinstance(value, Mapping):
            row |= {f"{key}.{inner}": v for inner, v in value.items()}
        elif key == "flagged":
            row[key] = "|".join(map(str, value))
        elif value is not None:
            row[key] = value
    return row
