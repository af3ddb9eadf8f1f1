"""Say a place nearby as JSON, with addresses that maps understand; and all places as a CSV table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from medloupe.facilities.directory import Directory, Nearby
from medloupe.facilities.facility import Facility, ListInfo
from medloupe.utils.csvcells import escape_cell

DIRECTIONS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
_COLUMNS = ("id", "name", "kind", "type", "lat", "lon", "phone", "opening", "emergency", "beds", "specialities")
_PLACE = ("town", "country", "sources", "licences", "attributions", "dates")


def describe_place(place: Nearby) -> dict[str, Any]:
    """Write a place as JSON.

    Returns
    -------
    dict
        number, name, kind, type, km, bearing (degrees), direction (of DIRECTIONS), lat, lon, phone, opening, emergency,
        beds, specialities, town, country, lists (ids), apart_km (how far the lists put it from each other), geo and
        map (addresses).
    """
    one = place.facility
    return {
        "number": place.number,
        "name": one.name,
        "kind": one.kind,
        "type": one.called,
        "km": round(place.km, 3),
        "bearing": round(place.degrees),
        "direction": compass(place.degrees),
        "lat": one.lat,
        "lon": one.lon,
        "phone": one.phone,
        "opening": one.opening,
        "emergency": one.emergency,
        "beds": one.beds,
        "specialities": one.specialities,
        "town": one.town,
        "country": one.country,
        "lists": [info.id for info in place.lists],
        "apart_km": round(place.apart_km, 3),
        "geo": geo_address(one),
        "map": map_address(one),
    }


def describe_list(info: ListInfo) -> dict[str, Any]:
    """Write a list as JSON, without who imported it."""
    return {key: value for key, value in asdict(info).items() if key != "by"}


def compass(degrees: float) -> str:
    """Name a bearing by the nearest of DIRECTIONS."""
    return DIRECTIONS[round(degrees / 45) % 8]


def geo_address(place: Facility) -> str:
    """Make the address that opens a map application (source: RFC 5870; `q` as Android reads it)."""
    at = f"{place.lat:.6f},{place.lon:.6f}"
    return f"geo:{at}?q={at}({quote(place.name, safe='')})" if place.name else f"geo:{at}?q={at}"


def map_address(place: Facility) -> str:
    """Make the address of the place on OpenStreetMap's own page."""
    lat, lon = f"{place.lat:.6f}", f"{place.lon:.6f}"
    return f"https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=16/{lat}/{lon}"


def write_csv(directory: Directory) -> Iterator[str]:
    """Write all places as lines of CSV; no cell is taken for a formula, and each line has licence and attribution."""
    yield ",".join((*_COLUMNS, *_PLACE)) + "\r\n"
    for place in directory.all():
        one = place.facility
        said = {**asdict(one), "type": one.called}
        said["sources"] = "; ".join(info.source for info in place.lists)
        said["licences"] = "; ".join(info.licence or "not stated" for info in place.lists)
        said["attributions"] = "; ".join(info.attribution for info in place.lists)
        said["dates"] = "; ".join(info.date or "not known" for info in place.lists)
        cells = (
            str(said[key]) if key in ("lat", "lon") else escape_cell(str(said[key])) for key in (*_COLUMNS, *_PLACE)
        )
        yield ",".join(cells) + "\r\n"
