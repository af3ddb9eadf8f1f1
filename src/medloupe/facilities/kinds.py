"""Recognise what kind of facility a list means, in English, French, Portuguese and Spanish."""

from __future__ import annotations

import re
from collections.abc import Iterable

from medloupe.facilities.names import plain

_PATTERNS = (  # the first that fits counts
    (
        "health_post",
        re.compile(
            r"health (post|hut)|aid post|postes? de sante|postes? sanitaires?|case de sante|postos? de saude"
            r"|puestos? de salud"
        ),
    ),
    (
        "health_centre",
        re.compile(
            r"health (cent|unit)|centres? de (sante|soins)|centros? de (saude|salud)|\bcds\b|\bcsps\b"
            r"|\bcsi\b|\bcscom\b|\bphcc?\b|primary health"
        ),
    ),
    ("dispensary", re.compile(r"dispensar|dispensaire")),
    ("hospital", re.compile(r"hospital|hopital|hospitalier|infirmary")),
    ("clinic", re.compile(r"clini[cq]|maternit|birthing")),
    # often a hospital: the name alone does not make it smaller
    ("health_centre", re.compile(r"medical cent|centres? medica")),
    ("laboratory", re.compile(r"laborator")),
    ("pharmacy", re.compile(r"pharmac|farmacia|chemist|drug ?s(hop|tore)")),
    ("doctors", re.compile(r"doctor|medecin|medico\b|general pract|surgery\b|cabinet medical")),
)
_NOT_FOR_PATIENTS = re.compile(r"veterina|\bmorgue|mortuary|funeral")
_NAMED_HOSPITAL = re.compile(r"hospital|hopital|hospitalier|medical cent|centres? medica")
_SMALLER = ("health_post", "health_centre", "dispensary")


def recognise_kind(words: Iterable[str], name: str) -> tuple[str, bool]:
    """Recognise the kind of a facility.

    Parameters
    ----------
    words
        Its types in the list's words, the most telling first.
    name
        Its name, which decides where no type does, and where it names something smaller than a hospital.

    Returns
    -------
    (str, bool)
        One of KINDS, or "" of what is for animals or the dead; whether the name overruled the type "hospital".
    """
    told = [plain(text) for text in words]
    if any(_NOT_FOR_PATIENTS.search(text) for text in (*told, plain(name))):
        return "", False
    found = next((kind for text in told if (kind := _match(text))), "")
    by_name = _match(plain(name))
    if found == "hospital" and by_name in _SMALLER and not _NAMED_HOSPITAL.search(plain(name)):
        return by_name, True
    return found or by_name or "other", False


def _match(text: str) -> str:
    return next((kind for kind, pattern in _PATTERNS if text and pattern.search(text)), "")
