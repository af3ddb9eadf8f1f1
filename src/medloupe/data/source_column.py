"""Find which column tells from where a record comes: the hospital, the device, the collection."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from medloupe.data.records import Dataset
from medloupe.data.values import is_stated
from medloupe.errors import ColumnError, DataError

WORDS = (
    *("hospital", "site", "center", "centre", "clinic", "institution", "institute", "source", "database", "dataset"),
    *("device", "scanner", "camera", "manufacturer", "vendor"),
)
"""Words of a column's name by which it is found, the best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceColumn:
    """The column that tells the source.

    Attributes
    ----------
    name : str
        Of the column.
    told : tuple of str
        Of each record its source; "" where it is not stated.
    found : bool
        Whether the column was found by its name, not told by a person.
    others : tuple of str
        Columns that might have been meant too.
    """

    name: str
    told: tuple[str, ...]
    found: bool
    others: tuple[str, ...] = ()


def find_source_column(data: Dataset, column: str | None = None) -> SourceColumn:
    """Find the column that tells the source of each record.

    Parameters
    ----------
    data : Dataset
        With the table's columns.
    column : str, optional
        Which; found by its name where left out.

    Raises
    ------
    ColumnError
        When there is no such column.
    DataError
        When none is found, or it names fewer than two sources.
    """
    names = list(dict.fromkeys(c for r in data.records for c in r.columns))
    if column is not None:
        same = [n for n in names if n == column] or [n for n in names if n.lower() == column.strip().lower()]
        if len(same) != 1:
            raise ColumnError(column, names, data.root.name)
        return _take(data, same[0], found=False, others=())
    ranked = sorted((n for n in names if _rank(n) < len(WORDS)), key=_rank)
    able = [n for n in ranked if len(set(_told(data, n)) - {""}) > 1]
    if able:
        return _take(data, able[0], found=True, others=tuple(able[1:]))
    if ranked:
        return _take(data, ranked[0], found=True, others=())
    there = f"it has: {', '.join(names)}" if names else "it has none"
    raise DataError(
        f"No column of {data.root.name} tells by its name from which hospital or device a record comes; {there}.",
        "Name the column with --source COL, or leave --robust out. Folders of hospitals are read with --folders"
        " site/class.",
    )


def _take(data: Dataset, name: str, *, found: bool, others: tuple[str, ...]) -> SourceColumn:
    told = _told(data, name)
    sources = sorted(set(told) - {""})
    if len(sources) < 2:
        only = f"one source alone, {sources[0]!r}" if sources else "no source"
        raise DataError(
            f"The column {name!r} of {data.root.name} names {only}: nothing can be left out.",
            "Bring data of another hospital, name another column with --source COL, or leave --robust out.",
        )
    return SourceColumn(name=name, told=told, found=found, others=others)


def _told(data: Dataset, name: str) -> tuple[str, ...]:
    values = (str(r.columns.get(name, "")).strip() for r in data.records)
    return tuple(v if is_stated(v) else "" for v in values)


def _rank(name: str) -> int:
    """Rank a column by its name: the place of its best word, len(WORDS) where it has none."""
    return min((WORDS.index(p) for p in _parts(name) if p in WORDS), default=len(WORDS))


def _parts(name: str) -> Sequence[str]:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return [p for p in re.split(r"[^a-z0-9]+", spaced.lower()) if p]
