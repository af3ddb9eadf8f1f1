"""Clinical columns: encoded alike in training and at the bedside, and 0 where nothing is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.errors import ClinicalError
from medloupe.inputs.clinical import Column, encode


def fitted(name: str, values: Sequence[str | None]) -> Column:
    column = Column.fit(name, values)
    assert column is not None
    return column


def ages(n: int = 400, missing: int = 0) -> list[str | None]:
    rng = np.random.default_rng(0)
    return [f"{v:.0f}" for v in rng.uniform(0, 90, n)] + [None] * missing


SEXES = ["M", "F", "male", "f"] * 25


def test_a_number_is_standardised_with_bends_at_its_quantiles() -> None:
    column = fitted("age", ages())
    assert (column.kind, column.unit, len(column.knots), column.missing) == ("number", "years", 4, False)
    x, known = column.encode(ages())
    assert x.shape == (400, 5) and known.all()
    np.testing.assert_allclose(x.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(x.std(0), 1, atol=0.05)
    # a hinge is flat below its knot and straight above it
    low, high = column.encode(["1", "2"])[0], column.encode(["88", "89"])[0]
    np.testing.assert_array_equal(low[0, 1:], low[1, 1:])
    assert (high[1] > high[0]).all()


def test_thousands_are_read_as_the_rest_of_their_column() -> None:
    counts = [f"{v:,}" if v % 2 else str(v) for v in range(90_000, 400_000, 777)]
    platelets, fever = fitted("platelets", counts), fitted("temperature", [f"{v / 10:.1f}" for v in range(350, 410)])
    assert platelets.low >= 90_000 and platelets.describe("250,000") == platelets.describe("250 000") == "250000"
    assert fever.describe("38,125") == "38.125"
    ferritin = fitted("ferritin", [f"{20 + 4.6 * i:.1f}" for i in range(200)])  # up to 935
    assert ferritin.describe("1,234").startswith("1234 (taken as 93")
    large = fitted("copies", [str(v) for v in range(0, 5_000_000, 9_999)])
    assert large.describe("2,500,000") == "2500000"


def test_extreme_values_are_held_to_what_was_seen() -> None:
    column = fitted("age", ages())
    np.testing.assert_array_equal(column.encode(["500"])[0], column.encode([str(column.high)])[0])
    assert column.describe("500").startswith("500 years (taken as ")
    assert column.describe("40.0") == "40 years"


def test_a_category_is_centred_by_its_shares() -> None:
    column = fitted("sex", SEXES)
    assert column.choices in (("F", "M"), ("M", "F"), ("F", "male"), ("M", "f"), ("f", "male"), ("f", "M"))
    x, _ = column.encode(SEXES)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
    np.testing.assert_array_equal(column.encode(["Male"])[0], column.encode(["m"])[0])
    assert (column.encode(["male"])[0] != column.encode(["female"])[0]).any()


def test_rare_values_share_a_number_and_unseen_ones_count_as_missing() -> None:
    values = ["back"] * 300 + ["face"] * 200 + ["ear", "lip", "toe", "nail", "palm", "heel"]
    column = fitted("site", values)
    assert column.choices == ("back", "face")
    assert set(column.pooled) == {"ear", "lip", "toe", "nail", "palm", "heel"}
    np.testing.assert_array_equal(column.encode(["ear"])[0], column.encode(["LIP"])[0])
    x, known = column.encode(["elbow"])
    assert not x.any() and not known.any()
    assert "not seen in training" in column.describe("elbow")


def test_missing_counts_only_where_it_was_usual() -> None:
    often, seldom = fitted("age", ages(400, 100)), fitted("age", ages(400, 4))
    assert (often.missing, seldom.missing) == (True, False)
    x, known = often.encode(["40", None, "?"])
    assert x[:, -1].tolist() == [0, 1, 1] and known.tolist() == [True, False, False]
    assert not x[1, :-1].any()


def test_a_row_that_states_nothing_is_zero_throughout() -> None:
    columns = (fitted("age", ages(400, 100)), fitted("sex", SEXES))
    x, known = encode(columns, [{}, {"sex": "M"}, {"age": "unknown", "other": "1"}])
    assert not x[0].any() and not x[2].any()
    assert x[1, columns[0].width - 1] == 1, "that the age is missing counts, as something else is given"
    assert known.tolist() == [[False, False], [False, True], [False, False]]


@pytest.mark.parametrize(
    "values",
    [
        ["7"] * 50,
        [None] * 50,
        ["5", "6"] * 3 + [None] * 90,
        [f"HAM_{i}" for i in range(200)],
        [f"A note on patient {i} " * 20 for i in range(50)],
    ],
)
def test_columns_that_say_nothing_are_none(values: list[str | None]) -> None:
    assert Column.fit("x", values) is None


def test_what_cannot_be_read_is_said_with_what_was_expected() -> None:
    column = fitted("weight (kg)", [str(v) for v in range(40, 120)] * 2)
    assert column.unit == "kg"
    np.testing.assert_array_equal(column.encode(["82 kg"])[0], column.encode(["82,0"])[0])
    with pytest.raises(ClinicalError) as caught:
        column.encode(["heavy"])
    assert (caught.value.column, caught.value.value) == ("weight (kg)", "heavy")
    assert "'heavy'" in str(caught.value) and "a number in kg, usually 41 to 118" in str(caught.value)
    assert column.drop_unreadable(["heavy", "60", None]) == [None, "60", None]


COLUMNS = {
    "number": fitted("age", ages(400, 100)),
    "category": fitted("site", ["back"] * 300 + ["face"] * 200 + ["ear", "lip", "toe", "nail", "palm"] + [""] * 50),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_it_comes_back_from_json(kind: str) -> None:
    column = COLUMNS[kind]
    assert Column.from_json(json.loads(json.dumps(column.as_json()))) == column
    field = column.field()
    assert field["kind"] == kind
    assert ("choices" in field) == (kind == "category") and ("low" in field) == (kind == "number")


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "x" * 300},
        {"kind": "date"},
        {"missing": 1},
        {"numbers": []},
        {"numbers": [float("nan")] * 16},
        {"numbers": [1.0] * 1000},
        {"numbers": "AAAA"},
        {"knots": [1.0] * 9},
        {"knots": [True]},
        {"choices": ["a"] * 500},
        {"choices": [1]},
        {"pooled": [""]},
        {"more": 1},
    ],
)
def test_hostile_json_is_refused(kind: str, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Column.from_json({**COLUMNS[kind].as_json(), **change})


def test_no_object_is_refused() -> None:
    for entry in (None, [], "x", {}, {"name": "age"}):
        with pytest.raises(ValueError, match="must be an object"):
            Column.from_json(entry)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=12), st.integers(-5, 99).map(str)), min_size=10, max_size=40))
def test_any_column_encodes_finitely(values: list[str | None]) -> None:
    column = Column.fit("x", values)
    if column is None:
        return
    x, known = column.encode(column.drop_unreadable(values))
    assert x.shape == (len(values), column.width) and np.isfinite(x).all()
    assert not x[~known, : column.width - column.missing].any()
    assert Column.from_json(json.loads(json.dumps(column.as_json()))) == column
