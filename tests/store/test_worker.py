"""Workers: real processes that are heard of, bounded, stopped and killed, and jobs that are done once all the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import generated
from drills import until
from generated import run
from medloupe.jobs.local import bounds_memory
from medloupe.store.database import open_engine
from medloupe.store.jobrows import CANCELLED, DONE, FAILED, RUNNING, WAITING, Lease
from medloupe.store.models import Store
from medloupe.store.queue import JobQueue
from medloupe.store.worker import Worker

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="workers run on Linux and macOS")

TELLING = """
import time
from medloupe.jobs.inside import end_with_worker, open_progress, read_job
end_with_worker()
say = open_progress()
for i in range(4):
    say("embedding", i, 3)
    time.sleep(0.3)
print("not JSON")
print('{"name": "lungs", "job": "%s"}' % (read_job()[0],))
"""
SLEEPING = """
import subprocess, sys, time
from pathlib import Path
from medloupe.jobs.inside import end_with_worker
end_with_worker()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path("pids").write_text(f"{__import__('os').getpid()} {child.pid}")
time.sleep(600)
"""


@pytest.fixture
def queue(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobQueue]:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    home.mkdir(parents=True, exist_ok=True)
    yield JobQueue(open_engine(home), lease=3)


def working(queue: JobQueue, home: Path, code: str, **bounds: float) -> Worker:
    def command(lease: Lease) -> list[str]:
        return [sys.executable, "-c", code, *lease.job.arguments]

    return Worker(queue, home, command=command, **bounds)  # type: ignore[arg-type]


def pids_in(folder: Path) -> list[int]:
    until(lambda: (folder / "pids").exists() and len((folder / "pids").read_text().split()) == 2, 60)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_it_tells_how_far_it_is_and_what_came_of_it(queue: JobQueue, home: Path) -> None:
    id = queue.add("train", []).id
    seen = []
    worker = working(queue, home, TELLING)
    thread = threading.Thread(target=worker.run_one)
    thread.start()
    while thread.is_alive():
        seen.append(queue.get(id).progress)
        time.sleep(0.1)
    told = queue.get(id)
    assert (told.state, told.result, told.worker) == (DONE, {"name": "lungs", "job": id}, worker.name)
    assert any(p and p["stage"] == "embedding" and p["total"] == 3 for p in seen)
    assert worker.run_one() is False


def test_what_fails_says_why(queue: JobQueue, home: Path, tmp_path: Path) -> None:
    id = queue.add("train", []).id
    assert working(queue, home, "import sys; print('no such folder: x', file=sys.stderr); sys.exit(1)").run_one()
    assert (queue.get(id).state, queue.get(id).error) == (FAILED, "no such folder: x")
    id = queue.add("train", [], folder=str(tmp_path / "gone")).id
    assert working(queue, home, TELLING).run_one()
    assert queue.get(id).state == FAILED and "cannot be started in" in queue.get(id).error


def test_what_is_killed_is_tried_again(queue: JobQueue, home: Path, tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
tries = Path({str(tmp_path / "tries")!r})
tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
if len(tries.read_text()) < 2:
    os.kill(os.getpid(), signal.SIGKILL)
print('{{"version": 1}}')
"""
    id = queue.add("train", []).id
    worker = working(queue, home, code)
    assert worker.run_one()
    assert queue.get(id).state == WAITING and "SIGKILL" in queue.get(id).error
    assert worker.run_one()
    assert (queue.get(id).state, queue.get(id).attempt, queue.get(id).error) == (DONE, 2, "")


def test_it_is_stopped_with_all_that_it_started(queue: JobQueue, home: Path, tmp_path: Path) -> None:
    id = queue.add("train", [], folder=str(tmp_path)).id
    thread = threading.Thread(target=working(queue, home, SLEEPING).run_one)
    thread.start()
    pids = pids_in(tmp_path)
    queue.ask_to_stop(id)
    thread.join(30)
    assert not thread.is_alive() and all(map(gone, pids))
    assert (queue.get(id).state, queue.get(id).error) == (CANCELLED, "It was stopped.")


