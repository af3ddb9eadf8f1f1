"""What cells of clinical tables say."""

from __future__ import annotations

import pytest

from medloupe.data.values import is_age_column, is_stated, normalise_answer, parse_number, parse_numbers


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
        ("1.234.567", 1234567.0),
        ("1,23,456", 123456.0),
        ("1'234.5", 1234.5),
        ("-1,234", -1234.0),
        ("−5", -5.0),
        ("٢٥٠", 250.0),
        ("250.000", 250.0),
        (",5", 0.5),
        ("37.5 125", None),
        ("98.6 120", None),
        ("1,234 567", None),
        ("1.5,3", None),
        ("1.23,4", None),
        ("1,2,3", None),
        ("12,5.3", None),
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
    assert parse_number(text) == value


def test_three_digits_behind_a_comma_are_thousands_unless_far_beyond_the_column() -> None:
    assert parse_number("1,234") == 1234
    assert parse_number("1,234", usual=936) == 1234
    assert parse_number("38,125", usual=41) == 38.125
    assert parse_number("-1,234", usual=3) == -1.234


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["150000", "95000", "250,000"], [150000, 95000, 250000]),
        (["38,5", "36,9", "38,125", "high"], [38.5, 36.9, 38.125]),
        (["1,020", "1,030"], [1020, 1030]),
        (["0", "250,000", "310,000"], [0, 250000, 310000]),
        (["-1", "250,000"], [-1, 250000]),
        (["0.5", "12.3", "900", "1,234"], [0.5, 12.3, 900, 1234]),
        ([*["38,5"] * 40, "38,125", "400000"], [*[38.5] * 40, 38.125, 400000]),
        ([], []),
    ],
)
def test_a_column_tells_what_its_commas_are(texts: list[str], values: list[float]) -> None:
    assert parse_numbers(texts) == values


@pytest.mark.parametrize(("text", "years"), [("055Y", 55.0), ("006M", 0.5), ("026W", 0.5), ("55", 55.0)])
def test_dicom_ages_are_years(text: str, years: float) -> None:
    assert parse_number(text, "PatientAge") == years
    assert parse_number("55 years", "age", "years") == 55.0


def test_ages_are_known_by_name() -> None:
    assert is_age_column("age") and is_age_column("Patient Age") and is_age_column("age_at_scan")
    assert not is_age_column("stage") and not is_age_column("image") and not is_age_column("dosage")


def test_spellings_of_one_answer() -> None:
    assert normalise_answer("M") == normalise_answer(" male ") == normalise_answer("MALE")
    assert normalise_answer("1.0") == normalise_answer("1") == normalise_answer("yes")
    assert normalise_answer("M") != normalise_answer("F")
    assert normalise_answer("upper  Extremity") == normalise_answer("upper extremity")


def test_words_that_state_nothing() -> None:
    assert not any(is_stated(v) for v in ("", "?", " NA ", "unknown", "-"))
    assert is_stated("none") and is_stated("0")
