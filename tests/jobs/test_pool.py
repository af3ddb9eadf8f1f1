"""Tasks are done once whatever they run on, also when workers are killed under them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from medloupe.errors import MedloupeError
from medloupe.jobs.engines import ENGINES, open_pool
from medloupe.jobs.local_pool import LocalPool
from medloupe.jobs.pool import ATTEMPTS, Lost, Start, WorkerPool
from poolwork import Worker

SUPPORT = Path(__file__).parents[1] / "support"
Open = Callable[..., WorkerPool]


@pytest.fixture(params=[ENGINES[0], pytest.param(ENGINES[1], marks=pytest.mark.slow)])
def opened(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a pool of either engine, and closes it."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
    if request.param == "ray":
        request.getfixturevalue("ray_here")
    pools: list[WorkerPool] = []

    def open_one(start: Start, workers: int = 2) -> WorkerPool:
        pools.append(open_pool(request.param, start, workers))
        return pools[-1]

    yield open_one
    for pool in pools:
        pool.close()


def test_each_task_comes_with_its_result(opened: Open) -> None:
    pool = opened(Worker())
    assert sorted(pool.run(range(1, 100))) == [(n, n * n) for n in range(1, 100)]
    assert sorted(pool.run([7])) == [(7, 49)]  # the workers live on
    assert list(pool.run([])) == []
    assert pool.replaced == 0


def test_workers_are_processes_of_their_own_that_live(opened: Open) -> None:
    pool = opened(Worker())
    pids = {pid for _, pid in pool.run(["pid"] * 20)}
    assert os.getpid() not in pids
    assert 1 <= len(pids) <= 2


def test_a_task_whose_worker_died_is_done_by_another(opened: Open, tmp_path: Path) -> None:
    pool = opened(Worker(str(tmp_path)))
    done = dict(pool.run([1, 2, "die:2", 3, 4]))
    assert done == {1: 1, 2: 4, 3: 9, 4: 16, "die:2": "lived after 2"}
    assert pool.replaced == 2


def test_a_task_that_ends_every_worker_is_given_up_and_the_rest_is_done(opened: Open, tmp_path: Path) -> None:
    pool = opened(Worker(str(tmp_path)))
    done = dict(pool.run([1, "die", 2, 3]))
    assert done == {1: 1, 2: 4, 3: 9, "die": Lost(ATTEMPTS)}
    assert dict(pool.run([5])) == {5: 25}


def test_what_a_worker_raises_on_purpose_is_raised_with_its_advice(opened: Open) -> None:
    with pytest.raises(MedloupeError, match="has no column 'sexe'") as caught:
        list(opened(Worker()).run([1, "wrong"]))
    assert "sex" in caught.value.hint


def test_what_a_worker_raises_else_comes_with_where(opened: Open) -> None:
    with pytest.raises(RuntimeError, match=r"poolwork\.py(?s:.*)ZeroDivisionError: of the worker's own"):
        list(opened(Worker()).run(["fail"]))


def test_workers_that_never_begin_are_no_endless_loop(opened: Open) -> None:
    with pytest.raises(MedloupeError, match="ended before they began"):
        list(opened(Worker(dead=True)).run([1]))


def test_an_engine_that_there_is_not() -> None:
    with pytest.raises(MedloupeError, match="no engine 'dask'") as caught:
        open_pool("dask", Worker())
    assert "local and ray" in caught.value.hint


def test_closing_ends_the_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))
    with LocalPool(Worker(), 2) as pool:
        assert dict(pool.run([3])) == {3: 9}
        pids = pool.pids
        assert pids
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.slow
def test_workers_end_with_whoever_started_them_in_the_middle_of_a_task(tmp_path: Path) -> None:
    code = (
        "from poolwork import Worker; from medloupe.jobs.engines import open_pool;"
        f"list(open_pool('local', Worker({str(tmp_path)!r}), 1).run(['sleep']))"
    )
    paths = os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})
    asleep = tmp_path / "asleep"
    _wait(lambda: asleep.exists() and asleep.read_text() != "")
    worker = int(asleep.read_text())
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    _wait(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE)


def _wait(until: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_a_cluster_whose_cores_are_all_taken_is_told_of_and_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import ray

    from medloupe.jobs import ray_pool

    monkeypatch.setattr(ray_pool, "_PATIENCE", 1.0)
    holders = [ray.remote(num_cpus=1)(Holder).remote() for _ in range(2)]
    ray.get([holder.there.remote() for holder in holders])

    def let_go(record: logging.LogRecord) -> bool:
        for holder in holders:
            ray.kill(holder)
        holders.clear()
        return True

    caplog.handler.addFilter(let_go)  # what is told comes while it waits
    with open_pool("ray", Worker(), 2) as pool:
        assert sorted(pool.run([2, 3])) == [(2, 4), (3, 9)]
    caplog.handler.removeFilter(let_go)
    assert "all 2 cores of the Ray cluster are taken by other work" in caplog.messages[0]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_what_ray_tells_of_lost_workers_stays_off_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    from ray._private import worker

    worker.print_to_stdstream({"lines": ["A worker died"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_work_for_a_gpu_has_one_for_itself_where_the_cluster_has_any() -> None:
    with open_pool("ray", Worker(), 5, gpu=True) as pool:
        assert pool.workers == 2
        told = dict(pool.run(f"env:CUDA_VISIBLE_DEVICES#{n}" for n in range(40)))
    assert set(told.values()) <= {"0", "1"}
    with open_pool("ray", Worker(), 1) as pool:
        assert next(iter(pool.run(["env:CUDA_VISIBLE_DEVICES#0"])))[1] in ("", None)


class Holder:
    """Takes a core of the cluster."""

    def there(self) -> bool:
        return True