def test_its_time_is_bounded(queue: JobQueue, home: Path, tmp_path: Path) -> None:
    id = queue.add("train", [], folder=str(tmp_path)).id
    assert working(queue, home, SLEEPING, seconds=3).run_one()
    assert queue.get(id).state == FAILED and "which is the limit here" in queue.get(id).error


@pytest.mark.skipif(not bounds_memory(), reason="this system bounds no other process's memory")
def test_its_memory_is_bounded(queue: JobQueue, home: Path) -> None:
    id = queue.add("train", []).id
    assert working(queue, home, "x = bytearray(2**30); print('{}')", memory=2**29).run_one()
    assert queue.get(id).state == FAILED and "MemoryError" in queue.get(id).error


def test_a_worker_that_ends_gives_its_job_back(queue: JobQueue, home: Path, tmp_path: Path) -> None:
    id = queue.add("train", [], folder=str(tmp_path)).id
    worker = working(queue, home, SLEEPING)
    thread = threading.Thread(target=worker.run)
    thread.start()
    pids = pids_in(tmp_path)
    worker.end()
    thread.join(30)
    assert not thread.is_alive() and all(map(gone, pids))
    assert queue.get(id).state == WAITING


def test_a_worker_that_is_killed_takes_its_process_along(queue: JobQueue, home: Path, tmp_path: Path) -> None:
    """And another worker does the job."""
    id = queue.add("train", [], folder=str(tmp_path)).id
    code = f"""
import sys
from pathlib import Path
from medloupe.store.database import open_engine
from medloupe.store.queue import JobQueue
from medloupe.store.worker import Worker
home = Path({str(home)!r})
Worker(JobQueue(open_engine(home), lease=3), home, command=lambda lease: [sys.executable, "-c", {SLEEPING!r}]).run()
"""
    killed = subprocess.Popen([sys.executable, "-c", code])
    pids = pids_in(tmp_path)
    killed.kill()
    killed.wait()
    until(lambda: all(map(gone, pids)), 30)
    assert queue.get(id).state == RUNNING
    until(working(queue, home, TELLING).run_one, 30)
    assert (queue.get(id).state, queue.get(id).attempt) == (DONE, 2)


# ------------------------------------------------------------------ a training, by the command line


@pytest.mark.slow
def test_a_training_is_done_once_whoever_ends(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = generated.folders(tmp_path / "data", 10)
    (job,) = run(capsys, "jobs", "add", "train", str(data), "--name", "spots", "--json").lines
    queue = JobQueue(Store(home).engine)
    for moment in (1.0, 4.0):
        worker = subprocess.Popen([sys.executable, "-m", "medloupe", "jobs", "work"], env={**os.environ})
        until(lambda: queue.get(job["id"]).state == RUNNING, 60)
        time.sleep(moment)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
        if queue.get(job["id"]).state == DONE:
            break
        assert queue.get(job["id"]).state == WAITING
    run(capsys, "jobs", "work", "--once")
    (told,) = run(capsys, "jobs", "list", "--all", "--json").lines
    assert told["state"] == DONE
    assert (told["result"]["name"], told["result"]["version"]) == ("spots", 1)
    assert told["result"]["metrics"]["auc"]["value"] > 0.5
    assert [v.version for v in Store(home).list()] == [1]
    shown = run(capsys, "jobs", "show", job["id"][:5]).out
    assert "version=1" in shown and "done" in shown
    assert "jobs list" in run(capsys, "jobs", "add", "train", "x").err
    assert "waiting" in run(capsys, "jobs", "list").out
    (waiting,) = run(capsys, "jobs", "list", "--json").lines
    assert "cancelled" in run(capsys, "jobs", "stop", waiting["id"]).out
    assert json.loads(json.dumps(waiting))["folder"] == str(Path.cwd())
    assert run(capsys, "jobs", "stop", waiting["id"]).code == 1
