"""Compare names of facilities: without accents, without the words that many share."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache

_SHARED = """
hospital hospitals hopital hospitalier hospitalar hospitalaire centre center centro clinic clinique clinica polyclinic
polyclinique health sante saude salud medical medicale medico care post poste posto facility service services dispensary
dispensaire maternity maternite and et e y of the de du des d da do dos das la le les el l a cds csps chu chr chd hgr hd
cs hosp h primary phc unit
"""
_ADMINISTRATIVE = """
national federal central state provincial regional district county municipal subdistrict subcounty rural referral
reference general prefectoral zonal zone government govt
"""
_SPECIAL = """
teaching university universitaire mission missionary private prive military militaire army police psychiatric
psychiatrique mental eye ophthalmic maternal children childrens pediatric pediatrique women tb leprosy cancer
orthopaedic dental
"""
_GENERIC = frozenset(_SHARED.split())
_LEVELS, _KINDS = frozenset(_ADMINISTRATIVE.split()), frozenset(_SPECIAL.split())
_SAINT = {"st": "saint", "ste": "saint", "sainte": "saint", "santa": "saint", "santo": "saint", "sao": "saint"}
_CLOSE = 0.82  # of two words, from which on they may be spellings of one


@lru_cache(maxsize=1 << 16)
def plain(text: str) -> str:
    """Write a text in small letters, without accents and signs."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in folded if not unicodedata.combining(c)).replace("'s ", "s ")
    return " ".join(re.findall(r"\w+", kept))


@lru_cache(maxsize=1 << 16)
def parts_of(name: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Split a name into its own words, those of its level (district), and those of what it is for (mission, eye)."""
    joined = plain(name).replace("sub district", "subdistrict").replace("sub county", "subcounty")
    words = frozenset(_SAINT.get(word, word) for word in joined.split())
    return words - _LEVELS - _KINDS - _GENERIC, words & _LEVELS, words & _KINDS


def likeness(a: str, b: str, *, one_site: bool = False) -> float:
    """Say how alike two names are, 0 to 1: the share of their own words that both have, spellings allowed for.

    0 where one has no word of its own, or both say which of several they are and say it differently. one_site: whether
    they lie so near that another level may be a former name; what they are for must be the same then.
    """
    (one, levels, use), (other, their_levels, their_use) = parts_of(a), parts_of(b)
    marks, their_marks = levels | use, their_levels | their_use
    differ = bool(marks and their_marks and not marks & their_marks)
    if not one or not other or (differ and not (one_site and use == their_use)):
        return 0.0
    if one == other:
        return 1.0
    short, long = sorted((one, other), key=len)
    left, common = set(long), 0.0
    for word in sorted(short):
        best = max(left, key=lambda w: _close(word, w), default="")
        if best and (close := _close(word, best)) >= _CLOSE:
            left.discard(best)
            common += close
    return common / (len(short) + len(long) - common)


def _close(a: str, b: str) -> float:
    if a == b:
        return 1.0
    if min(len(a), len(b)) < 4:  # of short words a letter is much
        return 0.0
    return SequenceMatcher(None, a, b, autojunk=False).ratio()
