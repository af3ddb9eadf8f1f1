"""What people decide in the table is applied, and read back from the new table; mistakes are named."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from medloupe.cli.app import app
from medloupe.data.reading import read
from medloupe.data.writers.label_table import write_label_table
from medloupe.errors import ColumnError, DataError
from medloupe.training.audit.decisions import apply_decisions, write_suspects
from medloupe.training.audit.finding import LabelSuspect


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lines = [("file", "label", "patient_id", "age")]
    for i in range(8):
        name = f"-{i}.png" if i == 3 else f"{i}.png"
        Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(tmp_path / name)
        lines.append((name, "ill" if i % 2 else "well", f"P{i // 2}", str(40 + i)))
    with (tmp_path / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(lines)
    return tmp_path


def suspect(file: str, rank: int = 1) -> LabelSuspect:
    return LabelSuspect(
        rank=rank, file=file, row=0, given="ill", likely="well", probability_given=0.01, probability_likely=0.99
    )


def decide(table: Path, decisions: dict[str, str]) -> None:
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["decision"] = decisions.get(row["file"].removeprefix("'"), "")
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_decisions_are_applied_and_read_back(root: Path) -> None:
    data, table, out = read(root), root.parent / "look.csv", root.parent / "corrected.csv"
    write_suspects([suspect(f"{name}.png", i) for i, name in enumerate(("1", "-3", "5", "7"), 1)], table)
    decide(table, {"1.png": "WELL", "-3.png": "leave out", "5.png": "unknown"})
    applied = apply_decisions(data, table)
    assert (applied.relabelled, applied.left_out, applied.made_unknown, applied.kept) == (1, 1, 1, 1)
    told = write_label_table(applied.data, out)
    again = read(root, table=out, **told)
    assert {r.id: dict(r.labels) for r in again.records} == {r.id: dict(r.labels) for r in applied.data.records}
    assert {r.id: r.patient for r in again.records} == {r.id: r.patient for r in applied.data.records}
    assert next(r for r in again.records if r.id == "1.png").labels == {"well": 1}
    assert next(r for r in again.records if r.id == "0.png").columns["age"] == "40"
    assert {r.id for r in data.records} - {r.id for r in again.records} == {"-3.png"}


def test_the_command_says_how_to_go_on(root: Path) -> None:
    table, out = root.parent / "look.csv", root.parent / "corrected.csv"
    write_suspects([suspect("1.png")], table)
    decide(table, {"1.png": "well"})
    done = CliRunner().invoke(app, ["relabel", str(root), str(table), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "1 relabelled, 0 left out" in done.output
    assert "--labels label --patient patient_id" in done.output


@pytest.mark.parametrize("wrong", ["sick", "not ill", "leave"])
def test_what_is_no_decision_is_named(root: Path, wrong: str) -> None:
    table = root.parent / "look.csv"
    write_suspects([suspect("1.png")], table)
    decide(table, {"1.png": wrong})
    with pytest.raises(DataError, match=r"look.csv, line 2") as caught:
        apply_decisions(read(root), table)
    assert "ill, well" in caught.value.hint


def test_another_set_and_another_table_are_refused(root: Path) -> None:
    table = root.parent / "look.csv"
    write_suspects([suspect("99.png")], table)
    with pytest.raises(DataError, match=r"holds no 99.png"):
        apply_decisions(read(root), table)
    table.write_text("file,label\n1.png,ill\n", encoding="utf-8")
    with pytest.raises(ColumnError, match="decision"):
        apply_decisions(read(root), table)


def test_findings_are_set_one_by_one(root: Path) -> None:
    text = "file,fluid,scar\n" + "".join(f"{i}.png,{i % 2},{int(i > 4)}\n" for i in range(8) if i != 3)
    (root / "labels.csv").write_text(text, encoding="utf-8")
    data = read(root, labels="fluid,scar")
    table = root.parent / "look.csv"
    table.write_text("file,decision\n1.png,not fluid\n1.png,scar\n", encoding="utf-8")
    applied = apply_decisions(data, table).data
    assert next(r for r in applied.records if r.id == "1.png").labels == {"fluid": 0, "scar": 1}
    told = write_label_table(applied, root.parent / "corrected.csv")
    again = read(root, table=root.parent / "corrected.csv", **told)
    assert {r.id: dict(r.labels) for r in again.records} == {r.id: dict(r.labels) for r in applied.records}
