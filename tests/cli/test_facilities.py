"""`medloupe facilities` as people type it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from madeplaces import healthsites, master, save_csv
from medloupe.cli.app import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as e:
        main(["facilities", *map(str, arguments)])
    said = capsys.readouterr()
    return int(e.value.code or 0), said.out, said.err


def test_from_file_to_the_nearest(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "list")
    assert (status, out) == (0, "") and "facilities import FILE" in err
    status, out, err = run(capsys, "import", healthsites(tmp_path / "a.csv"))
    assert status == 0 and "healthsites: 5 entries, new." in out and "lat from Y" in err
    status, out, err = run(
        capsys, "import", master(tmp_path / "b.csv"), "--source", "kwtrp", "--date", "2019", "--json"
    )
    assert json.loads(out)["joined"] == 1 and json.loads(out)["places"] == 6
    _, out, _ = run(capsys, "list", "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["healthsites", "who-kwtrp"]
    status, out, err = run(capsys, "near", "-0.5", "36", "--json")
    first, *_ = [json.loads(line) for line in out.splitlines()]
    assert (first["name"], first["beds"], first["lists"]) == ("Lakeside Hospital", "120", ["healthsites", "who-kwtrp"])
    status, out, err = run(capsys, "near", "-0.5", "36.0", "--kind", "pharmacy")
    assert "Market Pharmacy" in out and "Call before you travel" in err and "OpenStreetMap contributors" in err
    status, out, err = run(capsys, "near", "48", "11")
    assert (status, out) == (0, "") and "within 200 km" in err
    assert run(capsys, "near", "91", "0")[0] == run(capsys, "near", "1", "2", "--kind", "palace")[0] == 2
    assert run(capsys, "remove", "who-kwtrp", "--yes")[0] == 0
    status, _, err = run(capsys, "remove", "who-kwtrp", "--yes")
    assert status == 1 and "healthsites" in err


def test_questions_and_refusals(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_csv(tmp_path / "osm.csv", ("name", "north", "east"), [("A", "1.5", "33.5")])
    status, _, err = run(capsys, "import", path)
    assert status == 2 and "--columns lat=COLUMN" in err
    assert run(capsys, "import", path, "--columns", "lat=north,lon=east")[0] == 0
    assert run(capsys, "import", path, "--columns", "north")[0] == 2
    status, _, err = run(capsys, "import", tmp_path / "nothing.csv")
    assert status == 1 and "cannot be read" in err
