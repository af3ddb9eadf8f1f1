"""Scoring gives what `predict` gives, once for each file, the same bytes whatever ended in between."""

from __future__ import annotations

import csv
import filecmp
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest

import ecgsaved
import several
from detectors import TrainedDetector
from ecgmodels import recording
from generated import run
from medloupe.errors import DataError, MedloupeError, StoreError
from medloupe.inference.find import find_model
from medloupe.scoring import run as scoring
from medloupe.scoring.inputs import Item, read_items, write_items
from medloupe.scoring.places import open_place
from medloupe.scoring.rows import json_line
from medloupe.scoring.run import score
from medloupe.scoring.shards import ResultFolder
from medloupe.scoring.worker import ReaderEndedError, ScoringQuestion, ShardScorer, identify
from scorepools import WorkHere
from trained import Trained

Capture = pytest.CaptureFixture[str]


def answers_of(out: Path) -> list[dict[str, Any]]:
    return [json_line(row) for row in pyarrow.dataset.dataset(out / "answers").to_table().to_pylist()]


def unreadable_of(out: Path) -> list[dict[str, Any]]:
    files = sorted((out / "unreadable").glob("*.parquet"))
    return [row for f in files for row in pyarrow.dataset.dataset(f).to_table().to_pylist()]


def contents(out: Path) -> list[str]:
    return sorted(str(f.relative_to(out)) for f in out.rglob("*") if f.is_file())


def same(a: Path, b: Path) -> bool:
    names = contents(a)
    return names == contents(b) and filecmp.cmpfiles(a, b, names, shallow=False)[1:] == ([], [])


@pytest.fixture
def pictures(trained: Trained, tmp_path: Path) -> Path:
    """A folder of 32 pictures and three files that are none, in folders of their own."""
    folder = tmp_path / "pictures"
    for k, file in enumerate(sorted(trained.data.rglob("*.png"))):
        target = folder / f"ward {k % 3}" / f"{k:03}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    (folder / "ward 0" / "cut.png").write_bytes((folder / "ward 0" / "000.png").read_bytes()[:90])
    (folder / "ward 1" / "text.png").write_text("no picture")
    (folder / "ward 2" / "empty.png").write_bytes(b"")
    return folder


