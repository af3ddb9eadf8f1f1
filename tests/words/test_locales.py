"""Numbers, percentages, dates, lists and plural forms of the languages of the page."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.words.locales import PLURAL_FORMS, format_day, format_number, format_percent, join, parse_utc, plural_form


@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_english_figures_are_rounded_and_written_as_python_does(x: float, digits: int) -> None:
    assert format_number(x, digits) == f"{x:,.{digits}f}"


@given(st.floats(0, 1))
def test_percentages_are_rounded_as_python_does(p: float) -> None:
    assert format_percent(p) == f"{100 * p:.0f}%"
    assert format_percent(p, "fr") == f"{100 * p:.0f}\u00a0%"


@pytest.mark.parametrize("x", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_no_error(x: float) -> None:
    assert format_number(x, 2, "fr") == str(x)


def test_french_groups_by_a_narrow_space_and_has_a_decimal_comma() -> None:
    assert format_number(1234567.5, 1, "fr") == "1\u202f234\u202f567,5"


def test_days_and_lists() -> None:
    day = date(2026, 2, 1)
    assert (format_day(day), format_day(day, "fr")) == ("1 February 2026", "1 février 2026")
    assert [join("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert join("abc", "fr") == "a, b et c"


@pytest.mark.parametrize(
    ("n", "code", "form"),
    [(0, "en", "other"), (1, "en", "one"), (2, "en", "other"), (0, "fr", "one"), (1, "fr", "one"), (2, "fr", "other")],
)
def test_plural_forms(n: int, code: str, form: str) -> None:
    assert plural_form(n, code) == form in PLURAL_FORMS


def test_times_are_read_as_utc() -> None:
    assert str(parse_utc("2026-11-21T04:05:00+02:00")) == "2026-11-21 02:05:00+00:00"
    assert parse_utc("2026-11-21T04:05:00") == parse_utc("2026-11-21T04:05:00Z")
    assert parse_utc("yesterday") is None and parse_utc(None) is None


def test_babel_is_loaded_on_first_use() -> None:
    code = (
        "import sys; import medloupe.words.locales as locales; assert 'babel' not in sys.modules;"
        " locales.plural_form(1); assert 'babel' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
