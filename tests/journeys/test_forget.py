"""An admin forgets a patient by the page and by the API of a running server, which ends what was interrupted."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

import belongings
from belongings import PATIENT
from live import running
from medloupe.erasure.eraser import Eraser
from medloupe.erasure.finding import find_belongings
from medloupe.erasure.order import Order, OrderFiles

pytestmark = pytest.mark.slow


def test_by_page_and_api(tmp_path: Path) -> None:
    kept = belongings.fill(tmp_path / "home")
    kept.store.engine.dispose()
    with running(kept.store.home, "--no-worker", MEDLOUPE_PICTURE_DAYS="90") as live, live.client() as client:
        client.timeout = 120
        assert "after 90 days" not in client.get("/about", headers={"Accept": "text/html"}).text, "none are kept"
        told = client.post("/api/v1/forget/preview", json={"patient": PATIENT}).json()
        assert (told["counts"]["pictures"], told["id"], told["joined"]) == (5, "", 1)
        assert client.post("/api/v1/forget", json={"patient": "nobody"}).status_code == 404
        assert client.post("/api/v1/forget", json={"patient": " "}).status_code == 409
        done = client.post("/api/v1/forget", json={"patient": PATIENT})
        assert done.status_code == 200 and done.json()["models"][0]["judged"] == 5
        listed = client.get("/api/v1/forget").json()
        assert listed == {"receipts": [done.json()], "unfinished": 0}
        assert PATIENT not in json.dumps(listed)
        page = client.get("/forget", headers={"Accept": "text/html"})
        assert page.status_code == 200 and done.json()["id"] in page.text
        assert kept.search() == []


def test_a_server_goes_on_with_what_was_interrupted(tmp_path: Path) -> None:
    kept = belongings.fill(tmp_path / "home")
    found = find_belongings(kept.store, PATIENT)
    order = Order(id="ab" * 8, by="ada", patient=PATIENT, found=replace(found, uploads=()))
    with OrderFiles(kept.store.home).alone():
        OrderFiles(kept.store.home).write(order)
    kept.store.engine.dispose()
    with running(kept.store.home, "--no-worker") as live, live.client() as client:
        until = time.monotonic() + 300
        while client.get("/api/v1/forget").json()["unfinished"] and time.monotonic() < until:
            time.sleep(0.3)
        (receipt,) = client.get("/api/v1/forget").json()["receipts"]
    assert receipt["resumed"] and receipt["by"] == "ada" and receipt["counts"]["uploads"] == 1
    assert kept.search() == [] and Eraser(kept.store).unfinished == 0
