"""Copies of folders and files in object storage: complete, current, bounded, resumed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from medloupe.errors import BusyError, RemoteError, RemoteMissingError, StorageError
from medloupe.utils.remote.address import Address, parse_address
from medloupe.utils.remote.cache import FilesCache
from medloupe.utils.remote.download import CHUNK, download
from medloupe.utils.remote.fetch import fetch, name_of
from medloupe.utils.remote.mirror import Mirror
from medloupe.utils.remote.objects import Bucket
from medloupe.utils.remote.source import ObjectInfo


@pytest.fixture
def cache(tmp_path: Path) -> FilesCache:
    return FilesCache(tmp_path / "cache", 1 << 20)


def _put(address: str, **files: bytes) -> Bucket:
    bucket = Bucket(parse_address(address))
    for key, data in files.items():
        bucket.put(key.replace("__", "/").replace("_dot_", "."), data)
    return bucket


def _tree(place: Path) -> dict[str, bytes]:
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in place.rglob("*") if p.is_file()}


def test_a_folder_and_its_changes(s3_bucket: str, cache: FilesCache) -> None:
    bucket = _put(f"{s3_bucket}/set", a__one=b"1", a__two=b"22", b=b"333")
    _put(f"{s3_bucket}/settle", c=b"not of it")
    with fetch(f"{s3_bucket}/set", cache=cache) as place:
        assert place.name == "set" and _tree(place) == {"a/one": b"1", "a/two": b"22", "b": b"333"}
        assert name_of(place / "a" / "one") == f"{s3_bucket}/set/a/one"
    assert name_of(place) == str(place)
    bucket.put("a/one", b"9")  # of the same size
    bucket.delete(["b"])
    bucket.put("d/new", b"n")
    with fetch(f"{s3_bucket}/set/", cache=cache) as again:
        assert again == place and _tree(place) == {"a/one": b"9", "a/two": b"22", "d/new": b"n"}


def test_what_was_damaged_here_comes_anew(s3_bucket: str, cache: FilesCache) -> None:
    _put(f"{s3_bucket}/set", one=b"1", two=b"22")
    _put(s3_bucket, file=b"whole")
    for address in (f"{s3_bucket}/set/", f"{s3_bucket}/file"):
        with fetch(address, cache=cache) as place:
            was = _tree(place) if place.is_dir() else place.read_bytes()
            for path in [place] if place.is_file() else place.iterdir():
                path.write_bytes(b"x" * path.stat().st_size)
        with fetch(address, cache=cache) as place:
            assert (_tree(place) if place.is_dir() else place.read_bytes()) == was


def test_nothing_is_downloaded_twice(s3_bucket: str, cache: FilesCache, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(f"{s3_bucket}/set", one=b"1", two=b"22")
    asked: list[str] = []
    read = Bucket.read

    def count(self: Bucket, info: ObjectInfo, start: int, stop: int) -> bytes:
        asked.append(info.key)
        return read(self, info, start, stop)

    monkeypatch.setattr(Bucket, "read", count)
    for _ in range(2):
        with fetch(f"{s3_bucket}/set", cache=cache):
            assert sorted(asked) == ["one", "two"]


def test_the_least_lately_used_goes_first_and_what_is_in_use_stays(s3_bucket: str, tmp_path: Path) -> None:
    cache = FilesCache(tmp_path / "cache", 2500)
    for name in ("a", "b", "c", "d"):
        _put(s3_bucket, **{name: name.encode() * 1000})
    with fetch(f"{s3_bucket}/a", cache=cache) as a:
        pass
    with fetch(f"{s3_bucket}/b", cache=cache) as b:
        pass
    with fetch(f"{s3_bucket}/a", cache=cache):  # used again
        pass
    with fetch(f"{s3_bucket}/c", cache=cache) as c:
        assert a.exists() and not b.exists()
        with fetch(f"{s3_bucket}/d", cache=cache) as d:
            assert c.exists() and not a.exists()
            with pytest.raises(StorageError, match="in use"), fetch(f"{s3_bucket}/b", cache=cache):
                pass
            assert c.read_bytes() == b"c" * 1000 and d.read_bytes() == b"d" * 1000
    _put(s3_bucket, big=b"x" * 3000)
    with pytest.raises(StorageError, match="MEDLOUPE_FILES_CACHE"), fetch(f"{s3_bucket}/big", cache=cache):
        pass


def test_a_copy_in_use_by_another_program_does_not_change_under_it(
    s3_bucket: str, cache: FilesCache, tmp_path: Path
) -> None:
    bucket = _put(f"{s3_bucket}/set", one=b"1")
    code = (
        "import sys; from pathlib import Path\n"
        "from medloupe.utils.remote.cache import FilesCache\n"
        "from medloupe.utils.remote.fetch import fetch\n"
        f"with fetch('{s3_bucket}/set', cache=FilesCache(Path({str(cache.folder)!r}), 1 << 20)) as p:\n"
        "    print(p, flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline().strip().endswith("set")
        with fetch(f"{s3_bucket}/set", cache=cache):  # unchanged: both read it
            pass
        bucket.put("one", b"2")
        with pytest.raises(BusyError, match="another program"), fetch(f"{s3_bucket}/set", cache=cache):
            pass
    finally:
        other.kill()
        other.communicate()
    with fetch(f"{s3_bucket}/set", cache=cache) as place:  # the dead hold nothing
        assert _tree(place) == {"one": b"2"}


class _Breaks:
    """A bucket whose connection breaks off after some bytes."""

    def __init__(self, bucket: Bucket, after: int):
        self.bucket, self.left, self.address = bucket, after, bucket.address
        self.asked: list[int] = []

    def stat(self, key: str = "") -> ObjectInfo | None:
        return self.bucket.stat(key)

    def list(self) -> Iterator[ObjectInfo]:
        return self.bucket.list()

    def read(self, info: ObjectInfo, start: int, stop: int) -> bytes:
        self.asked.append(start)
        if self.left <= 0:
            raise RemoteError("broke off")
        self.left -= stop - start
        return self.bucket.read(info, start, stop)


def test_a_download_goes_on_where_it_broke_off(s3_bucket: str, tmp_path: Path) -> None:
    data = os.urandom(CHUNK * 2 + 5)
    bucket = _put(s3_bucket, big=data)
    info = bucket.stat("big")
    assert info is not None and info.size == len(data)
    source = _Breaks(bucket, CHUNK)
    with pytest.raises(RemoteError, match="broke off"):
        download(source, info, tmp_path / "big")
    assert not (tmp_path / "big").exists()
    source = _Breaks(bucket, 1 << 60)
    _, sha256 = download(source, info, tmp_path / "big")
    assert source.asked == [CHUNK, 2 * CHUNK] and (tmp_path / "big").read_bytes() == data
    import hashlib

    assert sha256 == hashlib.sha256(data).hexdigest()
    assert [p.name for p in tmp_path.iterdir()] == ["big"]


def test_a_file_replaced_while_it_is_read_is_never_mixed(s3_bucket: str, tmp_path: Path) -> None:
    old, new = b"o" * (CHUNK + 5), b"n" * (CHUNK + 5)
    bucket = _put(s3_bucket, big=old)
    info = bucket.stat("big")
    assert info is not None

    class Replaced(_Breaks):
        def read(self, info: ObjectInfo, start: int, stop: int) -> bytes:
            if len(self.asked) == 1:
                self.bucket.put("big", new)
            return super().read(info, start, stop)

    found, _ = download(Replaced(bucket, 1 << 60), info, tmp_path / "big")
    assert (tmp_path / "big").read_bytes() == new and found.etag != info.etag


def test_keys_that_are_no_paths_stay_outside(tmp_path: Path) -> None:
    class Odd(_Breaks):
        def __init__(self) -> None:
            self.address, self.asked = parse_address("s3://b/set"), []

        def list(self) -> Iterator[ObjectInfo]:
            for key in ("../../evil", "/etc/passwd", "a//b", "a\\b", "folder/", "good"):
                yield ObjectInfo(key=key, size=1, etag="e", modified=0.0)

        def read(self, info: ObjectInfo, start: int, stop: int) -> bytes:
            self.asked.append(start)
            return b"x"

    cache = FilesCache(tmp_path / "cache", 1 << 20)
    with cache.hold(parse_address("s3://b/set")) as entry:
        listing = Mirror(Odd(), cache, entry).update()
        assert (listing.files, listing.unsafe) == (1, 4) and _tree(entry.place) == {"good": b"x"}
    assert not list(tmp_path.rglob("evil"))


def test_an_empty_place(s3_bucket: str, cache: FilesCache) -> None:
    with pytest.raises(RemoteMissingError), fetch(f"{s3_bucket}/none", cache=cache):
        pass


def test_memory_does_not_grow_with_the_keys(tmp_path: Path) -> None:
    """The note of 100,000 keys against that of 10,000: by tracemalloc, in which obstore's own pages do not show."""

    class Many(_Breaks):
        def __init__(self, count: int) -> None:
            self.address, self.count = Address(scheme="s3", host="b", key="set"), count

        def list(self) -> Iterator[ObjectInfo]:
            for i in range(self.count):
                yield ObjectInfo(key=f"folder/{i:08}.png", size=1, etag=f'"{i:032x}"', modified=0.0)

    peaks = []
    for count in (10_000, 100_000):
        cache = FilesCache(tmp_path / str(count), 1 << 30)
        with cache.hold(parse_address("s3://b/set")) as entry:
            mirror = Mirror(Many(count), cache, entry)
            index = sqlite3.connect(entry.folder / "index.sqlite")
            index.execute(
                "CREATE TABLE files (key TEXT PRIMARY KEY, size INTEGER, etag TEXT, modified REAL, seen INTEGER,"
                " have_etag TEXT, have_size INTEGER, have_time INTEGER, sha256 TEXT) WITHOUT ROWID"
            )
            tracemalloc.start()
            assert mirror._list(index).files == count
            assert sum(len(b) for b in mirror._batches(index)) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            index.close()
    assert peaks[1] < 2 * peaks[0] + (1 << 20)
