"""What an operator runs: image, compose file, unit, proxies, back-up and restore, and the manuals of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tiny
from generated import Ran
from medloupe.model import Model
from medloupe.people import Person
from medloupe.serving.journal import Journal
from medloupe.store import Store
from medloupe.tables import now

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
ADMIN = Person(None, "ada", "admin")

# ---------------------------------------------------------------- back-up and restore


def backup(*arguments: object, **environment: str) -> Ran:
    command = [sys.executable, str(DEPLOY / "backup.py"), *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)
    return Ran(done.returncode, done.stdout, done.stderr)


def filled(folder: Path) -> Store:
    """A store with two versions of a model."""
    store = Store.open()
    for _ in range(2):
        add(store, folder)
    return store


def add(store: Store, folder: Path) -> int | None:
    """The tiny model as the next version; its number."""

    def write(at: Path, model: Model) -> None:
        (at / "model.onnx").write_bytes(b"onnx")

    model = tiny.model(folder, backbone=tiny.backbone(folder).as_json())
    return store.add(model, write_files=write).version


class Asking:
    """Predictions with their images, written one after another while the block runs."""

    def __init__(self, store: Store):
        self.acknowledged: list[str] = []
        self._journal = Journal(store.engine, store.home / "kept")
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=lambda: asyncio.run(self._ask()))
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._journal.close()

    def wait_for_more(self, more: int) -> None:
        wanted = len(self.acknowledged) + more
        while len(self.acknowledged) < wanted:
            self._stop.wait(0.005)

    async def _ask(self) -> None:
        while not self._stop.is_set():
            row = {"id": uuid.uuid4().hex, "at": now(), "user_id": None, "model": "tiny", "version": 1}
            self._journal.keep(row["id"], b"picture " + row["id"].encode(), "png")
            await self._journal.record([{**row, "answer": {"model": "tiny"}, "digest": "0" * 64, "kept": "png"}])
            self.acknowledged.append(row["id"])


@pytest.fixture
def elsewhere(database: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """MEDLOUPE_DATABASE of an empty database beside the one in force."""
    if database == "sqlite":
        yield ""
        return
    server = request.getfixturevalue("postgres_server")
    name = f"restored_{uuid.uuid4().hex}"
    server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield server.url(name)
    server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_copy_made_while_people_ask_brings_back_all_that_was_acknowledged(
    home: Path, tmp_path: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch
):
    store = filled(tmp_path)
    asking = Asking(store)
    with asking.running():
        asking.wait_for_more(30)
        before = list(asking.acknowledged)
        saved = backup("save", tmp_path / "copy")
        asking.wait_for_more(1)  # it was not stopped by it
    assert saved.code == 0, saved.err
    versions = store.list()

    restored_home = tmp_path / "restored"
    monkeypatch.setenv("MEDLOUPE_HOME", str(restored_home))
    monkeypatch.setenv("MEDLOUPE_DATABASE", elsewhere)
    restored = backup("restore", tmp_path / "copy")
    assert restored.code == 0, restored.err

    store = Store.open()
    assert store.home == restored_home and store.list() == versions and len(versions) == 2
    model = store.get("tiny")
    assert model.version == 1 and model.backbone.path.read_bytes() == tiny.backbone(tmp_path).path.read_bytes()
    assert (store.folder("tiny", 2) / "model.onnx").read_bytes() == b"onnx"
    journal = Journal(store.engine, restored_home / "kept")
    try:
        for id in before:
            found = journal.image(id, ADMIN)
            assert found is not None and found[0].read_bytes() == b"picture " + id.encode()
        asyncio.run(journal.feedback(before[0], ADMIN, True, None))
        assert journal.get(before[0], ADMIN).right is True
    finally:
        journal.close()
    assert add(store, tmp_path) == 3


def test_a_damaged_copy_and_a_full_home_are_left_alone(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    filled(tmp_path)
    copy = tmp_path / "copy"
    assert backup("save", copy).code == 0
    assert oct(copy.stat().st_mode & 0o777) == "0o700"

    again = backup("save", copy)
    assert again.code == 1 and "is there already" in again.err
    over = backup("restore", copy)
    assert over.code == 1 and "is not empty" in over.err

    victim = next((copy / "blobs").rglob("*/*"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    damaged = backup("restore", copy, MEDLOUPE_HOME=str(tmp_path / "new"))
    assert damaged.code == 1 and victim.name in damaged.err and not (tmp_path / "new").exists()
    victim.unlink()
    assert backup("restore", copy, MEDLOUPE_HOME=str(tmp_path / "new")).code == 1

    nothing = backup("save", tmp_path / "of-nothing", MEDLOUPE_HOME=str(tmp_path / "nowhere"))
    assert nothing.code == 1 and "MEDLOUPE_HOME" in nothing.err and not (tmp_path / "of-nothing").exists()
