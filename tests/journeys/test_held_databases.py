"""A database that does not answer for some seconds: everybody is told in time, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

import drills
import waits
from live import running
from postgres import Server
from trained import Trained

LONGEST = 30_000.0  # ms that a request may wait for a database, here where much else runs


def check(seen: waits.Held, home: Path) -> None:
    assert seen.wrong == []
    assert seen.health and seen.answered and seen.told.answers
    assert seen.back, "it answers again"
    assert max(seen.refused + seen.answered) < LONGEST
    assert drills.percentile(seen.health, 0.5) < 250
    assert drills.lost(home, seen.told, kept=False) == 0


def test_a_locked_sqlite(_trained: Trained, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(_trained.home, home)
    seen = waits.Held()
    with running(home) as live:
        asyncio.run(waits.hold(live.port, drills.picture(), waits.locked(home / "medloupe.sqlite"), 3, seen))
        assert live.stop() == 0
    check(seen, home)


def test_a_stopped_postgresql(
    _trained: Trained, postgres_server: Server, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    home = tmp_path / "home"
    waits.take_in(home, _trained.onnx)
    seen = waits.Held()
    with running(home) as live:
        asyncio.run(waits.hold(live.port, drills.picture(), postgres_server.paused(), 3, seen))
        assert live.stop() == 0
    check(seen, home)
