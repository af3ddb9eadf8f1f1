"""Refuse weak passwords, hash good ones and verify them.

Kept as Argon2id hashes. Sources: OWASP Password Storage Cheat Sheet (parameters); NIST SP 800-63B, 5.1.1 (what to
refuse, leaked passwords among it, and that composed and decomposed letters are the same).
"""

from __future__ import annotations

import secrets
import threading
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from medloupe.errors import MedloupeError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MIN_PASSWORD = 10
MAX_PASSWORD = 1000
_checking = threading.Semaphore(2)  # together in this process: each takes 19 MiB and a core for a moment
_GUESSES = 1e8
"""Guesses that a password must outlast: what online guessing, slowed down, cannot reach (zxcvbn's score 3)."""
_JUDGED = 32  # characters up to which one is judged: leaks hold hardly any that are longer, and the time grows fast
_judging = threading.Lock()


def password_fault(name: str, password: str) -> str:
    """Tell what is wrong with a person's password, as the end of a sentence; "" where nothing is."""
    person, plain = name.strip().lower(), password.strip().lower()
    if len(password) < MIN_PASSWORD:
        return f"has {len(password)} characters; expected at least {MIN_PASSWORD}"
    if len(password) > MAX_PASSWORD:
        return f"is longer than {MAX_PASSWORD:,} characters"
    if _bytes(password) is None:
        return "holds characters that are not text"
    if person and person in plain and len(plain.replace(person, "")) < 6:
        return "is little more than the name"
    core = plain.strip("0123456789!.?#*- ")
    if not core or len(set(plain)) < 4 or (len(plain) <= _JUDGED and _guesses(person, plain) < _GUESSES):
        return "is one of those that everybody tries first, or nearly"
    return ""


def _guesses(person: str, password: str) -> float:
    """Estimate in how many guesses a password falls to who knows the leaked ones, words, names and keyboards.

    Source: Wheeler, "zxcvbn: Low-Budget Password Strength Estimation" (USENIX Security 2016). Its lists hold 30,000
    passwords of leaks, and take 14 MB of memory from the first password on that is judged.
    """
    from zxcvbn import zxcvbn

    known = [person, "medloupe", "clinic", "clinique", "hospital", "hopital", "krankenhaus", "motdepasse", "passwort"]
    with _judging:  # the package keeps what it is told about a person in a global place
        return float(zxcvbn(password, user_inputs=[name for name in known if name])["guesses"])


def hash_new_password(name: str, password: str) -> str:
    """Check and hash a person's new password.

    Raises
    ------
    MedloupeError
        It is too weak.
    """
    fault = password_fault(name, password)
    if fault:
        raise MedloupeError(f"The password {fault}.", "Several words that do not belong together are easy to keep.")
    return hash_password(password)


def hash_password(password: str) -> str:
    """Hash a password that was right so far, without judging it again."""
    with _checking:
        return _hasher().hash(_bytes(password) or b"")


def verify_password(kept: str, password: str) -> bool:
    """Tell whether a password is the one of this hash."""
    from argon2.exceptions import Argon2Error, InvalidHash

    data = _bytes(password) if len(password) <= MAX_PASSWORD else None
    if data is None:
        return False
    with _checking:
        try:
            return _hasher().verify(kept, data)
        except (Argon2Error, InvalidHash):
            return False


def needs_rehash(kept: str) -> bool:
    """Tell whether a hash was made with other parameters than today's."""
    return _hasher().check_needs_rehash(kept)


@cache
def decoy_hash() -> str:
    """Return a hash that no password has, so that names which do not exist take as long as others."""
    return _hasher().hash(secrets.token_hex(16))


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def _bytes(password: str) -> bytes | None:
    """Encode a password, an é the same as one character or as two; None for halves of characters."""
    try:
        return unicodedata.normalize("NFKC", password).encode()
    except UnicodeEncodeError:
        return None
