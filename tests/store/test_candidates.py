"""A candidate is asked for, judged and decided on once each."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine

from medloupe.accounts.log import AuditLog
from medloupe.errors import StoreError, UnknownError
from medloupe.jobs.inside import JOB
from medloupe.store.candidates import Candidate, Candidates
from medloupe.store.database import open_engine, transaction
from medloupe.store.dataset_nouns import DatasetClass
from medloupe.store.datasets import Datasets
from medloupe.store.jobrows import LeaseLostError
from medloupe.store.queue import JobQueue, finish_within


@pytest.fixture
def engine(database: str, home: Path) -> Engine:
    home.mkdir(parents=True, exist_ok=True)
    engine = open_engine(home)
    Datasets(engine, home).create("spots", classes=[DatasetClass(name="a")])
    return engine


def begin(engine: Engine, version: int = 1, production: int = 1, by: str = "ada") -> Candidate:
    return Candidates(engine).begin(
        "spots", dataset_version=version, production=production, added=7, cause="button", by=by
    )


def finish(engine: Engine, number: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Take the job that waits and end it as the store does when it adds a version; its token."""
    lease = JobQueue(engine).take("worker")
    assert lease is not None
    monkeypatch.setenv(JOB, lease.token)
    with transaction(engine, write=True) as session:
        finish_within(session, {"name": "spots", "version": number})
    return lease.token


def test_one_at_a_time(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    one = begin(engine)
    assert (one.state, one.cause, one.added, one.open) == ("waiting", "button", 7, True)
    assert begin(engine, version=2, by="bob").id == one.id
    (job,) = JobQueue(engine).list()
    assert (job.kind, job.arguments, job.id) == ("retrain", ("spots", "--candidate", one.id), one.job)
    finish(engine, 2, monkeypatch)
    made = Candidates(engine).get(one.id)
    assert (made.version, made.state) == (2, "judging")  # nobody is told of one that the gate may still refuse
    assert Candidates(engine).judge(one.id, {"auc": 0.9}, passed=True, reason="better").state == "ready"
    assert begin(engine).id == one.id  # of the same: nothing new
    other = begin(engine, version=2)
    assert other.id != one.id
    finish(engine, 3, monkeypatch)
    Candidates(engine).judge(other.id, {"auc": 0.9}, passed=True, reason="better")
    assert [c.state for c in Candidates(engine).list(other.dataset_id)] == ["ready", "superseded"]


def test_many_who_ask_at_once_get_the_same(engine: Engine) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(begin(engine).id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1 and len(JobQueue(engine).list()) == 1


def test_a_version_of_a_lost_job_belongs_to_nobody(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    one = begin(engine)
    token = finish(engine, 2, monkeypatch)
    monkeypatch.setenv(JOB, token.rpartition(":")[0] + ":99")
    with pytest.raises(LeaseLostError), transaction(engine, write=True) as session:
        finish_within(session, {"name": "spots", "version": 3})
    assert Candidates(engine).get(one.id).version == 2


def test_judged_once_and_refused_by_the_gate(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    one, candidates = begin(engine), Candidates(engine)
    with pytest.raises(StoreError, match="not made"):
        candidates.decide(one.id, "promoted", by="ada")
    finish(engine, 2, monkeypatch)
    refused = candidates.judge(one.id, {"auc": 0.5}, passed=False, reason="worse")
    assert (refused.state, refused.decided_by, refused.figures) == ("refused", "gate", {"auc": 0.5})
    again = candidates.judge(one.id, {"auc": 0.9}, passed=True, reason="better")
    assert (again.state, again.figures) == ("refused", {"auc": 0.5})
    forced = candidates.decide(one.id, "promoted", by="ada", reason="known")
    assert (forced.state, forced.decided_by) == ("promoted", "ada")
    with pytest.raises(StoreError, match="already"):
        candidates.decide(one.id, "dismissed", by="bob")
    lines = [line for line in AuditLog(engine).entries() if line.action.startswith("candidate.")]
    assert [line.action for line in lines] == ["candidate.promoted", "candidate.judge", "candidate.add"]
    assert lines[0].detail is not None and lines[0].detail["figures"] == {"auc": 0.5}


def test_stopped_and_unknown(engine: Engine) -> None:
    one = begin(engine)
    JobQueue(engine).ask_to_stop(one.job)
    assert Candidates(engine).get(one.id).state == "cancelled"
    assert begin(engine).id != one.id
    with pytest.raises(UnknownError):
        Candidates(engine).get("0" * 32)
