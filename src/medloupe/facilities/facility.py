"""Define a health facility, and the list that it comes from."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

KINDS = (
    "hospital",
    "health_centre",
    "clinic",
    "health_post",
    "dispensary",
    "doctors",
    "laboratory",
    "pharmacy",
    "other",
)
"""What a facility can be, the one with the most beds first."""
SEES_PATIENTS = ("hospital", "health_centre", "clinic", "health_post", "dispensary", "doctors", "other")
"""The kinds that are looked for unless another one is asked for."""
TEXTS = {
    "id": 80,
    "name": 160,
    "called": 80,
    "phone": 60,
    "opening": 120,
    "emergency": 3,
    "beds": 6,
    "specialities": 200,
    "town": 120,
    "country": 60,
}
"""The texts of a facility, with how many characters are kept of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """One place.

    Attributes
    ----------
    id : str
        Within its list.
    name : str
        As the list has it; "" where it has none.
    lat, lon : float
        Degrees, WGS 84.
    kind : str
        One of KINDS.
    called : str
        The type in the list's own words.
    phone, opening, specialities, town, country : str
        As the list has them, "" where it does not.
    emergency : str
        "yes", "no" or "".
    beds : str
        A whole number, or "".
    """

    id: str
    name: str
    lat: float
    lon: float
    kind: str
    called: str = ""
    phone: str = ""
    opening: str = ""
    emergency: str = ""
    beds: str = ""
    specialities: str = ""
    town: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListInfo:
    """Where facilities come from, which goes wherever they go.

    Attributes
    ----------
    id : str
        Short name, of small letters, digits and hyphens.
    source : str
        Who made the list.
    licence : str
        Its licence, or "" where none is stated.
    attribution : str
        The line that must stand beside what is shown of it.
    url : str
        Of the licence or the source; "" where none is known.
    date : str
        Of what day, month or year it is (ISO 8601), "" where that is not known.
    imported, by : str
        When (ISO 8601, UTC) and by whom it was imported.
    count : int
        How many facilities it has.
    """

    id: str
    source: str
    licence: str
    attribution: str
    url: str = ""
    date: str = ""
    imported: str = ""
    by: str = ""
    count: int = 0


def clean_text(value: object, length: int) -> str:
    """Make one printable line of what a stranger's file has; longer texts are cut, with "…".

    Signs that are not seen, and those that turn the direction of writing, are left out, so that no text can look like
    another one.
    """
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return ""
    text = str(value)[: 8 * length].encode("utf-8", "replace").decode()
    kept = "".join(c if unicodedata.category(c) not in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp") else " " for c in text)
    line = " ".join(kept.split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
