"""Which passwords are refused, and how the others are kept."""

from __future__ import annotations

import subprocess
import sys
import time
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
        ("P@ssw0rd2024!", "everybody tries first"),
        ("1qaz2wsx3edc", "everybody tries first"),
        ("Sunshine12345", "everybody tries first"),
        ("qwertyuiop[]", "everybody tries first"),
        ("terminator1984", "everybody tries first"),
        ("drowssap12345", "everybody tries first"),
        ("Krankenhaus2026", "everybody tries first"),
        ("wilhelmina.wilhelmina", "little more than the name"),
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


def test_the_list_is_read_when_the_first_password_is_judged() -> None:
    code = (
        "import sys; from medloupe.accounts import passwords; passwords.verify_password('x', 'y')\n"
        "assert not any(m.startswith('zxcvbn') for m in sys.modules)\n"
        "assert passwords.password_fault('ada', 'kettle orbit plaid') == '' and 'zxcvbn' in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_judging_takes_a_moment_for_any_text() -> None:
    for text in ("4@8({[<369601!|$5+7%2" * 50, "ab" * 500, "1234567890" * 100, "z" * 999 + "abc"):
        for length in (12, 32, 40, 1000):
            begun = time.process_time()
            password_fault("ada", text[:length])
            assert time.process_time() - begun < 5
