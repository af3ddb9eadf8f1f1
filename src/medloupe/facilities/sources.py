"""Know the well-known sources of lists, with what their licences ask for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medloupe.facilities.names import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSource:
    """A well-known source. pattern: by which its name is recognised; the others as ListInfo has them."""

    id: str
    pattern: re.Pattern[str]
    source: str
    licence: str
    attribution: str
    url: str


_ODBL = "Open Database License 1.0 (ODbL)"
_COPYRIGHT = "https://www.openstreetmap.org/copyright"
KNOWN = (
    KnownSource(
        id="healthsites",
        pattern=re.compile(r"health ?sites"),
        source="healthsites.io, from OpenStreetMap",
        licence=_ODBL,
        attribution="© OpenStreetMap contributors, by healthsites.io, under the Open Database License 1.0 (ODbL)",
        url=_COPYRIGHT,
    ),
    KnownSource(
        id="openstreetmap",
        pattern=re.compile(r"open ?street ?map|^osm$|overpass"),
        source="OpenStreetMap",
        licence=_ODBL,
        attribution="© OpenStreetMap contributors, under the Open Database License 1.0 (ODbL)",
        url=_COPYRIGHT,
    ),
    KnownSource(
        id="who-kwtrp",
        pattern=re.compile(r"kemri|kwtrp|who cds gmp|maina et al"),
        source="WHO/KEMRI-Wellcome master list of public facilities (Maina et al. 2019)",
        licence="",
        attribution="Maina et al., Scientific Data 6:134, 2019, with WHO and KEMRI-Wellcome",
        url="https://doi.org/10.1038/s41597-019-0142-2",
    ),
)


def recognise_source(text: str) -> KnownSource | None:
    """Recognise a well-known source by what a file, a column or a person calls it."""
    words = plain(text)
    return next((known for known in KNOWN if known.pattern.search(words)), None)


def make_id(text: str) -> str:
    """Make the short name of a list: up to 40 small letters, digits and hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", plain(text)))[:40].strip("-") or "list"
