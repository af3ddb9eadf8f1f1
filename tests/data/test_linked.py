"""Tables whose cells are addresses: fetched only where that is allowed, and never from this machine or network."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import generated
from generated import run
from medloupe.data import linked
from medloupe.data.linked import fetch_linked
from medloupe.data.reading import read
from medloupe.errors import DataError, RemoteRefusedError
from medloupe.utils.remote import hosts
from medloupe.utils.remote.cache import FilesCache
from site_of_files import Site

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def table(site: Site, tmp_path: Path) -> Path:
    """Twelve pictures by address, one of which is not there."""
    path = tmp_path / "linked.csv"
    with path.open("w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(["image", "finding"])
        for i in range(12):
            picture = generated.save(tmp_path / "made.png", generated.tissue(i, bool(i % 2)))
            site.files[f"/set/{i}.png"] = picture.read_bytes()
            writer.writerow([site.url(f"/set/{i}.png"), "sick" if i % 2 else "normal"])
        writer.writerow([site.url("/set/none.png"), "sick"])
    return path


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine passes for a public host, as there is none to be asked in tests."""
    monkeypatch.setattr(hosts, "is_public", lambda address: True)
    monkeypatch.setattr(linked, "_PATIENCE", 2.0)


@pytest.mark.usefixtures("public")
def test_pictures_come_and_are_read(table: Path, site: Site, tmp_path: Path) -> None:
    cache = FilesCache(tmp_path / "cache", 1 << 30)
    with fetch_linked(table, cache=cache) as folder:
        data = read(folder)
        assert len(data.records) == 12 and set(data.labels) == {"normal", "sick"}
        assert all(r.picture is not None for r in data.records)
        assert sum(map(len, data.skipped.values())) >= 1
    asked = len(site.asked)
    with fetch_linked(table, cache=cache):
        assert len(site.asked) == asked + 1  # only what was missing


def test_without_the_option_nothing_is_asked(table: Path, site: Site, home: Path, capsys: Capture) -> None:
    assert run(capsys, "check", str(table)).code != 0
    assert not site.asked


def test_this_machine_is_not_asked(table: Path, site: Site, home: Path, tmp_path: Path, capsys: Capture) -> None:
    with pytest.raises(RemoteRefusedError, match="public internet"), fetch_linked(table, cache=FilesCache(tmp_path, 1)):
        pass
    ran = run(capsys, "check", str(table), "--allow-urls")
    assert ran.code == 74 and "no address of the public internet" in ran.err
    assert not site.asked


@pytest.mark.usefixtures("public")
def test_the_command_line(table: Path, home: Path, capsys: Capture) -> None:
    ran = run(capsys, "check", str(table), "--allow-urls", "--json")
    assert ran.code == 0, ran.err
    assert ran.lines[0]["records"] == 12
    ran = run(capsys, "check", str(table.parent), "--allow-urls")
    assert ran.code == 2 and "--allow-urls" in ran.err


def test_a_table_without_addresses(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,finding\na.png,x\n")
    with (
        pytest.raises(DataError, match="no pictures by https"),
        fetch_linked(tmp_path / "t.csv", cache=FilesCache(tmp_path / "cache", 1)),
    ):
        pass
