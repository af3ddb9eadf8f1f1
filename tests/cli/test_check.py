"""`check` tells by its exit code what stops a training, and what must be answered first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import folders, run
from originals_trees import picture


def noise(root: Path, *folders: str, each: int = 6) -> Path:
    for folder in folders:
        for i in range(each):
            picture(root / folder / f"{folder.replace('/', '-')}-{i}.png")
    return root


def test_a_question_is_put_with_the_commands_that_answer_it(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    root = noise(tmp_path / "my set", *(f"{a}/{b}" for a in ("cat", "dog") for b in ("eins", "zwei")))
    for command in (["check", root], ["train", root, "--name", "x"]):
        ran = run(capsys, *command)
        assert ran.code == 2
        assert "cannot be told which of these are the classes" in ran.err
        assert "my set' " in ran.err
        assert "--folders class/-" in ran.err
        assert "--folders -/class" in ran.err
    ran = run(capsys, "check", root, "--folders", "site/class", "--json")
    assert ran.code == 0
    assert ran.lines[0]["labels"] == {"eins": 12, "zwei": 12}


def test_a_layout_that_makes_no_sense_is_an_error(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]):
    ran = run(capsys, "check", noise(tmp_path, "a", "b"), "--folders", "split")
    assert ran.code == 1
    assert "is no layout" in ran.err


def test_what_stops_a_training_is_told_by_check_and_ends_train(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    root = noise(tmp_path / "names", "train/carcinoma", "train/normal", "test/carcinoma_left", "test/normal")
    ran = run(capsys, "check", root)
    assert ran.code == 1
    assert "✖ The classes of test and train differ" in ran.out
    ran = run(capsys, "train", root, "--name", "x")
    assert ran.code == 1
    assert "one class under two names" in ran.err

    blank = noise(tmp_path / "blank", "seen")
    (blank / "black").mkdir()
    for i in range(6):
        Image.fromarray(np.full((30, 30), i, np.uint8)).save(blank / "black" / f"b{i}.png")
    ran = run(capsys, "check", blank)
    assert ran.code == 1
    assert "✖ 6 of 12 pictures are blank" in ran.out
    ran = run(capsys, "train", blank, "--name", "x")
    assert ran.code == 1
    assert "6 of 12 pictures are blank" in ran.err


def test_a_sound_set_is_no_failure(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]):
    ran = run(capsys, "check", noise(tmp_path, "fold_0/a", "fold_0/b", "fold_1/a", "fold_1/b"))
    assert ran.code == 0
    assert "are folds; the classes are the folders below (a, b)" in ran.out


def test_suspicious_labels_are_written_as_table_and_page(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    root, table = folders(tmp_path / "data", each=40), tmp_path / "look.csv"
    turned = sorted((root / "normal").iterdir())[3]
    turned.rename(root / "sick" / f"turned{turned.suffix}")
    ran = run(capsys, "check", root, "--suspects", table, "--json")
    assert ran.code == 0
    first = ran.lines[0]["label_suspects"][0]
    assert (first["file"], first["given"], first["likely"]) == (f"sick/turned{turned.suffix}", "sick", "normal")
    lines = table.read_text("utf-8").splitlines()
    assert lines[0] == "rank,file,given,likely,probability_given,probability_likely,decision"
    assert lines[1].startswith(f"1,sick/turned{turned.suffix},sick,normal,0.0")
    page = table.with_suffix(".html").read_text("utf-8")
    assert f"sick/turned{turned.suffix}" in page
    assert page.count("data:image/jpeg") == len(ran.lines[0]["label_suspects"])
    assert "look.csv" in page


def test_where_no_label_is_suspicious_the_table_is_empty(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "look.csv"
    ran = run(capsys, "check", noise(tmp_path / "data", "a", "b"), "--suspects", table)
    assert "No label deserves a second look" in ran.err
    assert len(table.read_text("utf-8").splitlines()) == 1
