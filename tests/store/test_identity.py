"""A store and its database know each other: what vanished is no new and empty store."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from sqlalchemy import text

from medloupe.accounts.people import People
from medloupe.errors import StorageError, StoreError
from medloupe.store import identity
from medloupe.store.database import begin_anew, open_engine
from medloupe.store.models import Store
from medloupe.store.proving import prove_log
from oldschema import make_old
from postgres import Server

PASSWORD = "kettle orbit plaid"


def begin(home: Path) -> None:
    home.mkdir(exist_ok=True)
    People(open_engine(home)).add("ada", PASSWORD, "admin")


def refuses(home: Path, said: str) -> None:
    for ask in (lambda: open_engine(home), Store(home).production, Store(home).list):
        with pytest.raises(StoreError, match=said) as caught:
            ask()
        assert "medloupe users begin-anew" in caught.value.hint


def test_both_name_the_same_store(home: Path, database: str) -> None:
    begin(home)
    said = json.loads((home / identity.FILE).read_text("utf-8"))
    assert said["settled"] is True and len(said["key"]) == 64
    assert stat.S_IMODE((home / identity.FILE).stat().st_mode) == 0o600
    with open_engine(home).connect() as connection:
        mark = identity.read_mark(connection)
        assert mark is not None and mark["store"] == said["store"]
        everything = connection.execute(text("SELECT store, key_digest, made FROM identity")).one()
    assert said["key"] not in str(everything)
    assert People(open_engine(home)).has_admin()


def test_a_deleted_sqlite_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    begin(home)
    for path in home.glob("medloupe.sqlite*"):
        path.unlink()
    refuses(home, "is not it: it is missing or empty")
    assert not list(home.glob("medloupe.sqlite*"))
    (home / "medloupe.sqlite").touch()
    refuses(home, "is not it: it is missing or empty")
    begin_anew(home)
    assert not People(open_engine(home)).any() and prove_log(open_engine(home)).broken == ""
    assert len(list(home.glob("store.id.before-*"))) == 1


def test_another_postgresql_database(
    home: Path, postgres_server: Server, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    begin(home)
    postgres_server.execute("CREATE DATABASE emptied TEMPLATE template0")
    try:
        monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_server.url("emptied"))
        refuses(home, "is not it: it is missing or empty")
        monkeypatch.delenv("MEDLOUPE_DATABASE")
        with pytest.raises(StoreError, match="is not it"):
            open_engine(home)
        monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_server.url("emptied"))
        assert "begun" not in begin_anew(home) and not People(open_engine(home)).any()
        monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
        refuses(home, "belongs to another store")
        monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_server.url("nowhere"))
        with pytest.raises(StorageError, match="does not exist"):
            open_engine(home)
    finally:
        postgres_server.execute("DROP DATABASE emptied WITH (FORCE)")


def test_an_empty_folder_in_place_of_the_stores(home: Path, database: str) -> None:
    begin(home)
    (home / identity.FILE).rename(home / "elsewhere")
    refuses(home, "is not that store's")
    begin_anew(home)
    accounts = People(open_engine(home))
    assert accounts.has_admin()  # the database is kept: what was lost is the folder
    accounts.log.add("ada", "login")
    assert accounts.log.prove().broken == ""
    (home / "elsewhere").replace(home / identity.FILE)
    refuses(home, "belongs to another store")


def test_a_damaged_file(home: Path, database: str) -> None:
    begin(home)
    for wrong in ("", "{}", '{"store": 1}', '{"store": "a", "key": "ab", "made": "", "settled": true}', "[]"):
        (home / identity.FILE).write_text(wrong)
        with pytest.raises(StoreError, match="damaged"):
            open_engine(home)


@pytest.mark.parametrize("at", ["before the mark", "before it is settled"])
def test_a_kill_while_both_are_made_is_no_loss(home: Path, database: str, at: str) -> None:
    home.mkdir(exist_ok=True)
    if at == "before the mark":
        make_old(home, "0006")
        identity.write_identity(home, identity.make_identity())
    else:
        open_engine(home)
        known = identity.read_identity(home)
        assert known is not None
        identity.write_identity(home, identity.Identity(store=known.store, key=known.key, made=known.made))
    People(open_engine(home)).add("ada", PASSWORD, "admin")
    known = identity.read_identity(home)
    assert known is not None and known.settled and prove_log(open_engine(home)).broken == ""


def test_a_file_that_vanishes_from_under_a_server_is_not_made_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    begin(home)
    people = People(open_engine(home))
    for path in home.glob("medloupe.sqlite*"):
        path.unlink()
    with pytest.raises(StorageError, match="cannot be used") as caught:
        people.any()
    assert "The file is gone" in caught.value.hint and not (home / "medloupe.sqlite").exists()
