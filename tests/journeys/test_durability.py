"""What was acknowledged is there after a kill; a full disk is an answer, not an end."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import drills
from drills import NAME, Told
from live import Live, running, start
from medloupe.store.models import Store
from trained import Trained

KILLS = 8
Limit = Callable[[Live, Path], Callable[[], None]]


@pytest.mark.slow
def test_kills_lose_nothing_that_was_acknowledged(_trained: Trained, tmp_path: Path) -> None:
    """In the middle of predictions with kept images, feedback and promotions. Each next server starts on what the one
    before left, and answers with a version that was promoted before the kill."""
    home = tmp_path / "home"
    shutil.copytree(_trained.home, home)
    drills.add_versions(home, tmp_path)
    rng = random.Random(8)
    told = Told(versions={1})
    for _ in range(KILLS):
        live = start(home, "--keep-images")
        assert drills.in_production(live) in told.versions
        told.versions = {drills.in_production(live)}
        seconds = rng.uniform(0.2, 0.6)
        asyncio.run(drills.until_killed(live.port, drills.picture(), seconds, live.process.kill, told))
        live.process.wait()
        assert drills.lost(home, told) == 0
    assert len(told.answers) > KILLS
    assert told.feedback
    drills.age(home)
    with running(home, "--keep-images") as live, live.client() as client:
        assert drills.in_production(live) in told.versions
        assert drills.orphans(home) == 0, "those of requests that were killed are swept at the start"
        for id, answer in list(told.answers.items())[-5:]:
            entry = client.get(f"/api/v1/predictions/{id}").json()
            assert entry["probabilities"] == answer["probabilities"]
            assert entry["image_kept"]
            assert client.get(f"/api/v1/predictions/{id}/image").content == drills.picture()
        Store(home).sweep()


@contextmanager
def _filesystem(folder: Path) -> Iterator[None]:
    """A small file system of its own, or a skipped test where this user may not mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=96m", "none", str(folder)]
    if os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(_: Live, folder: Path) -> Callable[[], None]:
    """Use all of the file system up; returns what frees it."""
    filler = folder / "filler"
    with filler.open("wb") as f:
        try:
            for size in (1 << 20, 4096):
                while True:
                    f.write(bytes(size))
                    f.flush()
        except OSError:
            pass
        try:
            while True:
                os.write(f.fileno(), bytes(512))
        except OSError:
            pass
    return filler.unlink


def _limit_files(live: Live, _: Path) -> Callable[[], None]:
    """Let no file of the server grow beyond what SQLite needs for reading; returns what lets them."""
    before = resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE, (40 << 10, before[1]))
    return lambda: (resource.prlimit(live.process.pid, resource.RLIMIT_FSIZE, before), None)[1]


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process")
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("limit", [_fill, _limit_files])
def test_a_full_disk_is_said_and_recovered_from(_trained: Trained, tmp_path: Path, limit: Limit, kept: bool) -> None:
    folder = tmp_path / "disk"
    with _filesystem(folder) if limit is _fill else _nothing(folder):
        home = folder / "home"
        shutil.copytree(_trained.home, home)
        with running(home, *["--keep-images"] * kept) as live, live.client() as client:
            before = [live.ask(NAME, drills.picture()) for _ in range(3)]
            free = limit(live, folder)
            said = [live.ask(NAME, drills.picture(number)) for number in range(12)]
            assert {r.status_code for r in said} <= {200, 503}
            full = [r for r in said if r.status_code == 503]
            assert full, "nothing was refused"
            for r in full:
                assert r.json()["error"]["code"] == "storage_unavailable"
                assert r.json()["error"]["hint"]
                assert r.headers["retry-after"]
            for path in ("/healthz", "/api/v1/models", "/"):
                assert client.get(path).status_code == 200, path
            if limit is _fill:  # it should get no requests now, and says why
                drills.until(lambda: client.get("/readyz").status_code == 503)
                assert list(client.get("/readyz").json()["failing"]) == ["disk"]
            sent = client.post(f"/api/v1/models/{NAME}/versions", content=bytes(1 << 20))
            assert (sent.status_code, sent.json()["error"]["code"]) == (503, "storage_unavailable")
            assert "disk space" in sent.json()["error"]["hint"]
            id = before[0].json()["id"]
            comment = client.post(f"/api/v1/predictions/{id}/feedback", json={"right": True})
            assert comment.status_code in (200, 503)  # a failed write may have left a little room
            free()
            drills.until(lambda: live.ask(NAME, drills.picture()).status_code == 200)
            drills.until(lambda: client.get("/readyz").status_code == 200)
            assert client.post(f"/api/v1/predictions/{id}/feedback", json={"right": False}).status_code == 200
            after = live.ask(NAME, drills.picture())
            assert after.status_code == 200
            answered = [r.json() for r in (*before, *said, after) if r.status_code == 200]
            live.stop()
            told = Told(answers={a["id"]: a for a in answered}, feedback={id: False})
            assert drills.lost(home, told, kept=kept) == 0


@contextmanager
def _nothing(folder: Path) -> Iterator[None]:
    folder.mkdir()
    yield
