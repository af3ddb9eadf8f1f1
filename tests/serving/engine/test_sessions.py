"""Sessions within a number of bytes: shared, leased, given up when they must."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tiny
from medloupe.errors import ModelFileError, StoreError
from medloupe.graphs import optimised
from medloupe.graphs.session import run
from medloupe.serving.engine import sessions as cache
from medloupe.serving.engine.sessions import OVERHEAD, Sessions


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path]]:
    """Six networks that differ: (sha256, file)."""
    folder = tmp_path_factory.mktemp("networks")
    source = onnx.load(tiny.backbone(folder).path)
    made = []
    for i in range(6):
        tensor = source.graph.initializer[-1]
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float16(0.125 * i), tensor.name))
        data = source.SerializeToString()
        path = folder / f"{i}.onnx"
        path.write_bytes(data)
        made.append((hashlib.sha256(data).hexdigest(), path))
    return made


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where optimised copies are kept: made once for all tests here."""
    return tmp_path_factory.mktemp("graphs")


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (1, tiny.SIZE, tiny.SIZE, 3), dtype=np.uint8)


def test_the_optimised_copy_answers_as_the_file_does(networks: list[tuple[str, Path]], copies: Path) -> None:
    from medloupe.graphs.session import open_session

    sessions = Sessions(1 << 30, copies, cores=2)
    for sha256, path in networks[:2]:
        (want,) = run(open_session(path), ["embedding"], image())
        for alone in (False, True):
            with sessions.lease(sha256, path, alone=alone) as opened:
                (got,) = run(opened, ["embedding"], image())
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_one_copy_a_network_and_machine(networks: list[tuple[str, Path]], tmp_path: Path) -> None:
    sha256, path = networks[0]
    first = optimised.ensure_optimised(path, sha256, tmp_path)
    made = first.stat().st_mtime_ns
    assert optimised.ensure_optimised(path, sha256, tmp_path) == first
    assert first.stat().st_mtime_ns == made
    assert [p.suffix for p in tmp_path.iterdir() if p.name != "lock"] == [".ort"]


