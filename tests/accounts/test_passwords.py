"""Which passwords are refused, and how the others are kept."""

from __future__ import annotations

import unicodedata

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from medloupe.accounts.passwords import decoy_hash, hash_new_password, needs_rehash, password_fault, verify_password
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
        hash_new_password("wilhelmina", password)


def test_others_are_taken() -> None:
    for password in (GOOD, "wilhelmina likes kettles", "пароль длинный", "x9!y" * 250):
        assert password_fault("wilhelmina", password) == ""


def test_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    one, two = hash_new_password("ada", GOOD), hash_new_password("ada", GOOD)
    assert one != two and one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert GOOD not in one and verify_password(one, GOOD) and verify_password(two, GOOD)
    assert (
        not verify_password(one, GOOD + " ") and not verify_password(one, GOOD.upper()) and not verify_password(one, "")
    )
    assert not needs_rehash(one) and not verify_password(decoy_hash(), GOOD)


def test_letters_composed_by_one_keyboard_and_not_by_another() -> None:
    typed = "thé à l’été 42"
    kept = hash_new_password("ada", unicodedata.normalize("NFD", typed))
    assert verify_password(kept, unicodedata.normalize("NFC", typed))


def test_hashes_of_other_days_and_damaged_ones() -> None:
    old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(GOOD)
    assert verify_password(old, GOOD) and needs_rehash(old)
    assert (
        not verify_password("", GOOD)
        and not verify_password("$argon2id$v=19$m=1", GOOD)
        and not verify_password(old[:-3], GOOD)
    )


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=30))
def test_any_text_can_be_tried(password: str) -> None:
    assert not verify_password(decoy_hash(), password)
    assert isinstance(password_fault("ada", password), str)
