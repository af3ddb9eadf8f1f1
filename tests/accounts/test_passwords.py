"""Which passwords are refused, and how the others are kept."""

from __future__ import annotations

import unicodedata

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.accounts.passwords import decoy, hashed, matches, outdated, password_fault
from medloupe.errors import MedloupeError

GOOD = "kettle orbit plaid"


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("short", "has 5 characters; expected at least 10"),
        ("x" * 1001, "longer than 1,000"),
        ("password123!", "everybody tries first"),
        ("Motdepasse1", "everybody tries first"),
        ("31415926535897", "everybody tries first"),
        ("abababababab", "everybody tries first"),
        ("   medloupe   ", "everybody tries first"),
        ("Wilhelmina 7", "little more than the name"),
        ("half a \ud800 character", "not text"),
    ],
)
def test_weak_ones_are_refused(password: str, fault: str) -> None:
    assert fault in password_fault("wilhelmina", password)
    with pytest.raises(MedloupeError, match=r"The password .*[Ss]everal words"):
        hashed("wilhelmina", password)


def test_others_are_taken() -> None:
    for password in (GOOD, "wilhelmina likes kettles", "пароль длинный", "x9!y" * 250):
        assert password_fault("wilhelmina", password) == ""


def test_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    one, two = hashed("ada", GOOD), hashed("ada", GOOD)
    assert one != two and one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in one and matches(one, GOOD) and matches(two, GOOD)
    assert not matches(one, GOOD + " ") and not matches(one, GOOD.upper()) and not matches(one, "")
    assert not outdated(one) and not matches(decoy(), GOOD)


def test_letters_composed_by_one_keyboard_and_not_by_another() -> None:
    typed = "thé à l’été 42"
    kept = hashed("ada", unicodedata.normalize("NFD", typed))
    assert matches(kept, unicodedata.normalize("NFC", typed))


def test_hashes_of_other_days_and_damaged_ones() -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(GOOD)
    assert matches(old, GOOD) and outdated(old)
    assert not matches("", GOOD) and not matches("$argon2id$v=19$m=1", GOOD) and not matches(old[:-3], GOOD)


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=30))
def test_any_text_can_be_tried(password: str) -> None:
    assert not matches(decoy(), password)
    assert isinstance(password_fault("ada", password), str)
