"""What is in production: the first version at once, others past the gate; back again; all of it on the record."""

from __future__ import annotations

import json
import os
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from evident import audited, judged
from medloupe.errors import PromotionRefusedError, StoreError
from medloupe.metrics.evidence import FILE
from medloupe.store.database import writing_session
from medloupe.store.models import Store
from medloupe.store.production import ProductionChange, log_action, previous_version
from storing import assert_nothing_else, assert_whole, files, made, run, write_files

posix = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")


def add(store: Store, tmp_path: Path, *skills: float, name: str = "lungs") -> None:
    for i, skill in enumerate(skills):
        store.add(made(tmp_path, name, seed=i), write_files=judged(skill, noise=i))


# ------------------------------------------------------------------ what answers


def test_the_first_version_is_in_production_and_later_ones_wait(store: Store, tmp_path: Path) -> None:
    assert store.production() == {}
    add(store, tmp_path, 1, 1)
    add(store, tmp_path, 1, name="heart")
    assert {name: number for name, (number, _) in store.production().items()} == {"lungs": 1, "heart": 1}
    assert [(v.name, v.version, v.production) for v in store.list()] == [
        ("heart", 1, True),
        ("lungs", 1, True),
        ("lungs", 2, False),
    ]
    assert store.get("lungs").version == store.get("lungs", "production").version == 1
    assert store.get("lungs", "candidate").version == 2
    assert store.get("lungs", report=False).report == "" != store.get("lungs").report
    with pytest.raises(StoreError, match="no version newer than 1"):
        store.get("heart", "candidate")
    assert [c.kind for c in store.history("heart")] == ["first"]


def test_the_mark_of_production_changes_with_it_and_only_then(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1, 2)
    first = store.production()["lungs"]
    assert Store(store.home).production()["lungs"] == first
    add(store, tmp_path, 1, name="heart")
    assert store.production()["lungs"] == first
    store.promote("lungs", 2, actor="ada")
    second = store.production()["lungs"]
    assert second[0] == 2 and second[1] != first[1]
    store.rollback("lungs", actor="ada")
    assert store.production()["lungs"] == first
    store.remove("lungs")
    assert set(store.production()) == {"heart"}
    add(store, tmp_path, 1)  # the same head again, under a number never used before
    assert store.production()["lungs"][1] not in (first[1], second[1])


def test_what_is_in_production_is_not_removed_alone(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1, 1)
    for version in (1, "production"):
        with pytest.raises(StoreError, match="lungs@1 is in production") as caught:
            store.remove("lungs", version)  # pyright: ignore
        assert "Promote another" in caught.value.hint
    assert store.remove("lungs", 2) == [2]
    with pytest.raises(StoreError, match="in production"):
        store.remove("lungs", 1)
    assert store.remove("lungs") == [1]
    assert store.production() == {} and store.list() == [] and files(store.home) == set()
    assert [a["action"] for a in audited(store)] == ["add", "add", "remove", "remove"]


# ------------------------------------------------------------------------- gate


def test_a_candidate_that_is_not_worse_goes_into_production(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1, 3)
    seen = store.promote("lungs", "candidate", actor="ada", reason="more data", request_id="r1")
    assert seen and seen.passed and seen == Store(store.home).compare("lungs", 2, 1)
    assert store.get("lungs").version == 2
    change = store.history("lungs")[-1]
    assert (change.kind, change.version, change.previous, change.actor) == ("promote", 2, 1, "ada")
    assert (change.forced, change.reason, change.comparison) == (False, "more data", seen.as_json())
    last = audited(store)[-1]
    assert (last["action"], last["object"], last["actor"], last["request_id"]) == ("promote", "lungs@2", "ada", "r1")
    assert last["detail"] == {"reason": "more data", "forced": False, "comparison": seen.as_json()}


def test_a_worse_candidate_is_refused_and_the_refusal_is_on_the_record(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 3, 0.5)
    with pytest.raises(PromotionRefusedError, match="It is worse") as caught:
        store.promote("lungs", 2, actor="ada", request_id="r2")
    assert caught.value.comparison == store.compare("lungs", 2)
    assert "--force" in caught.value.hint
    assert store.get("lungs").version == 1 and len(store.history("lungs")) == 1
    last = audited(store)[-1]
    assert (last["action"], last["object"], last["request_id"]) == ("promote.refused", "lungs@2", "r2")
    assert last["detail"]["comparison"]["passed"] is False


