"""The store: whole versions or none, also under kill -9, a full disk and several writers."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import several
from medloupe.embed.tail import Tail
from medloupe.errors import StoreError
from medloupe.model.bundle import Model
from medloupe.store.database import REVISION, begin_anew
from medloupe.store.models import Store
from medloupe.store.names import check_name, parse_reference
from storing import BACKBONE, assert_nothing_else, assert_whole, files, made, run, start, write_files

posix = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")


@pytest.fixture
def lite_store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


# ---------------------------------------------------------------- adding and getting


def test_what_comes_back_is_what_was_added_bit_for_bit(store: Store, tmp_path: Path):
    card = {"limits": ["größer", "肺炎", "\x00"], "metrics": {"auc": {"value": 0.1 + 0.2, "low": None, "high": 1e-300}}}
    model = made(tmp_path, **card)
    model.head.bias[:] = np.frombuffer(b"\x01\x00\x80\x7f\x00\x00\x00\x80", np.float32)  # a NaN with payload, -0
    added = store.add(model, write_files=write_files)
    (tmp_path / "tiny.onnx").unlink()  # what the package has today no longer matters
    got = store.get("lungs")
    assert added.version == got.version == 1
    assert added.onnx and added.onnx == store.folder("lungs", 1) / "model.onnx" and added.onnx.is_file()
    for field in ("weight", "bias"):
        assert getattr(got.head, field).tobytes() == getattr(model.head, field).tobytes()
        assert getattr(got.head, field).dtype == np.float32
    assert got.card == added.card == {**model.card, "version": 1}
    assert got.backbone.card == model.backbone.card
    assert got.backbone.sha256 == model.backbone.sha256
    assert got.backbone.path.read_bytes() == BACKBONE
    assert_whole(store)


def test_the_list_says_what_there_is(lite_store: Store, tmp_path: Path):
    assert lite_store.list() == []
    assert not lite_store.home.exists()  # asking makes nothing
    auc = {"value": 0.9, "low": 0.8, "high": 0.95}
    for name in ("lungs", "heart", "lungs"):
        lite_store.add(made(tmp_path, name, metrics={"auc": auc}), write_files=write_files)
    assert [(v.name, v.version) for v in lite_store.list()] == [("heart", 1), ("lungs", 1), ("lungs", 2)]
    first = lite_store.list()[0]
    assert (first.task, first.labels, first.auc) == ("multiclass", ("no", "yes"), auc)


def test_numbers_grow_and_are_never_given_twice(store: Store, tmp_path: Path):
    add = lambda: store.add(made(tmp_path), write_files=write_files).version  # noqa: E731
    assert [add(), add(), add()] == [1, 2, 3]
    store.remove("lungs", 3)
    assert add() == 4
    store.remove("lungs")
    assert add() == 5
    assert [v.version for v in store.list()] == [5]


def test_the_files_that_write_files_forgot_are_missed(store: Store, tmp_path: Path):
    with pytest.raises(StoreError, match=r"model\.onnx"):
        store.add(made(tmp_path), write_files=lambda folder, model: write_half(folder))
    assert files(store.home) == set()


def write_half(folder: Path) -> None:
    (folder / "report.html").write_text("half")


def test_an_error_of_write_files_comes_through_and_nothing_stays(store: Store, tmp_path: Path):
    def broken(folder: Path, model: Model) -> None:
        write_half(folder)
        raise KeyError("parity")

    with pytest.raises(KeyError, match="parity"):
        store.add(made(tmp_path), write_files=broken)
    assert files(store.home) == set() and store.list() == []
    assert store.add(made(tmp_path), write_files=write_files).version == 1


def test_a_backbone_that_changed_under_way_is_refused(store: Store, tmp_path: Path):
    model = made(tmp_path)
    model.backbone.path.write_bytes(b"another network")
    with pytest.raises(StoreError, match="changed"):
        store.add(model, write_files=write_files)
    assert files(store.home) == set()


# ---------------------------------------------------------------- names and references


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("Chest X-Ray", "chest-x-ray"),
        ("../../etc", "etc"),
        ("a/b", "a-b"),
        ("-a", "a"),
        ("a" * 65, "a" * 64),
        ("A\n", "a"),
    ],
)
def test_names_that_cannot_be_are_refused_with_a_proposal(bad: str, good: str, store: Store, tmp_path: Path):
    with pytest.raises(StoreError, match="small letters") as caught:
        store.add(made(tmp_path, bad), write_files=write_files)
    assert repr(good) in caught.value.hint
    assert not (store.home / "models").exists()


@given(st.text())
def test_a_name_is_fit_for_a_folder_or_refused(name: str):
    try:
        check_name(name)
    except StoreError:
        return
    assert Path(name).name == name and name not in (".", "..")


@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True).filter(lambda n: n != "auto"), st.integers(1, 10**6))
def test_references_come_apart_as_they_were_put_together(name: str, version: int):
    assert parse_reference(name) == (name, None)
    assert parse_reference(f"{name}@{version}") == (name, version)


@pytest.mark.parametrize("text", ["", "@3", "a@", "a@0", "a@-1", "a@x", "a@1@2", "a@1.5", "a@²", "a@ 1"])
def test_references_that_mean_nothing_are_refused(text: str):
    with pytest.raises(StoreError):
        parse_reference(text)


def test_the_unknown_is_answered_with_what_there_is(store: Store, tmp_path: Path):
    with pytest.raises(StoreError, match="medloupe train"):
        store.get("lungs")
    store.add(made(tmp_path), write_files=write_files)
    with pytest.raises(StoreError, match="Did you mean 'lungs'"):
        store.get("lung")
    with pytest.raises(StoreError, match="no version 7; it has 1"):
        store.get("lungs", 7)
    with pytest.raises(StoreError, match="no version"):
        store.get("lungs", 10**30)  # more than a database's integer holds
    with pytest.raises(StoreError, match="no model"):
        store.remove("../..")


# ---------------------------------------------------------------- blobs


def test_a_backbone_is_kept_once_and_as_long_as_it_is_needed(store: Store, tmp_path: Path):
    for seed in range(3):
        store.add(made(tmp_path, seed=seed), write_files=write_files)
    sizes = [p.stat().st_size for p in (store.home / "blobs").rglob("*") if p.is_file()]
    assert sizes.count(len(BACKBONE)) == 1 and len(sizes) == 4
    store.remove("lungs", 2)
    assert assert_whole(store) == 2
    assert_nothing_else(store)
    store.remove("lungs")
    assert files(store.home) == set()


@pytest.mark.parametrize("part", ["backbone", "head"])
@pytest.mark.parametrize("harm", ["changed", "cut", "missing"])
def test_a_damaged_blob_is_named(part: str, harm: str, store: Store, tmp_path: Path):
    store.add(made(tmp_path), write_files=write_files)
    backbone = hashlib.sha256(BACKBONE).hexdigest()
    blobs = [p for p in (store.home / "blobs").rglob("*") if p.is_file()]
    (blob,) = [b for b in blobs if (b.parent.name + b.name == backbone) == (part == "backbone")]
    data = blob.read_bytes()
    blob.unlink()
    if harm != "missing":
        blob.write_bytes(data[:-1] + (b"" if harm == "cut" else bytes([data[-1] ^ 1])))
    with pytest.raises(StoreError, match=f"(?s){blob.name}.*(damaged|missing)"):
        store.get("lungs")
    store.add(made(tmp_path), write_files=write_files)  # the same parts again: which mends them
    assert assert_whole(store) == 2


# ---------------------------------------------------------------- tails


def with_tail(model: Model, content: bytes) -> Model:
    """The model with a tail, whose file lies beside its backbone."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = model.backbone.path.with_name(f"{sha256[:8]}.onnx")
    path.write_bytes(content)
    tail = Tail(path=path, sha256=sha256, width=3)
    return replace(model, tail=tail, card={**model.card, "tail": tail.as_json()})


