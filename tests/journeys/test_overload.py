"""Ten times more than it can do: what is let in is answered, the rest is told at once to come back."""

from __future__ import annotations

import asyncio
import shutil
import socket

import pytest

import drills
from drills import NAME, Oracle
from live import Live, running
from medloupe.store.models import Store
from trained import Trained


@pytest.fixture(scope="module")
def narrow(_trained: Trained, tmp_path_factory: pytest.TempPathFactory):
    """A server with eight places."""
    home = tmp_path_factory.mktemp("overload") / "home"
    shutil.copytree(_trained.home, home)
    with running(home, "--queue", "8") as live:
        yield live


def test_ten_times_its_capacity(narrow: Live, _trained: Trained) -> None:
    image = drills.picture()
    oracle = Oracle.of({1: Store(_trained.home).get(NAME, 1)}, image)
    seen = asyncio.run(drills.overload(narrow.port, oracle, image, seconds=4, calm=1.5))
    assert seen.wrong == []
    assert len(seen.accepted) > seen.capacity, "it goes on working"
    assert len(seen.rejected) > 4 * len(seen.accepted)
    # How fast in milliseconds is for benchmarks/faults_serving.py to say: machines that run tests are shared.
    answered = drills.percentile(seen.accepted, 0.5)
    assert drills.percentile(seen.rejected, 0.5) < answered, "who is told to come back waits for no picture"
    assert drills.percentile(seen.health, 0.5) < answered
    with narrow.client() as client:
        figures = client.get("/metrics").text
    assert f"medloupe_rejected {float(len(seen.rejected))}" in figures
    assert "medloupe_requests_at_work 0.0" in figures
    assert narrow.ask(NAME, image).status_code == 200, "and afterwards all is as before"
    busy = [line for line in narrow.lines() if line["event"] == "busy"]
    assert 1 <= len(busy) <= 8, "a line a second, not one for each"


def test_uploads_that_never_end_hold_nobody_up(narrow: Live) -> None:
    """Twice as many clients as places stop in the middle of their upload: others are served, and they are forgotten
    when they go away."""
    request = drills.post(f"/api/v1/models/{NAME}/predict", drills.picture())
    stuck = [socket.create_connection(("127.0.0.1", narrow.port), 30) for _ in range(16)]
    with narrow.client() as client:

        def held() -> bool:
            return "medloupe_upload_bytes 0.0" not in client.get("/metrics").text

        try:
            for connected in stuck:
                connected.sendall(request[:-100])
            drills.until(held)
            assert [narrow.ask(NAME, drills.picture()).status_code for _ in range(4)] == [200] * 4
            stuck[0].sendall(request[-100:])
            assert stuck[0].recv(65536).startswith(b"HTTP/1.1 200")
        finally:
            for connected in stuck:
                connected.close()
        drills.until(lambda: not held())