def test_what_is_prepared_is_made_and_drives_out_nobody(networks: list[tuple[str, Path]], copies: Path) -> None:
    (first, one), (second, two) = networks[:2]
    size = optimised.ensure_optimised(one, first, copies).stat().st_size + OVERHEAD
    sessions = Sessions(size + size // 2, copies, cores=1)
    assert sessions.prepare(first, one), "nothing is held yet"
    with sessions.lease(first, one) as opened:
        run(opened, ["embedding"], image())
    assert sessions.prepare(first, one), "it is held"
    assert not sessions.prepare(second, two), "there is no room beside the first"
    assert (sessions.count, sessions.evictions, sessions.loads) == (1, 0, 1)


def test_many_who_ask_at_once_open_it_once(networks: list[tuple[str, Path]], tmp_path: Path) -> None:
    sessions = Sessions(1 << 30, tmp_path, cores=1)
    sha256, path = networks[0]
    together = threading.Barrier(8)
    seen: list[int] = []

    def ask() -> None:
        together.wait()
        with sessions.lease(sha256, path) as opened:
            seen.append(id(opened))

    workers = [threading.Thread(target=ask) for _ in range(8)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1
    assert sessions.loads == 1


def test_the_least_recently_used_goes_first(networks: list[tuple[str, Path]], copies: Path) -> None:
    size = optimised.ensure_optimised(networks[0][1], networks[0][0], copies).stat().st_size + OVERHEAD
    sessions = Sessions(int(3.5 * size), copies, cores=1)
    for i in (0, 1, 2, 0, 3):  # 1 has waited longest when 3 needs room
        with sessions.lease(*networks[i]):
            pass
        assert sessions.bytes <= sessions.budget
    assert sessions.loads == 4
    for i in (0, 2, 3):
        with sessions.lease(*networks[i]):
            pass
    assert sessions.loads == 4, "those used last were kept"
    with sessions.lease(*networks[1]):
        pass
    assert (sessions.loads, sessions.evictions) == (5, 2)


def test_what_is_in_use_is_waited_for_and_not_taken_away(networks: list[tuple[str, Path]], copies: Path) -> None:
    size = optimised.ensure_optimised(networks[0][1], networks[0][0], copies).stat().st_size + OVERHEAD
    sessions = Sessions(int(1.5 * size), copies, cores=1)
    order: list[str] = []

    def second() -> None:
        with sessions.lease(*networks[1]) as opened:
            order.append("second")
            run(opened, ["embedding"], image())

    with sessions.lease(*networks[0]) as opened:
        waiting = threading.Thread(target=second)
        waiting.start()
        time.sleep(0.3)
        run(opened, ["embedding"], image())  # still there
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    assert sessions.bytes <= sessions.budget


def test_a_network_larger_than_the_budget_is_refused(networks: list[tuple[str, Path]], copies: Path) -> None:
    sessions = Sessions(1 << 20, copies, cores=1)
    with pytest.raises(ModelFileError, match="--memory"), sessions.lease(*networks[0]):
        pass
    assert sessions.count == 0


def test_a_damaged_copy_is_made_again(networks: list[tuple[str, Path]], tmp_path: Path) -> None:
    sha256, path = networks[0]
    copy = optimised.ensure_optimised(path, sha256, tmp_path)
    copy.chmod(0o644)
    copy.write_bytes(b"not a graph" * 100)
    sessions = Sessions(1 << 30, tmp_path, cores=1)
    with sessions.lease(sha256, path) as opened:
        run(opened, ["embedding"], image())
    assert sessions.count == 1


def test_a_copy_that_cannot_be_opened_is_made_again(networks: list[tuple[str, Path]], tmp_path: Path) -> None:
    sha256, path = networks[0]
    copy = optimised.ensure_optimised(path, sha256, tmp_path)
    copy.chmod(0o644)
    copy.write_bytes(b"not a graph" * 100)
    with pytest.raises(ModelFileError, match="made again"):
        optimised.open_optimised(copy, 1)
    with Sessions(1 << 30, tmp_path, cores=1).lease(sha256, path) as opened:
        run(opened, ["embedding"], image())


def test_what_is_no_network_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"nothing of the kind")
    sessions = Sessions(1 << 30, tmp_path / "graphs", cores=1)
    for _ in range(2):
        with pytest.raises(ModelFileError, match="cannot be prepared"), sessions.lease("ab" * 32, path):
            pass
    assert sessions.count == 0


def test_a_folder_that_cannot_be_written_is_named(networks: list[tuple[str, Path]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sessions = Sessions(1 << 30, tmp_path / "file" / "graphs", cores=1)
    with pytest.raises(StoreError, match="optimised copy"), sessions.lease(*networks[0]):
        pass


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="reads the memory from /proc")
def test_a_thousand_exchanges_leave_no_memory_behind(networks: list[tuple[str, Path]], copies: Path) -> None:
    size = optimised.ensure_optimised(networks[0][1], networks[0][0], copies).stat().st_size + OVERHEAD
    sessions = Sessions(int(1.5 * size), copies, cores=1)

    def exchange(times: int) -> int:
        for i in range(times):
            with sessions.lease(*networks[i % len(networks)]) as opened:
                run(opened, ["embedding"], image())
        cache._trim()
        line = next(x for x in Path("/proc/self/smaps_rollup").read_text().splitlines() if x.startswith("Rss"))
        return int(line.split()[1])

    exchange(100)
    before = exchange(100)
    after = exchange(1000)
    assert sessions.evictions >= 1100
    assert after <= 1.05 * before


_CUT_SHORT = """
import os, sys
from pathlib import Path
import numpy as np
from medloupe.graphs.session import run
from medloupe.serving.engine.sessions import Sessions

path, folder, sha256, size = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
picture = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
sessions = Sessions(1 << 30, folder, cores=1)

def answer():
    with sessions.lease(sha256, path) as opened:
        return run(opened, ["embedding"], picture)[0]

before = answer()
for keep in (1000, 0):
    (copy,) = folder.glob("*.ort")
    copy.chmod(0o644)
    os.truncate(copy, keep)
    assert np.array_equal(before, answer())
(copy,) = folder.glob("*.ort")
copy.unlink()
assert np.array_equal(before, answer())
print("whole", sessions.loads)
"""


def test_a_copy_cut_short_while_it_is_mapped_is_made_again(networks: list[tuple[str, Path]], tmp_path: Path) -> None:
    # In a process of its own: reading behind the end of a mapped file would end it.
    sha256, path = networks[0]
    command = [sys.executable, "-c", _CUT_SHORT, str(path), str(tmp_path), sha256, str(tiny.SIZE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout.split()) == (0, ["whole", "4"]), done.stderr[-2000:]
