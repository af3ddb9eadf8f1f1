"""Candidates are due after so many corrections or days, and not again and again."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from medloupe.errors import StoreError
from medloupe.jobs.inside import JOB
from medloupe.retrain import due
from medloupe.store.candidates import Candidate, Candidates, RetrainRule
from medloupe.store.database import open_engine
from medloupe.store.dataset_nouns import DatasetClass, NewItem
from medloupe.store.datasets import Datasets
from medloupe.store.queue import JobQueue, finish_within


@pytest.fixture
def sets(home: Path) -> Datasets:
    home.mkdir(parents=True, exist_ok=True)
    sets = Datasets(open_engine(home), home)
    id = sets.create("spots", classes=[DatasetClass(name="a"), DatasetClass(name="b")]).id
    sets.add(id, [NewItem(key="0", data=b"0", file="0.png", label="a")])
    return sets


@pytest.fixture
def fresh(sets: Datasets, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Corrections that production has not learned; what is in production is beside the point here."""
    found: list[Any] = []
    monkeypatch.setattr(due, "list_corrections", lambda *_: found)
    monkeypatch.setattr(due, "find_fresh", lambda corrections, _: corrections)
    monkeypatch.setattr(due, "read_production", lambda *_: None)

    def add(count: int) -> None:
        new = [
            NewItem(key=f"c{len(found) + n}", data=b"c%d" % (len(found) + n), file="c.png", label="b")
            for n in range(count)
        ]
        found.extend(SimpleNamespace(item=item) for item in sets.add("spots", new))

    return add


def cause(sets: Datasets, rule: RetrainRule) -> str:
    return due.find_cause(None, sets, "spots", rule)  # type: ignore[arg-type]


def begin(sets: Datasets, added: int) -> Candidate:
    version = sets.freeze("spots")
    id = sets.get("spots").id
    return Candidates(sets.engine).begin(
        id, dataset_version=version.number, production=1, added=added, cause="count", by="ada"
    )


def finish(sets: Datasets, one: Candidate, monkeypatch: pytest.MonkeyPatch) -> None:
    from medloupe.store.database import transaction

    lease = JobQueue(sets.engine).take("w")
    assert lease is not None and lease.job.id == one.job
    monkeypatch.setenv(JOB, lease.token)
    with transaction(sets.engine, write=True) as session:
        finish_within(session, {"name": "spots", "version": 2})


def test_after_so_many(sets: Datasets, fresh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = RetrainRule(corrections=5)
    fresh(4)
    assert cause(sets, rule) == ""
    fresh(1)
    assert cause(sets, rule) == "count"
    one = begin(sets, 5)
    assert cause(sets, rule) == ""  # it is being made
    finish(sets, one, monkeypatch)
    assert Candidates(sets.engine).get(one.id).version == 2
    fresh(4)
    assert cause(sets, rule) == ""  # four since then
    fresh(1)
    assert cause(sets, rule) == "count"


def test_one_that_failed_is_not_tried_again_and_again(sets: Datasets, fresh: Any) -> None:
    fresh(5)
    one = begin(sets, 5)
    JobQueue(sets.engine).ask_to_stop(one.job)
    assert cause(sets, RetrainRule(corrections=5)) == ""
    fresh(1)
    assert cause(sets, RetrainRule(corrections=5)) == "count"


def test_after_so_long(sets: Datasets, fresh: Any) -> None:
    old, new = "2026-01-01T00:00:00.000+00:00", "2999-01-01T00:00:00.000+00:00"
    assert cause(sets, RetrainRule(days=7, at=old)) == ""  # no correction
    fresh(1)
    assert cause(sets, RetrainRule(days=7, at=old)) == "schedule"
    assert cause(sets, RetrainRule(days=7, at=new)) == ""


def test_rules_are_checked_and_kept(sets: Datasets) -> None:
    candidates, id = Candidates(sets.engine), sets.get("spots").id
    candidates.set_rule("spots", RetrainRule(corrections=50), by="ada")
    assert candidates.rule(id).corrections == 50 and list(candidates.rules()) == [id]
    candidates.set_rule("spots", RetrainRule(), by="ada")
    assert candidates.rules() == {}
    with pytest.raises(StoreError, match="make no sense"):
        candidates.set_rule("spots", RetrainRule(days=-1), by="ada")
