"""`medloupe retrain`: what it needs, what it lists, when it is due, and a candidate that is made here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from generated import run
from loops import NAME, Loop, make_loop, once
from medloupe.store.candidates import Candidates
from medloupe.store.dataset_nouns import DatasetClass, NewItem


@pytest.fixture
def begun(home: Path) -> Loop:
    """A data set of which nothing is published."""
    home.mkdir(parents=True, exist_ok=True)
    loop = Loop(home)
    loop.sets.create(NAME, classes=[DatasetClass(name="clear"), DatasetClass(name="spots")])
    loop.sets.add(NAME, [NewItem(key="1", data=b"1", file="1.png", label="clear")])
    return loop


def test_what_is_missing_is_said(begun: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "retrain", "nothing").failed("no data set 'nothing'")
    run(capsys, "retrain", NAME).failed("No version of marks is in production", "studio")
    assert run(capsys, "retrain").code == 2
    assert run(capsys, "retrain", NAME, "--due").code == 2
    run(capsys, "retrain", NAME, "--candidate", "x").failed("There is no candidate 'x'", "--list")
    assert run(capsys, "jobs", "add", "retrain", NAME).code == 2


def test_the_rule_and_the_list(begun: Loop, capsys: pytest.CaptureFixture[str]) -> None:
    assert "after 50 new corrections" in run(capsys, "retrain", NAME, "--after", 50).out
    assert run(capsys, "retrain", NAME, "--every", 7, "--json").lines == [{"corrections": 50, "days": 7.0}]
    assert run(capsys, "retrain", NAME, "--after", 0, "--every", 0).out.strip() == "Candidates are made when asked for."
    assert "no candidates" in run(capsys, "retrain", NAME, "--list").err
    assert "No candidate is due" in run(capsys, "retrain", "--due").err
    one = Candidates(begun.store.engine).begin(
        begun.dataset, dataset_version=1, production=1, added=3, cause="api", by="ada"
    )
    (line,) = run(capsys, "retrain", NAME, "--list", "--json").lines
    assert (line["id"], line["state"], line["added"]) == (one.id, "waiting", 3)
    assert "waiting" in run(capsys, "jobs", "list").out


@pytest.mark.slow
def test_a_candidate_is_made_here_where_no_worker_runs(
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = once(tmp_path_factory, "loop", make_loop)[0]
    shutil.copytree(made / "home", tmp_path / "home")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "home"))
    loop = Loop(tmp_path / "home")
    loop.correct(5000, 10)
    ran = run(capsys, "retrain", NAME, "--json")
    (line,) = ran.lines
    assert ran.code == 0 and line["version"] == 2 and line["production"] == 1
    assert line["gate"]["records"] == 48 and line["added"]["corrections"] == 10
    assert line["state"] in ("ready", "refused") and line["gate"]["passed"] == (line["state"] == "ready")
    run(capsys, "retrain", NAME, "--no-wait")
    assert len(Candidates(loop.store.engine).list(loop.dataset)) == 1
