"""Every string of the page in every language, and how numbers, rates and dates are said."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.serving.web.language import CODES, Language, choose, language
from places import ROOT

SERVING = ROOT / "src" / "medloupe" / "serving"
EN, FR = language("en"), language("fr")


def forms(words: Language, key: str) -> list[str]:
    text = words.words[key]
    return [text] if isinstance(text, str) else list(text.values())


def places(texts: list[str]) -> set[str]:
    return {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}


STUDIO = SERVING.parent / "studio"
REVIEW = SERVING.parent / "review"
WATCH = SERVING.parent / "watch"
PAGES = "\n".join(
    p.read_text("utf-8")
    for folder in (SERVING, STUDIO, REVIEW, WATCH)
    for kind in ("*.html", "*.py")
    for p in folder.rglob(kind)
)


def test_all_languages_have_the_same_strings_with_the_same_places() -> None:
    for code in CODES:
        other = language(code)
        assert set(other.words) == set(EN.words)
        for key in EN.words:
            assert places(forms(other, key)) == places(forms(EN, key)), key
            assert all(text.strip() for text in forms(other, key)), key


def test_what_pages_ask_for_is_there() -> None:
    asked = set(re.findall(r"""\bt\(\s*["']([a-z]+\.[^"'{]*[a-z0-9])["'][,)]""", PAGES))
    assert len(asked) > 100
    assert asked - set(EN.words) == set()


def test_no_string_is_left_over() -> None:
    begun = {key for key in re.findall(r"""["']([a-z]+\.(?:[a-z]+[._])*)["'{]""", PAGES) if key != "models."}

    def asked(key: str) -> bool:
        section, _, tail = key.partition(".")
        base = re.sub("_(none|few|text)$", "", key)
        literal = any(f"{mark}{name}{mark}" in PAGES for mark in "\"'" for name in (key, base, tail))
        return literal or any(key.startswith(head) for head in begun) or section == "format"

    assert [key for key in EN.words if not asked(key)] == ["models.official test", "models.cross-validation"]


def test_french_is_french() -> None:
    same = {key for key in EN.words if EN.words[key] == FR.words[key]}
    assert len(same) < 25, same
    for key in FR.words:
        for text in forms(FR, key):
            assert not re.search(r"[\w»] ?(?<![\u202f\u00a0])[;!?]|(?<=\w) [:%]", text), (key, text)


def test_numbers_as_each_language_writes_them() -> None:
    assert EN.number(2300) == "2,300"
    assert FR.number(2300) == "2\u202f300"
    assert (EN.number(0.934, 3), FR.number(0.934, 3)) == ("0.934", "0,934")
    assert (EN.percent(0.87), FR.percent(0.87)) == ("87%", "87\u00a0%")
    assert EN.t("checkup.basis", n=1) == "Judged with one picture"
    assert EN.t("checkup.basis", n=2300) == "Judged with 2,300 pictures"
    assert FR.t("checkup.basis", n=2) == "Évalué avec 2 images"


@given(st.floats(0, 1))
def test_what_is_not_certain_is_not_shown_as_certain(p: float) -> None:
    shown = EN.percent(p)
    assert (shown == "100%") == (p == 1)
    assert (shown == "0%") == (p == 0)
    assert (EN.hundred(p) == "100") == (p == 1)


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.125, "1 in 8 healthy people is flagged"),
        (0.4, "4 in 10 healthy people are flagged"),
        (0.01, "1 in 100 healthy people is flagged"),
        (0.003, "fewer than 1 in 100 healthy people is flagged"),
        (0.0, "no healthy person was flagged"),
    ],
)
def test_rates_as_people_say_them(rate: float, said: str) -> None:
    assert EN.one_in("point.healthy", rate, found="95") == f"Finds 95 of 100 cases; {said}."


def test_dates_and_lists() -> None:
    assert EN.date("2026-11-21T04:05:00+00:00") == "21 November 2026, 04:05 UTC"
    assert FR.date("2026-08-01T04:05:00") == "1 août 2026, 04:05 UTC"
    assert EN.date("yesterday") == "yesterday"
    assert EN.join(["a", "b", "c"]) == "a, b and c"
    assert FR.join(["a", "b"]) == "a et b"
    assert EN.join([]) == ""


@pytest.mark.parametrize(
    ("asked", "remembered", "accepted", "code"),
    [
        (None, None, None, "en"),
        ("fr", "en", "en", "fr"),
        ("xx", "fr", "en", "fr"),
        (None, "xx", "fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        (None, None, "de, en;q=0.3, fr;q=0.7", "fr"),
        (None, None, "fr;q=0, en;q=0.1", "en"),
        (None, None, "fr;q=x", "en"),
    ],
)
def test_the_language_is_the_one_asked_for(
    asked: str | None, remembered: str | None, accepted: str | None, code: str
) -> None:
    assert choose(asked, remembered, accepted).code == code


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=200))
def test_no_header_breaks_the_choice(asked: str, remembered: str, accepted: str) -> None:
    assert choose(asked, remembered, accepted).code in CODES
