"""The durable queue: one taker for each job, in order, whatever dies; what was lost is no longer listened to."""

from __future__ import annotations

import datetime
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from medloupe.errors import StoreError, UnknownError
from medloupe.jobs.inside import JOB
from medloupe.store import queue as queues
from medloupe.store.database import open_engine, transaction
from medloupe.store.jobrows import CANCELLED, DONE, FAILED, RUNNING, WAITING, LeaseLostError
from medloupe.store.models import Store
from medloupe.store.queue import MOST_DEATHS, JobQueue
from medloupe.store.tables import AuditRow, JobRow
from storing import made, write_files


@pytest.fixture
def engine(database: str, home: Path) -> Engine:
    home.mkdir(parents=True, exist_ok=True)
    return open_engine(home)


@pytest.fixture
def queue(engine: Engine) -> JobQueue:
    return JobQueue(engine)


def expire(engine: Engine, id: str) -> None:
    """As if its worker had not been heard of for a long time."""
    with transaction(engine, write=True) as session:
        row = session.get_one(JobRow, id)
        row.leased_until = (datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=5)).isoformat(
            timespec="milliseconds"
        )


def test_jobs_are_done_in_their_order(queue: JobQueue) -> None:
    ids = [queue.add("train", ["data", "--name", f"m{i}"], folder="/x", by="ada").id for i in range(3)]
    for id in ids:
        lease = queue.take("here:1")
        assert lease is not None and lease.job.id == id and lease.job.state == RUNNING
        assert (lease.job.kind, lease.job.arguments[0], lease.job.folder) == ("train", "data", "/x")
        assert queue.beat(lease, {"stage": "embedding", "done": 3, "total": 9}) is False
        assert queue.get(id[:6]).progress == {"stage": "embedding", "done": 3, "total": 9}
        queue.finish(lease, {"version": 1})
        assert (queue.get(id).state, queue.get(id).result) == (DONE, {"version": 1})
    assert queue.take("here:1") is None
    assert [job.id for job in queue.list()] == ids[::-1]
    assert queue.list(WAITING, RUNNING) == []


def test_no_two_take_the_same(engine: Engine) -> None:
    adder = JobQueue(engine)
    wanted = {adder.add("stress", [str(i)]).id for i in range(24)}
    taken: list[str] = []
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            own = JobQueue(engine)
            while (lease := own.take(f"worker:{number}")) is not None:
                taken.append(lease.job.id)
                own.finish(lease, {})
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert sorted(taken) == sorted(wanted), "each once"


def test_who_is_not_heard_of_loses_the_job(queue: JobQueue, engine: Engine) -> None:
    id = queue.add("train", []).id
    dead = queue.take("dead:1")
    assert dead is not None and queue.take("other:2") is None, "it is somebody's"
    expire(engine, id)
    alive = queue.take("other:2")
    assert alive is not None and (alive.job.id, alive.attempt) == (id, 2)
    for late in (
        lambda: queue.beat(dead),
        lambda: queue.finish(dead, {"version": 7}),
        lambda: queue.fail(dead, "late"),
        lambda: queue.give_back(dead),
    ):
        with pytest.raises(LeaseLostError, match="not this worker's any more"):
            late()
    assert queue.get(id).state == RUNNING and queue.get(id).result is None
    queue.finish(alive, {"version": 1})
    assert queue.get(id).result == {"version": 1}


def test_a_job_that_kills_its_workers_is_given_up(queue: JobQueue, engine: Engine) -> None:
    id = queue.add("train", []).id
    for attempt in range(1, MOST_DEATHS + 1):
        lease = queue.take("dead:1")
        assert lease is not None and lease.attempt == attempt
        expire(engine, id)
    assert queue.take("dead:1") is None
    assert queue.get(id).state == FAILED and f"{MOST_DEATHS} times" in queue.get(id).error


def test_one_that_is_given_back_is_not_held_against_it(queue: JobQueue) -> None:
    id = queue.add("train", []).id
    for _ in range(2 * MOST_DEATHS):
        lease = queue.take("here:1")
        assert lease is not None
        queue.give_back(lease)
    assert queue.get(id).state == WAITING


def test_failures(queue: JobQueue) -> None:
    id = queue.add("train", []).id
    for _ in range(MOST_DEATHS - 1):
        lease = queue.take("here:1")
        assert lease is not None
        queue.fail(lease, "killed", again=True)
        assert (queue.get(id).state, queue.get(id).error) == (WAITING, "killed")
    lease = queue.take("here:1")
    assert lease is not None
    queue.fail(lease, "killed", again=True)
    assert queue.get(id).state == FAILED
    other = queue.add("train", []).id
    lease = queue.take("here:1")
    assert lease is not None
    queue.fail(lease, "no such folder")
    assert (queue.get(other).state, queue.get(other).error) == (FAILED, "no such folder")


