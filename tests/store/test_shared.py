"""Versions in object storage: shared by servers, on servers that know conditions and on one that does not."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from medloupe.errors import BusyError, StorageError, StoreError
from medloupe.store.garbage import collect_garbage
from medloupe.store.models import Store
from medloupe.store.shared import SharedParts, blob_key, open_shared
from medloupe.utils.remote.address import parse_address
from medloupe.utils.remote.objects import Bucket
from objectstorage import S3Server, run_s3rver, use_server
from storing import BACKBONE, made, write_files

KEY = "ab" * 32


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with run_s3rver(tmp_path_factory.mktemp("s3rver")) as server:
        yield server


@pytest.fixture(params=["moto", "s3rver"])
def blobs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """MEDLOUPE_BLOBS, in a new bucket."""
    server: S3Server = request.getfixturevalue("moto_server" if request.param == "moto" else "careless")
    address = f"{use_server(server, monkeypatch)}/store"
    monkeypatch.setenv("MEDLOUPE_BLOBS", address)
    return address


@pytest.fixture
def two(blobs: str, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Store]:
    """Two servers' stores: homes of their own, one database, one bucket."""
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    monkeypatch.setenv("MEDLOUPE_STORE_KEY", KEY)
    return Store(tmp_path / "one" / "home"), Store(tmp_path / "two" / "home")


def _bucket(address: str) -> Bucket:
    return Bucket(parse_address(address), patience=10)


def test_a_version_added_by_one_is_whole_at_the_other(two: tuple[Store, Store], tmp_path: Path, blobs: str) -> None:
    one, other = two
    model = made(tmp_path)
    one.add(model, write_files=write_files)
    got = other.get("lungs", 1)
    assert got.head.weight.tobytes() == model.head.weight.tobytes() and got.backbone.path.read_bytes() == BACKBONE
    assert got.report == "<p>lungs 1: größer</p>"
    assert (other.folder("lungs", 1) / "model.onnx").read_bytes() == b"onnx" * 200
    other.add(made(tmp_path, seed=2), write_files=write_files)  # the backbone is kept once
    keys = [i.key for i in _bucket(f"{blobs}/blobs").list()]
    assert len(keys) == len(set(keys)) == 1 + 2 + 1 + 2  # backbone, heads, the same model.onnx, reports
    assert one.get("lungs", 2, report=False).version == 2


