"""Both databases: one schema, upgrades, several processes at once, and what is said when a server is not there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from medloupe.errors import StoreError
from medloupe.store.database import REVISION, database_url, explain_failure, open_engine, writing_session
from medloupe.store.models import Store
from medloupe.store.tables import AuditRow, Base, ModelRow, PredictionRow, UserRow, VersionRow, now
from oldschema import make_old
from postgres import PASSWORD, Server
from storing import assert_nothing_else, assert_whole, made, start, write_files
from trained import Trained


def test_the_migrations_make_what_the_tables_say(database: str, tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    opened = open_engine(tmp_path)
    assert opened.dialect.name == database
    with opened.connect() as connection:
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == REVISION
        assert compare_metadata(context, Base.metadata) == []
    assert (tmp_path / "medloupe.sqlite").exists() == (database == "sqlite")


def test_rows_of_the_first_release_live_on(database: str, tmp_path: Path) -> None:
    """A store as 0001 left it, with versions in it."""
    home = tmp_path / "home"
    with make_old(home, "0001").begin() as connection:
        # Written by hand: the tables of today have columns that were not there.
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "0001"
        connection.execute(text("INSERT INTO models (name, last) VALUES ('lungs', 3), ('gone', 7)"))
        for number in (1, 3):
            connection.execute(
                text(
                    "INSERT INTO versions (model_id, number, created, backbone_blob, head_blob, card)"
                    " SELECT id, :n, '2024-01-01T00:00:00+00:00', :blob, :blob, :card FROM models WHERE name = 'lungs'"
                ),
                {"n": number, "blob": "a" * 64, "card": '{"task": "multiclass", "labels": ["no", "yes"]}'},
            )
    store = Store(home)
    assert [(v.version, v.production) for v in store.list()] == [(1, False), (3, True)]
    assert store.production()["lungs"][0] == 3 and "gone" not in store.production()
    with pytest.raises(StoreError, match="before lungs@3"):
        store.rollback("lungs", actor="test")
    assert store.add(made(tmp_path, "gone"), write_files=write_files).version == 8
    added = store.add(made(tmp_path, limits=["größer", "\0"]), write_files=write_files)
    assert added.version == 4 and store.get("lungs", 4).card["limits"] == ["größer", "\0"]
    store.promote("lungs", 4, actor="test", force=True, reason="the old ones keep no evidence")
    with pytest.raises(StoreError, match="missing"):  # back to 3, whose parts this test made up
        store.rollback("lungs", actor="test")
    assert [(c.version, c.previous) for c in store.history("lungs")] == [(4, 3)]
    assert store.production()["lungs"][0] == 4
    with Session(store.engine) as session:
        assert [row.whole for row in session.scalars(select(VersionRow))] == [False] * 4
        assert [row.tail_blob for row in session.scalars(select(VersionRow))] == [None] * 4


def test_failed_log_ins_that_servers_counted_before_the_schema_had_them_stay(postgres_url: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_DATABASE", postgres_url)
        home = tmp_path / "home"
        with make_old(home, "0014").begin() as connection:
            connection.execute(
                text(
                    "CREATE UNLOGGED TABLE login_failures (key text PRIMARY KEY, failures integer NOT NULL,"
                    " at timestamptz NOT NULL, until timestamptz NOT NULL)"
                )
            )
            connection.execute(text("INSERT INTO login_failures VALUES ('k', 3, now(), now())"))
        opened = open_engine(home)
        with opened.connect() as connection:
            assert connection.execute(text("SELECT failures FROM login_failures")).scalar() == 3
            kind = "SELECT relpersistence FROM pg_class WHERE relname = 'login_failures'"
            assert connection.execute(text(kind)).scalar() == "u"


def test_failed_log_ins_are_not_written_to_the_log_of_postgresql(postgres_url: str, tmp_path: Path) -> None:
    from medloupe.serving.access.failures import SharedFailures

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_DATABASE", postgres_url)
        opened = open_engine(tmp_path)
        with opened.connect() as connection:
            kind = "SELECT relpersistence FROM pg_class WHERE relname = 'login_failures'"
            assert connection.execute(text(kind)).scalar() == "u"
        here, there = SharedFailures(opened), SharedFailures(open_engine(tmp_path))
        key = ("pair", "ada", "10.0.0.1")
        for server in (here, there, here):
            assert server.seconds_to_wait([key]) == 0
            server.add({key: (3, 300.0)})
        assert 0 < there.seconds_to_wait([key]) <= 1
        here.add({key: (3, 300.0)})
        assert 1 < there.seconds_to_wait([key]) <= 2
        there.forget(key)
        assert here.seconds_to_wait([key]) == 0


def test_a_real_model_lives_in_either(database: str, trained: Trained, tmp_path: Path) -> None:
    """Cards hold all that JSON can, among it figures that could not be computed."""
    with pytest.MonkeyPatch.context() as patch:  # the trained model itself lies in SQLite
        patch.delenv("MEDLOUPE_DATABASE", raising=False)
        model = Store(trained.home).get("spots")
    store = Store(tmp_path / "home")
    store.add(model, write_files=write_files)
    assert store.get("spots").card == model.card


@pytest.mark.parametrize("times", range(3))
def test_several_processes_begin_at_once(times: int, database: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    code = """
        import sys
        from pathlib import Path
        from medloupe.store.models import Store
        from storing import made, write_files
        store = Store(Path(sys.argv[1]))
        print(store.add(made(Path(sys.argv[2]), seed=int(sys.argv[3])), write_files=write_files).version)
        store.list(), store.production()
    """
    made(tmp_path)
    running = [start(code, home, tmp_path, seed) for seed in range(4)]
    numbers = []
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        numbers.append(int(out))
    assert sorted(numbers) == [1, 2, 3, 4]
    store = Store(home)
    assert assert_whole(store) == 4
    assert_nothing_else(store)
    assert len(store.history("lungs")) == 1


def test_a_transaction_that_reads_first_still_writes(database: str, tmp_path: Path) -> None:
    opened = open_engine(tmp_path)
    with Session(opened) as session:
        session.add(ModelRow(name="lungs", last=0))
        session.commit()

    def count() -> None:
        for _ in range(25):
            with writing_session(opened) as session:
                row = session.scalar(select(ModelRow).with_for_update())
                assert row is not None
                row.last += 1
                session.commit()

    failed: list[BaseException] = []

    def safely() -> None:
        try:
            count()
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=safely) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []
    with Session(opened) as session:
        assert session.scalar(select(ModelRow.last)) == 100


def test_both_keep_the_rules_between_tables(database: str, tmp_path: Path) -> None:
    with Session(open_engine(tmp_path)) as session:
        person = UserRow(name="ada", password="x", role="admin", created=now())
        session.add(person)
        session.flush()
        asked = PredictionRow(
            id="a" * 32, at=now(), user_id=person.id, model="lungs", version=1, answer={"p": 0.5}, digest="b" * 64
        )
        session.add_all([asked, AuditRow(at=now(), actor="ada", action="ask")])
        session.commit()
        session.delete(person)
        session.commit()
        session.refresh(asked)
        assert asked.user_id is None and asked.answer == {"p": 0.5}


# --------------------------------------------------------------- servers that are not there


@pytest.mark.parametrize("wrong", ["nonsense", "mysql://root@localhost/x", "sqlite:///x", "postgresql://[::1/x", "://"])
def test_what_is_no_database_url(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", wrong)
    with pytest.raises(StoreError, match="MEDLOUPE_DATABASE") as caught:
        Store(tmp_path).list()
    assert "postgresql://user:password@host/database" in caught.value.hint


def test_a_wrong_password_is_said_and_not_shown(
    postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_server.url("postgres", "hunter2"))
    with pytest.raises(StoreError, match="cannot be used") as caught:
        Store(tmp_path).list()
    assert "password authentication failed" in caught.value.message
    assert "hunter2" not in str(caught.value) and "MEDLOUPE_DATABASE" in caught.value.hint


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("postgresql://me:hunter2@127.0.0.1:1/medloupe", "refused"),
        ("postgresql://me:hunter2@/x?host=/no/where", "No such"),
    ],
)
def test_a_server_that_is_not_there(where: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", where)
    with pytest.raises(StoreError, match=said) as caught:
        Store(tmp_path).list()
    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_not_there(postgres_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_server.url("nowhere"))
    with pytest.raises(StoreError, match='"nowhere" does not exist'):
        Store(tmp_path).production()


def test_a_server_that_goes_away_and_comes_back(
    postgres_server: Server, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    store = Store(tmp_path / "home")
    store.add(made(tmp_path), write_files=write_files)
    postgres_server.stop()
    try:
        for ask in (
            store.production,
            store.list,
            lambda: store.get("lungs"),
            lambda: store.rollback("lungs", actor="a"),
        ):
            with pytest.raises(StoreError, match="cannot be used") as caught:
                ask()
            assert PASSWORD not in str(caught.value)
        with pytest.raises(StoreError, match="cannot be used"):
            store.add(made(tmp_path, seed=1), write_files=write_files)
    finally:
        postgres_server.start()
    assert store.production()["lungs"][0] == 1  # the same store, with its old connections
    assert store.add(made(tmp_path, seed=1), write_files=write_files).version == 2
    assert assert_whole(store) == 2
    assert_nothing_else(store)


def test_the_password_is_never_in_a_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sqlalchemy.exc import OperationalError

    monkeypatch.setenv("MEDLOUPE_DATABASE", "postgres://me:hunter2@db.example/medloupe")
    said = explain_failure(database_url(tmp_path), OperationalError("SELECT 1", None, Exception("gone\nand more")))
    assert "hunter2" not in str(said) and "db.example" in said.message and "gone." in said.message


def test_what_the_database_does_not_take_is_not_blamed_on_the_disk(database: str, tmp_path: Path) -> None:
    twice = text("INSERT INTO models (name, last) VALUES ('lungs', 1), ('lungs', 1)")
    with pytest.raises(IntegrityError) as caught, open_engine(tmp_path).begin() as connection:
        connection.execute(twice)
    said = explain_failure(database_url(tmp_path), caught.value)
    assert "does not take what it was given" in said.message and "fault of medloupe" in said.hint
