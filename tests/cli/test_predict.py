"""`medloupe predict` with what is known beside the images."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import generated
import several
from generated import run
from medloupe.model.bundle import Model
from medloupe.modelfile.writer import write_onnx
from medloupe.store.models import Store

Capture = pytest.CaptureFixture[str]


def write_files(folder: Path, model: Model) -> None:
    write_onnx(model, folder / "model.onnx")


@pytest.fixture
def pictures(home: Path, tmp_path: Path) -> Path:
    """A folder with three images; the store holds `tiny`, which reads more than images."""
    Store(home).add(several.model(tmp_path), write_files=write_files)
    for i in range(3):
        generated.save(tmp_path / "scans" / f"{i}.png", generated.tissue(i, i % 2 == 1))
    return tmp_path / "scans"


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_with_counts_for_all_files(pictures: Path, capsys: Capture) -> None:
    bare = run(capsys, "predict", "tiny", pictures, "--json").lines
    given = run(capsys, "predict", "tiny", pictures, "--json", "--with", "age=63", "--with", "SEX=f").lines
    assert [line["inputs"] for line in bare] == [[]] * 3
    for one, other in zip(given, bare, strict=True):
        assert [(i["name"], i["value"]) for i in one["inputs"]][:2] == [("age", "63 years"), ("sex", "F")]
        assert one["probabilities"] != other["probabilities"]
    assert len({tuple(line["inputs"][0]["effect"].values()) for line in given}) == 1


def test_people_are_told_what_moved_it(pictures: Path, capsys: Capture) -> None:
    said = run(capsys, "predict", "tiny", pictures / "0.png", "--with", "age=63").out
    assert "age 63 years" in said
    assert " for " in said or " against " in said


def test_a_table_speaks_for_each_file_and_goes_before(pictures: Path, capsys: Capture, tmp_path: Path) -> None:
    rows = [{"file": "0.png", "age": "20"}, {"file": "1.png", "age": "oldish"}]
    path = table(tmp_path / "t.csv", rows)
    ran = run(capsys, "predict", "tiny", pictures, "--json", "--table", path, "--with", "age=80")
    assert ran.code == 1
    first, second, third = ran.lines
    assert (first["inputs"][0]["value"], third["inputs"][0]["value"]) == ("20 years", "80 years")
    assert "age is given as 'oldish'; expected a number" in second["error"]
    assert "has no row for 1 of 3 images" in ran.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--with", "age"), "'age' is not of the form NAME=VALUE"),
        (("--with", "=5"), "is not of the form NAME=VALUE"),
        (("--with", "aeg=5"), "Did you mean 'age'?"),
        (("--with", "age=old"), "age is given as 'old'"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    pictures: Path, capsys: Capture, options: tuple[str, ...], said: str
) -> None:
    ran = run(capsys, "predict", "tiny", pictures, "--json", *options)
    assert (ran.code, ran.out) == (2, "")
    assert said in " ".join(ran.err.replace("│", " ").split())


def test_the_router_asks_about_images_alone(pictures: Path, capsys: Capture) -> None:
    ran = run(capsys, "predict", "auto", pictures, "--with", "age=5")
    assert ran.code == 2
    assert "name the model" in ran.err


def test_a_table_without_the_images_fails(pictures: Path, capsys: Capture, tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", [{"file": "9.png", "age": "20"}])
    run(capsys, "predict", "tiny", pictures, "--table", path).failed("No column of")
    run(capsys, "predict", "tiny", pictures, "--table", tmp_path / "none.csv").failed("none.csv")