def test_a_tail_comes_back_and_the_backbone_is_kept_once(store: Store, tmp_path: Path):
    tails = [b"one tail" * 50, b"another tail" * 50]
    store.add(made(tmp_path), write_files=write_files)
    for seed, content in enumerate(tails, start=1):
        store.add(with_tail(made(tmp_path, seed=seed), content), write_files=write_files)
    for path in tmp_path.glob("*.onnx"):
        path.unlink()
    assert store.get("lungs", 1).tail is None
    for version, content in enumerate(tails, start=2):
        tail = store.get("lungs", version).tail
        assert tail is not None and tail.path.is_relative_to(store.home)
        assert (tail.path.read_bytes(), tail.width) == (content, 3)
        assert tail.sha256 == hashlib.sha256(content).hexdigest()
    assert len([f for f in files(store.home) if f.startswith("blobs/")]) == 1 + 3 + 2
    assert assert_whole(store) == 3
    marks = store.production()["lungs"]
    store.promote("lungs", 3, actor="test", force=True, reason="no evidence here")
    assert store.production()["lungs"] != marks  # servers see by it that there is another


def test_what_is_read_beside_the_picture_comes_back(store: Store, tmp_path: Path):
    model = replace(made(tmp_path), extras=several.extras(2))
    store.add(model, write_files=write_files)
    store.add(made(tmp_path, seed=1), write_files=write_files)
    store.attach(replace(model, card={**model.card, "version": 1}), "int8")
    assert store.get("lungs", 2).extras is None
    for found in (store.get("lungs", 1).extras, store.variants("lungs", 1)["int8"].extras):
        assert found is not None and model.extras is not None
        assert found.columns == model.extras.columns
        assert found.as_json() == model.extras.as_json()
    assert_whole(store)


