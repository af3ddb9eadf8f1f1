"""The audit log is chained: what was changed, taken out or put in by hand is found, on both databases."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from medloupe.accounts.log import AuditLog
from medloupe.errors import StoreError
from medloupe.store import chain
from medloupe.store.database import open_engine
from medloupe.store.proving import prove_log, remove_lines
from oldschema import make_old


@pytest.fixture
def engine(home: Path, database: str) -> Engine:
    home.mkdir(exist_ok=True)
    return open_engine(home)


@pytest.fixture
def log(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    """Twelve lines, sealed by fives."""
    monkeypatch.setattr(chain, "SEGMENT", 5)
    made = AuditLog(engine)
    for i in range(12):
        made.add("ada", "predict", f"lungs@{i}", {"p": i / 7, "why": "a\0b ü \ud800"} if i % 2 else None, f"r-{i}")
    return made


def execute(engine: Engine, statement: str) -> None:
    with engine.execution_options(writing=True).connect() as connection, connection.begin():
        connection.execute(text(statement))


def test_a_log_that_nobody_touched_is_whole(engine: Engine, log: AuditLog) -> None:
    proof = log.prove()
    assert (proof.lines, proof.before, proof.seals, proof.broken) == (12, 0, 2, "")


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit SET actor = 'eve' WHERE number = 7", "Line 7"),
        ("UPDATE audit SET detail = NULL WHERE number = 2", "Line 2"),
        ("UPDATE audit SET request_id = 'x' WHERE number = 12", "Line 12"),
        ("UPDATE audit SET at = '2020-01-01' WHERE number = 1", "Line 1"),
        ("DELETE FROM audit WHERE number = 4", "1 lines are missing before line 5"),
        ("DELETE FROM audit WHERE number > 10", "there are 10, and 12 were written"),
        ("DELETE FROM audit WHERE number < 4", "3 lines are missing before line 4"),
        ("DELETE FROM audit", "there are 0, and 12"),
        ("UPDATE audit SET number = NULL, hash = NULL WHERE number = 12", "does not belong to the chain"),
        (
            "INSERT INTO audit (at, actor, action, object, request_id) VALUES ('2020', 'eve', 'predict', '', '')",
            "does not belong to the chain",
        ),
        (
            "INSERT INTO audit (at, actor, action, object, request_id, number, hash)"
            " SELECT at, actor, action, object, request_id, 13, hash FROM audit WHERE number = 12",
            "Line 13",
        ),
        (
            "UPDATE audit_head SET last = 11, hash = (SELECT hash FROM audit WHERE number = 11)",
            "which line is the last",
        ),
        ("DELETE FROM audit_head", "which line is the last"),
        (
            "UPDATE audit_seals SET removed_at = '2027-01-01', removed_mac = mac WHERE last = 5",
            "which nobody did who may",
        ),
        ("DELETE FROM audit_seals WHERE last = 5", "the one before it is missing"),
        ("UPDATE audit_seals SET hash = mac WHERE last = 10", "was changed"),
    ],
)
def test_the_first_broken_place_is_told(engine: Engine, log: AuditLog, statement: str, said: str) -> None:
    execute(engine, statement)
    assert said in log.prove().broken
    with pytest.raises(StoreError, match="not whole"):
        remove_lines(engine, "2099-01-01")


def test_swapped_lines_are_told(engine: Engine, log: AuditLog) -> None:
    execute(engine, "UPDATE audit SET number = -1 WHERE number = 3")
    execute(engine, "UPDATE audit SET number = 3 WHERE number = 4")
    execute(engine, "UPDATE audit SET number = 4 WHERE number = -1")
    assert "Line 4" in log.prove().broken or "Line 3" in log.prove().broken


def test_old_segments_can_go_and_the_rest_still_holds(engine: Engine, log: AuditLog) -> None:
    with engine.connect() as connection:
        at = connection.execute(text("SELECT at FROM audit WHERE number = 8")).scalar_one()
    time.sleep(0.005)
    log.add("ada", "later")
    removed = remove_lines(engine, at)  # lines 1 to 7, or fewer: those of a sealed segment stay together
    assert removed == 5
    proof = log.prove()
    assert (proof.lines, proof.removed, proof.broken) == (8, 5, "")
    for i in range(4):
        log.add("ada", "more", str(i))
    assert remove_lines(engine, "2099-01-01") == 12
    proof = log.prove()
    assert (proof.lines, proof.removed, proof.broken) == (0, 17, "")
    log.add("ada", "audit.remove")
    assert log.prove().lines == 1 and remove_lines(engine, "2000-01-01") == 0
    execute(engine, "UPDATE audit SET actor = 'eve'")
    assert "was changed" in log.prove().broken


def test_another_key_proves_nothing(engine: Engine, log: AuditLog) -> None:
    engine.update_execution_options(**{chain.KEY: b"x" * 32})
    assert "another key" in log.prove().broken


def test_lines_from_before_are_sealed_as_they_are(home: Path, database: str) -> None:
    old = make_old(home, "0005")
    for i in range(3):
        execute(
            old,
            "INSERT INTO audit (at, actor, action, object, request_id)"
            f" VALUES ('2026-01-0{i + 1}', 'ada', 'predict', 'x', '')",
        )
    engine = open_engine(home)
    log = AuditLog(engine)
    log.add("ada", "login")
    proof = log.prove()
    assert (proof.lines, proof.before, proof.seals, proof.broken) == (1, 3, 1, "")
    assert [e.action for e in log.entries()] == ["login", "predict", "predict", "predict"]
    execute(engine, "UPDATE audit SET actor = 'eve' WHERE id = 2")
    assert "from before there was a chain" in log.prove().broken
    execute(engine, "UPDATE audit SET actor = 'ada' WHERE id = 2")
    assert remove_lines(engine, "2026-06-01") == 3
    proof = log.prove()
    assert (proof.lines, proof.before, proof.removed, proof.broken) == (1, 0, 3, "")


def test_threads_write_one_chain(engine: Engine) -> None:
    log = AuditLog(engine)
    work: list[Callable[[], Any]] = [lambda: [log.add("ada", "predict") for _ in range(15)] for _ in range(4)]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (log.prove().lines, log.prove().broken) == (60, "")


def test_processes_that_are_killed_leave_a_whole_chain(engine: Engine, home: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from medloupe.store.database import open_engine;"
        "from medloupe.accounts.log import AuditLog; log = AuditLog(open_engine(Path(sys.argv[1])))\n"
        "while True: log.add('ada', 'predict'); print(1, flush=True); time.sleep(0.005)"
    )
    told = 0
    for _ in range(2):
        running = [
            subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        assert all(p.stdout is not None and p.stdout.readline() for p in running)
        time.sleep(0.3)
        for process in running:
            process.kill()
            out, _ = process.communicate()
            told += 1 + out.count("1")
    proof = prove_log(engine)
    assert proof.broken == "" and proof.lines >= told


def test_keyed_hashes_tell_nothing_without_the_key(engine: Engine, log: AuditLog) -> None:
    id = "ab" * 16
    hidden = log.keyed(id)
    assert hidden == log.keyed(id) != log.keyed("cd" * 16) and len(hidden) == 32 and id not in hidden
    log.add("bob", "answer.look", hidden)
    log.add("eve", "predict", "lungs@2", {"answer": hidden})
    assert [e.actor for e in log.entries(answer=id)] == ["eve", "bob"]
