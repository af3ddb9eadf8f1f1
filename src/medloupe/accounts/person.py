"""Define a person: name and role, and which names and roles there may be."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from medloupe.errors import MedloupeError, did_you_mean

if TYPE_CHECKING:
    from medloupe.store.tables import UserRow

Role = Literal["viewer", "clinician", "reviewer", "trainer", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "clinician", "reviewer", "trainer", "admin")
"""From the least to the most: looks at check-ups; asks about pictures; reviews answers of others; trains models;
promotes them, changes people."""

_NAME = re.compile(r"[^\s/@:\\](?:[^/@:\\]{0,62}[^\s/@:\\])?")


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks.

    Attributes
    ----------
    id : int, optional
        Of the account; None for the person at a computer without accounts.
    """

    id: int | None
    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Tell whether the person has that role or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL = Person(None, "local", "admin")
"""The person at this computer, while there are no accounts and nobody else can reach the server."""


def normalise_name(name: str) -> str:
    """Return a name as it is kept: composed letters (NFC), no space around it."""
    return unicodedata.normalize("NFC", name).strip()


def is_valid_name(name: str) -> bool:
    """Tell whether an account may have a name; what does not print could look like another name."""
    return _NAME.fullmatch(name) is not None and name.isprintable()


def person_of(row: UserRow) -> Person:
    """Make the person whose account a row is."""
    return Person(row.id, row.name, parse_role(row.role))


def article(noun: str) -> str:
    """Return the English article of a noun: "a" or "an"."""
    return "an" if noun[:1].lower() in set("aeiou") else "a"


def parse_role(text: str) -> Role:
    """Read the name of a role.

    Raises
    ------
    MedloupeError
        There is no such role.
    """
    for role in ROLES:
        if role == text:
            return role
    raise MedloupeError(f"There is no role {text[:40]!r}; there are {', '.join(ROLES)}.", did_you_mean(text, ROLES))