def test_a_tail_goes_with_its_last_version(store: Store, tmp_path: Path):
    for name, seed in (("lungs", 1), ("lungs", 2), ("heart", 3)):
        store.add(with_tail(made(tmp_path, name, seed=seed), b"shared" * 50), write_files=write_files)
    tail = store.get("heart").tail
    assert tail is not None
    store.sweep()
    store.remove("lungs")
    assert tail.path.exists() and assert_whole(store) == 1
    store.sweep()
    assert tail.path.exists()
    store.remove("heart")
    assert files(store.home) == set()


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_a_damaged_tail_is_named(harm: str, store: Store, tmp_path: Path):
    model = with_tail(made(tmp_path), b"a tail" * 50)
    store.add(model, write_files=write_files)
    tail = store.get("lungs").tail
    assert tail is not None
    tail.path.unlink()
    if harm == "changed":
        tail.path.write_bytes(b"A tail" * 50)
    with pytest.raises(StoreError, match=f"(?s){tail.path.name}.*(damaged|missing)"):
        store.get("lungs")
    store.add(model, write_files=write_files)
    assert assert_whole(store) == 2


def test_a_tail_that_changed_in_the_meantime_is_not_added(store: Store, tmp_path: Path):
    model = with_tail(made(tmp_path), b"a tail" * 50)
    assert model.tail is not None
    model.tail.path.write_bytes(b"another" * 50)
    with pytest.raises(StoreError, match="changed while it was in use") as caught:
        store.add(model, write_files=write_files)
    assert "again" in caught.value.hint
    assert files(store.home) == set() and store.list() == []


# ---------------------------------------------------------------- the database


