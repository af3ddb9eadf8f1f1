"""Every wait for a store's lock or a database is bounded, and ends in an error that says why."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from medloupe.accounts.people import People
from medloupe.errors import BusyError, StorageError
from medloupe.store import database as databases
from medloupe.store import postgres
from medloupe.store.database import open_engine, transaction
from medloupe.store.models import Store
from medloupe.store.tables import ModelRow
from medloupe.utils.files import exclusive_lock
from postgres import Server
from storing import made, write_files

PASSWORD = "kettle orbit plaid"


def test_a_held_store_lock(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    store = Store(home)
    store.add(made(tmp_path), write_files=write_files)
    store.patience = 0.5
    code = (
        "import sys, time; from pathlib import Path; from medloupe.utils.files import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1])): print(1, flush=True); time.sleep(600)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(home / "store.lock")], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline()
        begun = time.monotonic()
        for work in (
            lambda: store.rollback("lungs", actor="a"),
            lambda: store.add(made(tmp_path, seed=1), write_files=write_files),
            store.sweep,
        ):
            with pytest.raises(BusyError, match="has held the lock"):
                work()
        assert time.monotonic() - begun < 10
        assert store.production()["lungs"][0] == 1  # readers need no lock
    finally:
        holder.kill()
        holder.communicate()
    assert store.add(made(tmp_path, seed=1), write_files=write_files).version == 2


def test_who_waits_without_a_limit_is_not_ended(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with exclusive_lock(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    with exclusive_lock(tmp_path / "lock"):
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_locked_sqlite_database(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    monkeypatch.setattr(databases, "BUSY_SECONDS", 0.5)
    home.mkdir()
    people = People(open_engine(home))
    bob = people.add("bob", PASSWORD, "viewer")
    token = people.logins.add_token(bob, "app")
    with closing(sqlite3.connect(home / "medloupe.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        begun = time.monotonic()
        with pytest.raises(BusyError, match="locked"):
            people.log.add("ada", "login")
        assert time.monotonic() - begun < 5
        begun = time.monotonic()
        assert people.logins.token(token) == bob and people.logins.token(token) == bob  # its use is noted beside
        assert time.monotonic() - begun < 0.4
    people.log.add("ada", "login")


def test_a_token_that_is_used_often_is_noted_once_a_minute(home: Path, database: str) -> None:
    home.mkdir(exist_ok=True)
    engine = open_engine(home)
    people = People(engine)
    bob = people.add("bob", PASSWORD, "viewer")
    token = people.logins.add_token(bob, "app")
    for _ in range(3):
        assert people.logins.token(token) == bob
    until = time.monotonic() + 10
    while (used := People(engine).logins.tokens(bob)[0].last_used) is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    time.sleep(0.05)
    assert people.logins.token(token) == bob
    time.sleep(0.2)
    again = People(engine).logins.tokens(bob)[0].last_used
    assert again is not None and (again == used or again[:16] != used[:16])


def test_a_postgresql_server_that_is_stopped(
    postgres_server: Server, postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    home.mkdir()
    people = People(open_engine(home))
    people.add("ada", PASSWORD, "admin")
    with postgres_server.paused():
        begun = time.monotonic()
        with pytest.raises(StorageError, match="did not answer within"):
            people.any()
        first = time.monotonic() - begun
        begun = time.monotonic()
        for _ in range(20):  # nobody waits anew for what was just waited for
            with pytest.raises(StorageError):
                people.any()
        assert first < postgres.ANSWER_SECONDS + postgres.CONNECT_SECONDS + 2 and time.monotonic() - begun < 5
        begun = time.monotonic()
        with pytest.raises(StorageError):
            open_engine(home)
        assert time.monotonic() - begun < postgres.CONNECT_SECONDS + 3
    until = time.monotonic() + 20
    while True:  # the same engine, once the server goes on
        try:
            assert people.has_admin()
            break
        except StorageError:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_locks_and_slow_statements_of_postgresql_end(
    postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    home.mkdir()
    engine = open_engine(home)
    with engine.connect() as holder:
        holder.execute(text("LOCK TABLE models IN ACCESS EXCLUSIVE MODE"))
        begun = time.monotonic()
        with pytest.raises(BusyError, match="lock timeout"), transaction(engine) as session:
            session.query(ModelRow).all()
        assert time.monotonic() - begun < postgres.LOCK_SECONDS + 2
    begun = time.monotonic()
    with pytest.raises(BusyError, match="statement timeout"), transaction(engine) as session:
        session.execute(text("SELECT pg_sleep(60)"))
    assert time.monotonic() - begun < postgres.STATEMENT_SECONDS + 2
    with transaction(engine) as session:
        assert session.query(ModelRow).all() == []


def test_connections_that_are_all_in_use(postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    monkeypatch.setattr(databases, "POOL_SECONDS", 0.5)
    home.mkdir()
    engine = open_engine(home)
    held = [engine.connect() for _ in range(15)]
    try:
        with pytest.raises(BusyError, match="in use"), transaction(engine) as session:
            session.execute(text("SELECT 1"))
    finally:
        for connection in held:
            connection.close()


def test_what_the_url_says_of_waiting_counts(postgres_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", f"{postgres_url}&connect_timeout=7&options=-cstatement_timeout%3D1234")
    home.mkdir()
    with open_engine(home).connect() as connection:
        assert connection.execute(text("SHOW statement_timeout")).scalar() == "1234ms"
        assert connection.execute(text("SHOW lock_timeout")).scalar() == "3s"
