"""Commits are noticed without a query, whoever makes them; what cannot be told counts as one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from medloupe.store.commits import CommitWatch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "medloupe.sqlite"
    _commit(made, "PRAGMA journal_mode=WAL", "CREATE TABLE t (n INTEGER)")
    return made


def _commit(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def watch(path: Path) -> CommitWatch:
    return CommitWatch(create_engine(f"sqlite:///{path}"))


def test_the_first_look_and_each_after_a_commit_tell_of_it(path: Path) -> None:
    looking = watch(path)
    assert looking.look()
    assert [looking.look() for _ in range(3)] == [False] * 3
    _commit(path, "INSERT INTO t VALUES (1)")
    assert looking.look()
    assert not looking.look()
    looking.forget()
    assert looking.look()
    looking.close()


def test_a_commit_of_another_process_and_one_of_this_are_noticed(path: Path) -> None:
    looking, engine = watch(path), create_engine(f"sqlite:///{path}")
    looking.look()
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('INSERT INTO t VALUES (2)'); c.commit()"
    subprocess.run([sys.executable, "-c", code, path], check=True, timeout=60)
    assert looking.look()
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO t VALUES (3)"))
    assert looking.look()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM t")).scalar() == 2
    assert not looking.look(), "reading is no commit"
    looking.close()


def test_what_is_not_yet_committed_is_noticed_when_it_is(path: Path) -> None:
    looking, other = watch(path), sqlite3.connect(path)
    looking.look()
    other.execute("INSERT INTO t VALUES (4)")
    assert not looking.look()
    other.commit()
    assert looking.look()
    other.close()
    looking.close()


def test_a_file_in_its_place_and_one_that_vanished_count_as_commits(path: Path) -> None:
    looking = watch(path)
    looking.look()
    other = path.with_name("other.sqlite")
    _commit(other, "PRAGMA journal_mode=WAL", "CREATE TABLE t (n INTEGER)")
    other.replace(path)
    assert looking.look()
    assert not looking.look()
    path.unlink()
    assert all(looking.look() for _ in range(3))
    assert not path.exists(), "looking makes no database"
    looking.close()


def test_other_databases_are_always_asked() -> None:
    looking = CommitWatch(create_engine("postgresql+psycopg://nobody@localhost/none"))
    assert all(looking.look() for _ in range(3))
