"""`medloupe users`: accounts by the installed command, and a server that others could reach without any."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from generated import Ran, run
from medloupe.accounts.log import operator
from medloupe.accounts.people import People
from medloupe.store.models import Store

Capture = pytest.CaptureFixture[str]
GOOD = "kettle orbit plaid"
OTHER = "velvet anchor moss"
_COMMAND = Path(sys.executable).with_name("medloupe")


@pytest.fixture(autouse=True)
def on_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDLOUPE_DATABASE", raising=False)


def installed(home: Path, *arguments: str, said: str = "") -> Ran:
    """The command as people run it, in a process of its own."""
    done = subprocess.run(
        [_COMMAND, *arguments],
        input=said.encode("utf-8", "surrogateescape"),
        capture_output=True,
        timeout=120,
        env={**os.environ, "MEDLOUPE_HOME": str(home), "PYTHONUTF8": "1"},
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def folk(home: Path) -> People:
    """ada is an admin, bob a clinician."""
    folk = People(Store(home).engine)
    folk.add("ada", GOOD, "admin")
    folk.add("bob", GOOD, "clinician")
    return folk


def test_the_installed_command(home: Path) -> None:
    refused = installed(home, "serve", "--host", "0.0.0.0", "--port", "0")
    refused.failed("On 0.0.0.0 others can reach the server", "no accounts", "medloupe users add NAME --role admin")

    weak = installed(home, "users", "add", "ada", "--role", "admin", "--password-stdin", said="password1\n")
    weak.failed("The password has 9 characters; expected at least 10")
    installed(home, "users", "add", "ada", "--password-stdin", said="\udcff\udcfe\n").failed("not UTF-8")
    installed(home, "users", "add", "ada").failed("nobody to ask for a password", "--password-stdin")

    added = installed(home, "users", "add", "vic", "--role", "viewer", "--password-stdin", said=f"{GOOD}\r\nmore\n")
    assert (added.code, added.out, added.err) == (0, "", "vic is a viewer.\n")
    installed(home, "serve", "--host", "::", "--port", "0").failed("nobody who may log in is an admin")
    assert People(Store(home).engine).authenticate("vic", GOOD) is not None

    made = installed(home, "users", "token", "vic", "--label", "phone app")
    assert made.code == 0 and made.err == ""
    person = People(Store(home).engine).logins.token(made.out.removesuffix("\n"))
    assert person is not None and person.name == "vic"


def test_accounts_change(folk: People, capsys: Capture) -> None:
    listed = run(capsys, "users", "list", "--json").lines
    assert [(line["name"], line["role"], line["disabled"]) for line in listed] == [
        ("ada", "admin", False),
        ("bob", "clinician", False),
    ]
    assert "password" not in listed[0]
    assert run(capsys, "users", "role", "bob", "viewer").err == "bob is a viewer.\n"
    assert run(capsys, "users", "disable", "bob").err == "bob is shut out.\n"
    lines = run(capsys, "users", "list").out.splitlines()
    assert lines[1].split()[:2] == ["bob", "viewer"] and lines[1].endswith("shut out")
    assert folk.authenticate("bob", GOOD) is None
    run(capsys, "users", "enable", "bob")
    assert folk.authenticate("bob", GOOD) is not None
    assert run(capsys, "users", "remove", "bob", "--yes").err == "Removed bob.\n"
    assert [a.name for a in folk.all()] == ["ada"]

    run(capsys, "users", "remove", "ada", "-y").failed("ada is the only admin", "medloupe users role NAME admin")
    run(capsys, "users", "disable", "ada").failed("ada is the only admin")
    run(capsys, "users", "role", "ada", "viewer").failed("ada is the only admin")
    run(capsys, "users", "role", "adda", "viewer").failed("nobody named 'adda'", "Did you mean 'ada'?")
    run(capsys, "users", "role", "ada", "king").failed("no role 'king'", "viewer, clinician, reviewer, trainer, admin")

    said = run(capsys, "users", "audit", "--json").lines
    assert [(line["actor"], line["action"], line["object"]) for line in reversed(said)] == [
        (operator(), "user.role", "bob"),
        (operator(), "user.disable", "bob"),
        (operator(), "user.enable", "bob"),
        (operator(), "user.remove", "bob"),
    ]
    assert said[-1]["detail"] == {"role": "viewer"}
    words = run(capsys, "users", "audit", "--limit", "2").out.splitlines()
    assert len(words) == 2 and "user.remove" in words[0] and operator() in words[0]


def test_removing_asks(folk: People, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert run(capsys, "users", "remove", "bob").code == 1
    assert folk.find("bob")
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert run(capsys, "users", "remove", "bob").code == 0
    assert [a.name for a in folk.all()] == ["ada"]


def test_a_new_password(folk: People, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    cookie, _ = folk.logins.open(folk.find("bob"))
    monkeypatch.setattr(sys, "stdin", io.StringIO(OTHER))
    said = run(capsys, "users", "passwd", "bob", "--password-stdin")
    assert said.err == "bob has a new password, and is logged out everywhere.\n"
    assert folk.logins.person(cookie) is None and folk.authenticate("bob", OTHER) is not None
    token = folk.logins.add_token(folk.find("bob"), "app")
    monkeypatch.setattr(sys, "stdin", io.StringIO(GOOD))
    kept = run(capsys, "users", "passwd", "bob", "--password-stdin", "--keep-tokens")
    assert "API tokens go on working" in kept.err and folk.logins.token(token) is not None
    monkeypatch.setattr(sys, "stdin", io.StringIO(OTHER))
    assert "1 API token revoked" in run(capsys, "users", "passwd", "bob", "--password-stdin").err
    assert folk.logins.token(token) is None and folk.logins.tokens(folk.find("bob")) == []
    told = [line["detail"] for line in run(capsys, "users", "audit", "--action", "user.password", "--json").lines]
    assert told == [{"tokens": "revoked"}, {"tokens": "kept"}, None]
    run(capsys, "users", "passwd", "eve", "--password-stdin").failed("nobody named 'eve'")


def test_tokens(folk: People, capsys: Capture) -> None:
    assert run(capsys, "users", "tokens", "bob").out == ""
    secret = run(capsys, "users", "token", "bob", "--label", "phone app").out.strip()
    assert secret.startswith("mlp_") and folk.logins.token(secret) == folk.find("bob")
    until = time.monotonic() + 10  # the use is noted beside
    while not (line := run(capsys, "users", "tokens", "bob", "--json").lines[0])["last_used"]:
        assert time.monotonic() < until
    assert line["label"] == "phone app" and line["last_used"] and secret not in json.dumps(line)
    assert "phone app" in run(capsys, "users", "tokens", "bob").out
    run(capsys, "users", "token", "bob", "--label", "two\nlines").failed("A token needs a name")
    run(capsys, "users", "revoke", "ada", line["id"]).failed("ada has no token")
    assert run(capsys, "users", "revoke", "bob", line["id"]).code == 0
    assert folk.logins.token(secret) is None
    assert secret not in json.dumps(run(capsys, "users", "audit", "--json").lines)


def test_nobody_yet(home: Path, capsys: Capture) -> None:
    said = run(capsys, "users", "list")
    assert said.out == "" and "medloupe users add NAME --role admin" in said.err
    assert run(capsys, "users", "list", "--json").lines == []
    assert run(capsys, "users", "audit").out == ""


def test_nothing_in_the_log_moves_the_terminal(folk: People, capsys: Capture) -> None:
    folk.log.add("ada\x1b[2J", "login.failed", "x\r\nada removed eve")
    out = run(capsys, "users", "audit").out
    assert "\x1b" not in out and "\r" not in out and len(out.splitlines()) == 1


def test_the_audit_log_is_verified(folk: People, capsys: Capture) -> None:
    for i in range(3):
        folk.log.add("bob", "predict", f"lungs@{i}")
    said = run(capsys, "users", "audit", "--verify")
    assert said.code == 0 and "3 lines are as they were written" in said.err
    assert run(capsys, "users", "audit", "--remove-before", "2000-01-01").code == 0
    assert run(capsys, "users", "audit", "--remove-before", "yesterday").code == 2
    with folk._engine.execution_options(writing=True).connect() as c, c.begin():
        c.execute(text("UPDATE audit SET actor = 'eve' WHERE number = 2"))
    said = run(capsys, "users", "audit", "--verify", "--json")
    assert said.code == 1 and said.lines[0]["broken"].startswith("Line 2 ") and "not whole" in said.err
    run(capsys, "users", "audit", "--remove-before", "2099-01-01").failed("nothing was removed")


def test_beginning_anew_is_on_purpose(folk: People, home: Path, capsys: Capture) -> None:
    for path in home.glob("medloupe.sqlite*"):
        path.unlink()
    run(capsys, "users", "list").failed("missing or empty", "medloupe users begin-anew")
    run(capsys, "serve", "--port", "0").failed("missing or empty", "medloupe users begin-anew")
    said = run(capsys, "users", "begin-anew", "--yes")
    assert said.code == 0 and "it has 0 accounts" in said.err
    assert [line["action"] for line in run(capsys, "users", "audit", "--json").lines] == ["store.anew"]
    assert run(capsys, "users", "audit", "--verify").code == 0
