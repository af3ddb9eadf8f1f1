"""Accounts, log-ins, tokens and the audit log, on a real database."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session

from medloupe.accounts import logins, passwords
from medloupe.accounts.log import AuditEntry, operator
from medloupe.accounts.people import People
from medloupe.accounts.person import LOCAL, ROLES, Person
from medloupe.errors import MedloupeError, StorageError
from medloupe.store.database import open_engine
from medloupe.store.tables import AuditRow, LoginRow, PredictionRow, TokenRow, UserRow

GOOD = "kettle orbit plaid"
OTHER = "velvet anchor moss"


@pytest.fixture
def lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)
    return open_engine(tmp_path)


@pytest.fixture
def folk(lite: Engine) -> People:
    """ada is an admin, bob a clinician."""
    folk = People(lite)
    folk.add("ada", GOOD, "admin")
    folk.add("bob", GOOD, "clinician")
    return folk


def at_once(*work: Callable[[], Any]) -> list[Exception | None]:
    """Runs all together; what each raised."""
    together = threading.Barrier(len(work))
    raised: list[Exception | None] = [None] * len(work)

    def one(i: int) -> None:
        together.wait()
        try:
            work[i]()
        except Exception as e:
            raised[i] = e

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


# ------------------------------------------------------------------ the whole life, on both databases


def test_the_life_of_an_account(database: str, tmp_path: Path) -> None:
    folk = People(open_engine(tmp_path))
    assert not folk.any() and not folk.has_admin() and folk.all() == []
    ada = folk.add("ada", GOOD, "admin")
    assert folk.any() and folk.has_admin()
    bob = folk.add(" Bob Müller ", GOOD, "viewer")
    assert [(a.name, a.role, a.disabled) for a in folk.all()] == [
        ("Bob Müller", "viewer", False),
        ("ada", "admin", False),
    ]
    assert folk.find("Bob Müller") == bob
    with pytest.raises(MedloupeError, match="somebody named"):
        folk.add("ada", OTHER, "viewer")

    assert folk.authenticate("Bob Müller", GOOD) == bob
    for name, password in (("Bob Müller", OTHER), ("bob", GOOD), ("nul\0", GOOD), ("", ""), ("half \ud800", GOOD)):
        assert folk.authenticate(name, password) is None

    cookie, csrf = folk.logins.open(bob)
    token = folk.logins.add_token(bob, "phone app")
    assert folk.logins.person(cookie) == (bob, csrf) and folk.logins.token(token) == bob
    assert folk.logins.person(token) is None and folk.logins.token(cookie) is None
    for nothing in ("", "x", "any", "nul\0", "half \ud800", cookie[:-1], "x" * 10_000, "mlp_" + "x" * 43):
        assert folk.logins.person(nothing) is None and folk.logins.token(nothing) is None
    assert folk.logins.tokens(bob)[0].last_used is not None

    folk.set_role("Bob Müller", "clinician")
    assert folk.logins.person(cookie) is None
    assert (found := folk.logins.token(token)) is not None and found.role == "clinician"
    folk.set_disabled("Bob Müller", True)
    assert folk.logins.token(token) is None and folk.authenticate("Bob Müller", GOOD) is None
    with pytest.raises(MedloupeError, match="may not log in"):
        folk.logins.open(bob)
    folk.set_disabled("Bob Müller", False)
    assert folk.logins.token(token) is not None

    cookie, _ = folk.logins.open(bob)
    folk.set_password("Bob Müller", OTHER)
    assert folk.logins.person(cookie) is None and folk.authenticate("Bob Müller", GOOD) is None
    assert folk.authenticate("Bob Müller", OTHER) is not None
    assert folk.logins.token(token) is None and folk.logins.tokens(bob) == [], "who knew the password may have it"
    token = folk.logins.add_token(bob, "phone app")

    cookie, _ = folk.logins.open(bob)
    folk.logins.close(cookie)
    assert folk.logins.person(cookie) is None
    for wrong in (0, -1, 2**31, 2**70, folk.logins.tokens(bob)[0].id + 1):
        with pytest.raises(MedloupeError, match="no token"):
            folk.logins.revoke(bob, wrong)
    with pytest.raises(MedloupeError, match="no token"):
        folk.logins.revoke(ada, folk.logins.tokens(bob)[0].id)
    folk.logins.revoke(bob, folk.logins.tokens(bob)[0].id)
    assert folk.logins.token(token) is None and folk.logins.tokens(bob) == []

    folk.log.add("ada", "user.remove", "Bob\0\n\x1b[2J \ud800", {"why": "a\0b"}, "id-1")
    folk.log.add("ada", "other")
    newest, line = folk.log.entries()
    assert (line.actor, line.action, line.object, line.detail) == ("ada", "user.remove", "Bob���[2J �", {"why": "a\0b"})
    assert [e.id for e in folk.log.entries(before=newest.id)] == [line.id] and folk.log.entries(before=-1) == []
    assert len(folk.log.entries(before=2**63)) == 2 and len(folk.log.entries(limit=-5)) == 1

    folk.remove("Bob Müller")
    with pytest.raises(MedloupeError, match="nobody named"):
        folk.find("Bob Müller")


def test_two_admins_cannot_shut_each_other_out(database: str, tmp_path: Path) -> None:
    folk = People(open_engine(tmp_path))
    folk.add("ada", GOOD, "admin")
    folk.add("eve", GOOD, "admin")
    ways: list[Callable[[str], None]] = [
        lambda name: folk.set_role(name, "viewer"),
        lambda name: folk.set_disabled(name, True),
        lambda name: folk.remove(name),
    ]
    for way in [*ways[:2] * 8, ways[2]]:
        raised = [e for e in at_once(lambda: way("ada"), lambda: way("eve")) if e is not None]  # noqa: B023
        assert [type(e) for e in raised] == [MedloupeError], raised
        assert "only admin" in str(raised[0]) and folk.has_admin()
        for account in folk.all():
            if account.disabled:
                folk.set_disabled(account.name, False)
            if account.role != "admin":
                folk.set_role(account.name, "admin")


def test_a_name_is_given_once(database: str, tmp_path: Path) -> None:
    folk = People(open_engine(tmp_path))
    raised = at_once(*[lambda: folk.add("ada", GOOD, "admin")] * 4)
    assert sorted(type(e).__name__ for e in raised) == ["MedloupeError"] * 3 + ["NoneType"]
    assert [a.name for a in folk.all()] == ["ada"]


# ------------------------------------------------------------------ names and roles


@pytest.mark.parametrize(
    "name",
    [
        *("", "  ", "a/b", "a\\b", "a:b", "ada@home", "two\nlines", "nul\0", "x" * 65, "half \ud800"),
        *("esc\x1b[31m", "right\u202eleft", "zero\u200bwidth", "local", "Local", "nobody"),
    ],
)
def test_names_that_nobody_may_have(folk: People, name: str) -> None:
    with pytest.raises(MedloupeError, match="cannot name a person"):
        folk.add(name, GOOD, "viewer")


def test_names_that_look_alike(folk: People) -> None:
    with pytest.raises(MedloupeError, match="somebody named"):
        folk.add("ADA", GOOD, "viewer")
    zoe = folk.add(unicodedata.normalize("NFD", "Zoé"), GOOD, "viewer")
    assert zoe.name == unicodedata.normalize("NFC", "Zoé")
    assert folk.authenticate(unicodedata.normalize("NFD", " Zoé "), GOOD) == zoe
    with pytest.raises(MedloupeError, match="somebody named"):
        folk.add(unicodedata.normalize("NFC", "zoé"), GOOD, "viewer")


def test_mistakes_are_explained(folk: People) -> None:
    with pytest.raises(MedloupeError, match=r"no role 'adnin'.*Did you mean 'admin'"):
        folk.add("cy", GOOD, "adnin")
    with pytest.raises(MedloupeError, match=r"nobody named 'bobb'.*Did you mean 'bob'"):
        folk.set_role("bobb", "viewer")
    with pytest.raises(MedloupeError, match="The password has 3"):
        folk.set_password("bob", "abc")
    with pytest.raises(MedloupeError, match="ada is the only admin"):
        folk.remove("ada")
    with pytest.raises(MedloupeError, match="ada is the only admin"):
        folk.set_disabled("ada", True)
    with pytest.raises(MedloupeError, match="ada is the only admin"):
        folk.set_role("ada", "clinician")
    folk.set_role("ada", "admin")
    for name in ("", " ", "x" * 65, "two\nlines"):
        with pytest.raises(MedloupeError, match="A token needs a name"):
            folk.logins.add_token(folk.find("bob"), name)


def test_what_each_role_may() -> None:
    viewer, clinician, reviewer, trainer, admin = (Person(1, "x", role) for role in ROLES)
    assert reviewer.may("clinician") and not reviewer.may("trainer") and trainer.may("reviewer")
    assert viewer.may("viewer") and not viewer.may("clinician") and not clinician.may("admin")
    assert clinician.may("viewer") and admin.may("clinician") and LOCAL.may("admin")


def test_no_account_can_pass_for_the_command_line(folk: People) -> None:
    assert operator().startswith("local")
    with pytest.raises(MedloupeError, match="cannot name a person"):
        folk.add(operator(), GOOD, "viewer")


# ------------------------------------------------------------------ secrets


def test_no_secret_is_on_the_disk(folk: People, tmp_path: Path) -> None:
    bob = folk.find("bob")
    cookie, _ = folk.logins.open(bob)
    token = folk.logins.add_token(bob, "phone app")
    folk.authenticate("bob", GOOD)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("medloupe.sqlite*"))
    assert b"phone app" in kept and b"$argon2id$" in kept
    for secret in (cookie, token, token.removeprefix("mlp_"), GOOD):
        assert secret.encode() not in kept
    assert len(cookie) >= 43 and len(token) >= 47


def test_an_unknown_name_takes_as_long(folk: People) -> None:
    def took(name: str) -> float:
        started = time.process_time()
        assert folk.authenticate(name, "wrong password") is None
        return time.process_time() - started

    took("warm")
    known = sorted(took("bob") for _ in range(9))
    unknown = sorted(took(f"nobody {i}") for i in range(9))
    assert unknown[4] > 0.7 * known[4] and known[4] > 0.7 * unknown[4], (known, unknown)


def test_hashes_are_renewed(folk: People, lite: Engine) -> None:
    with Session(lite) as session:
        old = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(GOOD)
        session.execute(update(UserRow).where(UserRow.name == "bob").values(password=old))
        session.commit()
    assert folk.authenticate("bob", OTHER) is None
    assert folk.authenticate("bob", GOOD) is not None
    with Session(lite) as session:
        renewed = session.scalar(select(UserRow.password).where(UserRow.name == "bob")) or ""
    assert renewed != old and not passwords.needs_rehash(renewed) and folk.authenticate("bob", GOOD) is not None


def test_a_password_that_changes_while_it_is_checked(folk: People, monkeypatch: pytest.MonkeyPatch) -> None:
    matches = passwords.verify_password

    def meanwhile(kept: str, password: str) -> bool:
        right = matches(kept, password)
        folk.set_password("bob", OTHER)
        return right

    with monkeypatch.context() as patch:
        patch.setattr(passwords, "verify_password", meanwhile)
        assert folk.authenticate("bob", GOOD) is None
    assert folk.authenticate("bob", OTHER) is not None


def test_waiting_log_ins_hold_no_connections(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More people who log in than the pool has connections, while a password takes its time."""
    opened = open_engine(tmp_path)
    folk = People(opened)
    folk.add("ada", GOOD, "admin")
    checking, go_on = threading.Semaphore(0), threading.Event()

    def slow(kept: str, password: str) -> bool:
        checking.release()
        return go_on.wait(60)

    monkeypatch.setattr(passwords, "verify_password", slow)
    threads = [threading.Thread(target=folk.authenticate, args=("ada", GOOD)) for _ in range(20)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            assert checking.acquire(timeout=30)
        assert folk.any()
        with opened.connect() as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1
    finally:
        go_on.set()
        for thread in threads:
            thread.join()


def test_log_ins_end(folk: People, lite: Engine) -> None:
    bob = folk.find("bob")
    cookie, _ = folk.logins.open(bob)
    with Session(lite) as session:
        until = session.scalar(select(LoginRow.expires)) or ""
        session.execute(update(LoginRow).values(expires="2020-01-01T00:00:00.000+00:00"))
        session.commit()
    assert until > "2024" and folk.logins.person(cookie) is None
    folk.logins.open(bob)  # sweeps
    with Session(lite) as session:
        assert len(session.scalars(select(LoginRow)).all()) == 1


def test_log_ins_and_tokens_have_an_upper_number(folk: People, lite: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "_MOST_LOGINS", 3)
    monkeypatch.setattr(logins, "_MOST_TOKENS", 2)
    bob, ada = folk.find("bob"), folk.find("ada")
    kept, _ = folk.logins.open(ada)
    cookies = [folk.logins.open(bob)[0] for _ in range(5)]
    assert [folk.logins.person(c) is not None for c in cookies] == [False, False, True, True, True]
    assert folk.logins.person(kept) is not None
    folk.logins.add_token(bob, "one"), folk.logins.add_token(bob, "two")
    with pytest.raises(MedloupeError, match="bob has 2 tokens"):
        folk.logins.add_token(bob, "three")
    folk.logins.add_token(ada, "one")
    with pytest.raises(MedloupeError, match="no account"):
        folk.logins.add_token(LOCAL, "local")


def test_who_is_removed_leaves_nothing_that_opens(folk: People, lite: Engine) -> None:
    bob = folk.find("bob")
    cookie, token = folk.logins.open(bob)[0], folk.logins.add_token(bob, "app")
    with Session(lite) as session:
        row = {"at": "2024", "user_id": bob.id, "model": "m", "version": 1, "answer": {}, "digest": "d", "kept": None}
        session.add(PredictionRow(id="p", **row))
        session.commit()
    folk.remove("bob")
    assert folk.logins.person(cookie) is None and folk.logins.token(token) is None
    with Session(lite) as session:
        assert session.scalars(select(LoginRow)).all() == session.scalars(select(TokenRow)).all() == []
        assert session.get_one(PredictionRow, "p").user_id is None
    again = folk.add("bob", OTHER, "viewer")  # SQLite may give it the number again
    assert folk.logins.tokens(again) == [] and folk.logins.person(cookie) is None


# ------------------------------------------------------------------ trouble and the audit log


def test_a_token_works_while_nothing_can_be_written(folk: People, lite: Engine) -> None:
    bob = folk.find("bob")
    token = folk.logins.add_token(bob, "app")
    with Session(lite) as session:
        session.execute(text("CREATE TRIGGER full BEFORE UPDATE ON tokens BEGIN SELECT RAISE(FAIL, 'disk full'); END"))
        session.commit()
    assert folk.logins.token(token) == bob
    assert folk.logins.tokens(bob)[0].last_used is not None, "it is known here"
    assert People(lite).logins.tokens(bob)[0].last_used is None, "and was not written"


def test_a_database_out_of_order_is_said_in_words_without_secrets(folk: People, lite: Engine) -> None:
    with Session(lite) as session:
        session.execute(text("ALTER TABLE users RENAME TO gone"))
        session.commit()
    for ask in (folk.any, lambda: folk.authenticate("bob", GOOD), lambda: folk.set_password("bob", OTHER)):
        with pytest.raises(StorageError) as raised:
            ask()
        assert "argon2" not in str(raised.value) and "bob" not in str(raised.value)


def test_the_audit_log_cannot_be_forged(folk: People, lite: Engine) -> None:
    folk.log.add_failed_login("ada\n2024-01-01 ada promote", "r1")
    folk.log.add_failed_login("my password typed into the wrong field", "r2")
    folk.log.add_failed_login(" ada ", "r3")
    folk.log.add("ada", "user.role", "x" * 500, {"role": "viewer"}, "y" * 500)

    def told(e: AuditEntry) -> tuple[str, str, str]:
        return e.actor, e.action, e.object

    role, third, second, first = folk.log.entries()
    assert told(first) == told(second) == ("nobody", "login.failed", "")
    assert told(third) == ("nobody", "login.failed", "ada") and third.request_id == "r3"
    assert (len(role.object), len(role.request_id), role.detail) == (200, 64, {"role": "viewer"})
    with Session(lite) as session:
        assert not any("\n" in row.actor + row.object for row in session.scalars(select(AuditRow)))