def test_the_database_is_durable_and_as_the_tables_say(lite_store: Store, tmp_path: Path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from medloupe.store.database import open_engine
    from medloupe.store.tables import Base

    lite_store.add(made(tmp_path), write_files=write_files)
    opened = open_engine(lite_store.home)
    with opened.connect() as connection:
        pragma = lambda name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()  # noqa: E731
        assert (pragma("journal_mode"), pragma("synchronous"), pragma("foreign_keys")) == ("wal", 2, 1)
        context = MigrationContext.configure(connection)
        assert context.get_current_revision() == REVISION
        assert compare_metadata(context, Base.metadata) == []


def test_making_the_tables_is_one_step(lite_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from alembic import op

    real = op.create_table

    def dying(name: str, *columns: Any) -> Any:
        if name == "versions":
            raise KeyboardInterrupt
        return real(name, *columns)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(op, "create_table", dying)
        lite_store.add(made(tmp_path), write_files=write_files)
    assert Store(lite_store.home).add(made(tmp_path), write_files=write_files).version == 1


def test_opening_a_store_that_is_up_to_date_imports_no_alembic(store: Store, tmp_path: Path):
    store.add(made(tmp_path), write_files=write_files)
    code = "import sys; from pathlib import Path; from medloupe.store.models import Store\n"
    code += "Store(Path(sys.argv[1])).list(); "
    code += "print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, store.home], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_database_of_a_newer_release_is_left_alone(lite_store: Store, tmp_path: Path):
    lite_store.add(made(tmp_path), write_files=write_files)
    with sqlite3.connect(lite_store.home / "medloupe.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match=r"newer medloupe.*9999"):
        Store(lite_store.home).list()


def test_a_file_that_is_no_database_is_named(lite_store: Store):
    lite_store.home.mkdir()
    (lite_store.home / "medloupe.sqlite").write_bytes(b"minutes of the meeting" * 100)
    with pytest.raises(StoreError, match=r"medloupe\.sqlite|database"):
        lite_store.list()


def test_a_lost_database_costs_no_files(lite_store: Store, tmp_path: Path):
    for seed in range(2):
        lite_store.add(made(tmp_path, seed=seed), write_files=write_files)
    before = files(lite_store.home)
    for part in lite_store.home.glob("medloupe.sqlite*"):
        part.unlink()
    again = Store(lite_store.home)
    with pytest.raises(StoreError, match="missing or empty"):  # it is not begun anew by itself
        again.add(made(tmp_path, seed=5), write_files=write_files)
    begin_anew(again.home)
    assert again.add(made(tmp_path, seed=5), write_files=write_files).version == 3  # the folders 1 and 2 are taken
    assert before < files(lite_store.home)


@pytest.mark.parametrize("odd", ["100% sure", "what?", "a#b", "größe"])
def test_odd_folders_do(odd: str, tmp_path: Path):
    store = Store(tmp_path / odd)
    store.add(made(tmp_path), write_files=write_files)
    assert assert_whole(Store(tmp_path / odd)) == 1
    assert (tmp_path / odd / "medloupe.sqlite").exists()


# ---------------------------------------------------------------- disks


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_a_failing_disk_at_any_flush_leaves_nothing(code: int, lite_store: Store, tmp_path: Path, monkeypatch: Any):
    lite_store.add(made(tmp_path, "other", seed=1), write_files=write_files)
    before, real, flushes = files(lite_store.home), os.fsync, 0

    def failing(fd: int) -> None:
        nonlocal flushes
        flushes += 1
        if flushes == fails_at:
            raise OSError(code, os.strerror(code), str(lite_store.home / "blobs"))
        real(fd)

    monkeypatch.setattr(os, "fsync", failing)
    for fails_at in range(1, 40):
        flushes = 0
        try:
            lite_store.add(made(tmp_path, seed=2), write_files=write_files)
        except StoreError as error:
            assert str(lite_store.home) in error.message and "--home" in error.hint
            assert files(lite_store.home) == before
        else:
            assert flushes < fails_at
            break
    else:
        raise AssertionError("never went through")
    assert assert_whole(lite_store) == 2


@posix
def test_a_really_full_disk_leaves_nothing(store: Store, tmp_path: Path):
    """RLIMIT_FSIZE: the kernel itself refuses to write on."""
    store.add(made(tmp_path, seed=1), write_files=write_files)
    before = files(store.home)
    code = """
        import resource, signal, sys
        from pathlib import Path
        from medloupe.errors import StoreError
        from medloupe.store.models import Store
        from storing import made, write_files

        def large(folder, model):
            write_files(folder, model)
            (folder / "model.onnx").write_bytes(bytes(1_000_000))

        home, scratch = map(Path, sys.argv[1:])
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        model = made(scratch, seed=2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        try:
            Store(home).add(model, write_files=large)
        except StoreError as error:
            print(error.message, "|", error.hint)
    """
    done = run(code, store.home, tmp_path)
    assert "large" in done.stdout and "--home" in done.stdout and "space" in done.stdout
    assert files(store.home) == before
    assert store.add(made(tmp_path, seed=2), write_files=write_files).version == 2


def test_a_file_where_the_home_should_be_is_named(tmp_path: Path):
    (tmp_path / "home").write_text("")
    for home in (tmp_path / "home", tmp_path / "home" / "below"):
        with pytest.raises(StoreError, match="home") as caught:
            Store(home).add(made(tmp_path), write_files=write_files)
        assert "--home" in caught.value.hint


# ---------------------------------------------------------------- several processes


def test_two_processes_may_add_to_one_name_at_once(store: Store, tmp_path: Path):
    """From nothing: they also make the database at once."""
    code = """
        import sys
        from pathlib import Path
        from medloupe.store.models import Store
        from storing import made, write_files
        home, scratch, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
        print([Store(home).add(made(scratch, seed=seed + i), write_files=write_files).version for i in range(8)])
    """
    made(tmp_path)
    running = [start(code, store.home, tmp_path, seed) for seed in (0, 100)]
    numbers = []
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        numbers += json.loads(out)
    assert sorted(numbers) == list(range(1, 17))
    assert assert_whole(store) == 16
    assert_nothing_else(store)


def test_reading_does_not_wait_for_a_writer(store: Store, tmp_path: Path):
    store.add(made(tmp_path), write_files=write_files)

    def reading(folder: Path, model: Model) -> None:
        write_files(folder, model)
        listed = "print(len(Store(Path(sys.argv[1])).list()))"
        fresh = f"import sys; from pathlib import Path; from medloupe.store.models import Store; {listed}"
        seen.append(run(fresh, store.home).stdout.strip())
        assert store.get("lungs").version == 1

    seen: list[str] = []
    store.add(made(tmp_path, seed=1), write_files=reading)
    assert seen == ["1"]


DRIVER = """
    import os, random, shutil, signal, sys, time
    from pathlib import Path
    import alembic.command, alembic.autogenerate, psycopg, sqlalchemy.orm  # once, before the forks
    from medloupe.store.models import Store
    from storing import made, write_files

    home, scratch, how = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    made(scratch)

    def slowly(folder, model):
        time.sleep(random.random() * 0.004)
        write_files(folder, model)

    def adding(round, ready):
        Store(home).list()
        for i in range(1000):
            if i == round % 2:  # of every other process the first version is let through, however slow the machine
                os.write(ready, b"1")
            store = Store(home)
            store.add(made(scratch, "lungs", seed=1000 * round + i), write_files=slowly)
            if i % 3 == 2:
                store.remove("lungs", store.list()[-2].version)

    def stepping(n):
        seen = 0
        def count(event, arguments):
            nonlocal seen
            if event in WATCHED and str(home) in str(arguments):
                seen += 1
                if seen == n:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(count)
        store = Store(home)
        store.add(made(scratch, "heart", seed=2), write_files=write_files)
        store.remove("lungs")

    WATCHED = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "sqlite3.connect", "shutil.rmtree"}
    if how == "step":
        Store(home).add(made(scratch, "lungs", seed=1), write_files=write_files)
        shutil.copytree(home, scratch / "before")
    for round in range(1, 1000 if how == "step" else 31):
        if how == "step":
            shutil.rmtree(home)
            shutil.copytree(scratch / "before", home)
        wait, ready = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                adding(round, ready) if how == "random" else stepping(round)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        os.close(ready)
        if how == "random":
            os.read(wait, 1)
            time.sleep(random.random() * 0.2)
            os.kill(child, signal.SIGKILL)
        os.close(wait)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(round, status, flush=True)
        if status != -signal.SIGKILL:
            break
        check = os.fork()  # another process looks: each version listed after each kill is whole
        if check == 0:
            try:
                from storing import assert_nothing_else, assert_whole
                store = Store(home)
                assert_whole(store)
                if how == "step":
                    store.sweep()
                    assert_nothing_else(store)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if os.waitpid(check, 0)[1]:
            sys.exit(1)
"""


@posix
def test_kill_at_thirty_random_moments_leaves_whole_versions(store: Store, tmp_path: Path):
    done = run(DRIVER, store.home, tmp_path, "random")
    assert done.stdout.split()[-2:] == ["30", str(-signal.SIGKILL)], done.stdout
    left = assert_whole(store)
    assert left > 5
    store.sweep()
    assert_nothing_else(store)
    assert_whole(store)
    assert not [p for p in store.home.rglob("*") if "tmp" in p.name or p.name.startswith(".")]
    numbers = [v.version for v in store.list()]
    newest = store.add(made(tmp_path), write_files=write_files).version
    assert newest and newest > max(numbers)


@posix
def test_kill_at_every_step_leaves_whole_versions(lite_store: Store, tmp_path: Path):
    """The process is killed before its first, second, ... touch of the disk, until it gets through."""
    done = run(DRIVER, lite_store.home, tmp_path, "step")
    rounds, statuses = done.stdout.split()[::2], done.stdout.split()[1::2]
    assert statuses[-1] == "0" and int(rounds[-1]) > 30
    assert [(v.name, v.version) for v in lite_store.list()] == [("heart", 1)]
    assert assert_whole(lite_store) == 1
    assert_nothing_else(lite_store)


@posix
def test_a_killed_writer_frees_the_lock(store: Store, tmp_path: Path):
    code = """
        import sys, time
        from pathlib import Path
        from medloupe.store.models import Store
        from storing import made
        def hang(folder, model):
            print("inside", flush=True)
            time.sleep(600)
        Store(Path(sys.argv[1])).add(made(Path(sys.argv[2])), write_files=hang)
    """
    process = start(code, store.home, tmp_path)
    assert process.stdout and process.stdout.readline() == "inside\n"
    process.kill()
    process.communicate()
    begun = time.monotonic()
    assert store.add(made(tmp_path), write_files=write_files).version == 1
    assert time.monotonic() - begun < 10
    assert_nothing_else(store)


@pytest.fixture
def store(tmp_path: Path, database: str) -> Store:
    """On SQLite and on PostgreSQL."""
    return Store(tmp_path / "home")
