"""What was deleted is in no file of an SQLite database any more."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from medloupe.accounts.person import LOCAL
from medloupe.serving.engine import sweeping, traces
from medloupe.serving.engine.journal import Journal
from medloupe.store.database import open_engine
from medloupe.store.tables import now
from oldschema import make_old

SECRET = "Wilhelmina-Quartz-7731"


@pytest.fixture
def journal(home: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    home.mkdir()
    return Journal(open_engine(home), home / "kept")


def row(id: str) -> dict[str, object]:
    answer = {"model": "lungs", "prediction": "flu", "probabilities": {}, "refused": None, "given": {"notes": SECRET}}
    return {
        "id": id,
        "at": now(),
        "user_id": None,
        "model": "lungs",
        "version": 1,
        "answer": answer,
        "digest": "ab" * 32,
        "kept": None,
        "alias": SECRET[::-1],
    }


def places(home: Path) -> set[str]:
    """Files in which the secret can be read."""
    found = {p.name: p.read_bytes() for p in home.glob("medloupe.sqlite*")}
    return {name for name, data in found.items() if SECRET.encode() in data or SECRET[::-1].encode() in data}


def many(journal: Journal) -> list[str]:
    ids = [f"{i:032x}" for i in range(40)]
    asyncio.run(journal.record([row(id) for id in ids]))
    return ids


def test_a_forgotten_answer_is_in_no_file(journal: Journal, home: Path) -> None:
    ids = many(journal)
    assert places(home)

    async def forget() -> None:
        for id in ids:
            await journal.forget(id, LOCAL)

    asyncio.run(forget())
    assert places(home) == set()
    journal.close()
    assert places(home) == set()


def test_names_that_were_changed_and_values_of_deleted_images_too(journal: Journal, home: Path) -> None:
    (id, *others) = many(journal)

    async def change() -> None:
        for other in others:
            await journal.forget(other, LOCAL)
        await journal.set_alias(id, LOCAL, "")
        await journal.forget(id, LOCAL, image_only=True)

    asyncio.run(change())
    found = {p.name for p in home.glob("medloupe.sqlite*") if SECRET[::-1].encode() in p.read_bytes()}
    assert found == set() and journal.get(id, LOCAL).alias == ""
    journal.close()


def test_answers_that_are_erased_later_too(journal: Journal, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = many(journal)

    async def remove() -> None:
        for id in ids:
            await journal.remove(id, LOCAL)

    asyncio.run(remove())
    monkeypatch.setattr(sweeping, "UNDO_MINUTES", -1)
    assert journal.erase_removed() == 40 and places(home) == set()
    journal.close()


def test_whoever_reads_meanwhile_is_waited_for_a_moment_only(
    journal: Journal, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "WAIT_MS", 200)
    ids = many(journal)
    with closing(sqlite3.connect(home / "medloupe.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM predictions").fetchone()
        begun = time.monotonic()

        async def forget() -> None:
            await asyncio.gather(*(journal.forget(id, LOCAL) for id in ids))

        asyncio.run(forget())
        assert time.monotonic() - begun < 15 and places(home)  # the reader still sees them
        reader.execute("COMMIT")
    journal.erase_removed()  # as the server does every minute
    assert places(home) == set()
    journal.close()


def test_what_older_versions_left_in_free_pages_goes_with_the_upgrade(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    old = make_old(home, "0005")
    old.dispose()
    with closing(sqlite3.connect(home / "medloupe.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute(
            "INSERT INTO predictions (id, at, model, answer, digest, alias) VALUES ('a', '2026', 'x', '{}', '', ?)",
            [SECRET],
        )
        connection.execute("DELETE FROM predictions")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert places(home) == {"medloupe.sqlite"}
    open_engine(home).dispose()
    with closing(sqlite3.connect(home / "medloupe.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert places(home) == set()
