"""The JSON routes of facilities, and that no position stays anywhere: not in the log, the database, or an address."""

from __future__ import annotations

import csv
import io
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from live import Live, running
from medloupe.facilities.storage import FacilityStore
from placed import HERE, HOSTILE
from visiting import browser, png, token

PLACE = "Lakeside Hospital"


def near(live: Live, **asked: Any) -> Any:
    with live.client() as client:
        return client.post("/api/v1/facilities/near", json=asked)


def test_the_lists_with_licence_and_date(placed: Live) -> None:
    with placed.client() as client:
        said = client.get("/api/v1/facilities").json()
    first, second, _ = said["lists"]
    assert (first["id"], first["date"], first["count"]) == ("healthsites", "2024-05-06", 5)
    assert "ODbL" in first["licence"] and "OpenStreetMap contributors" in first["attribution"]
    assert (second["id"], second["licence"], "by" in second) == ("who-kwtrp", "", False)
    assert (said["places"], said["joined"]) == (7, 1)
    assert said["kinds"] == ["hospital", "health_centre", "clinic", "dispensary", "doctors", "pharmacy"]


def test_the_nearest_first_without_pharmacies_unless_asked_for(placed: Live) -> None:
    said = near(placed, lat=HERE[0], lon=HERE[1]).json()
    assert [p["name"] for p in said["places"][:2]] == [PLACE, "Hill Clinic"]
    first = said["places"][0]
    assert (first["kind"], first["beds"], first["emergency"], first["phone"]) == (
        "hospital",
        "120",
        "yes",
        "+254 700 000 001",
    )
    assert first["lists"] == ["healthsites", "who-kwtrp"] and first["direction"] == "NW"
    assert [p["km"] for p in said["places"]] == sorted(p["km"] for p in said["places"])
    assert "Call before you travel" in said["note"]
    assert {info["id"] for info in said["lists"]} >= {"healthsites", "who-kwtrp"}
    only = near(placed, lat=HERE[0], lon=HERE[1], kinds=["pharmacy"], limit=1).json()
    assert [p["name"] for p in only["places"]] == ["Market Pharmacy"]


def test_by_name_a_choice_where_several_fit(placed: Live) -> None:
    one = near(placed, place="laketown").json()
    assert one["places"][0]["name"] == PLACE and one["places"][0]["km"] == 0
    several = near(placed, place="kenya").json()
    assert several["places"] == [] and len(several["choices"]) == 2
    chosen = near(placed, number=several["choices"][0]["number"]).json()
    assert chosen["places"][0]["name"] == several["choices"][0]["name"]
    none = near(placed, place="Atlantis").json()
    assert none["places"] == none["choices"] == [] and none["nearest_km"] is None


def test_far_away_is_not_near(placed: Live) -> None:
    said = near(placed, lat=48.1, lon=11.6).json()
    assert said["places"] == [] and said["nearest_km"] > 5000 and said["within_km"] == 200


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"lat": 1},
        {"lat": 91, "lon": 0},
        {"lat": 0, "lon": 180.1},
        {"lat": 0, "lon": 0, "place": "x"},
        {"place": ""},
        {"place": "x" * 121},
        {"number": -1},
        {"lat": 0, "lon": 0, "kinds": ["palace"]},
        {"lat": 0, "lon": 0, "limit": 51},
        {"lat": 0, "lon": 0, "user": "me"},
    ],
)
def test_what_is_no_question_is_refused(placed: Live, asked: dict[str, Any]) -> None:
    answer = near(placed, **asked)
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "invalid"


def test_numbers_that_are_none_and_positions_in_the_address(placed: Live) -> None:
    with placed.client() as client:
        nan = client.post(
            "/api/v1/facilities/near",
            content=b'{"lat": NaN, "lon": 1e999}',
            headers={"Content-Type": "application/json"},
        )
        address = client.get("/api/v1/facilities/near", params={"lat": 1, "lon": 2})
    assert nan.status_code == 422 and address.status_code == 405
    assert near(placed, number=10**6).status_code == 404