def test_rows_are_the_lines_of_predict(pictures: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    told = run(capsys, "score", "spots", pictures, "--out", out, "--rows", 10, "--workers", 2, "--json").lines[0]
    lines = run(capsys, "predict", "spots", pictures, "--json").lines
    good = [line for line in lines if "error" not in line]
    assert answers_of(out) == good
    assert [(row["file"], row["error"]) for row in unreadable_of(out)] == [
        (line["file"], line["error"]) for line in lines if "error" in line
    ]
    assert {row["kind"] for row in unreadable_of(out)} <= {"NotAnImageError", "UnreadableImageError"}
    assert (told["files"], told["answers"], told["unreadable"], told["kept"]) == (35, 32, 3, 0)
    assert sum(told["states"].values()) == 32
    manifest = json.loads((out / "manifest.json").read_text())
    assert [s["files"] for s in manifest["shards"]] == [10, 10, 10, 5]
    assert manifest["states"] == told["states"]


def test_in_words(pictures: Path, tmp_path: Path, capsys: Capture) -> None:
    ran = run(capsys, "score", "spots", pictures, "--out", tmp_path / "out", "--workers", 1)
    assert ran.code == 0
    assert "35 files: " in ran.out and "3 could not be read" in ran.out
    assert str(tmp_path / "out" / "unreadable") in ran.out
    assert "not a medical device" in ran.err
    again = run(capsys, "score", "spots", pictures, "--out", tmp_path / "out")
    assert "35 of them were there" in again.err


def test_boxes_counts_and_lines_of_a_detector(
    detector: TrainedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(detector.home))
    score("shapes", str(detector.data / "images"), tmp_path / "out", workers=1)
    lines = run(capsys, "predict", "shapes", detector.data / "images", "--json").lines
    assert any(line["boxes"] for line in lines)
    assert answers_of(tmp_path / "out") == lines


def test_ecgs(ecg_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(ecg_home))
    folder = tmp_path / "ecgs"
    folder.mkdir()
    for k in range(3):
        (folder / f"{k}.csv").write_bytes(ecgsaved.csv(recording(k)))
    (folder / "other.csv").write_text("a,b\n1,2\n")
    listed = tmp_path / "ecgs.txt"
    listed.write_text("\n".join(f"ecgs/{f.name}" for f in sorted(folder.iterdir())) + "\n")
    told = ("--rate", 360)
    run(capsys, "score", "beats", listed, "--out", tmp_path / "out", "--workers", 1, *told)
    lines = run(capsys, "predict", "beats", *sorted(folder.iterdir()), "--json", *told).lines
    good = [line for line in lines if "error" not in line]
    assert len(good) == 3 and all(line["ecg"]["beats"] for line in good)
    assert answers_of(tmp_path / "out") == good
    assert [r["file"] for r in unreadable_of(tmp_path / "out")] == [str(folder / "other.csv")]


def test_each_file_chooses_with_auto(pictures: Path, tmp_path: Path, capsys: Capture) -> None:
    score("auto", str(pictures), tmp_path / "out", workers=1)
    lines = run(capsys, "predict", "auto", pictures, "--json").lines
    assert answers_of(tmp_path / "out") == [line for line in lines if "error" not in line]
    assert len(unreadable_of(tmp_path / "out")) == 3


def test_a_table_tells_what_is_known_beside_each(tmp_path: Path, trained: Trained, capsys: Capture) -> None:
    from medloupe.modelfile.writer import write_onnx

    model = several.model(tmp_path)
    file = tmp_path / "asked.onnx"
    write_onnx(model, file)
    files = [tmp_path / "images" / f"{k}.png" for k in range(4)]
    files[0].parent.mkdir()
    for made, own in zip(files, sorted(trained.data.rglob("*.png")), strict=False):
        made.write_bytes(own.read_bytes())
    table = tmp_path / "table.csv"
    rows = [[f"images/{p.name}", value, "east"] for p, value in zip(files, ("41", "", "67", "33"), strict=True)]
    with table.open("w", newline="") as f:
        csv.writer(f).writerows([["picture", "Age", "ward"], *rows, rows[0]])
    score(str(file), str(table), tmp_path / "out", workers=1)
    lines = run(capsys, "predict", file, *files, "--table", table, "--json").lines
    assert answers_of(tmp_path / "out") == lines
    assert any(i["value"] == "67 years" for line in lines for i in line["inputs"])
    with pytest.raises(MedloupeError, match="no column 'wards'"):
        score(str(file), str(table), tmp_path / "other", workers=1, image="wards")
    with table.open("a", newline="") as f:
        csv.writer(f).writerow([str(files[0]), "42", "east"])
    with pytest.raises(DataError, match="different things"):
        score(str(file), str(table), tmp_path / "other", workers=1)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_ray_gives_the_same_bytes_and_goes_on_where_processes_stopped(pictures: Path, tmp_path: Path) -> None:
    score("spots", str(pictures), tmp_path / "local", workers=1, rows=6)
    score("spots", str(pictures), tmp_path / "ray", engine="ray", workers=2, rows=6)
    assert same(tmp_path / "local", tmp_path / "ray")
    for name in ("manifest.json", "entries/00000002.json", "answers/00000004.parquet"):
        (tmp_path / "ray" / name).unlink()
    told = score("spots", str(pictures), tmp_path / "ray", engine="local", workers=2, rows=6)
    assert told.kept == 24 - 1
    assert same(tmp_path / "local", tmp_path / "ray")


def test_shards_that_are_whole_are_kept_and_spoilt_ones_made_again(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    score("spots", str(pictures), out, workers=1, rows=10)
    before = {name: ((out / name).read_bytes(), (out / name).stat().st_mtime_ns) for name in contents(out)}
    (out / "answers" / "00000001.parquet").write_bytes(before["answers/00000001.parquet"][0][:-1])
    (out / "entries" / "00000002.json").write_text("{")
    assert score("spots", str(pictures), out, workers=1, rows=10).kept == 15
    after = {name: ((out / name).read_bytes(), (out / name).stat().st_mtime_ns) for name in contents(out)}
    assert {n: b for n, (b, _) in after.items()} == {n: b for n, (b, _) in before.items()}
    assert after["answers/00000000.parquet"] == before["answers/00000000.parquet"]


def test_results_of_another_question_are_not_mixed(pictures: Path, tmp_path: Path) -> None:
    score("spots", str(pictures), tmp_path / "out", workers=1, rows=20)
    for more, said in (({"photo": "never"}, "other options"), ({"rows": 10}, "another rows")):
        with pytest.raises(StoreError, match=said):
            score("spots", str(pictures), tmp_path / "out", workers=1, **{"rows": 20, **more})
    with pytest.raises(StoreError, match="other files"):
        score("spots", str(pictures / "ward 0"), tmp_path / "out", workers=1, rows=20)


def test_nothing_to_score(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="nothing to score"):
        score("spots", str(tmp_path / "none"), tmp_path / "out")
    with pytest.raises(DataError, match="There is no"):
        score("spots", str(tmp_path / "nowhere"), tmp_path / "out")
    with pytest.raises(MedloupeError, match="have no rate"):
        score("spots", str(trained.data), tmp_path / "out", rate=100)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_a_run_killed_again_and_again_ends_with_every_file_once(pictures: Path, tmp_path: Path, engine: str) -> None:
    score("spots", str(pictures), tmp_path / "calm", workers=2, rows=1)
    out = tmp_path / "killed"
    told = ["--out", str(out), "--rows", "1", "--workers", "2", "--engine", engine]
    command = [sys.executable, "-m", "medloupe", "score", "spots", str(pictures), *told]
    chance = random.Random(0)
    for k in range(3):
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 300
        while driver.poll() is None and len(list(out.glob("entries/*.json"))) < 9 * (k + 1):
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.05))
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=600)
    assert same(tmp_path / "calm", out)
    assert len(answers_of(out)) + len(unreadable_of(out)) == 35


