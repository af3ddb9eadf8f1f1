"""Check that numbers are latitudes and longitudes in degrees, the right way round."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from medloupe.errors import DataError
from medloupe.facilities.countries import find_box, find_country, on_both_sides
from medloupe.facilities.geodesy import haversine

_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?")
_DEGREES = re.compile(r"\d\s*[°º˚]|\d\s*['′].*[NSEWO]\b|^\s*[NSEW]\s*\d|\d\s*[NSEWO]\s*$", re.IGNORECASE)
_MOST_WRONG = 0.05  # share of rows without usable coordinates, above which the columns are not believed
_FAR_KM = 1500.0  # of a country's places from its middle, on the whole: Russia's are that far
_LEAST_COUNTRY = 3  # rows of a country that are enough to look at it
_LEAST_SIGNS = 20
_KNOWN_KM = 25.0
_RADIANS = (math.pi / 2, math.pi)  # no land with people lies within so few degrees of 0, 0
_SWAP = "Tell the columns the other way round: --columns lat={lon},lon={lat}"
_ORDER = "GeoJSON has the longitude first (RFC 7946): correct the file."
_WAYS: tuple[tuple[str, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]], ...] = (
    ("latitude and longitude are swapped", lambda lat, lon: (lon, lat)),
    ("latitudes have lost their sign", lambda lat, lon: (-lat, lon)),
    ("longitudes have lost their sign", lambda lat, lon: (lat, -lon)),
    ("both have lost their signs", lambda lat, lon: (-lat, -lon)),
)


def parse_degrees(texts: Sequence[str], column: str) -> np.ndarray:
    """Read a column of numbers, float64 (N,), NaN where a cell holds none. Decimal commas are read too.

    Raises
    ------
    DataError
        Cells hold degrees and minutes.
    """
    values = np.full(len(texts), np.nan)
    sexagesimal, example = 0, ""
    for i, text in enumerate(texts):
        cell = text.strip()
        if _NUMBER.fullmatch(cell):
            values[i] = float(cell.replace(",", "."))
        elif _DEGREES.search(cell):
            sexagesimal += 1
            example = cell[:30]
    if sexagesimal > _MOST_WRONG * len(texts):
        raise DataError(
            f"{column} has degrees and minutes, such as {example!r}; decimal degrees were expected.",
            "Convert them to decimal degrees (WGS 84) before importing.",
        )
    return np.where(np.isfinite(values), values, np.nan)


def check_coordinates(
    lat: np.ndarray,
    lon: np.ndarray,
    countries: Sequence[str],
    *,
    columns: tuple[str, str],
    placed: bool = False,
    known: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Say which rows have usable coordinates, and refuse a table whose columns hold something else.

    Parameters
    ----------
    lat, lon : ndarray
        float64 (N,), NaN where a row has none.
    countries : sequence of str
        Code or name of each row's country; "" where it is not told.
    columns : (str, str)
        What the two are called, for the message.
    placed : bool
        Whether the format says where they stand, so that no columns can be told.
    known : (ndarray, ndarray), optional
        Latitudes and longitudes of facilities imported before, from other files.

    Returns
    -------
    ndarray
        bool (N,).

    Raises
    ------
    DataError
        They are in other units, swapped, or mirrored.
    """
    there = np.isfinite(lat) & np.isfinite(lon)
    if not there.any():
        raise DataError(
            f"No row has numbers in {columns[0]} and {columns[1]}.", "Tell the columns: --columns lat=…,lon=…"
        )
    swap = _ORDER if placed else _SWAP.format(lat=columns[0], lon=columns[1])
    _check_units(lat[there], lon[there], columns, swap)
    inside = there & (np.abs(lat) <= 90) & (np.abs(lon) <= 180) & ~((lat == 0) & (lon == 0))
    if (there & ~inside).sum() > _MOST_WRONG * len(lat):
        n = int((there & ~inside).sum())
        raise DataError(
            f"{n:,} of {len(lat):,} places lie nowhere on Earth, or at 0, 0, by {columns[0]} and {columns[1]}.",
            "Tell which columns are latitude and longitude in degrees: --columns lat=…,lon=…",
        )
    _check_countries(lat, lon, countries, inside, swap)
    if known is not None and inside.any():
        _check_known(lat[inside], lon[inside], known, swap)
    return inside


def note_signs(lat: np.ndarray, lon: np.ndarray, countries: Sequence[str], usable: np.ndarray) -> list[str]:
    """Say of countries on both sides of the equator or of Greenwich that all their places lie on one side.

    It may be true of a part of the country, so that it is no error.
    """
    rows: dict[str, list[int]] = {}
    for i in np.flatnonzero(usable).tolist():
        if countries[i]:
            rows.setdefault(countries[i], []).append(i)
    notes = []
    for name, own in rows.items():
        for axis, values in zip(("latitude", "longitude"), (lat, lon), strict=True):
            if len(own) >= _LEAST_SIGNS and on_both_sides(name, axis) and (values[own] > 0).all():
                notes.append(f"No {axis} of {name} is negative: look whether the file has lost signs.")
    return notes


