"""Find out which column of a table is what: by the names that lists use, or as a person tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from medloupe.errors import ColumnError, DataError, QuestionError
from medloupe.facilities.names import plain

_NAMES: Mapping[str, tuple[str, ...]] = {
    "lat": ("lat", "latitude", "lat dd", "latitude dd", "gps lat", "gps latitude", "decimal latitude", "coord y", "y"),
    "lon": (
        *("lon", "lng", "long", "longitude", "lon dd", "long dd", "longitude dd", "gps lon", "gps long"),
        *("gps longitude", "decimal longitude", "coord x", "x"),
    ),
    "name": (
        *("name", "facility name", "facility_name", "facility n", "facilityname", "fac name", "hospital name"),
        *("health facility", "official name", "name en", "name fr", "nom", "nom etablissement", "nome", "nombre"),
    ),
    "kind": (
        *("healthcare", "amenity", "facility type", "facility_type", "facility t", "fac type", "type", "kind"),
        *("category", "type std", "health amenity type", "categorie", "tipo", "building"),
    ),
    "id": ("osm id", "osm_id", "facility id", "facility_id", "full id", "uuid", "id", "code"),
    "phone": (
        *("phone", "contact phone", "contact number", "contact_number", "telephone", "phone number", "tel", "mobile"),
    ),
    "opening": ("opening hours", "opening_hours", "opening", "hours", "horaires"),
    "emergency": ("emergency",),
    "beds": ("beds", "capacity beds", "number of beds", "lits"),
    "specialities": ("healthcare speciality", "speciality", "specialities", "specialty", "specialties", "services"),
    "town": (
        *("addr city", "addr_city", "city", "town", "village", "commune", "municipality", "lga", "district", "admin2"),
        *("admin1", "province", "county", "state", "region"),
    ),
    "country": ("iso3", "iso2", "iso", "country code", "country_code", "addr country", "country", "pays"),
    "source": ("source",),
    "status": ("operational status", "operational_status", "disused"),
    "changed": ("changeset timestamp", "changeset_timestamp", "timestamp", "osm timestamp", "last update"),
}
ROLES = tuple(_NAMES)
"""What a column can be."""
_SEVERAL = {"kind": 4, "town": 2, "country": 2}  # of which more than one column is read
_SHOWN = 30


def find_columns(header: Sequence[str], told: Mapping[str, str], *, placed: bool) -> dict[str, tuple[int, ...]]:
    """Say which columns are what, the most telling first.

    Parameters
    ----------
    header
        The columns.
    told
        What a person says: role → column.
    placed
        Whether "lat" and "lon" are the format's own, and no guess.

    Raises
    ------
    ColumnError
        A column that is told is not there.
    QuestionError
        There are none for latitude or longitude.
    DataError
        A role is told that there is not.
    """
    keys = [plain(name) for name in header]
    found: dict[str, tuple[int, ...]] = {}
    for role, names in _NAMES.items():
        order = [keys.index(name) for name in dict.fromkeys(map(plain, names)) if name in keys]
        found[role] = tuple(order[: _SEVERAL.get(role, 1)])
    for role, column in told.items():
        if role not in _NAMES:
            raise DataError(
                f"There is no role {role!r} of a column; there are: {', '.join(ROLES)}.", "Write lat=COLUMN."
            )
        if column not in header:
            raise ColumnError(column, header[:_SHOWN], "The file")
        if placed and role in ("lat", "lon"):
            raise DataError("In this format the coordinates have their place and order.", f"Leave out {role}=…")
        found[role] = (header.index(column),)
    for role, word in (("lat", "latitude"), ("lon", "longitude")):
        if not found[role]:
            raise QuestionError(
                f"No column is called as a {word} is; there are: {', '.join(header[:_SHOWN])}.",
                [f"--columns {role}=COLUMN"],
            )
    if found["lat"] == found["lon"]:
        raise DataError("Latitude and longitude are told to be one column.", "Tell two: --columns lat=…,lon=…")
    return found


def describe_columns(header: Sequence[str], found: Mapping[str, Sequence[int]], told: Mapping[str, str]) -> str:
    """Say which columns were taken for what, and which of that was a guess."""
    guessed = [
        f"{role} from {' and '.join(header[i] for i in found[role])}"
        for role in ROLES
        if found[role] and role not in told and role not in ("source", "changed")
    ]
    said = [f"{role} from {column} (told)" for role, column in told.items()]
    return f"Columns, by their names: {', '.join([*guessed, *said])}."
