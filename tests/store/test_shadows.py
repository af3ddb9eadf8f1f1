"""Shadow comparisons in the database: one at a time, ended by count in whatever process, gone with their answers."""

from __future__ import annotations

import secrets
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update

import drills
from medloupe.accounts.log import AuditLog
from medloupe.errors import StoreError, UnknownError
from medloupe.store.database import transaction
from medloupe.store.models import Store
from medloupe.store.shadows import BY_COUNT, Shadows
from medloupe.store.tables import PredictionRow, ShadowAnswerRow, now
from trained import Trained

NAME = drills.NAME
SAID = {"state": "clear", "prediction": "a", "flagged": [], "probabilities": {"a": 0.6, "b": 0.4}}


@pytest.fixture
def store(_trained: Trained, tmp_path: Path) -> Store:
    """With three versions, of which 1 is in production."""
    shutil.copytree(_trained.home, tmp_path / "home")
    drills.add_versions(tmp_path / "home", tmp_path)
    return Store(tmp_path / "home")


def record(store: Store, **more: Any) -> str:
    row = {"id": secrets.token_hex(16), "at": now(), "model": NAME, "version": 1, "answer": SAID, "digest": "0" * 64}
    with transaction(store.engine, write=True) as session:
        session.execute(insert(PredictionRow), [row | more])
    return str(row["id"])


def test_one_goes_on_at_a_time(store: Store) -> None:
    shadows = Shadows(store.engine)
    one = shadows.begin(NAME, 1, 2, wanted=5, by="ada")
    assert (one.before, one.after, one.running) == (1, 2, True)
    assert shadows.begin(NAME, 2, 1, wanted=9, by="tom").id == one.id, "the same two, whichever is shown"
    with pytest.raises(StoreError, match="Versions 1 and 2 of"):
        shadows.begin(NAME, 1, 3, wanted=5, by="ada")
    assert (one.other(1), one.other(2), one.other(3), one.other(None)) == (2, 1, None, None)
    assert shadows.end(NAME, by="ada").ended_by == "ada"
    with pytest.raises(StoreError, match="No versions"):
        shadows.end(NAME, by="ada")
    assert shadows.begin(NAME, 3, 1, wanted=5, by="ada").before == 1
    assert [s.after for s in shadows.list(NAME)] == [3, 2]
    lines = [(e.action, e.object) for e in AuditLog(store.engine).entries(20) if e.action.startswith("shadow")]
    assert lines == [("shadow.begin", f"{NAME}@3"), ("shadow.end", f"{NAME}@2"), ("shadow.begin", f"{NAME}@2")]


@pytest.mark.parametrize(
    ("versions", "wanted", "error", "says"),
    [
        ((1, 9), 5, UnknownError, "There is no"),
        ((1, 1), 5, StoreError, "in production itself"),
        ((1, 2), 0, StoreError, "0 requests"),
        ((1, 2), 10**6, StoreError, "1,000,000 requests"),
    ],
)
def test_what_makes_no_sense_is_refused(
    store: Store, versions: tuple[int, int], wanted: int, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Shadows(store.engine).begin(NAME, *versions, wanted=wanted, by="ada")
    with pytest.raises(UnknownError):
        Shadows(store.engine).begin("nothing", 1, 2, wanted=5, by="ada")


def test_it_ends_by_itself_exactly_at_the_count_when_many_write(store: Store) -> None:
    one = Shadows(store.engine).begin(NAME, 1, 2, wanted=12, by="ada")
    ids = [record(store) for _ in range(20)]
    kept: list[bool] = []

    def write(own: list[str]) -> None:
        shadows = Shadows(Store(store.home).engine)  # as another server of the same store
        kept.extend(shadows.keep(one.id, id, 2, SAID, 7) for id in own)

    threads = [threading.Thread(target=write, args=(ids[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    (after,) = Shadows(store.engine).list(NAME)
    assert (sum(kept), after.compared, after.ended_by) == (12, 12, BY_COUNT)
    assert len(list(Shadows(store.engine).cases(after))) == 12
    assert Shadows(store.engine).running() == []


def test_a_request_is_compared_once_and_what_is_lost_is_counted(store: Store) -> None:
    shadows = Shadows(store.engine)
    one = shadows.begin(NAME, 1, 2, wanted=12, by="ada")
    id = record(store)
    assert shadows.keep(one.id, id, 2, SAID, None) and not shadows.keep(one.id, id, 2, SAID, None)
    assert not shadows.keep(one.id, "0" * 32, 2, SAID, None), "an answer that is not there"
    assert not shadows.keep(one.id, record(store, deleted_at=now()), 2, SAID, None)
    shadows.lose(one.id, dropped=3)
    shadows.lose(one.id, failed=2)
    (after,) = shadows.list(NAME)
    assert (after.compared, after.dropped, after.failed) == (1, 3, 2)


def test_cases_are_told_from_the_older_to_the_newer_and_go_with_their_answers(store: Store) -> None:
    shadows = Shadows(store.engine)
    one = shadows.begin(NAME, 1, 2, wanted=12, by="ada")
    other = {**SAID, "state": "flagged", "given": {"name": "x"}, "file": "secret.png"}
    first = record(store, site="Ward A", ms=5)
    second = record(store, version=2)
    hidden = record(store, pilot="p")
    shadows.keep(one.id, first, 2, other, 9)
    shadows.keep(one.id, second, 1, other, None)  # 2 was promoted meanwhile, and 1 answers unseen
    shadows.keep(one.id, hidden, 2, other, None)
    a, b = shadows.cases(one)
    assert (a.id, a.site, a.before["state"], a.after["state"], a.ms) == (first, "Ward A", "clear", "flagged", (5, 9))
    assert (b.id, b.before["state"], b.after["state"]) == (second, "flagged", "clear")
    with transaction(store.engine) as session:
        assert set(session.scalars(select(ShadowAnswerRow)).first().answer) == set(SAID), "nothing more is kept"
    with transaction(store.engine, write=True) as session:
        session.execute(update(PredictionRow).where(PredictionRow.id == first).values(deleted_at=now()))
    assert [c.id for c in shadows.cases(one)] == [second]
    with transaction(store.engine, write=True) as session:
        session.execute(delete(PredictionRow))
    with transaction(store.engine) as session:
        assert session.scalars(select(ShadowAnswerRow)).all() == []
    assert shadows.list(NAME)[0].compared == 3