def test_a_file_that_ends_the_process_is_found_and_listed(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadly = str(pictures / "ward 1" / "004.png")
    monkeypatch.setattr(scoring, "open_pool", lambda engine, scorer, workers: WorkHere(scorer, deadly))
    told = score("spots", str(pictures), tmp_path / "out", rows=10)
    assert (told.answers, told.unreadable) == (31, 4)
    listed = {row["file"]: row for row in unreadable_of(tmp_path / "out")}
    assert listed[deadly]["kind"] == ReaderEndedError.__name__
    assert "ended each time" in listed[deadly]["error"]
    assert deadly not in {row["file"] for row in answers_of(tmp_path / "out")}


def test_a_worker_that_has_another_model_does_not_answer(trained: Trained, tmp_path: Path) -> None:
    meant = identify("spots")
    assert meant == identify(f"{find_model('spots').name}@1") != identify(str(trained.onnx))
    with pytest.raises(MedloupeError, match="another model"):
        ShardScorer(ScoringQuestion(model="spots", identity="ab" * 32), str(tmp_path))()


def test_lists_of_files_with_any_names(tmp_path: Path) -> None:
    odd = [Item("é\udcff.png", {}), Item('a "b"\n.png', {"age": "4\n"}), Item("c", {})]
    count, digest = write_items(tmp_path / "items", odd)
    assert (count, len(digest)) == (3, 64)
    assert [item for part in read_items(tmp_path / "items", 2) for item in part] == odd


def test_a_name_that_is_no_text(trained: Trained, tmp_path: Path) -> None:
    source = tmp_path / "odd"
    source.mkdir()
    picture = next(trained.data.rglob("*.png")).read_bytes()
    try:
        Path(os.fsdecode(os.fsencode(source) + b"/\xff.png")).write_bytes(picture)
    except OSError:
        pytest.skip("this file system takes text only")
    score("spots", str(source), tmp_path / "out", workers=1)
    assert [row["file"] for row in answers_of(tmp_path / "out")] == [str(source / "\\xff.png")]


def test_a_folder_that_cannot_be_written(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        ResultFolder(open_place(tmp_path / "file")).prepare()
