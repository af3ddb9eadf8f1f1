"""Sentences of the command line that name the true cause and the next step."""

from __future__ import annotations

from pathlib import Path

import pytest

from generated import run
from medloupe.accounts.log import ACTIONS
from medloupe.accounts.people import People
from medloupe.accounts.person import article
from medloupe.errors import MedloupeError
from medloupe.serving.access.auth import check_bind
from medloupe.store.models import Store
from places import ROOT
from trained import Trained

Capture = pytest.CaptureFixture[str]
PASSWORD = "a horse, a spoon and rain"


@pytest.fixture
def offered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDLOUPE_STARTERS", "pneumonia,skin")


@pytest.mark.usefixtures("offered")
@pytest.mark.parametrize("typed", ["pneumona", "Pneumonia", "PNEUMONIA@2"])
def test_shipped_names_are_suggested(typed: str, capsys: Capture) -> None:
    run(capsys, "predict", typed, "a.png").failed("has no model", "Did you mean 'pneumonia'?")


@pytest.mark.usefixtures("offered")
def test_what_comes_with_medloupe_is_told(capsys: Capture) -> None:
    run(capsys, "predict", "teeth", "a.png").failed("with medloupe come: pneumonia, skin", "medloupe train FOLDER")
    run(capsys, "predict", "pneumonia@2", "a.png").failed("comes with medloupe and has no versions", "Write pneumonia.")
    for command in (("rollback",), ("history",), ("remove", "--yes"), ("remove",)):
        run(capsys, "models", command[0], "skin", *command[1:]).failed("skin comes with medloupe and has no versions")
    run(capsys, "models", "promote", "skin@1").failed("skin comes with medloupe")
    run(capsys, "models", "rollback", "teeth").failed("has no model 'teeth'")


def test_a_file_that_is_not_there_is_said_to_be(trained: Trained, capsys: Capture, tmp_path: Path) -> None:
    missing = tmp_path / "none.png"
    ran = run(capsys, "predict", "spots", missing)
    assert ran.err.count(str(missing)) == 1 and "There is no file" in ran.err and ran.code == 1


def test_model_and_file_the_wrong_way_round(trained: Trained, capsys: Capture) -> None:
    picture = trained.data / "sick" / "001.png"
    ran = run(capsys, "predict", picture, "spots")
    assert ran.code == 2
    assert "MODEL comes first" in " ".join(ran.err.replace("│", " ").split())


def test_predict_says_the_state_and_once_what_it_is_not(trained: Trained, capsys: Capture) -> None:
    ran = run(capsys, "predict", "spots", trained.data / "sick" / "001.png", trained.data / "sick" / "002.png")
    assert ran.out.count(": flagged: sick ") == 2 and "(line " in ran.out
    assert ran.err.count("not a medical device") == 1
    auto = run(capsys, "predict", "auto", trained.data / "sick" / "001.png")
    assert "@None" not in auto.out + auto.err


def test_training_ends_with_the_next_step(trained: Trained, capsys: Capture) -> None:
    from medloupe.cli.console import print_model

    print_model(Store.open().get("spots"), trained.home)
    said = capsys.readouterr()
    assert said.err.endswith("Next: medloupe predict spots FILE   or, on a page: medloupe serve\n")


def test_who_could_log_in_but_not_administer_is_not_called_nobody(home: Path) -> None:
    people = People(Store(home).engine)
    with pytest.raises(MedloupeError, match="there are no accounts yet"):
        check_bind("0.0.0.0", people)
    people.add("vic", PASSWORD, "viewer")
    with pytest.raises(MedloupeError, match="nobody who may log in is an admin") as caught:
        check_bind("0.0.0.0", people)
    assert "medloupe users role NAME admin" in caught.value.hint
    people.add("ada", PASSWORD, "admin")
    check_bind("0.0.0.0", people)


def test_articles(home: Path, capsys: Capture) -> None:
    assert [article(role) for role in ("viewer", "clinician", "admin")] == ["a", "a", "an"]
    People(Store(home).engine).add("ada", PASSWORD, "admin")
    People(Store(home).engine).add("bob", PASSWORD, "viewer")
    assert run(capsys, "users", "role", "bob", "admin").err == "bob is an admin.\n"


def test_the_log_is_searched(home: Path, capsys: Capture) -> None:
    people = People(Store(home).engine)
    for actor, action in (("ada", "predict"), ("bob", "predict"), ("ada", "login")):
        people.log.add(actor, action, "lungs@1")
    lines = run(capsys, "users", "audit", "--actor", "ada", "--action", "predict", "--json").lines
    assert [(line["actor"], line["action"]) for line in lines] == [("ada", "predict")]
    assert len(run(capsys, "users", "audit", "--actor", "ada", "--json").lines) == 2


def test_every_action_that_is_written_can_be_chosen() -> None:
    """Those that are written as they are; user.* are put together from what the form says."""
    import re

    text = "".join(p.read_text("utf-8") for p in (ROOT / "src" / "medloupe").rglob("*.py"))
    calls = r"(?:log\.add|add_to_audit_log|log_action|_note|audit_row)\((?:[^()]|\([^()]*\))*?\"([a-z]+(?:\.[a-z]+)?)\""
    written = set(re.findall(calls, text))
    assert len(written) > 10 and written <= set(ACTIONS)
