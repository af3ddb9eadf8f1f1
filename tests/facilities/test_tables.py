"""Files of strangers: too large, too deep, of other kinds, with signs that turn text round."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from madeplaces import feature, save_csv, save_geojson
from medloupe.errors import DataError
from medloupe.facilities import tables
from medloupe.facilities.facility import clean_text
from medloupe.facilities.reading import Told, read_facilities
from medloupe.facilities.tables import read_table

OSM = Told(source="OpenStreetMap")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "packed"),
        (b"\x1f\x8b\x08\x00rest", "packed"),
        (b"<osm version='0.6'/>", "no table"),
        (b'{"a": 1}', "no FeatureCollection"),
        (b'{"features": {}}', "no FeatureCollection"),
        (b'{"features": []}', "no places"),
        (b'{"features": [', "cannot be read as JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"features":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
        (b"one column\nof text\n", "1 columns"),
        (b"a,b\n" + b'"' + b"x" * 200_000 + b'",1\n', "cannot be read as CSV"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "list"
    path.write_bytes(data)
    with pytest.raises(DataError, match=said):
        read_table(path)


def test_another_coordinate_system_is_refused(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32737"}}
    with pytest.raises(DataError, match="coordinate system"):
        read_table(save_geojson(tmp_path / "a.geojson", [feature(1, 1)], crs=crs))
    crs["properties"]["name"] = "urn:ogc:def:crs:OGC:1.3:CRS84"  # pyright: ignore
    assert read_table(save_geojson(tmp_path / "b.geojson", [feature(1, 1)], crs=crs)).rows


def test_large_files_and_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_csv(tmp_path / "a.csv", ("lat", "lon"), [(1, 2)] * 30)
    monkeypatch.setattr(tables, "MOST_ROWS", 20)
    with pytest.raises(DataError, match="more than 20 rows"):
        read_table(path)
    with pytest.raises(DataError, match="more than 20 rows"):
        read_table(save_geojson(tmp_path / "a.geojson", [feature(1, 2)] * 30))
    monkeypatch.setattr(tables, "MOST_CSV", 50)
    with pytest.raises(DataError, match="are read"):
        read_table(path)
    assert path.stat().st_size > 50


def test_outlines_and_entries_are_bounded(tmp_path: Path) -> None:
    nested: object = [1.0, 2.0]
    for _ in range(300):
        nested = [nested]
    many = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": nested}, "properties": {}}
    odd = feature(36.0, 1.0, name={"a": {"b": "c"}}, tags=[1, 2], x=True, **{"y" * 5000: "z" * 9000})
    nan = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1e400, 1]}, "properties": None}
    path = save_geojson(tmp_path / "a.geojson", [many, odd, nan])
    table = read_table(path)
    assert len(table.rows) == 2
    assert max(len(cell) for row in table.rows for cell in row) <= 4000
    assert max(map(len, table.header)) <= 200


def test_odd_lines_are_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("name,lat,lon\nHôpital,1,33\nbroken,1\n\nlong,1,33,4,5\n".encode("cp1252"))
    table = read_table(path)
    assert table.rows == [["Hôpital", "1", "33"]]
    assert any("2 lines" in note for note in table.notes) and any("Windows-1252" in note for note in table.notes)
    path.write_bytes("name\tlat\tlon\nA\t1\t33\n".encode("utf-16"))
    assert read_table(path).rows == [["A", "1", "33"]]


def test_texts_are_one_printable_line() -> None:
    assert clean_text("a\n\tb\x00c\u202egnp.exe \u2066x", 40) == "a b c gnp.exe x"
    assert clean_text("x" * 100, 10) == "x" * 9 + "…"
    assert clean_text("\ud800", 10) == "?"
    assert clean_text(None, 10) == clean_text(True, 10) == ""


def test_html_and_formulas_stay_text(tmp_path: Path) -> None:
    named = [("<script>alert(1)</script>", 1.5, 33), ("=HYPERLINK(1)", 1.6, 33)]
    path = save_csv(tmp_path / "a.csv", ("name", "lat", "lon"), named)
    (made,), _ = read_facilities(path, OSM)
    assert [p.name for p in made.places] == ["<script>alert(1)</script>", "=HYPERLINK(1)"]


def test_duplicate_ids_do_not_collide(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    node = {"type": "node", "id": 1, "lat": 1.0, "lon": 33.0, "tags": {"name": "A", "amenity": "clinic"}}
    path.write_text(json.dumps({"elements": [node, {**node, "lat": 1.5}]}), "utf-8")
    (made,), _ = read_facilities(path, Told())
    assert len({p.id for p in made.places}) == 2