def test_the_table_is_safe_and_attributed(placed: Live) -> None:
    with placed.client() as client:
        answer = client.get("/api/v1/facilities.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="facilities.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 7 and all(row["attributions"] and row["licences"] for row in rows)
    odd = next(row for row in rows if row["name"] == HOSTILE)
    assert (odd["opening"], odd["phone"], odd["licences"]) == ("'=1+1", "", "not stated")


def test_who_may_not_log_in_sees_nothing(clinic: Live) -> None:
    with clinic.client() as client:
        assert client.get("/api/v1/facilities").status_code == 401
        assert client.get("/api/v1/facilities.csv").status_code == 401
        assert client.post("/api/v1/facilities/near", json={"lat": 1, "lon": 2}).status_code == 401
        assert client.post("/nearby", data={"lat": "1", "lon": "2"}).status_code == 401


def test_no_position_and_no_place_stays_anywhere(placed: Live) -> None:
    """All files of the home, the log and the figures are searched for what was asked, also where it was refused."""
    words = "Zanzendorf Oberkirchlein"
    digits = [f"{abs(v):.6f}".partition(".")[2] for v in HERE]
    placed.ask("spots", png(31))
    assert near(placed, lat=HERE[0], lon=HERE[1]).status_code == 200
    assert near(placed, lat=HERE[0] - 90, lon=HERE[1]).status_code == 422
    assert near(placed, lat=HERE[0], lon=str(HERE[1]) + "x").status_code == 422
    assert near(placed, place=words).status_code == 200
    with browser(placed) as client:
        csrf = token(client.get("/nearby"))
        for fields in (
            {"lat": str(HERE[0]), "lon": str(HERE[1]), "accuracy": "20"},
            {"lat": str(HERE[0]), "lon": "123.012345x"},
            {"place": words},
        ):
            client.post("/nearby", data={"csrf": csrf, **fields})
        client.post("/nearby", data={"csrf": "none", "lat": str(HERE[0]), "lon": str(HERE[1])})
        figures = client.get("/metrics").text
    time.sleep(1.0)  # lines of the audit log may be under way
    wanted = [*(d.encode() for d in digits), *(w.encode() for w in words.split())]
    searched = [path for path in placed.home.rglob("*") if path.is_file()] + [placed.log]
    assert any(path.suffix == ".sqlite" for path in searched) and len(placed.lines()) > 5
    for path in searched:
        data = path.read_bytes()
        assert [w for w in wanted if w in data] == [], path
    assert not any(w.decode() in figures for w in wanted)
    assert {line["route"] for line in placed.lines() if "near" in line.get("route", "")} == {
        "/api/v1/facilities/near",
        "/nearby",
    }
    assert not re.search(r"-0\.51|36\.00[67]", placed.log.read_text("utf-8"))


def test_a_running_server_takes_up_lists_and_keeps_what_it_has_where_the_file_breaks(
    placed: Live, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    store, source = FacilityStore(home), FacilityStore(placed.home)
    with running(home) as live:

        def count() -> int:
            with live.client() as client:
                return client.get("/api/v1/facilities").json()["places"]

        def wait(wanted: int) -> None:
            until = time.monotonic() + 20
            while count() != wanted and time.monotonic() < until:
                time.sleep(0.1)
            assert count() == wanted

        assert count() == 0
        store.folder.mkdir()
        shutil.copy(source.path, store.path)
        wait(7)
        store.path.write_bytes(b"broken")
        until = time.monotonic() + 20
        while "facilities not readable" not in live.log.read_text("utf-8") and time.monotonic() < until:
            time.sleep(0.1)
        assert "facilities not readable" in live.log.read_text("utf-8") and count() == 7
        store.path.unlink()
        wait(0)
