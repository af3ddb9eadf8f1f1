"""Lists of facilities as the well-known sources write them, and what is guessed and said of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from madeplaces import feature, healthsites, master, save_csv, save_geojson
from medloupe.errors import ColumnError, DataError, QuestionError
from medloupe.facilities.reading import ReadList, Told, read_facilities
from places import DATA

NOTHING = Told()


def read(path: Path, told: Told = NOTHING) -> tuple[ReadList, str]:
    (made,), notes = read_facilities(path, told)
    return made, "\n".join(notes)


def test_healthsites_with_its_licence_and_date(tmp_path: Path) -> None:
    made, notes = read(healthsites(tmp_path / "kenya.csv"))
    assert (made.info.id, made.info.date, made.info.count) == ("healthsites", "2024-05-06", 5)
    assert "ODbL" in made.info.licence and "OpenStreetMap contributors" in made.info.attribution
    first = made.places[0]
    assert (first.name, first.lat, first.lon, first.kind) == ("Lakeside Hospital", -0.501, 36.001, "hospital")
    assert (first.beds, first.emergency, first.opening, first.town) == ("120", "yes", "24/7", "Laketown")
    assert first.phone == "+254 700 000 001" and first.specialities == "surgery;paediatrics"
    assert [p.kind for p in made.places] == ["hospital", "clinic", "health_centre", "pharmacy", "doctors"]
    for said in (
        "lat from Y",
        "lon from X",
        "1 for animals or the dead",
        "1 closed",
        "1 typed as hospitals",
        "1 places have no name",
    ):
        assert said in notes, said
    assert "taken for healthsites.io, by its columns" in notes


def test_the_column_source_of_a_map_is_no_list(tmp_path: Path) -> None:
    """What healthsites.io calls `source` says who mapped a place."""
    lists, _ = read_facilities(healthsites(tmp_path / "x.csv"), NOTHING)
    assert [made.info.id for made in lists] == ["healthsites"]


def test_the_master_list_of_the_who(tmp_path: Path) -> None:
    told = Told(source="WHO/KEMRI-Wellcome", date="2019")
    made, notes = read(master(tmp_path / "who-cds.csv"), told)
    assert (made.info.id, made.info.licence, made.info.date) == ("who-kwtrp", "", "2019")
    assert [p.called for p in made.places] == ["District Hospital", "Dispensary"]
    assert "1 without usable coordinates" in notes and "No licence is stated" in notes


def test_a_list_of_ones_own_with_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    path = save_csv(
        tmp_path / "a.csv", ("Nom", "Type", "Latitude", "Longitude"), [("Hôpital A", "Hôpital", "6,5", "2,4")], ";"
    )
    with pytest.raises(DataError, match="does not say who made it"):
        read_facilities(path, NOTHING)
    made, _ = read(path, Told(source="Ministère de la Santé", licence="CC BY 4.0"))
    assert (made.places[0].lat, made.places[0].lon, made.places[0].kind) == (6.5, 2.4, "hospital")
    assert made.info.attribution == "Ministère de la Santé, CC BY 4.0" and made.info.id == "ministere-de-la-sante"


def test_geojson_points_outlines_and_nested_attributes(tmp_path: Path) -> None:
    square = {"type": "Polygon", "coordinates": [[[36, -1], [36.2, -1], [36.2, -1.2], [36, -1.2], [36, -1]]]}
    features = [
        feature(36.5, -0.5, name="A", amenity="clinic"),
        {"type": "Feature", "geometry": square, "properties": {"attributes": {"name": "B", "healthcare": "hospital"}}},
        {"type": "Feature", "geometry": None, "properties": {"name": "C"}},
        "no feature",
    ]
    made, notes = read(save_geojson(tmp_path / "healthsites-kenya.geojson", features))
    assert [(p.name, p.lat, p.lon, p.kind) for p in made.places] == [
        ("A", -0.5, 36.5, "clinic"),
        ("B", -1.1, 36.1, "hospital"),
    ]
    assert "2 entries have no place" in notes and "by the name of the file" in notes


def test_overpass(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    elements = [
        {"type": "node", "id": 1, "lat": 5.5, "lon": -0.2, "tags": {"amenity": "hospital", "name": "A"}},
        {"type": "way", "id": 2, "center": {"lat": 5.6, "lon": -0.3}, "tags": {"healthcare": "centre", "name": "B"}},
        {"type": "node", "id": 3, "lat": 5.6, "lon": -0.3},
    ]
    path.write_text(json.dumps({"version": 0.6, "elements": elements}), "utf-8")
    made, _ = read(path)
    assert made.info.id == "openstreetmap" and "ODbL" in made.info.licence
    assert [(p.id, p.lat) for p in made.places] == [("node/1", 5.5), ("way/2", 5.6)]


def test_columns_that_nothing_tells_are_asked_for(tmp_path: Path) -> None:
    path = save_csv(tmp_path / "osm.csv", ("name", "north", "east"), [("A", "1.5", "33.5")])
    with pytest.raises(QuestionError) as e:
        read_facilities(path, NOTHING)
    assert e.value.answers == ("--columns lat=COLUMN",)
    made, notes = read(path, Told(columns={"lat": "north", "lon": "east"}))
    assert (made.places[0].lat, made.places[0].lon) == (1.5, 33.5) and "lat from north (told)" in notes
    with pytest.raises(ColumnError):
        read_facilities(path, Told(columns={"lat": "nord", "lon": "east"}))
    with pytest.raises(DataError, match="one column"):
        read_facilities(path, Told(columns={"lat": "north", "lon": "north"}))


def test_a_date_is_a_date(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--date"):
        read_facilities(healthsites(tmp_path / "a.csv"), Told(date="June"))


@pytest.mark.realdata
def test_hospitals_of_africa() -> None:
    lists, notes = read_facilities(DATA / "facilities" / "hospitals_africa.csv", Told(date="2021-06"))
    assert {made.info.id: made.info.count for made in lists} == {"who-kwtrp": 4833, "healthsites": 14358}
    assert "12 for animals or the dead" in "\n".join(notes)
    assert "5,017 typed as hospitals have names of health centres" in "\n".join(notes)
