"""The column that tells the source is found by its name, said, and asked for where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.data.records import Dataset
from medloupe.data.source_column import find_source_column
from medloupe.errors import ColumnError, DataError
from synthetic import of_targets, one_hot


def table(**columns: list[str]) -> Dataset:
    n = len(next(iter(columns.values()), ["", ""]))
    cells = [{name: values[i] for name, values in columns.items()} for i in range(n)]
    return of_targets(one_hot(np.arange(n) % 2, 2), columns=cells)


def test_the_best_name_is_taken_and_others_are_said():
    found = find_source_column(table(age=["3", "4"], Device=["x", "y"], HospitalName=["A ", "B"]))
    assert (found.name, found.told, found.found, found.others) == ("HospitalName", ("A", "B"), True, ("Device",))


def test_a_column_with_one_value_is_passed_over_for_one_with_several():
    assert find_source_column(table(hospital=["A", "A"], scanner=["x", "y"])).name == "scanner"


def test_what_is_not_stated_is_no_source():
    assert find_source_column(table(site=["A", "B", "", "unknown"])).told == ("A", "B", "", "")


def test_told_counts_whatever_its_name():
    found = find_source_column(table(hospital=["A", "B"], Batch=["1", "2"]), "batch")
    assert (found.name, found.found) == ("Batch", False)


@pytest.mark.parametrize(
    ("columns", "said", "hint"),
    [
        ({"age": ["3", "4"]}, "from which hospital or device", "--source COL"),
        ({}, "it has none", "--robust"),
        ({"site": ["A", "A"]}, "one source alone, 'A'", "another hospital"),
        ({"site": ["", ""]}, "no source", "another hospital"),
    ],
)
def test_none_is_refused_with_what_to_do(columns: dict[str, list[str]], said: str, hint: str):
    with pytest.raises(DataError) as caught:
        find_source_column(table(**columns))
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_column_that_is_not_there():
    with pytest.raises(ColumnError):
        find_source_column(table(site=["A", "B"]), "sitr")