def test_force_takes_a_reason_and_says_so(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 3, 0.5)
    for reason in ("", "  \n"):
        with pytest.raises(StoreError, match="reason"):
            store.promote("lungs", 2, actor="ada", force=True, reason=reason)
    odd = "Ärztin bat darum\0 \ud800 肺"  # what no database takes as it is
    seen = store.promote("lungs", 2, actor="a" * 100, force=True, reason=odd)
    assert seen and not seen.passed
    change = store.history("lungs")[-1]
    assert change.forced and change.reason.startswith("Ärztin bat darum") and change.reason.endswith("肺")
    assert change.actor == "a" * 64
    assert audited(store)[-1]["detail"]["forced"] is True
    assert store.get("lungs").version == 2
    better = store.promote("lungs", 1, actor="ada", force=True, reason="back")  # would have passed anyway
    assert better and better.passed and not store.history("lungs")[-1].forced


def test_versions_without_evidence_need_force(store: Store, tmp_path: Path) -> None:
    for seed in range(2):
        store.add(made(tmp_path, seed=seed), write_files=write_files)
    with pytest.raises(PromotionRefusedError, match=r"cannot be compared.*version 2 keeps no record"):
        store.promote("lungs", 2, actor="ada")
    assert store.promote("lungs", 2, actor="ada", force=True, reason="by hand") is not None
    assert store.production()["lungs"][0] == 2


