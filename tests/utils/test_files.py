"""Files are written whole or not at all; locks keep processes apart."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from medloupe.utils.files import exclusive_lock, sync_folder, write_atomically


def test_writes_and_replaces(tmp_path: Path):
    path = tmp_path / "file.bin"
    for data in (b"first", b"", b"x" * 100_000):
        write_atomically(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file.bin"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_leaves_the_old_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "file.bin"
    write_atomically(path, b"old")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_missing(tmp_path: Path):
    with pytest.raises(OSError, match="No such file"):
        write_atomically(tmp_path / "missing" / "file", b"")


@pytest.mark.skipif(os.name == "nt", reason="rights of this kind are POSIX's")
def test_others_may_read_what_was_written(tmp_path: Path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_atomically(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode == plain.stat().st_mode


def test_readers_see_the_old_or_the_new_file(tmp_path: Path):
    path = tmp_path / "file"
    write_atomically(path, b"a" * 200_000)
    stop = threading.Event()
    torn: list[int] = []

    def watch() -> None:
        while not stop.is_set():
            data = path.read_bytes()
            if len(data) != 200_000 or len(set(data)) != 1:
                torn.append(len(data))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for i in range(20):
        write_atomically(path, b"ab"[i % 2 : i % 2 + 1] * 200_000)
    stop.set()
    watcher.join()
    assert not torn


def test_syncing_a_folder(tmp_path: Path):
    sync_folder(tmp_path)
    sync_folder(tmp_path / "missing")  # as on Windows, where folders cannot be opened


HOLD = """
import sys, time
from pathlib import Path
from medloupe.utils.files import exclusive_lock
with exclusive_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_exclusive_and_dies_with_its_process(tmp_path: Path):
    lock = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    got: list[float] = []

    def wait() -> None:
        with exclusive_lock(lock):
            got.append(time.monotonic())

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.2)
    assert got == []
    killed = time.monotonic()
    holder.kill()
    waiting.join(timeout=10)
    holder.wait()
    holder.stdout.close()
    assert got
    assert got[0] >= killed


def test_a_lock_is_freed_by_an_error(tmp_path: Path):
    with pytest.raises(RuntimeError), exclusive_lock(tmp_path / "lock"):
        raise RuntimeError
    with exclusive_lock(tmp_path / "lock"):
        pass


def test_a_lock_in_a_folder_that_is_gone_is_an_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError), exclusive_lock(tmp_path / "gone" / "lock"):
        pass
    assert not (tmp_path / "gone").exists()


@pytest.mark.skipif(os.name == "nt", reason="rights of this kind are POSIX's")
def test_others_may_take_the_lock_too(tmp_path: Path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    with exclusive_lock(tmp_path / "lock"):
        assert (tmp_path / "lock").stat().st_mode == plain.stat().st_mode


def test_threads_take_turns(tmp_path: Path):
    inside: list[int] = []
    most: list[int] = []

    def enter() -> None:
        for _ in range(5):
            with exclusive_lock(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.002)
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 20
