"""What cells of clinical tables say."""

from __future__ import annotations

import pytest

from medloupe.values import alike, is_age, number, numbers, stated


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("55", 55.0),
        ("55.0", 55.0),
        ("38,5", 38.5),
        ("1,234.5", 1234.5),
        ("1.234,5", 1234.5),
        ("250,000", 250000.0),
        ("250 000", 250000.0),
        ("1,234,567", 1234567.0),
        ("0,125", 0.125),
        ("1234,567", 1234.567),
        ("97 %", 97.0),
        (">89", 89.0),
        ("90+", 90.0),
        ("-3", -3.0),
        ("1e3", 1000.0),
        ("３８", 38.0),
        ("abc", None),
        ("", None),
        ("5 5", None),
        ("inf", None),
        ("nan", None),
        ("1e999", None),
        ("055Y", None),
    ],
)
def test_numbers_as_people_write_them(text: str, value: float | None) -> None:
    assert number(text) == value


def test_three_digits_behind_a_comma_are_thousands_unless_the_range_says_otherwise() -> None:
    assert number("1,234") == 1234
    assert number("1,234", within=(0.9, 1.2)) == 1.234
    assert number("1,234", within=(100, 90_000)) == 1234
    assert numbers(["150000", "95000", "250,000"]) == [150000, 95000, 250000]
    assert numbers(["38,5", "36,9", "38,125", "high"]) == [38.5, 36.9, 38.125]
    assert numbers(["1,020", "1,030"]) == [1020, 1030]


@pytest.mark.parametrize(("text", "years"), [("055Y", 55.0), ("006M", 0.5), ("026W", 0.5), ("55", 55.0)])
def test_dicom_ages_are_years(text: str, years: float) -> None:
    assert number(text, "PatientAge") == years
    assert number("55 years", "age", "years") == 55.0


def test_ages_are_known_by_name() -> None:
    assert is_age("age") and is_age("Patient Age") and is_age("age_at_scan")
    assert not is_age("stage") and not is_age("image") and not is_age("dosage")


def test_spellings_of_one_answer() -> None:
    assert alike("M") == alike(" male ") == alike("MALE")
    assert alike("1.0") == alike("1") == alike("yes")
    assert alike("M") != alike("F")
    assert alike("upper  Extremity") == alike("upper extremity")


def test_words_that_state_nothing() -> None:
    assert not any(stated(v) for v in ("", "?", " NA ", "unknown", "-"))
    assert stated("none") and stated("0")
