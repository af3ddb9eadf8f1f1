"""Pilots in the database: one at a time, hidden answers shown in one step, references given once and before that."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select

from medloupe.errors import StoreError, UnknownError
from medloupe.model.decision import WITHHELD
from medloupe.store.database import transaction
from medloupe.store.models import Store
from medloupe.store.pilots import Pilots
from medloupe.store.tables import PilotReferenceRow, PredictionRow, now


@pytest.fixture
def pilots(tmp_path: Path) -> Pilots:
    return Pilots(Store(tmp_path / "home").engine)


def record(pilots: Pilots, pilot: str | None, state: str = "flagged", **more: object) -> str:
    id = secrets.token_hex(16)
    answer = {"state": state, "prediction": "sick", "flagged": ["sick"], "probabilities": {"sick": 0.9, "well": 0.1}}
    row = {"id": id, "at": now(), "model": "spots", "version": 1, "answer": answer, "digest": "0" * 64}
    row |= {"state": WITHHELD if pilot else state, "pilot": pilot, **more}
    with transaction(pilots._engine, write=True) as session:
        session.execute(insert(PredictionRow), [row])
    return id


def state_of(pilots: Pilots, id: str) -> str:
    with transaction(pilots._engine) as session:
        return session.scalars(select(PredictionRow.state).where(PredictionRow.id == id)).one()


def test_one_runs_at_a_time_and_goes_on(pilots: Pilots) -> None:
    assert pilots.running() is None and pilots.latest() is None
    first = pilots.begin(by="ada")
    assert pilots.begin(by="tom").id == first.id, "it goes on, as after a restart with --pilot"
    assert pilots.begin(by="ada", plan={"people": 10}).plan == {"people": 10}
    assert Pilots(pilots._engine).running() == pilots.latest()
    pilots.end(by="ada")
    assert pilots.running() is None
    with pytest.raises(StoreError, match="No pilot runs"):
        pilots.end(by="ada")
    assert pilots.begin(by="tom").id != first.id


def test_the_end_shows_all_answers_as_they_are(pilots: Pilots) -> None:
    pilot = pilots.begin(by="ada").id
    states = {
        record(pilots, pilot, state): state for state in ("flagged", "clear", "unclear", "refused") for _ in range(150)
    }
    assert {state_of(pilots, id) for id in states} == {WITHHELD}
    assert pilots.end(by="ada") == 600
    assert all(state_of(pilots, id) == state for id, state in states.items())
    late = record(pilots, pilot)
    assert pilots.show_ended() == 1, "recorded by another process at that moment"
    assert state_of(pilots, late) == "flagged"


def test_a_reference_is_given_once_and_before_the_answer_is_seen(pilots: Pilots) -> None:
    pilot = pilots.begin(by="ada").id
    first, second, outside = record(pilots, pilot), record(pilots, pilot), record(pilots, None)
    pilots.refer(first, ["well"], by="bea")
    assert (state_of(pilots, first), state_of(pilots, second)) == ("flagged", WITHHELD)
    with pytest.raises(StoreError, match="already"):
        pilots.refer(first, ["sick"], by="bea")
    for id in (outside, "0" * 32):
        with pytest.raises(UnknownError):
            pilots.refer(id, ["sick"], by="bea")
    assert [case.labels for case in pilots.cases(pilot)] in ([("well",), None], [None, ("well",)])
    assert pilots.count(pilot) == {"spots": (2, 1)}
    pilots.end(by="ada")
    with pytest.raises(StoreError, match="has been shown"):
        pilots.refer(second, ["sick"], by="bea")


def test_what_is_deleted_goes_with_its_reference(pilots: Pilots) -> None:
    pilot = pilots.begin(by="ada").id
    id = record(pilots, pilot, watched=b"12")
    pilots.refer(id, [], by="bea")
    removed = record(pilots, pilot, deleted_at=now())
    with pytest.raises(UnknownError):
        pilots.refer(removed, [], by="bea")
    assert pilots.count(pilot) == {"spots": (1, 1)}
    with transaction(pilots._engine, write=True) as session:
        session.execute(delete(PredictionRow).where(PredictionRow.id == id))
    with transaction(pilots._engine) as session:
        assert session.scalars(select(PilotReferenceRow)).all() == []
