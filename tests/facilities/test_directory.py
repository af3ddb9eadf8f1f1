"""The nearest places against brute force by another formula, anywhere on Earth; and places found by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medloupe.facilities.directory import Directory
from medloupe.facilities.facility import KINDS, Facility, ListInfo
from medloupe.facilities.geodesy import EARTH_KM, bearing, haversine
from medloupe.facilities.reading import Told, read_facilities
from medloupe.facilities.wording import compass, describe_place, write_csv
from places import DATA

INFO = ListInfo(id="made", source="Made up", licence="CC0", attribution="Nobody", date="2024")


def vincenty(lat: float, lon: float, to_lat: float, to_lon: float) -> float:
    """Distance on a sphere by the formula that is exact everywhere (Vincenty's, for equal axes)."""
    p, q, turn = math.radians(lat), math.radians(to_lat), math.radians(to_lon - lon)
    east = math.cos(q) * math.sin(turn)
    north = math.cos(p) * math.sin(q) - math.sin(p) * math.cos(q) * math.cos(turn)
    along = math.sin(p) * math.sin(q) + math.cos(p) * math.cos(q) * math.cos(turn)
    return EARTH_KM * math.atan2(math.hypot(east, north), along)


def directory(places: list[Facility], groups: tuple[tuple[int, ...], ...] = ()) -> Directory:
    return Directory([INFO], [0] * len(places), places, groups)


def scattered(n: int, seed: int = 1) -> Directory:
    """All over the Earth, many at poles and the date line."""
    draw = np.random.default_rng(seed)
    lat = np.degrees(np.arcsin(draw.uniform(-1, 1, n)))
    lon = draw.uniform(-180, 180, n)
    lat[::10] = np.where(lat[::10] > 0, 90, -90) - np.sign(lat[::10]) * draw.exponential(0.5, len(lat[::10]))
    lon[1::10] = np.where(draw.random(len(lon[1::10])) < 0.5, 180, -180)
    return directory(
        [
            Facility(id=str(i), name=f"Place {i}", lat=a, lon=b, kind=KINDS[i % 3])
            for i, (a, b) in enumerate(zip(lat.tolist(), lon.tolist(), strict=True))
        ]
    )


EVERYWHERE = scattered(600)


@given(
    st.one_of(st.floats(-90, 90), st.sampled_from((0.0, 90.0, -90.0))),
    st.one_of(st.floats(-180, 180), st.sampled_from((0.0, 180.0, -180.0))),
)
def test_the_nearest_are_those_of_brute_force(lat: float, lon: float) -> None:
    found = EVERYWHERE.near(lat, lon, limit=5, within_km=30_000)
    true = sorted(vincenty(lat, lon, p.lat, p.lon) for p in EVERYWHERE.places)[:5]
    assert [p.km for p in found.places] == pytest.approx(true, abs=1e-6)
    for near in found.places:
        assert near.km == pytest.approx(vincenty(lat, lon, near.facility.lat, near.facility.lon), abs=1e-6)
    assert found.nearest_km == pytest.approx(true[0], abs=1e-6)


@pytest.mark.realdata
def test_real_hospitals_from_a_thousand_places() -> None:
    lists, _ = read_facilities(DATA / "facilities" / "hospitals_africa.csv", Told(date="2021-06"))
    places = [p for made in lists for p in made.places]
    where = directory(places)
    lats, lons = np.radians([[p.lat, p.lon] for p in places]).T
    draw = np.random.default_rng(5)
    for lat, lon in zip(draw.uniform(-36, 38, 1000), draw.uniform(-26, 64, 1000), strict=True):
        p, turn = math.radians(lat), lons - math.radians(lon)
        east = np.cos(lats) * np.sin(turn)
        north = math.cos(p) * np.sin(lats) - math.sin(p) * np.cos(lats) * np.cos(turn)
        along = math.sin(p) * np.sin(lats) + math.cos(p) * np.cos(lats) * np.cos(turn)
        true = np.sort(EARTH_KM * np.arctan2(np.hypot(east, north), along))[:5]
        found = where.near(lat, lon, within_km=30_000)
        assert [near.km for near in found.places] == pytest.approx(true.tolist(), abs=1e-6)


def test_known_distances_and_bearings() -> None:
    to = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0], [0.0, 180.0]])
    km = haversine(0.0, 0.0, to[:, 0], to[:, 1])
    assert km[:4] == pytest.approx(np.full(4, EARTH_KM * math.pi / 180))
    assert km[4] == pytest.approx(EARTH_KM * math.pi)
    assert bearing(0.0, 0.0, to[:4, 0], to[:4, 1]) == pytest.approx([90, 0, 270, 180])
    assert haversine(10, 179.9, np.array([10.0]), np.array([-179.9]))[0] < 23, "over the date line"
    assert [compass(d) for d in (0, 22, 23, 90, 181, 337, 338, 359.9)] == ["N", "N", "NE", "E", "S", "NW", "N", "N"]


