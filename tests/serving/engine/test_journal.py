"""What was answered: on the disk before anybody is told, one's own, and gone when it is forgotten."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from medloupe.accounts.log import AuditLog, audit_row
from medloupe.accounts.people import People
from medloupe.accounts.person import LOCAL, Person
from medloupe.errors import StorageError, UnknownError
from medloupe.serving.engine.history import Wanted
from medloupe.serving.engine.journal import Journal
from medloupe.serving.engine.rows import drop_input_values
from medloupe.store.database import open_engine
from medloupe.store.tables import now
from oldschema import make_old

PASSWORD = "a horse, a spoon and rain"


@pytest.fixture
def engine(home: Path, database: str) -> Engine:
    """On SQLite and on PostgreSQL."""
    home.mkdir(exist_ok=True)
    return open_engine(home)


@pytest.fixture
def journal(engine: Engine, home: Path) -> Iterator[Journal]:
    made = Journal(engine, home / "kept")
    yield made
    made.close()


@pytest.fixture
def people(engine: Engine) -> tuple[Person, Person, Person]:
    """A clinician, another one, and an admin."""
    accounts = People(engine)
    return (
        accounts.add("ana", PASSWORD, "clinician"),
        accounts.add("ben", PASSWORD, "clinician"),
        accounts.add("root", PASSWORD, "admin"),
    )


def row(person: Person, **more: Any) -> dict[str, Any]:
    answer = {"model": "lungs", "version": 2, "prediction": "flu", "probabilities": {"flu": 0.9}, "refused": None}
    return {
        "id": secrets.token_hex(16),
        "at": now(),
        "user_id": person.id,
        "model": "lungs",
        "version": 2,
        "answer": answer,
        "digest": "ab" * 32,
        "kept": None,
        **more,
    }


def together(*work: Callable[[], Awaitable[Any]]) -> list[Any]:
    async def all_of_it() -> list[Any]:
        return await asyncio.gather(*(w() for w in work), return_exceptions=True)

    return asyncio.run(all_of_it())


def work(one: Callable[[], Awaitable[Any]]) -> Any:
    async def awaited() -> Any:
        return await one()

    return asyncio.run(awaited())


def test_what_is_recorded_is_there(journal: Journal, people: tuple[Person, ...]) -> None:
    ana, ben, root = people
    made = row(ana)
    assert together(lambda: journal.record([made])) == [None]
    got = journal.get(made["id"], ana)
    assert (got.model, got.version, got.answer, got.kept) == ("lungs", 2, made["answer"], False)
    assert [e.id for e in journal.mine(ana)] == [made["id"]]
    assert journal.mine(ben) == []
    with pytest.raises(UnknownError):
        journal.get(made["id"], ben)
    assert journal.get(made["id"], root).id == made["id"], "an admin may look"


def test_without_accounts_all_is_the_local_persons(journal: Journal) -> None:
    made = row(LOCAL)
    together(lambda: journal.record([made]))
    assert [e.id for e in journal.mine(LOCAL)] == [made["id"]]


@pytest.mark.parametrize("id", ["", "x", "\0", "é" * 32, "A" * 32, "0" * 32, "0" * 500])
def test_what_is_no_id_is_unknown(journal: Journal, id: str) -> None:
    with pytest.raises(UnknownError):
        journal.get(id, LOCAL)
    (error,) = together(lambda: journal.forget(id, LOCAL))
    assert isinstance(error, UnknownError)


def test_the_newest_first_page_by_page(journal: Journal) -> None:
    rows = [row(LOCAL, at=f"2026-01-01T00:00:{i:02}.000+00:00") for i in range(10)]
    together(lambda: journal.record(rows))
    first = journal.mine(LOCAL, limit=4)
    assert [e.id for e in first] == [r["id"] for r in rows[:5:-1]]
    second = journal.mine(LOCAL, before=f"{first[-1].at}_{first[-1].id}", limit=4)
    assert [e.id for e in second] == [r["id"] for r in rows[5:1:-1]]
    assert journal.mine(LOCAL, before="\0") == []


def test_answers_of_the_same_moment_are_all_found(journal: Journal) -> None:
    rows = [row(LOCAL, at="2026-01-01T00:00:00.000+00:00") for _ in range(7)]
    together(lambda: journal.record(rows))
    seen: list[str] = []
    before = None
    while page := journal.mine(LOCAL, before=before, limit=3):
        seen += [e.id for e in page]
        before = f"{page[-1].at}_{page[-1].id}"
    assert sorted(seen) == sorted(r["id"] for r in rows)


def test_the_last_word_counts(journal: Journal, people: tuple[Person, ...]) -> None:
    ana, ben, _ = people
    made = row(ana)
    together(lambda: journal.record([made]))
    together(lambda: journal.feedback(made["id"], ana, True, None))
    together(lambda: journal.feedback(made["id"], ana, False, ["normal"]))
    got = journal.get(made["id"], ana)
    assert (got.commented, got.right, got.labels) == (True, False, ("normal",))
    (error,) = together(lambda: journal.feedback(made["id"], ben, True, None))
    assert isinstance(error, UnknownError)


def test_forgetting_leaves_nothing(journal: Journal, engine: Engine) -> None:
    made = row(LOCAL, kept="png")
    journal.keep(made["id"], b"pixels", "png")
    together(lambda: journal.record([made]))
    together(lambda: journal.feedback(made["id"], LOCAL, True, None))
    found = journal.image(made["id"], LOCAL)
    assert found is not None and found[0].read_bytes() == b"pixels"
    together(lambda: journal.forget(made["id"], LOCAL, image_only=True))
    assert not found[0].exists()
    assert not journal.get(made["id"], LOCAL).kept
    together(lambda: journal.forget(made["id"], LOCAL))
    with engine.connect() as c:
        for table in ("predictions", "feedback"):
            assert c.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0


def test_what_was_given_goes_with_the_image(journal: Journal, engine: Engine) -> None:
    """What was entered is kept for training, like the image; without the image only which inputs were given is."""
    moved = [{"name": "age", "value": "63 years", "effect": {"flu": 0.5}}, {"name": "sex", "value": "", "effect": {}}]
    answer = {**row(LOCAL)["answer"], "inputs": moved, "given": {"age": "63"}}
    made = row(LOCAL, kept="png", answer=answer)
    journal.keep(made["id"], b"pixels", "png")
    together(lambda: journal.record([made]))
    assert journal.get(made["id"], LOCAL).answer == answer
    together(lambda: journal.forget(made["id"], LOCAL, image_only=True))
    left = journal.get(made["id"], LOCAL).answer
    assert left == {**row(LOCAL)["answer"], "inputs": [{"name": "age"}]}
    assert drop_input_values(left) == left
    plain = row(LOCAL)["answer"]
    assert drop_input_values(plain) is plain


def test_many_at_once_share_a_transaction_and_one_that_fails_fails_alone(journal: Journal, engine: Engine) -> None:
    rows = [row(LOCAL) for _ in range(60)]
    twice = {**row(LOCAL), "id": rows[0]["id"]}
    done = together(*(lambda r=r: journal.record([r]) for r in [*rows, twice]))
    failed = [d for d in done if d is not None]
    assert len(failed) == 1
    assert isinstance(failed[0], StorageError)
    with engine.connect() as c:
        assert c.execute(text("SELECT count(*) FROM predictions")).scalar() == 60
    assert together(lambda: journal.record([row(LOCAL)])) == [None], "and goes on"


def test_stray_images_are_swept_once_they_are_old(journal: Journal) -> None:
    kept, fresh, old = (secrets.token_hex(16) for _ in range(3))
    for id in (kept, fresh, old):
        journal.keep(id, b"pixels", "png")
    together(lambda: journal.record([row(LOCAL, id=kept, kept="png")]))
    for id in (kept, old):
        os.utime(journal.image_path(id, "png"), (time.time() - 7200,) * 2)
    assert journal.sweep() == 1
    assert journal.image_path(kept, "png").exists()
    assert journal.image_path(fresh, "png").exists()
    assert not journal.image_path(old, "png").exists()


def test_closing_finishes_what_was_handed_in(engine: Engine, tmp_path: Path) -> None:
    journal = Journal(engine, tmp_path)
    made = [row(LOCAL) for _ in range(20)]

    async def hand_in_and_close() -> None:
        waiting = [asyncio.ensure_future(journal.record([r])) for r in made]
        await asyncio.sleep(0)
        await asyncio.to_thread(journal.close)
        await asyncio.gather(*waiting)

    asyncio.run(hand_in_and_close())
    with engine.connect() as c:
        assert c.execute(text("SELECT count(*) FROM predictions")).scalar() == 20


@pytest.mark.skipif(os.name == "nt", reason="reads rights of files")
def test_the_database_is_for_its_owner_only(engine: Engine, home: Path) -> None:
    for path in home.glob("medloupe.sqlite*"):
        assert path.stat().st_mode & 0o077 == 0


# ------------------------------------------------------------------ what a history does with them


def stated(person: Person, state: str, **more: Any) -> dict[str, Any]:
    made = row(person, **more)
    return {**made, "state": state, "answer": {**made["answer"], "state": state}}


def test_answers_are_found_by_state_check_up_name_and_id(
    journal: Journal, people: tuple[Person, Person, Person]
) -> None:
    ana, ben, _ = people
    rows = [stated(ana, s, model=m) for s in ("flagged", "clear", "refused") for m in ("lungs", "skin")]
    work(lambda: journal.record([*rows, stated(ben, "flagged")]))
    work(lambda: journal.set_alias(rows[0]["id"], ana, "  Bed 12%\n left\0 lung "))

    def found(**wanted: str) -> set[str]:
        return {e.id for e in journal.mine(ana, wanted=Wanted(**wanted))}

    assert found() == {r["id"] for r in rows}
    assert found(state="flagged") == {rows[0]["id"], rows[1]["id"]}
    assert found(state="flagged", model="skin") == {rows[1]["id"]}
    assert found(search="BED 12% left lung") == found(search="12%") == {rows[0]["id"]}
    assert found(search="12_ left") == set(), "signs of the database's own language are taken as they are"
    assert found(search=rows[3]["id"][:12].upper()) == {rows[3]["id"]}
    assert found(state="nonsense") == found(), "what is no state leaves nothing out"
    assert [e.alias for e in journal.mine(ana, wanted=Wanted(search="bed"))] == ["Bed 12% left lung"]
    work(lambda: journal.set_alias(rows[0]["id"], ana, " \t"))
    assert journal.get(rows[0]["id"], ana).alias == ""
    work(lambda: journal.set_alias(rows[0]["id"], ana, "ж" * 200))
    assert journal.get(rows[0]["id"], ana).alias == "ж" * 80
    with pytest.raises(UnknownError):
        work(lambda: journal.set_alias(rows[0]["id"], ben, "mine now"))


def test_what_is_deleted_can_be_brought_back_for_a_while(
    journal: Journal, people: tuple[Person, Person, Person], home: Path, engine: Engine
) -> None:
    ana, ben, _ = people
    kept, other = stated(ana, "flagged", kept="png"), stated(ana, "clear")
    journal.keep(kept["id"], b"pixels", "png")
    work(lambda: journal.record([kept, other]))
    with pytest.raises(UnknownError):
        work(lambda: journal.remove(kept["id"], ben))
    work(lambda: journal.remove(kept["id"], ana))
    assert [e.id for e in journal.mine(ana)] == [other["id"]]
    for gone in (journal.get, journal.image):
        with pytest.raises(UnknownError):
            gone(kept["id"], ana)
    with pytest.raises(UnknownError):
        work(lambda: journal.remove(kept["id"], ana))
    assert journal.sweep() == 0 and journal.image_path(kept["id"], "png").exists(), "its time is not over"
    work(lambda: journal.restore(kept["id"], ana))
    assert {e.id for e in journal.mine(ana)} == {kept["id"], other["id"]} and journal.image(kept["id"], ana)

    work(lambda: journal.feedback(kept["id"], ana, False, ["flu"]))
    work(lambda: journal.remove(kept["id"], ana))
    with engine.begin() as c:
        c.execute(text("UPDATE predictions SET deleted_at = '2024-01-01T00:00:00.000+00:00' WHERE id = :id"), kept)
    with pytest.raises(UnknownError):
        work(lambda: journal.restore(kept["id"], ana))
    journal.sweep()
    assert not journal.image_path(kept["id"], "png").exists()
    with engine.connect() as c:
        left = c.execute(text("SELECT id FROM predictions")).scalars().all()
        assert left == [other["id"]] and c.execute(text("SELECT count(*) FROM feedback")).scalar() == 0


def test_what_is_deleted_for_good_goes_at_once(journal: Journal, people: tuple[Person, Person, Person]) -> None:
    ana = people[0]
    one = stated(ana, "clear")
    work(lambda: journal.record([one]))
    work(lambda: journal.remove(one["id"], ana))
    work(lambda: journal.forget(one["id"], ana))
    with pytest.raises(UnknownError):
        work(lambda: journal.restore(one["id"], ana))


def test_who_asked_is_written_with_the_answer_or_not_at_all(
    journal: Journal, people: tuple[Person, Person, Person], engine: Engine
) -> None:
    ana, log = people[0], AuditLog(engine)
    one = row(ana)
    work(lambda: journal.record([one], [audit_row("ana", "predict", "lungs@2", {"id": one["id"]}, "r-1")]))
    (line,) = log.entries(action="predict")
    assert (line.actor, line.object, line.request_id, line.detail) == ("ana", "lungs@2", "r-1", {"id": one["id"]})
    with pytest.raises(StorageError):  # the same id twice
        work(lambda: journal.record([one], [audit_row("ana", "predict", "lungs@2")]))
    assert len(log.entries(action="predict")) == 1
    assert log.entries(actor="ben") == [] and len(log.entries(actor="ana")) == 1


def test_answers_of_older_releases_have_a_state(database: str, home: Path) -> None:
    old = make_old(home, "0004")
    answers = {
        "a" * 32: {"model": "lungs", "prediction": '"refused": {', "refused": None},
        "b" * 32: {"model": "lungs", "prediction": "", "refused": {"reason": "It is foreign.", "looks_like": ""}},
    }
    with old.begin() as c:
        for id, answer in answers.items():
            c.execute(
                text(
                    "INSERT INTO predictions (id, at, model, version, answer, digest)"
                    " VALUES (:id, '2024-01-01T00:00:00.000+00:00', 'lungs', 2, :answer, 'ab')"
                ),
                {"id": id, "answer": json.dumps(answer)},
            )
    journal = Journal(open_engine(home), home / "kept")
    try:
        found = {s: [e.id for e in journal.mine(LOCAL, wanted=Wanted(state=s))] for s in ("answered", "refused")}
        assert found == {"answered": ["a" * 32], "refused": ["b" * 32]}
        assert {e.id: e.state for e in journal.mine(LOCAL)} == {"a" * 32: "answered", "b" * 32: "refused"}
    finally:
        journal.close()
