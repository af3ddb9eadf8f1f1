"""`select` lists what to label next: nothing learned from, nothing of another kind, no patient twice."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import folders, run


def test_what_was_learned_from_and_other_kinds_are_left_out(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
):
    learned = folders(tmp_path / "learned", each=30)
    assert run(capsys, "train", learned, "--name", "spots", "--field", "none").code == 0
    pool = folders(tmp_path / "pool", each=12, first=100)
    for i in range(6):
        Image.open(sorted((learned / "sick").iterdir())[i]).save(pool / "sick" / f"old{i}.png")
    rng = np.random.default_rng(0)
    for i in range(4):
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(pool / "normal" / f"noise{i}.png")
    out = tmp_path / "next.csv"
    ran = run(capsys, "select", "spots", pool, "--count", "8", "--out", out, "--json")
    assert ran.code == 0
    files = [line["file"] for line in ran.lines]
    assert len(set(files)) == 8
    assert not any("old" in file or "noise" in file for file in files)
    assert "left out: 6 trained on" in ran.err
    assert "left out: 4 of another kind" in ran.err
    uncertainty = [line["uncertainty"] for line in ran.lines]
    assert uncertainty == sorted(uncertainty, reverse=True)
    with out.open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["file"] for row in rows] == files
    assert {row["label"] for row in rows} == {""}

    once = run(capsys, "select", "spots", pool, "--count", "8", "--patient", r"(normal|sick)/", "--json")
    assert len(once.lines) == 2

    nothing = run(capsys, "select", "spots", learned)
    assert nothing.code == 1
    assert "is left to label for spots: 60 trained on" in nothing.err


def test_no_folder_is_said(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]):
    ran = run(capsys, "select", "spots", tmp_path / "nowhere")
    assert ran.code == 1
    assert "is no folder" in ran.err
