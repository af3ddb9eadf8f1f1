"""Entries that name one place are joined, and those that may not are left apart."""

from __future__ import annotations

import numpy as np
import pytest

from medloupe.facilities.duplicates import find_duplicates
from medloupe.facilities.facility import Facility
from medloupe.facilities.geodesy import EARTH_KM
from medloupe.facilities.names import likeness

KM = np.degrees(1 / EARTH_KM)


def place(
    name: str, north_km: float = 0.0, *, lat: float = -0.5, lon: float = 36.0, kind: str = "hospital"
) -> Facility:
    return Facility(id=f"{name}{north_km}", name=name, lat=lat + north_km * KM, lon=lon, kind=kind)


@pytest.mark.parametrize(
    ("one", "other", "km", "joined"),
    [
        ("Lakeside Hospital", "Lakeside District Hospital", 0.2, True),
        ("Hôpital Général de Tabou", "Tabou General Hospital", 0.7, True),
        ("St. Joseph's Hospital Ikelu", "Saint Joseph Ikelu", 0.1, True),
        ("Frontier Hospital", "Fontier Hospital", 0.05, True),
        ("Mityana Hospital", "Mityana Hospital", 3.1, True),
        ("Mityana Hospital", "Mityana Hospital", 6.0, False),
        ("Mityana Mission Hospital", "Mityana District Hospital", 0.2, False),
        ("Tsandi District Hospital", "Tsandi State Hospital", 0.03, True),
        ("Tsandi District Hospital", "Tsandi State Hospital", 0.2, False),
        ("Kakuma Sub County Hospital", "Kakuma Mission Hospital", 0.03, False),
        ("Old Kampala Hospital", "Kampala Hospital", 2.8, False),
        ("Kisumu Eye Hospital", "Kisumu Children's Hospital", 0.1, False),
        ("Hill Hospital", "Lake Hospital", 0.05, False),
        ("General Hospital", "District Hospital", 0.05, False),
        ("La General Hospital", "LA General Hospital", 0.05, True),
        ("General Hospital", "General Hospital", 0.8, False),
        ("", "Lakeside Hospital", 0.05, True),
        ("", "Lakeside Hospital", 0.5, False),
        ("Kibera South", "Kibera North", 0.4, False),
    ],
)
def test_by_distance_and_name(one: str, other: str, km: float, joined: bool) -> None:
    found = find_duplicates([place(one), place(other, km)], [0, 1])
    assert found == ([(0, 1)] if joined else [])


def test_another_kind_is_another_place() -> None:
    assert find_duplicates([place("Lakeside"), place("Lakeside", 0.01, kind="clinic")], [0, 1]) == []


def test_within_one_list_only_what_is_called_the_same() -> None:
    same = [place("CDS Komera"), place("Centre de santé KOMERA", 0.1)]
    assert find_duplicates(same, [0, 0]) == [(0, 1)]
    assert find_duplicates([place("Komera"), place("Komera II", 0.1)], [0, 0]) == []
    assert find_duplicates([place("Komera"), place("Komera", 0.5)], [0, 0]) == []
    assert find_duplicates([place(""), place("", 0.01)], [0, 0]) == []


def test_two_of_one_list_do_not_meet_by_way_of_another() -> None:
    places = [place("Lakeside North Hospital", 0.2), place("Lakeside South Hospital", -0.2), place("Lakeside Hospital")]
    found = find_duplicates(places, [0, 0, 1])
    assert len(found) == 1 and len(found[0]) == 2 and 2 in found[0]


@pytest.mark.parametrize(
    ("lat", "lon", "other"),
    [(89.9995, 10.0, -170.0), (-89.9995, 0.0, 180.0), (0.0, 180.0, -180.0), (-16.8, 179.999, -179.999)],
)
def test_at_the_poles_and_the_date_line(lat: float, lon: float, other: float) -> None:
    there = Facility(id="a", name="Lakeside", lat=lat, lon=lon, kind="hospital")
    beyond = Facility(id="b", name="Lakeside", lat=lat, lon=other, kind="hospital")
    far = Facility(id="c", name="Lakeside", lat=lat, lon=lon, kind="clinic")
    assert find_duplicates([there, far, beyond], [0, 0, 1]) == [(0, 2)]


def test_likeness_is_symmetric_and_bounded() -> None:
    names = ["St Mary Hospital", "Saint Mary's", "Hôpital Sainte-Marie", "", "Hospital", "Mary"]
    for a in names:
        for b in names:
            assert likeness(a, b) == likeness(b, a) and 0 <= likeness(a, b) <= 1
    assert likeness("St Mary Hospital", "Saint Mary Clinic") == 1
