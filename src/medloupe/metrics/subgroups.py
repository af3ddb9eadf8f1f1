"""Judge a model on parts of the people: by sex, age band, view and site, where the table has such columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from medloupe.data.records import Record
from medloupe.data.values import parse_number
from medloupe.metrics.tables import Judged, headline

SUBGROUP_COLUMNS = ("sex", "gender", "age", "view", "viewposition", "site", "hospital", "device", "scanner", "eye")
AGE_BANDS = ((0, 17), (18, 39), (40, 59), (60, 79), (80, 130))
_SMALLEST = 20


def subgroups(judged: Judged, records: Sequence[Record], seed: int = 0) -> list[dict[str, Any]]:
    """Compute AUC and balanced accuracy by sex, age band, view and site, where the table has such columns.

    Parameters
    ----------
    judged
        Predictions, in the order of the records.
    records
        With their columns.
    seed
        Of the bootstrap.
    """
    rows = []
    for column in sorted({c for r in records for c in r.columns if c.lower() in SUBGROUP_COLUMNS}):
        values = np.array([_age_band(column, r.columns.get(column, "")) for r in records])
        sizes = {v: int((values == v).sum()) for v in sorted(set(values.tolist()) - {""})}
        if not 2 <= len(sizes) <= 12:
            continue
        for value, n in sizes.items():
            row: dict[str, Any] = {"column": column, "value": value, "n": n, "auc": None, "balanced_accuracy": None}
            if n < _SMALLEST:
                row["note"] = "too few to judge"
            else:
                part = judged.rows(np.flatnonzero(values == value))
                figures = headline(part, seed)
                row |= {"auc": figures["auc"], "balanced_accuracy": figures["balanced_accuracy"], "note": ""}
            rows.append(row)
    return rows


def _age_band(column: str, text: str) -> str:
    if column.lower() != "age":
        return text
    said = text.strip()
    age = parse_number(said, column)
    if age is None or said.startswith(("<", "≤", "~")) or said.endswith("%"):
        return ""
    low, high = next(((a, b) for a, b in AGE_BANDS if a <= age < b + 1), (0, 0))
    if high == AGE_BANDS[-1][1]:
        return f"{low}+"
    return "" if not high or said.startswith((">", "≥")) or said.endswith("+") else f"{low}-{high}"
