"""Who asks: a person's name and role. Nothing of HTTP."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from medloupe.errors import MedloupeError, did_you_mean

if TYPE_CHECKING:
    from medloupe.store.tables import UserRow

Role = Literal["viewer", "clinician", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "clinician", "admin")
"""From the least to the most: looks at check-ups; asks about pictures; changes models and people."""

_NAME = re.compile(r"[^\s/@:\\](?:[^/@:\\]{0,62}[^\s/@:\\])?")


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks. id: None for the person at a computer without accounts."""

    id: int | None
    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether the person has that role or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL = Person(None, "local", "admin")
"""The person at this computer, while there are no accounts and nobody else can reach the server."""


def normalise_name(name: str) -> str:
    """A name as it is kept."""
    return unicodedata.normalize("NFC", name).strip()


def is_valid_name(name: str) -> bool:
    """Whether an account may have that name. What does not print could look like another name."""
    return _NAME.fullmatch(name) is not None and name.isprintable()


def person_of(row: UserRow) -> Person:
    """Whose account a row is."""
    return Person(row.id, row.name, parse_role(row.role))


def parse_role(text: str) -> Role:
    """The role of that name. Raises MedloupeError where there is none."""
    for role in ROLES:
        if role == text:
            return role
    raise MedloupeError(f"There is no role {text[:40]!r}; there are {', '.join(ROLES)}.", did_you_mean(text, ROLES))
