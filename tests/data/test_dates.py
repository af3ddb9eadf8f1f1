"""Dates become ages, or nothing."""

from __future__ import annotations

import datetime

import pytest

from medloupe.data.dates import add_ages, date_columns, holds_dates, parse_date
from medloupe.data.records import Dataset, Record
from synthetic import of_records


@pytest.mark.parametrize(
    "text", ["2020-01-31", "20200131", "31.01.2020", "01/31/2020", "2020-01-31T08:30:00", "2020/1/31"]
)
def test_dates_as_people_write_them(text: str) -> None:
    assert parse_date(text) == datetime.date(2020, 1, 31)


@pytest.mark.parametrize("text", ["", "2020", "99999999", "31.31.2020", "55", "1700-01-01"])
def test_what_is_no_date(text: str) -> None:
    assert parse_date(text) is None


def data(**columns: list[str]) -> Dataset:
    n = len(next(iter(columns.values())))
    rows = [{k: v[i] for k, v in columns.items() if v[i]} for i in range(n)]
    return of_records([Record(id=str(i), image=None, labels={"a": 1}, columns=r) for i, r in enumerate(rows)], ["a"])  # type: ignore[arg-type]


def test_a_birth_date_and_an_examination_make_an_age() -> None:
    made = add_ages(data(dob=["1960-01-31", "1990-06-01", ""], study_date=["2020-01-31", "2020-06-01", "2020-01-01"]))
    assert [r.columns.get("age") for r in made.records] == ["60.00", "30.00", None]
    assert made.notes == ("Ages are those at 'study_date', from 'dob'.",)


def test_impossible_ages_are_missing() -> None:
    made = add_ages(data(birth=["2030-01-01", "1850-01-01"], exam_date=["2020-01-01", "2020-01-01"]))
    assert not any("age" in r.columns for r in made.records)


@pytest.mark.parametrize("columns", [{"exam_date": ["2020-01-01"]}, {"dob": ["1990-01-01"], "exam": ["soon"]}])
def test_a_lone_date_changes_nothing(columns: dict[str, list[str]]) -> None:
    found = data(**columns)
    assert add_ages(found) is found


def test_an_age_that_is_there_stays() -> None:
    found = data(dob=["1990-01-01"], exam_date=["2020-01-01"], Age=["7"])
    assert add_ages(found) is found


def test_columns_of_dates() -> None:
    found = data(day=["2020-01-01", "2021-01-01"], n=["1", "2"])
    assert date_columns(found.records) == ("day",)
    assert not holds_dates([]) and not holds_dates(["2020-01-01", "x"])