def test_stopping(queue: JobQueue, engine: Engine) -> None:
    waits, runs = queue.add("train", ["a"]).id, ""
    assert queue.ask_to_stop(waits, by="ada").state == CANCELLED
    assert queue.take("here:1") is None
    runs = queue.add("train", ["b"]).id
    lease = queue.take("here:1")
    assert lease is not None
    assert queue.ask_to_stop(runs).state == RUNNING
    assert queue.beat(lease) is True
    queue.fail(lease, "It was stopped.")
    assert queue.get(runs).state == CANCELLED
    with pytest.raises(StoreError, match="is over: cancelled"):
        queue.ask_to_stop(runs)
    dead = queue.add("train", ["c"]).id
    lease = queue.take("here:1")
    assert lease is not None
    queue.ask_to_stop(dead)
    expire(engine, dead)
    assert queue.take("here:1") is None, "nobody begins again what somebody wants stopped"
    assert queue.get(dead).state == CANCELLED
    with transaction(engine) as session:
        actions = session.scalars(select(AuditRow.action).order_by(AuditRow.id)).all()
    assert actions.count("job.add") == 3 and actions.count("job.stop") == 3


def test_what_is_refused(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="No job is called 'rm'") as e:
        queue.add("rm", ["-rf"])
    assert "train" in e.value.hint
    with pytest.raises(StoreError, match="at most"):
        queue.add("train", ["x" * 5000])
    for id in ("", "ffff", "no", "%", "_" * 32):
        with pytest.raises(UnknownError):
            queue.get(id)
    monkeypatch.setattr(queues, "MOST_WAITING", 2)
    queue.add("train", [])
    queue.add("train", [])
    with pytest.raises(StoreError, match="2 jobs wait already"):
        queue.add("train", [])


def test_forgetting(queue: JobQueue) -> None:
    over, waits = queue.add("train", []).id, queue.add("train", []).id
    lease = queue.take("here:1")
    assert lease is not None
    queue.finish(lease, {})
    assert queue.forget(1) == 0
    assert queue.forget(-1) == 1, "as seen from tomorrow"
    assert [job.id for job in queue.list()] == [waits] and over != waits


# ------------------------------------------------------------------ a version and the end of its job


def test_a_version_and_the_end_of_its_job_are_one(
    home: Path, tmp_path: Path, queue: JobQueue, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(home)
    id = queue.add("train", []).id
    first = queue.take("here:1")
    assert first is not None
    expire(engine, id)
    second = queue.take("here:2")
    assert second is not None
    monkeypatch.setenv(JOB, first.token)
    with pytest.raises(LeaseLostError):
        store.add(made(tmp_path), write_files=write_files)
    assert store.list() == [] and not any(home.rglob("model.onnx")), "who is too late adds nothing"
    monkeypatch.setenv(JOB, second.token)
    added = store.add(made(tmp_path), write_files=write_files)
    assert (queue.get(id).state, queue.get(id).result) == (DONE, {"name": added.name, "version": added.version})
    with pytest.raises(LeaseLostError):
        store.add(made(tmp_path, seed=1), write_files=write_files)
    assert len(store.list()) == 1, "a job makes one version"
    queue.finish(second, {"metrics": {"auc": 1}, "version": 99})
    assert queue.get(id).result == {"name": added.name, "version": added.version, "metrics": {"auc": 1}}
    queue.fail(second, "killed after it was done", again=True)
    assert queue.get(id).state == DONE


def test_without_a_worker_nothing_is_asked(home: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv(JOB, raising=False)
    assert Store(home).add(made(tmp_path), write_files=write_files).version == 1


def test_whose_version_is_in_the_store_may_finish_its_sentence(
    queue: JobQueue, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.add("train", ["data"])
    lease = queue.take("here:1")
    assert lease is not None
    monkeypatch.setenv(JOB, lease.token)
    with transaction(engine, write=True) as session:
        queues.finish_within(session, {"version": 1})
    assert queue.beat(lease, {"stage": "writing", "done": 1, "total": 1}) is False
    queue.finish(lease, {"metrics": {}})
    told = queue.get(lease.job.id)
    assert (told.state, told.result, told.progress) == (DONE, {"version": 1, "metrics": {}}, None)