def test_both_write_at_once_and_no_number_is_given_twice(two: tuple[Store, Store], tmp_path: Path) -> None:
    faults: list[Exception] = []

    def work(store: Store, seed: int) -> None:
        try:
            for i in range(4):
                store.add(made(tmp_path, seed=seed + i), write_files=write_files)
        except Exception as e:
            faults.append(e)

    made(tmp_path)  # the file of the network
    threads = [threading.Thread(target=work, args=(store, 100 * i)) for i, store in enumerate(two)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(300)
    assert not faults
    assert [v.version for v in two[0].list()] == list(range(1, 9))
    for store in two:
        for number in range(1, 9):
            assert store.get("lungs", number).report == f"<p>lungs {number}: größer</p>"


def test_what_is_damaged_is_never_answered_from(two: tuple[Store, Store], tmp_path: Path, blobs: str) -> None:
    one, other = two
    one.add(made(tmp_path), write_files=write_files)
    sha256 = hashlib.sha256(BACKBONE).hexdigest()
    bucket = _bucket(blobs)
    bucket.put(blob_key(sha256), b"rubbish")
    with pytest.raises(StorageError, match="damaged"):
        other.get("lungs")
    assert one.get("lungs").backbone.path.read_bytes() == BACKBONE  # its own copy is whole
    one.add(made(tmp_path, seed=3), write_files=write_files)  # which mends it
    assert other.get("lungs", 1).backbone.path.read_bytes() == BACKBONE
    path = other.get("lungs", 1).backbone.path
    path.write_bytes(b"broken here")
    assert other.get("lungs", 1).backbone.path.read_bytes() == BACKBONE
    bucket.delete([blob_key(sha256)])
    path.unlink()
    with pytest.raises(StorageError, match="missing"):
        other.get("lungs", 1)


def test_a_place_of_another_store_is_refused(blobs: str, tmp_path: Path) -> None:
    Store(tmp_path / "a").add(made(tmp_path), write_files=write_files)
    with pytest.raises(StoreError, match="another store"):
        Store(tmp_path / "b").add(made(tmp_path), write_files=write_files)


# ------------------------------------------------------------------ garbage


def test_garbage_goes_after_marks_and_grace_and_not_before(
    two: tuple[Store, Store], tmp_path: Path, blobs: str
) -> None:
    one, other = two
    for seed in (1, 2):
        one.add(made(tmp_path, seed=seed), write_files=write_files, production=False)
    one.remove("lungs", 1)
    bucket = _bucket(f"{blobs}/blobs")
    before = sum(1 for _ in bucket.list())
    assert collect_garbage(other, grace=3600).removed == 0 and sum(1 for _ in bucket.list()) == before
    first = collect_garbage(other, grace=0)  # marked
    assert (first.marked, first.removed) == (2, 0)  # its head and its report
    second = collect_garbage(one, grace=0)
    assert (second.removed, second.kept) == (2, before - 2)
    assert other.get("lungs", 2).report == "<p>lungs 2: größer</p>"
    assert collect_garbage(one, grace=0).removed == 0
    assert [i.key for i in _bucket(f"{blobs}/versions").list()] == [
        i.key for i in _bucket(f"{blobs}/versions").list() if i.key.startswith("lungs/2/")
    ]


def test_what_is_written_again_after_it_was_marked_stays(two: tuple[Store, Store], tmp_path: Path) -> None:
    one, other = two
    model = made(tmp_path, seed=1)
    one.add(model, write_files=write_files, production=False)
    one.remove("lungs", 1)
    assert collect_garbage(one, grace=0).marked
    other.add(model, write_files=write_files, production=False)
    collect_garbage(one, grace=0)
    again = other.get("lungs", 2)
    assert again.head.weight.tobytes() == model.head.weight.tobytes() and again.report


def test_a_writer_that_stands_still_loses_nothing(
    two: tuple[Store, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is lost, and the collector runs between its blobs and its row: it says so, and leaves nothing half."""
    one, other = two
    put_files = SharedParts.put_files
    parts = hashlib.sha256(BACKBONE).hexdigest()

    def stand_still(self: SharedParts, *given: object) -> list[str]:
        made_files = put_files(self, *given)  # type: ignore[arg-type]
        self.bucket.delete([blob_key(parts)])  # as a collector without any grace would
        return made_files

    monkeypatch.setattr(SharedParts, "put_files", stand_still)
    with pytest.raises(StorageError, match="vanished"):
        one.add(made(tmp_path), write_files=write_files)
    monkeypatch.undo()
    assert not other.list()


def test_collectors_and_writers_race(two: tuple[Store, Store], tmp_path: Path) -> None:
    """Versions come and go while garbage is collected without any grace: each that is listed is whole at both."""
    one, other = two
    done = threading.Event()
    faults: list[Exception] = []

    def collect() -> None:
        while not done.is_set():
            try:
                collect_garbage(other, grace=0)
            except BusyError:
                continue
            except Exception as e:
                faults.append(e)
                return

    made(tmp_path)
    collectors = [threading.Thread(target=collect) for _ in range(2)]
    for c in collectors:
        c.start()
    try:
        for i in range(12):  # the same few heads again and again: marked, written anew, removed
            version = one.add(made(tmp_path, seed=i % 2), write_files=write_files, production=False).version
            assert version is not None
            if i % 3:
                one.remove("lungs", version)
    finally:
        done.set()
        for c in collectors:
            c.join(300)
    assert not faults
    listed = [v.version for v in one.list()]
    assert listed == [1, 4, 7, 10]
    fresh = Store(tmp_path / "three" / "home")
    for number in listed:
        assert fresh.get("lungs", number).report == f"<p>lungs {number}: größer</p>"


# ------------------------------------------------------------------ storage that does not answer


def test_storage_that_stands_still_is_busy_and_nothing_is_half_there(
    two: tuple[Store, Store], moto_server: S3Server, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if "s3rver" in request.node.name:
        pytest.skip("one server is enough")
    one, other = two
    one.add(made(tmp_path), write_files=write_files)
    one.patience = 3.0
    del one.__dict__["shared"], one.__dict__["_blobs"]  # opened anew, with that patience
    copy = other.get("lungs", 1)  # which it has from now on
    with moto_server.stopped():
        with pytest.raises(BusyError):
            one.add(made(tmp_path, seed=2), write_files=write_files)
        again = Store(other.home)  # a server that is started meanwhile
        assert again.get("lungs", 1).head.weight.tobytes() == copy.head.weight.tobytes()
    assert [v.version for v in other.list()] == [1]
    one.add(made(tmp_path, seed=2), write_files=write_files)
    assert other.get("lungs", 2).report == "<p>lungs 2: größer</p>"


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEDLOUPE_BLOBS", "https://host/x")
    with pytest.raises(StorageError, match=r"Expected s3://"):
        open_shared(1.0, lambda: "")
    monkeypatch.delenv("MEDLOUPE_BLOBS")
    monkeypatch.setenv("MEDLOUPE_STORE_KEY", "abc")
    with pytest.raises(StoreError, match="openssl rand"):
        _ = Store(tmp_path / "home").engine
