"""What is written for many at once: nothing is acknowledged that is lost, and nobody waits for the others' waits."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from medloupe.errors import BusyError, StorageError
from medloupe.serving.engine.writer import TransactionWriter
from medloupe.store import database
from medloupe.store.database import open_engine


@pytest.fixture
def writer(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TransactionWriter]:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.5)
    home.mkdir()
    made = TransactionWriter(open_engine(home))
    yield made
    made.close()


def insert(name: str) -> Any:
    def write(c: Connection) -> str:
        c.execute(text("INSERT INTO models (name, last) VALUES (:name, 0)"), {"name": name})
        return name

    return write


def test_many_that_find_the_database_locked_wait_together(writer: TransactionWriter, home: Path) -> None:
    async def many() -> list[Any]:
        return await asyncio.gather(*(writer.write(insert(f"m{i}")) for i in range(40)), return_exceptions=True)

    with closing(sqlite3.connect(home / "medloupe.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        said = asyncio.run(many())
        assert all(isinstance(one, BusyError) for one in said) and time.monotonic() - begun < 5
    assert asyncio.run(many()) == [f"m{i}" for i in range(40)]


def test_one_that_is_wrong_does_not_fail_the_others(writer: TransactionWriter) -> None:
    async def some() -> list[Any]:
        return await asyncio.gather(*(writer.write(insert(n)) for n in ("a", "b", "a", "c")), return_exceptions=True)

    a, b, wrong, c = asyncio.run(some())
    assert (a, b, c) == ("a", "b", "c") and isinstance(wrong, StorageError) and not isinstance(wrong, BusyError)


def test_nothing_is_written_to_a_file_that_is_gone(writer: TransactionWriter, home: Path) -> None:
    assert asyncio.run(writer.write(insert("a"))) == "a"
    for path in home.glob("medloupe.sqlite*"):
        path.rename(home / f"away-{path.name}")
    with pytest.raises(StorageError, match="cannot be used"):
        asyncio.run(writer.write(insert("b")))
    for path in home.glob("away-*"):
        path.rename(home / path.name.removeprefix("away-"))
    assert asyncio.run(writer.write(insert("b"))) == "b"


def test_who_no_longer_waits_does_not_end_the_writing(writer: TransactionWriter) -> None:
    async def leave() -> None:
        asyncio.ensure_future(writer.write(insert("a")))  # noqa: RUF006
        await asyncio.sleep(0)

    asyncio.run(leave())
    time.sleep(0.2)
    assert asyncio.run(writer.write(insert("b"))) == "b"


def test_a_full_disk_leaves_the_log_that_readers_need(writer: TransactionWriter, home: Path) -> None:
    """Without the writer's connection SQLite removes its log; on a full disk the next reader could not make another."""

    def fill(c: Connection) -> None:
        pages = c.execute(text("PRAGMA page_count")).scalar()
        c.execute(text(f"PRAGMA max_page_count = {pages}"))
        c.execute(text("INSERT INTO models (name, last) VALUES (hex(zeroblob(100000)), 0)"))

    assert asyncio.run(writer.write(insert("a"))) == "a"
    with pytest.raises(StorageError, match="full"):
        asyncio.run(writer.write(fill))
    assert (home / "medloupe.sqlite-wal").exists() and (home / "medloupe.sqlite-shm").exists()
    asyncio.run(writer.write(lambda c: c.execute(text("PRAGMA max_page_count = 1000000"))))
    assert asyncio.run(writer.write(insert("b"))) == "b", "the connection is as good as before"
    with closing(sqlite3.connect(home / "medloupe.sqlite")) as other:
        assert [name for (name,) in other.execute("SELECT name FROM models ORDER BY name")] == ["a", "b"]