def test_kinds_and_the_farthest_that_is_near() -> None:
    where = directory(
        [
            Facility(id="1", name="Pharmacy", lat=0.01, lon=36, kind="pharmacy"),
            Facility(id="2", name="Clinic", lat=0.5, lon=36, kind="clinic"),
            Facility(id="3", name="Hospital", lat=5.0, lon=36, kind="hospital"),
        ]
    )
    assert [p.facility.name for p in where.near(0, 36).places] == ["Clinic"], "one that sees patients, within 200 km"
    assert [p.facility.name for p in where.near(0, 36, ["pharmacy"]).places] == ["Pharmacy"]
    far = where.near(0, 36, ["hospital"])
    assert far.places == () and far.nearest_km == pytest.approx(556, abs=1)
    none = where.near(0, 36, ["laboratory"])
    assert none.places == () and none.nearest_km is None
    assert directory([]).near(0, 0).places == () and directory([]).search("a b") == []


def test_joined_entries_are_one_place_with_what_both_say() -> None:
    a = Facility(id="a", name="Lakeside", lat=0.0, lon=36.0, kind="hospital", phone="123456", beds="5")
    b = Facility(id="b", name="Lakeside District", lat=0.01, lon=36.0, kind="hospital", opening="24/7", town="Lake")
    other = ListInfo(id="other", source="Other", licence="", attribution="Somebody", date="2020")
    where = Directory([INFO, other], [0, 1], [a, b], [(0, 1)])
    (near,) = where.near(0, 36).places
    assert where.count == 1 and where.joined == 1
    assert (near.facility.phone, near.facility.opening, near.facility.beds) == ("123456", "24/7", "5")
    assert [info.id for info in near.lists] == ["made", "other"] and near.apart_km == pytest.approx(1.112, abs=0.001)
    said = describe_place(near)
    assert said["lists"] == ["made", "other"] and said["geo"].startswith("geo:0.000000,36.000000?q=")


def test_places_by_name() -> None:
    names = ("Kisumu District Hospital", "Old Kisumu Clinic", "Kisumuville", "Hôpital de Ségou", "Lake")
    places = [Facility(id=n, name=n, lat=i, lon=36, kind="hospital", town="Mali") for i, n in enumerate(names)]
    where = directory(places)
    found = [near.facility.name for near in where.search("kisumu")]
    assert found == ["Old Kisumu Clinic", "Kisumu District Hospital", "Kisumuville"]
    assert [near.facility.name for near in where.search("SEGOU mali")] == ["Hôpital de Ségou"]
    assert where.search("k") == where.search(" ") == where.search("nowhere at all") == []
    assert len(where.search("mali", 2)) == 2


def test_the_table_has_licence_and_no_formula() -> None:
    bad = Facility(
        id="=1", name='=HYPERLINK("http://x","y")', lat=-1.5, lon=36.0, kind="hospital", phone="+254 1", town="@x"
    )
    text = "".join(write_csv(directory([bad])))
    head, row, _ = text.split("\r\n")
    assert row.startswith('\'=1,"\'=HYPERLINK(""http://x""') and ",-1.5,36.0," in row
    assert "'+254 1" in row and "'@x" in row and row.endswith("Made up,CC0,Nobody,2024")
    assert head.count(",") == 16
