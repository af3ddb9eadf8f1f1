"""Coordinates that are swapped, mirrored or in other units are refused; right ones are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from madeplaces import feature, save_csv, save_geojson
from medloupe.errors import DataError
from medloupe.facilities.coordinates import check_coordinates, note_signs, parse_degrees
from medloupe.facilities.reading import Told, read_facilities
from places import DATA

COLUMNS = ("lat", "lon")
CITIES = {  # rounded, of the kind that every atlas has
    "KEN": [(-1.3, 36.8), (-4.0, 39.7), (-0.1, 34.8)],
    "ZAF": [(-33.9, 18.4), (-26.2, 28.0), (-29.9, 31.0)],
    "Sénégal": [(14.7, -17.4), (16.0, -16.5), (12.6, -16.3)],
    "India": [(28.6, 77.2), (19.1, 72.9), (13.1, 80.3)],
    "BR": [(-23.5, -46.6), (-15.8, -47.9), (-3.1, -60.0)],
}
PLACES = np.array([place for own in CITIES.values() for place in own])
COUNTRIES = [name for name, own in CITIES.items() for _ in own]


def check(lat: np.ndarray, lon: np.ndarray, countries: list[str] | None = None, **more: object) -> np.ndarray:
    return check_coordinates(lat, lon, countries or [""] * len(lat), columns=COLUMNS, **more)  # pyright: ignore


def test_right_ones_pass() -> None:
    assert check(*PLACES.T, COUNTRIES).all()
    assert check(*PLACES.T).all()


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (lambda lat, lon: (lon, lat), "swapped"),
        (lambda lat, lon: (-lat, lon), "latitudes have lost their sign"),
        (lambda lat, lon: (lat, -lon), "longitudes have lost their sign"),
        (lambda lat, lon: (np.abs(lat), np.abs(lon)), "lost"),
        (lambda lat, lon: (lat * 1e6, lon * 1e6), "times a million"),
        (lambda lat, lon: (lat * 111_000, lon * 111_000), "metres"),
        (lambda lat, lon: (np.radians(lat), np.radians(lon)), "radians"),
        (lambda lat, lon: (np.full(15, np.nan), lon), "No row has numbers"),
        (lambda lat, lon: (np.zeros(15), np.zeros(15)), "radians"),
    ],
)
def test_wrong_ones_are_refused(turn: Callable[..., tuple[np.ndarray, np.ndarray]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        check(*turn(*PLACES.T), COUNTRIES)


@pytest.mark.parametrize(
    ("country", "places", "turn"),
    [
        ("Nigeria", [(6.5, 3.4), (6.4, 3.4), (9.1, 7.4), (12.0, 8.5), (11.8, 13.2)], lambda lat, lon: (lon, lat)),
        ("EGY", [(30.0, 31.2), (31.2, 29.9), (24.1, 32.9), (25.7, 32.6), (31.1, 33.8)], lambda lat, lon: (lon, lat)),
        ("Ghana", [(5.6, -0.2), (6.7, -1.6), (4.9, -1.8), (9.4, -0.8), (7.3, -2.3)], lambda lat, lon: (lat, -lon)),
        ("Rwanda", [(-1.9, 30.1), (-2.6, 29.7), (-1.5, 29.6), (-2.0, 30.4)], lambda lat, lon: (-lat, lon)),
    ],
)
def test_where_a_country_lies_near_its_mirror_image(
    country: str, places: list[tuple[float, float]], turn: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> None:
    lat, lon = np.array(places).T
    assert check(lat, lon, [country] * len(places)).all()
    with pytest.raises(DataError, match="do not lie in the country"):
        check(*turn(lat, lon), [country] * len(places))


def test_a_country_on_both_sides_of_the_equator_without_a_minus_is_told_of() -> None:
    lat, lon = np.linspace(0.1, 4, 30), np.linspace(34, 41, 30)
    usable, names = np.ones(30, bool), ["Kenya"] * 30
    assert note_signs(lat, lon, names, usable) == [
        "No latitude of Kenya is negative: look whether the file has lost signs."
    ]
    lat[3] *= -1
    assert note_signs(lat, lon, names, usable) == note_signs(lat[:9], lon[:9], names[:9], usable[:9]) == []


def test_swapped_beyond_ninety_is_seen_without_countries() -> None:
    with pytest.raises(DataError, match="swapped"):
        check(np.array([100.5, 101.0, 104.9]), np.array([13.7, 16.4, 11.6]))


def test_swapped_is_seen_beside_what_was_imported_before() -> None:
    known = (PLACES[:6, 0], PLACES[:6, 1])
    few = PLACES[:6] + 0.05
    assert check(few[:, 0], few[:, 1], known=known).all()
    with pytest.raises(DataError, match="imported before"):
        check(few[:, 1], few[:, 0], known=known)
    elsewhere = PLACES[9:]
    assert check(elsewhere[:, 0], elsewhere[:, 1], known=known).all(), "another country is no fault"


def test_single_wrong_rows_are_left_out_and_many_are_refused() -> None:
    lat, lon = np.tile(PLACES, (10, 1)).T.copy()
    lat[3], lon[4], lat[5], lon[5] = 95.0, np.nan, 0.0, 0.0
    assert np.flatnonzero(~check(lat, lon)).tolist() == [3, 4, 5]
    lat[:20] = 0.0
    lon[:20] = 0.0
    with pytest.raises(DataError, match="nowhere on Earth"):
        check(lat, lon)


def test_numbers_as_people_write_them() -> None:
    told = ["-1.25", "36,8", "+4e1", "", "n/a", "nan", "inf", "1.2.3", "=1+1"]
    assert parse_degrees(told, "lat")[:3].tolist() == [-1.25, 36.8, 40.0]
    assert np.isnan(parse_degrees(told, "lat")[3:]).all()
    with pytest.raises(DataError, match="degrees and minutes"):
        parse_degrees(["1°17'S", "4°03'S"], "lat")


def test_a_file_is_told_how_to_be_read_the_other_way_round(tmp_path: Path) -> None:
    rows = [(lon, lat, name) for (lat, lon), name in zip(PLACES.tolist(), COUNTRIES, strict=True)]
    path = save_csv(tmp_path / "osm.csv", ("latitude", "longitude", "country"), rows)
    with pytest.raises(DataError) as e:
        read_facilities(path, Told())
    assert e.value.hint == "Tell the columns the other way round: --columns lat=longitude,lon=latitude"
    lists, _ = read_facilities(path, Told(columns={"lat": "longitude", "lon": "latitude"}))
    assert lists[0].places[0].lat == PLACES[0, 0]
    swapped = [feature(lat, lon, country=name) for lon, lat, name in rows]
    with pytest.raises(DataError) as e:
        read_facilities(save_geojson(tmp_path / "osm.geojson", swapped), Told())
    assert "RFC 7946" in e.value.hint


@pytest.mark.realdata
def test_real_hospitals_turned_round_are_refused(tmp_path: Path) -> None:
    text = (DATA / "facilities" / "hospitals_africa.csv").read_text("utf-8")
    path = tmp_path / "swapped.csv"
    path.write_text(text.replace("iso3,lat,lon,", "iso3,lon,lat,", 1), "utf-8")
    with pytest.raises(DataError, match="swapped"):
        read_facilities(path, Told())
