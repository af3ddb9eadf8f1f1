"""Turn dates of a table into ages: a birth date and the date of the examination; a date alone is no input."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from medloupe.data.records import Dataset, Record
from medloupe.data.values import is_stated

AGE = "age"
_BIRTH = re.compile(r"birth|(?<![a-z])dob(?![a-z])|naissance|geburt", re.IGNORECASE)
_EXAMINED = ("exam", "study", "acquisition", "scan", "content", "image", "visit", "series", "date")
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_WRITTEN = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?: .*)?")
_MOST = 0.9  # share of stated values that must be dates
_OLDEST = 120


def parse_date(text: str) -> datetime.date | None:
    """Read a day written 2020-01-31, 20200131, 31.01.2020 or 01/31/2020; None where it is none.

    Of 03/04/2020 the day is read first, which moves an age by less than a year.
    """
    said = text.strip()
    found = _ISO.fullmatch(said) or _COMPACT.fullmatch(said)
    if found:
        year, month, day = map(int, found.groups())
    else:
        found = _WRITTEN.fullmatch(said)
        if not found:
            return None
        day, month, year = map(int, found.groups())
        if month > 12:
            day, month = month, day
    try:
        return datetime.date(year, month, day) if 1850 <= year <= 2150 else None
    except ValueError:
        return None


def holds_dates(values: Iterable[str]) -> bool:
    """Tell whether a column holds dates."""
    said = [v for v in values if is_stated(v)]
    return bool(said) and sum(parse_date(v) is not None for v in said) >= _MOST * len(said)


def date_columns(records: Sequence[Record]) -> tuple[str, ...]:
    """List the columns of a table that hold dates, in its order."""
    columns = dict.fromkeys(c for r in records for c in r.columns)
    return tuple(c for c in columns if holds_dates([r.columns[c] for r in records if c in r.columns]))


def add_ages(data: Dataset) -> Dataset:
    """Add a column `age`, in years, where the table has a birth date and a date of the examination.

    Returns
    -------
    Dataset
        With the column and a note; unchanged where it has an age already, or no such pair.
    """
    if any(c.lower() == AGE for r in data.records for c in r.columns):
        return data
    columns = date_columns(data.records)
    births = [c for c in columns if _BIRTH.search(c)]
    others = [c for c in columns if c not in births]
    if not births or not others:
        return data
    examined = min(others, key=lambda c: next((i for i, w in enumerate(_EXAMINED) if w in c.lower()), len(_EXAMINED)))
    records = tuple(_add_age(r, births[0], examined) for r in data.records)
    note = f"Ages are those at {examined!r}, from {births[0]!r}."
    return replace(data, records=records, notes=(*data.notes, note))


def _add_age(record: Record, birth: str, examined: str) -> Record:
    born, seen = (parse_date(record.columns.get(c, "")) for c in (birth, examined))
    if born is None or seen is None or not 0 <= (seen - born).days <= _OLDEST * 366:
        return record
    return replace(record, columns={**record.columns, AGE: f"{(seen - born).days / 365.25:.2f}"})