def _check_units(lat: np.ndarray, lon: np.ndarray, columns: tuple[str, str], swap: str) -> None:
    over = np.abs(lat) > 90
    large = max(np.abs(lat).max(), np.abs(lon).max())
    if (np.abs(lat) > 180).mean() > _MOST_WRONG or (np.abs(lon) > 180).mean() > _MOST_WRONG:
        raise DataError(
            f"{columns[0]} and {columns[1]} reach {large:,.0f}: no degrees, but metres of a map projection, or degrees"
            " times a million.",
            "Convert them to decimal degrees (WGS 84, EPSG:4326) before importing.",
        )
    if over.mean() > _MOST_WRONG and (np.abs(lon) <= 90).mean() > 1 - _MOST_WRONG:
        raise DataError(
            f"{int(over.sum()):,} of {len(lat):,} values of {columns[0]} lie beyond 90, and none of {columns[1]} does:"
            " latitude and longitude are swapped.",
            swap,
        )
    if len(lat) >= 5 and (np.abs(lat) <= _RADIANS[0]).all() and (np.abs(lon) <= _RADIANS[1]).all():
        raise DataError(
            f"All of {columns[0]} and {columns[1]} lie in the sea around 0, 0: they look like radians, not degrees.",
            "Convert them to decimal degrees (WGS 84) before importing.",
        )


def _check_countries(lat: np.ndarray, lon: np.ndarray, countries: Sequence[str], inside: np.ndarray, swap: str) -> None:
    """Compare each country's places with where it lies; the other ways round must be nearer by far to count."""
    rows: dict[str, list[int]] = {}
    for i in np.flatnonzero(inside).tolist():
        if countries[i]:
            rows.setdefault(countries[i], []).append(i)
    middles = {name: find_country(name) for name, own in rows.items() if len(own) >= _LEAST_COUNTRY}
    wrong = dict.fromkeys((way for way, _ in _WAYS), 0)
    judged = 0
    for name, middle in middles.items():
        if middle is None:
            continue
        own = rows[name]
        as_is = float(np.median(haversine(*middle, lat[own], lon[own])))
        judged += len(own)
        if as_is <= _FAR_KM / 2:
            if better := _better_inside(find_box(name), lat[own], lon[own]):
                wrong[better] += len(own)
            continue
        others = {way: float(np.median(haversine(*middle, *turned(lat[own], lon[own])))) for way, turned in _WAYS}
        best = min(others, key=lambda way: others[way])
        if others[best] < as_is / 2 or as_is > 2 * _FAR_KM:
            wrong[best] += len(own)
    way = max(wrong, key=lambda key: wrong[key])
    if judged and sum(wrong.values()) > judged / 4:
        raise DataError(
            f"{sum(wrong.values()):,} of {judged:,} places do not lie in the country that their row names; it looks as"
            f" if {way}.",
            swap if way == _WAYS[0][0] else "Correct the columns in the file before importing it.",
        )


def _better_inside(box: tuple[float, float, float, float] | None, lat: np.ndarray, lon: np.ndarray) -> str:
    """Name how to turn places round so that far fewer lie outside of a country's box, where many do; "" for no way."""
    if box is None:
        return ""

    def outside(lat: np.ndarray, lon: np.ndarray) -> float:
        return float(((lat < box[0]) | (lat > box[1]) | (lon < box[2]) | (lon > box[3])).mean())

    as_is = outside(lat, lon)
    if as_is <= _MOST_WRONG:
        return ""
    shares = {way: outside(*turned(lat, lon)) for way, turned in _WAYS}
    best = min(shares, key=lambda way: shares[way])
    return best if shares[best] < as_is / 3 else ""


def _check_known(lat: np.ndarray, lon: np.ndarray, known: tuple[np.ndarray, np.ndarray], swap: str) -> None:
    """Refuse coordinates that lie beside facilities imported before only when they are swapped."""
    chosen = np.linspace(0, len(lat) - 1, min(200, len(lat))).astype(int)
    near = [
        float(np.mean([haversine(float(a[i]), float(b[i]), *known).min() <= _KNOWN_KM for i in chosen]))
        for a, b in ((lat, lon), (lon, lat))
        if np.abs(a).max() <= 90
    ]
    if len(near) == 2 and near[0] < 0.2 and near[1] > 0.6:
        raise DataError(
            f"{near[1]:.0%} of the places lie near facilities imported before when latitude and longitude are swapped,"
            f" and {near[0]:.0%} as they are.",
            f"{swap} If it is the list before that is wrong, remove that first.",
        )