def test_what_cannot_be_promoted(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no model 'lungs'"):
        store.promote("lungs", 1, actor="ada")
    add(store, tmp_path, 1, 1)
    with pytest.raises(StoreError, match="no version 9"):
        store.promote("lungs", 9, actor="ada")
    with pytest.raises(StoreError, match="in production already"):
        store.promote("lungs", 1, actor="ada")
    with pytest.raises(StoreError, match="no model 'lung'"):
        store.compare("lung", 2)
    blobs = [p for p in (store.home / "blobs").rglob("*") if p.is_file()]
    for blob in blobs:  # the heads of both, and what they share
        blob.write_bytes(blob.read_bytes()[:-1])
    with pytest.raises(StoreError, match="damaged"):
        store.promote("lungs", 2, actor="ada")
    assert store.production()["lungs"][0] == 1


# --------------------------------------------------------------------- rollback


def test_rolling_back_goes_further_and_further_back(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1, 2, 3)
    for version in (2, 3):
        store.promote("lungs", version, actor="ada")
    assert store.rollback("lungs", actor="eve", reason="odd answers", request_id="r3") == 2
    last = audited(store)[-1]
    assert (last["action"], last["object"], last["actor"], last["request_id"]) == ("rollback", "lungs@2", "eve", "r3")
    assert last["detail"]["reason"] == "odd answers" and last["detail"]["from"] == 3
    assert store.rollback("lungs", actor="eve") == 1
    with pytest.raises(StoreError, match="before lungs@1"):
        store.rollback("lungs", actor="eve")
    store.promote("lungs", 3, actor="ada")
    assert store.rollback("lungs", actor="eve") == 1
    assert [(c.kind, c.version) for c in store.history("lungs")] == [
        ("first", 1),
        ("promote", 2),
        ("promote", 3),
        ("rollback", 2),
        ("rollback", 1),
        ("promote", 3),
        ("rollback", 1),
    ]


def test_rolling_back_leaps_over_what_was_removed(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1, 2, 3)
    for version in (2, 3):
        store.promote("lungs", version, actor="ada")
    store.remove("lungs", 2)
    assert store.rollback("lungs", actor="ada") == 1
    with pytest.raises(StoreError, match="no model"):
        store.rollback("hearts", actor="ada")
    with pytest.raises(StoreError, match="no model"):
        store.history("hearts")


@given(st.lists(st.sampled_from(["back", 1, 2, 3, 4]), max_size=30), st.sets(st.integers(1, 4)))
def test_history_is_undone_in_order(steps: list[Any], removed: set[int]) -> None:
    """Against a plain stack: promoting puts on top, rolling back takes off."""
    changes: list[ProductionChange] = []
    stack = [1]

    def change(kind: str, version: int, previous: int | None) -> None:
        common = {"at": "", "actor": "", "forced": False, "reason": "", "comparison": None}
        changes.append(ProductionChange(kind=kind, version=version, previous=previous, **common))  # pyright: ignore

    change("first", 1, None)
    for step in steps:
        if step == "back":
            target = previous_version(changes, stack[-1], {1, 2, 3, 4})
            assert target == (stack[-2] if len(stack) > 1 else None)
            if target is not None:
                change("rollback", target, stack.pop())
        elif step != stack[-1]:
            change("promote", step, stack[-1])
            stack.append(step)
    there = {1, 2, 3, 4} - removed
    wanted = [v for v in stack[:-1] if v in there and v != stack[-1]]
    assert previous_version(changes, stack[-1], there) == (wanted[-1] if wanted else None)


# ---------------------------------------------------------------- several at once


def test_promotions_at_the_same_time_take_their_turns(store: Store, tmp_path: Path) -> None:
    """Also against writers of other tables: none fails, none is lost, each history entry follows on the one before."""
    add(store, tmp_path, 2, 2, 2, 2)
    failed: list[BaseException] = []

    def promote(offset: int) -> None:
        own = Store(store.home)
        for i in range(12):
            try:
                own.promote("lungs", (i + offset) % 4 + 1, actor=f"p{offset}", force=True, reason="test")
            except StoreError as e:
                if "already" not in e.message:
                    failed.append(e)
            except BaseException as e:
                failed.append(e)

    def busy() -> None:
        try:
            for i in range(60):
                with writing_session(store.engine) as session:
                    log_action(session, "asked", str(i), actor="busy")
                    session.commit()
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=promote, args=(o,)) for o in (0, 2)] + [threading.Thread(target=busy)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert failed == []
    history = store.history("lungs")
    assert all(b.previous == a.version for a, b in pairwise(history))
    assert history[-1].version == store.production()["lungs"][0]
    actions = [a["action"] for a in audited(store)]
    assert actions.count("promote") == len(history) - 1 and actions.count("asked") == 60


KILLS = """
    import os, random, signal, sys, time
    from pathlib import Path
    import alembic.command, sqlalchemy.orm
    from medloupe.errors import StoreError
    from evident import judged
    from medloupe.store.models import Store
    from storing import made

    home, scratch, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    random.seed(1)

    def work(said):
        store = Store(home)
        while True:
            for step in (lambda: store.promote("lungs", random.randint(1, 3), actor="a", force=True, reason="r"),
                         lambda: store.rollback("lungs", actor="a")):
                try:
                    step()
                except StoreError as e:
                    if "already" in e.message or "before" in e.message:
                        continue
                    raise
                # acknowledged: the next look must find at least this many changes
                os.write(said, len(store.history("lungs")).to_bytes(4, "little"))

    for round in range(rounds):
        out, said = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                work(said)
            except BaseException:
                import traceback
                traceback.print_exc()
            os._exit(1)
        os.close(said)
        acknowledged = os.read(out, 4)  # in full swing
        time.sleep(random.random() * 0.1)
        os.kill(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        while more := os.read(out, 1 << 16):
            acknowledged += more
        os.close(out)
        print(status, int.from_bytes(acknowledged[-4:], "little"), flush=True)
        check = os.fork()  # another process looks
        if check == 0:
            try:
                from evident import assert_consistent
                assert_consistent(Store(home), int.from_bytes(acknowledged[-4:], "little"))
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        if os.waitpid(check, 0)[1]:
            sys.exit(1)
"""


@posix
def test_kill_in_the_middle_of_promotions_and_rollbacks(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 2, 2, 2)
    done = run(KILLS, store.home, tmp_path, 20)
    statuses = [int(s) for s in done.stdout.split()[::2]]
    assert statuses == [-signal.SIGKILL] * 20, done.stdout + done.stderr
    assert max(int(n) for n in done.stdout.split()[1::2]) > 20  # promotions did go through between the kills
    assert_whole(store)
    files_of_evidence = {p for p in files(store.home) if p.endswith(FILE)}
    assert len(files_of_evidence) == 3
    for p in files_of_evidence:
        (store.home / p).unlink()
    assert_nothing_else(store)


def test_a_sweep_waits_for_what_a_killed_writer_sent(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL goes on with a transaction whose client is gone, and its files must not be judged before."""
    monkeypatch.setenv("MEDLOUPE_DATABASE", postgres_url)
    store = Store(tmp_path / "home")
    add(store, tmp_path, 1, 1)
    blobs = [p for p in files(store.home) if p.startswith("blobs/")]
    store._pending.announce(store.folder("lungs", 2), *(store.home / b for b in blobs))
    with store.engine.connect() as connection, connection.begin() as removal:
        connection.execute(text("DELETE FROM versions WHERE number = 2"))
        late = threading.Timer(0.7, removal.commit)
        late.start()
        Store(store.home).sweep()
        late.join()
    assert not store.folder("lungs", 2).exists()
    assert len(files(store.home)) == 5  # of the first: three files, the backbone and its head


def test_json_of_a_change(store: Store, tmp_path: Path) -> None:
    add(store, tmp_path, 1, 2)
    store.promote("lungs", 2, actor="ada")
    said = json.loads(json.dumps(store.history("lungs")[-1].as_json()))
    assert set(said) == {"at", "kind", "version", "previous", "actor", "forced", "reason", "comparison"}
    assert said["comparison"]["auc"]["low"] <= said["comparison"]["auc"]["difference"]


@pytest.fixture
def store(tmp_path: Path, database: str) -> Store:
    """On SQLite and on PostgreSQL."""
    return Store(tmp_path / "home")
