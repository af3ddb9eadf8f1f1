"""`medloupe models`: what it prints and what it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

import generated
from evident import judged
from generated import run
from medloupe.store.models import Store
from storing import made, write_files
from trained import Trained

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(home: Path, tmp_path: Path) -> Store:
    """lungs@1 in production, a better lungs@2 and a worse lungs@3."""
    store = Store(home)
    for i, skill in enumerate((2, 3, 0.3)):
        store.add(made(tmp_path, seed=i), write_files=judged(skill, noise=i))
    return store


def test_the_list_marks_production(store: Store, capsys: Capture) -> None:
    listed = run(capsys, "models", "list", "--json").lines
    assert [(line["version"], line["production"]) for line in listed] == [(1, True), (2, False), (3, False)]
    assert set(listed[0]) == {"name", "version", "created", "task", "labels", "auc", "production"}
    lines = run(capsys, "models", "list").out.splitlines()
    assert [line.startswith("→ lungs@") for line in lines] == [True, False, False]


def test_promote_and_roll_back(store: Store, capsys: Capture) -> None:
    (line,) = run(capsys, "models", "promote", "lungs@2", "--reason", "more data", "--json").lines
    assert (line["promoted"], line["version"], line["forced"]) == ("lungs", 2, False)
    assert line["comparison"]["passed"] and line["comparison"]["auc"]["low"] > -0.02
    assert store.production()["lungs"][0] == 2
    run(capsys, "models", "promote", "lungs@2").failed("in production already")
    assert run(capsys, "models", "rollback", "lungs", "--json").lines == [{"rolled_back": "lungs", "version": 1}]
    run(capsys, "models", "rollback", "lungs").failed("was in production before lungs@1")
    said = run(capsys, "models", "promote", "lungs@2")
    assert said.code == 0 and "not worse" in said.out and "lungs@2 is in production" in said.err

    history = run(capsys, "models", "history", "lungs", "--json").lines
    assert [(h["kind"], h["version"], h["previous"]) for h in history] == [
        ("first", 1, None),
        ("promote", 2, 1),
        ("rollback", 1, 2),
        ("promote", 2, 1),
    ]
    assert history[1]["reason"] == "more data" and history[1]["actor"].startswith("local")
    words = run(capsys, "models", "history", "lungs").out.splitlines()
    assert len(words) == 4 and "more data" in words[1] and "before: 1" in words[1]


def test_a_refusal_tells_why_and_can_be_forced(store: Store, capsys: Capture) -> None:
    refused = run(capsys, "models", "promote", "lungs@candidate")
    refused.failed("lungs@3 was not promoted", "It is worse", "--force")
    as_json = run(capsys, "models", "promote", "lungs@3", "--json")
    assert as_json.code == 1
    (line,) = as_json.lines
    assert (line["refused"], line["version"], line["production"]) == ("lungs", 3, 1)
    assert line["comparison"]["passed"] is False
    assert run(capsys, "models", "promote", "lungs@3", "--force").code == 2
    assert run(capsys, "models", "promote", "lungs").code == 2
    forced = run(capsys, "models", "promote", "lungs@3", "--force", "--reason", "a trial", "--json").lines[0]
    assert forced["forced"] is True
    assert "forced" in run(capsys, "models", "history", "lungs").out


def test_production_is_not_removed(store: Store, capsys: Capture) -> None:
    run(capsys, "models", "remove", "lungs@1", "-y").failed("lungs@1 is in production", "Promote another")
    run(capsys, "models", "remove", "lungs@production", "-y").failed("in production")
    removed = run(capsys, "models", "remove", "lungs@candidate", "-y", "--json").lines
    assert removed == [{"removed": "lungs", "version": 3}]
    assert [line["version"] for line in run(capsys, "models", "remove", "lungs", "-y", "--json").lines] == [1, 2]


def test_what_there_is_not(store: Store, capsys: Capture, tmp_path: Path) -> None:
    for command in (["promote", "heart@1"], ["rollback", "heart"], ["history", "heart"]):
        run(capsys, "models", *command).failed("no model 'heart'", "lungs")
    run(capsys, "models", "promote", "lungs@8").failed("no version 8")
    run(capsys, "models", "promote", f"lungs@{'9' * 5000}").failed("names no version")
    run(capsys, "models", "show", "lungs@stable").failed("names no version")
    run(capsys, "models", "history", "No Name").failed("cannot name a model")
    run(capsys, "models", "add", tmp_path / "none.onnx").failed("There is no file")


def test_add_takes_in_a_file(trained: Trained, home: Path, capsys: Capture) -> None:
    (line,) = run(capsys, "models", "add", trained.onnx, "--json").lines
    assert line == {"added": "spots", "version": 1, "onnx": str(home / "models" / "spots" / "1" / "model.onnx")}
    again = run(capsys, "models", "add", trained.onnx, "--name", "dots")
    assert (again.code, again.out) == (0, "") and "dots@1" in again.err
    (answer,) = run(capsys, "predict", "dots", trained.data / "sick" / "001.png", "--json").lines
    assert (answer["model"], answer["version"], answer["prediction"]) == ("dots", 1, "sick")
    # without the predictions it was judged by, a second one is not taken on trust
    run(capsys, "models", "add", trained.onnx)
    run(capsys, "models", "promote", "spots@2").failed("cannot be compared")


def test_two_trainings_are_compared(home: Path, tmp_path: Path, capsys: Capture) -> None:
    data = generated.folders(tmp_path / "cells", 20)
    for seed in (0, 1):
        assert run(capsys, "train", data, "--name", "cells", "--seed", seed, "--json").code == 0
    (line,) = run(capsys, "models", "promote", "cells@candidate", "--json").lines
    assert line["version"] == 2 and line["comparison"]["records"] == 40
    assert run(capsys, "models", "show", "cells", "--json").lines[0]["version"] == 2
    assert run(capsys, "models", "show", "cells@candidate").code == 1


def test_files_without_reports_are_listed_too(home: Path, tmp_path: Path, capsys: Capture) -> None:
    def only_onnx(folder: Path, model: object) -> None:
        (folder / "model.onnx").write_bytes(b"onnx")

    Store(home).add(made(tmp_path), write_files=only_onnx)
    Store(home).add(made(tmp_path), write_files=write_files)
    assert len(run(capsys, "models", "list", "--json").lines) == 2
    assert Store(home).get("lungs").report == ""
