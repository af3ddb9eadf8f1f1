"""Another version answers in shadow: on a real server, through restarts and promotions, and never in anybody's way."""

from __future__ import annotations

import asyncio
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import drills
from live import Live, running, start
from medloupe.accounts.log import AuditLog
from medloupe.accounts.person import LOCAL
from medloupe.serving.engine import shadowing
from medloupe.serving.engine.service import Service
from medloupe.store.models import Store
from medloupe.store.shadows import Shadows
from trained import Trained

NAME = drills.NAME
SECONDS = 240.0


@pytest.fixture(scope="module")
def made(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three versions whose answers differ; 1 is in production."""
    folder = tmp_path_factory.mktemp("shadow")
    shutil.copytree(_trained.home, folder / "home")
    drills.add_versions(folder / "home", folder)
    return folder / "home"


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "home"))


def begin(live: Live, version: int, requests: int) -> dict[str, Any]:
    with live.client() as client:
        told = client.post(f"/api/v1/models/{NAME}/shadow", json={"version": version, "requests": requests})
    assert told.status_code == 202, told.text
    return told.json()


def newest(live: Live) -> dict[str, Any]:
    with live.client() as client:
        return client.get(f"/api/v1/models/{NAME}/shadow").json()["shadows"][0]


def compared(live: Live, n: int) -> dict[str, Any]:
    """The newest comparison, once so many requests are compared."""
    drills.until(lambda: newest(live)["compared"] >= n, SECONDS)
    return newest(live)


def ask(live: Live, first: int, count: int, site: str = "") -> list[int]:
    """Ask one after the other, as fast as comparisons keep up with; the versions that answered."""
    versions = []
    with live.client(headers={"Medloupe-Site": site} if site else {}) as client:
        for n in range(first, first + count):
            before = newest(live)["compared"]
            files = {"image": ("p.png", drills.picture(n))}
            answer = client.post(f"/api/v1/models/{NAME}/predict", files=files).json()
            versions.append(answer["version"])
            drills.until(lambda: newest(live)["compared"] > before or newest(live)["ended"], SECONDS)  # noqa: B023
    return versions


def told_by_metrics(client: httpx.Client) -> dict[str, float]:
    """What the metrics say of comparisons; a server learns a moment after the store that one has ended."""
    lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[:1] != "#")
    return {"compared": float(lines["medloupe_shadow_compared"]), "going on": float(lines["medloupe_shadows"])}


def test_both_versions_answer_and_only_one_is_shown(home: Path) -> None:
    with running(home) as live:
        assert begin(live, 2, 6)["before"] == 1
        assert set(ask(live, 0, 3, "Ward A") + ask(live, 10, 3)) == {1}
        told = compared(live, 6)
        assert (told["compared"], told["failed"], told["ended_by"]) == (6, 0, "count")
        figures = told["figures"]
        assert figures["n"] == 6 and figures["agreed"] < 6, "version 2 has the head turned"
        assert {s["site"]: s["n"] for s in figures["sites"]} == {"Ward A": 3, "": 3}
        assert max(d["size"] for d in figures["differences"]) > 0.05
        live.ask(NAME, drills.picture(20))
        assert newest(live)["compared"] == 6, "it ended by itself"
        with live.client() as client:
            assert len(client.get("/api/v1/predictions").json()["predictions"]) == 7, "answers in shadow are nobody's"
            drills.until(lambda: told_by_metrics(client) == {"compared": 6.0, "going on": 0.0}, SECONDS)
    actions = [line.action for line in AuditLog(Store(home).engine).entries(50)]
    assert actions.count("shadow.begin") == actions.count("shadow.end") == 1
    pictures = [drills.picture(n) for n in (0, 10)]
    for file in (f for f in home.rglob("*") if f.is_file()):
        data = file.read_bytes()
        assert not any(picture in data for picture in pictures), file


def test_it_goes_on_after_a_restart_and_after_a_promotion(home: Path) -> None:
    live = start(home)
    try:
        begin(live, 2, 8)
        assert ask(live, 0, 3) == [1, 1, 1]
        live.stop(signal.SIGKILL)
        live = start(home)
        assert ask(live, 3, 2) == [1, 1]
        with live.client() as client:
            assert client.post(f"/api/v1/models/{NAME}/promote", json={"version": 2}).status_code == 200
            assert ask(live, 5, 2) == [2, 2], "now 1 answers in shadow"
            assert client.post(f"/api/v1/models/{NAME}/rollback", json={}).status_code == 200
        assert ask(live, 7, 1) == [1]
        told = compared(live, 8)
        assert (told["compared"], told["failed"], told["ended_by"]) == (8, 0, "count")
        cases = list(Shadows(Store(home).engine).cases(Shadows(Store(home).engine).list(NAME)[0]))
        assert [case.before.get("version") for case in cases].count(1) == 6
    finally:
        live.stop(signal.SIGKILL)


def test_two_servers_of_one_store_share_it(home: Path) -> None:
    with running(home) as one, running(home) as other:
        begin(one, 3, 6)
        drills.until(lambda: "medloupe_shadows 1.0" in _metrics(other), SECONDS)
        assert ask(one, 0, 3) + ask(other, 3, 3) == [1] * 6
        told = compared(one, 6)
        assert (told["compared"], told["ended_by"]) == (6, "count")
        assert "medloupe_shadow_compared 3.0" in _metrics(other)


def test_what_is_asked_for_wrongly_is_refused(home: Path) -> None:
    with running(home) as live, live.client() as client:
        where = f"/api/v1/models/{NAME}/shadow"
        assert client.post(where, json={"version": 9}).status_code == 404
        assert client.post(where, json={"version": 1}).status_code == 409
        assert client.post(where, json={"version": 2, "requests": 0}).status_code == 422
        assert client.post(f"{where}/stop").status_code == 409
        begin(live, 2, 50)
        assert begin(live, 2, 50)["id"] == newest(live)["id"]
        assert client.post(where, json={"version": 3}).status_code == 409
        assert client.post(f"{where}/stop").json()["ended_by"]


def test_a_version_that_cannot_answer_fails_nobody(home: Path) -> None:
    with running(home) as live:
        begin(live, 2, 50)
        Store(home).remove(NAME, 2, actor="test")
        answers = [live.ask(NAME, drills.picture(n)) for n in range(3)]
        assert [a.status_code for a in answers] == [200] * 3
        drills.until(lambda: newest(live)["failed"] == 3, SECONDS)
        assert newest(live)["compared"] == 0


@pytest.fixture
def service(home: Path) -> Iterator[Service]:
    service = Service(Store(home), memory=2**30, workers=1)
    yield service
    service.close()


def test_a_busy_server_leaves_requests_out_and_counts_them(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody is always being answered: nothing waits for the comparison, and what finds no place is dropped."""
    monkeypatch.setattr(shadowing, "PATIENCE", 0.2)
    one = service.shadow.shadows.begin(NAME, 1, 2, wanted=100, by="ada")
    service.shadow.refresh()
    service._busy += 1
    ran = asyncio.run(_ask_many(service, 30))
    assert ran == 30
    assert service.shadow.dropped >= 30 - shadowing.MOST - 1
    until(lambda: service.shadow.dropped == 30)
    service._busy -= 1
    asyncio.run(_ask_many(service, 1))
    until(lambda: service.shadow.compared == 1)
    until(lambda: service.shadow.shadows.list(NAME)[0].dropped == 30)
    assert service.shadow.shadows.list(NAME)[0].id == one.id
    service.shadow.shadows.end(NAME, by="ada")
    service.shadow.refresh()
    until(lambda: service.shadow._thread is None)  # and with it its decoder: nothing idles


def test_nothing_is_compared_in_a_pilot(service: Service) -> None:
    service.shadow.shadows.begin(NAME, 1, 2, wanted=100, by="ada")
    service.pilot.pilots.begin(by="ada")
    service.shadow.refresh()
    service.refresh()
    asyncio.run(_ask_many(service, 2))
    assert service.shadow._thread is None and service.shadow.dropped == 0


def test_what_waits_is_let_go_at_the_end(home: Path) -> None:
    service = Service(Store(home), memory=2**30, workers=1)
    service.shadow.shadows.begin(NAME, 1, 2, wanted=100, by="ada")
    service.shadow.refresh()
    service._busy += 1
    asyncio.run(_ask_many(service, 3))
    closing = threading.Thread(target=service.close)
    closing.start()
    closing.join(SECONDS)
    assert not closing.is_alive()


async def _ask_many(service: Service, count: int) -> int:
    checkup = service.catalog.get(NAME)
    for n in range(count):
        await service.ask(checkup, drills.picture(n), person=LOCAL)
    return count


def until(true: Any) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def _metrics(live: Live) -> str:
    with live.client() as client:
        return client.get("/metrics").text
