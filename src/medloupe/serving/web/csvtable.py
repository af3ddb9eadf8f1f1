"""Write answers as a CSV table whose cells no spreadsheet takes for a formula (RFC 4180)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from medloupe.utils.csvcells import escape_cell

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
