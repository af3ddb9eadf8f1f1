"""Cases are settled by those who agree, and leave nothing when they are withdrawn."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from medloupe.errors import StoreError, UnknownError
from medloupe.store.database import open_engine
from medloupe.store.review_nouns import DISCARDED, OPEN, SETTLED, WITHDRAWN, ReviewCase
from medloupe.store.review_queue import ReviewQueue


@pytest.fixture
def engine(database: str, home: Path) -> Engine:
    home.mkdir(parents=True, exist_ok=True)
    return open_engine(home)


@pytest.fixture
def queue(engine: Engine, home: Path) -> ReviewQueue:
    return ReviewQueue(engine, home)


def add(queue: ReviewQueue, data: bytes = b"picture", **given: Any) -> ReviewCase:
    told: dict[str, Any] = {
        "prediction_id": secrets.token_hex(16),
        "model": "spots",
        "version": 1,
        "task": "multiclass",
        "labels": ("normal", "sick"),
        "answer": {"prediction": "sick"},
        "said": None,
        "size": (100, 80),
        "basis": "consent",
        "by": "bea",
    }
    return queue.add(data, **{**told, **given})


def test_an_answer_is_one_case(queue: ReviewQueue) -> None:
    first = add(queue, prediction_id="a" * 32)
    assert add(queue, prediction_id="a" * 32).id == first.id
    assert (first.basis, first.basis_by, first.state) == ("consent", "bea", OPEN)
    assert queue.picture(first) == b"picture"
    assert queue.get("a" * 32) == first
    with pytest.raises(StoreError, match="no basis"):
        add(queue, basis="because")


def test_one_reader_settles(queue: ReviewQueue) -> None:
    case = queue.give_opinion(add(queue).id, "ann", verdict="label", labels=["normal"])
    assert (case.state, case.outcome) == (SETTLED, {"verdict": "label", "labels": ["normal"], "boxes": None})
    with pytest.raises(StoreError, match="settled"):
        queue.give_opinion(case.id, "bob", verdict="discard")
    assert queue.give_opinion(add(queue).id, "ann", verdict="discard").state == DISCARDED


def test_two_must_agree_where_two_are_wanted_and_a_third_decides(queue: ReviewQueue) -> None:
    id = add(queue, wanted=2).id
    assert queue.give_opinion(id, "ann", verdict="label", labels=["normal"]).state == OPEN
    with pytest.raises(StoreError, match="read this case already"):
        queue.give_opinion(id, "ann", verdict="label", labels=["normal"])
    case = queue.give_opinion(id, "bob", verdict="label", labels=["sick"])
    assert (case.state, case.disputed) == (OPEN, True)
    case = queue.give_opinion(id, "eve", verdict="label", labels=["sick"])
    assert case.state == SETTLED and case.outcome is not None
    assert case.outcome["labels"] == ["sick"]


def test_three_that_all_differ_settle_nothing(queue: ReviewQueue) -> None:
    id = add(queue, wanted=2, labels=("a", "b", "c")).id
    for reader, label in (("ann", "a"), ("bob", "b"), ("eve", "c")):
        case = queue.give_opinion(id, reader, verdict="label", labels=[label])
    assert (case.state, case.disputed) == (OPEN, True)
    case = queue.give_opinion(id, "dan", verdict="label", labels=["b"])
    assert case.outcome is not None and case.outcome["labels"] == ["b"]


def test_a_second_reader_can_be_asked_for(queue: ReviewQueue) -> None:
    id = add(queue).id
    assert queue.ask_second(id, by="ann").wanted == 2
    assert queue.give_opinion(id, "ann", verdict="label", labels=["sick"]).state == OPEN
    assert queue.give_opinion(id, "bob", verdict="label", labels=["sick"]).state == SETTLED


def test_boxes_agree_where_they_lie_in_the_same_places(queue: ReviewQueue) -> None:
    id = add(queue, task="detection", labels=("disc",), wanted=2).id
    box = {"label": "disc", "x": 10, "y": 10, "width": 20, "height": 20}
    queue.give_opinion(id, "ann", verdict="label", boxes=[box])
    case = queue.give_opinion(id, "bob", verdict="label", boxes=[{**box, "x": 60}])
    assert case.disputed
    case = queue.give_opinion(id, "eve", verdict="label", boxes=[{**box, "x": 12, "width": 19.96}])
    assert case.state == SETTLED and case.outcome is not None
    assert case.outcome["boxes"] == [{**box, "x": 10.0, "y": 10.0, "width": 20.0, "height": 20.0}]


@pytest.mark.parametrize(
    ("task", "said", "why"),
    [
        ("multiclass", {"labels": ["other"]}, "no label 'other'"),
        ("multiclass", {"labels": []}, "one of these classes"),
        ("multiclass", {"labels": ["normal", "sick"]}, "one of these classes"),
        ("detection", {}, "Boxes are needed"),
        ("detection", {"boxes": [{"label": "sick", "x": 90, "y": 0, "width": 20, "height": 9}]}, "does not lie in"),
        ("detection", {"boxes": [{"label": "sick", "x": 9, "y": 0, "width": 0.2, "height": 9}]}, "does not lie in"),
    ],
)
def test_what_makes_no_sense_is_refused(queue: ReviewQueue, task: str, said: dict[str, Any], why: str) -> None:
    with pytest.raises(StoreError, match=why):
        queue.give_opinion(add(queue, task=task).id, "ann", verdict="label", **said)


def test_what_is_withdrawn_is_gone_and_its_place_stays(queue: ReviewQueue, home: Path) -> None:
    one, other = add(queue, b"shared"), add(queue, b"shared")
    queue.give_opinion(one.id, "ann", verdict="label", labels=["sick"])
    queue.withdraw(one.prediction_id, by="bea")
    gone = queue.get(one.id)
    assert (gone.state, gone.digest, gone.answer, gone.outcome, gone.opinions) == (WITHDRAWN, "", {}, None, ())
    with pytest.raises(UnknownError):
        queue.picture(gone)
    assert queue.picture(other) == b"shared"
    queue.withdraw(other.id, by="bea")
    assert [p for p in (home / "review").rglob("*") if p.is_file()] == []
    assert queue.count() == {WITHDRAWN: 2}
    with pytest.raises(StoreError, match="withdrawn"):
        add(queue, prediction_id=one.prediction_id)
