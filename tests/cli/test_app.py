"""The command line's contract: what stands on stdout, what on stderr, and the exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import generated
from generated import run
from medloupe.version import __version__
from trained import Trained

Capture = pytest.CaptureFixture[str]


# ------------------------------------------------------------------------ train


def test_train_json_prints_one_line_with_exactly_the_promised_keys(trained: Trained) -> None:
    assert trained.ran.code == 0, trained.ran.err
    (line,) = trained.ran.lines
    assert set(line) == {"name", "version", "task", "labels", "metrics", "report", "onnx"}
    assert (line["name"], line["version"], line["task"]) == ("spots", 1, "multiclass")
    assert line["labels"] == ["normal", "sick"]


def test_every_metric_has_a_value_with_its_interval(trained: Trained) -> None:
    metrics = trained.ran.lines[-1]["metrics"]
    assert {"auc", "balanced_accuracy", "accuracy", "majority_accuracy"} <= set(metrics)
    for name, metric in metrics.items():
        assert set(metric) == {"value", "low", "high"}, name
        assert metric["low"] <= metric["value"] <= metric["high"], name
    assert metrics["majority_accuracy"]["value"] == 0.5
    assert metrics["auc"]["value"] > 0.8


def test_train_names_the_report_and_the_model_file(trained: Trained) -> None:
    line = trained.ran.lines[-1]
    assert Path(line["onnx"]) == trained.onnx
    assert trained.onnx.stat().st_size > 1e6
    page = Path(line["report"]).read_text("utf-8")
    assert "spots" in page
    assert page.rstrip().endswith("</html>")


def test_without_json_figures_go_to_stdout_and_the_rest_to_stderr(
    trained: Trained, home: Path, capsys: Capture
) -> None:
    ran = run(capsys, "train", trained.data, "--name", "spots")
    assert ran.code == 0, ran.err
    assert "32 images (normal 16, sick 16)" in ran.err
    assert "AUC" in ran.out
    assert "not a medical device" in ran.out
    assert str(home / "models" / "spots" / "1" / "report.html") in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "{data}", "--name", "a", "--bogus"], "--bogus"),
        (["train", "{data}"], "--name"),
        (["train", "--name", "a"], "DATA"),
        (["train", "{data}", "--name", "a", "--finetune", "everything"], "--finetune"),
        (["train", "{data}", "--name", "a", "--seed", "-1"], "--seed"),
        (["train", "{data}", "--name", "a", "--seed", "x"], "--seed"),
        (["export", "spots", "{data}/m.onnx", "--precision", "fp7"], "--precision"),
        (["predict", "spots"], "PATH"),
        (["models", "shuffle"], "shuffle"),
        (["rain"], "rain"),
    ],
)
def test_mistakes_in_usage_end_with_2(arguments: list[str], said: str, trained: Trained, capsys: Capture) -> None:
    ran = run(capsys, *[a.format(data=trained.data) for a in arguments])
    assert ran.code == 2
    assert ran.out == ""
    assert said in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "nowhere", "--name", "a"],
        ["check", "nowhere"],
        ["evaluate", "spots", "nowhere"],
        ["evaluate", "nothing", "nowhere"],
        ["predict", "nothing", "nowhere.png"],
        ["models", "show", "nothing"],
        ["models", "remove", "nothing", "--yes"],
        ["export", "nothing", "m.onnx"],
    ],
)
def test_with_json_too_errors_go_to_stderr(
    arguments: list[str], trained: Trained, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    run(capsys, *arguments, "--json").failed("no")


def test_version_and_help(capsys: Capture) -> None:
    assert run(capsys, "--version").out == f"medloupe {__version__}\n"
    for command in ("check", "train", "evaluate", "predict", "export", "models"):
        said = run(capsys, command, "-h")
        assert said.code == 0
        assert "--home" in said.out or command == "models"


# ----------------------------------------------------------------------- predict


def test_predict_json_prints_one_line_a_file(trained: Trained, capsys: Capture) -> None:
    ran = run(capsys, "predict", "spots", trained.data, "--json")
    assert ran.code == 0, ran.err
    assert len(ran.lines) == 32
    assert [line["file"] for line in ran.lines] == sorted(str(p) for p in trained.data.rglob("*.png"))
    for line in ran.lines:
        decided = {"state", "why", "prediction", "flagged", "probabilities", "scope", "refused"}
        assert set(line) == {"file", "model", "version"} | decided
        assert (line["model"], line["version"], line["refused"]) == ("spots", 1, None)
        assert set(line["probabilities"]) == {"normal", "sick"}
        assert sum(line["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert line["prediction"] in ("normal", "sick")
    right = sum(line["prediction"] == Path(line["file"]).parent.name for line in ran.lines)
    assert right >= 30  # these it was trained on


def test_an_unreadable_file_gets_its_error_and_the_rest_go_on(
    trained: Trained, capsys: Capture, tmp_path: Path
) -> None:
    good = trained.data / "sick" / "000.png"
    broken = tmp_path / "cut.png"
    broken.write_bytes(good.read_bytes()[:700])
    ran = run(capsys, "predict", "spots", good, broken, tmp_path / "none.png", good, "--json")
    assert ran.code == 1
    assert [set(line) == {"file", "error"} for line in ran.lines] == [False, True, True, False]
    assert [line["file"] for line in ran.lines] == [str(p) for p in (good, broken, tmp_path / "none.png", good)]
    assert ran.lines[0] == ran.lines[3]
    assert "cut.png" in ran.lines[1]["error"]


@pytest.mark.parametrize("given", ["data", "data/", "./data", "../{here}/data", "{absolute}", "data/../data"])
def test_the_file_is_named_as_the_folder_was(
    given: str, trained: Trained, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained.data.parent)
    folder = given.format(here=trained.data.parent.name, absolute=trained.data)
    ran = run(capsys, "predict", "spots", folder, "--json")
    wanted = {os.path.normpath(os.path.join(folder, k, f"{i:03}.png")) for k in ("normal", "sick") for i in range(16)}  # noqa: PTH118
    assert {os.path.normpath(line["file"]) for line in ran.lines} == wanted


def test_predict_takes_globs_folders_and_files_together(trained: Trained, capsys: Capture) -> None:
    data = trained.data
    several = (f"{data}/*/00[1-3].png", data / "sick" / "009.png")
    names = [line["file"] for line in run(capsys, "predict", "spots", *several, "--json").lines]
    assert [Path(n).name for n in names] == ["001.png", "002.png", "003.png"] * 2 + ["009.png"]
    folders = run(capsys, "predict", "spots", f"{data}/s*", "--json").lines
    assert len(folders) == 16  # a glob that names a folder means what is in it, as it does in a shell
    everywhere = run(capsys, "predict", "spots", f"{data}/**/*", "--json").lines
    assert len(everywhere) == 32


def test_predict_in_words(trained: Trained, capsys: Capture) -> None:
    ran = run(capsys, "predict", "spots", trained.data / "sick" / "001.png")
    assert ran.code == 0
    assert re.search(r"001\.png: flagged: sick \d+\.\d% \(line \d+\.\d%\)$", ran.out.splitlines()[0])
    assert "%" in ran.out
    missing = run(capsys, "predict", "spots", trained.data / "none.png")
    assert (missing.code, missing.out) == (1, "")
    assert "none.png" in missing.err


def test_a_folder_without_images_is_a_failure(trained: Trained, capsys: Capture, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    run(capsys, "predict", "spots", tmp_path).failed("no images", str(tmp_path))


def test_names_that_are_no_text_are_answered_too(trained: Trained, capsys: Capture, tmp_path: Path) -> None:
    name = os.fsdecode(b"scan\xff\xfe.png")
    try:
        (tmp_path / name).write_bytes((trained.data / "sick" / "001.png").read_bytes())
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only text as names")
    (line,) = run(capsys, "predict", "spots", tmp_path, "--json").lines
    assert line["file"] == str(tmp_path / name)
    assert run(capsys, "predict", "spots", tmp_path).code == 0
    trained_too = generated.folders(tmp_path / "set", 6, first=300)
    (tmp_path / name).rename(trained_too / "sick" / name)
    assert run(capsys, "train", trained_too, "--name", "odd", "--home", tmp_path / "home").code == 0


@pytest.mark.parametrize(("photo", "known"), [("chelsea", "cat"), ("coffee", "espresso"), ("rocket", "missile")])
def test_the_shipped_model_names_everyday_objects(
    photo: str, known: str, home: Path, capsys: Capture, tmp_path: Path
) -> None:
    data = pytest.importorskip("skimage.data")
    file = generated.save(tmp_path / f"{photo}.png", getattr(data, photo)())
    (line,) = run(capsys, "predict", "imagenet", file, "--json").lines
    assert len(line["probabilities"]) == 5
    assert any(known in label.lower() for label in line["probabilities"]), line
    assert line["prediction"] == max(line["probabilities"], key=line["probabilities"].__getitem__)
    assert (line["model"], line["version"]) == ("imagenet", None)


# ------------------------------------------------------------- evaluate, export, check


def test_evaluate_json_and_its_report(trained: Trained, capsys: Capture, tmp_path: Path) -> None:
    other = generated.folders(tmp_path / "elsewhere", 12, first=500)
    ran = run(capsys, "evaluate", "spots", other, "--json", "--report", tmp_path / "r.html")
    assert ran.code == 0, ran.err
    (line,) = ran.lines
    assert (line["name"], line["version"], line["data"], line["n"]) == ("spots", 1, "elsewhere", 24)
    assert line["metrics"]["auc"]["value"] > 0.7
    assert line["claimed"] == trained.ran.lines[-1]["metrics"]
    assert line["left_out"] == {"seen": 0, "unlabelled": 0, "unreadable": 0}
    assert "elsewhere" in (tmp_path / "r.html").read_text("utf-8")
    words = run(capsys, "evaluate", "spots", other)
    assert "AUC that its card claims" in words.out
    nowhere = run(capsys, "evaluate", "spots", other, "--report", tmp_path / "no" / "r.html")
    nowhere.failed(str(tmp_path / "no" / "r.html"))


def test_export_writes_a_file_that_answers(trained: Trained, capsys: Capture, tmp_path: Path) -> None:
    out, image = tmp_path / "m.onnx", trained.data / "sick" / "003.png"
    ran = run(capsys, "export", "spots@1", out)
    assert (ran.code, ran.out) == (0, "")
    assert str(out) in ran.err
    (told,) = run(capsys, "export", "spots", out, "--json").lines
    assert (told["name"], told["version"], told["onnx"]) == ("spots", 1, str(out))
    assert told["bytes"] == out.stat().st_size
    assert told["parity"] <= 1e-4
    stored, file = (run(capsys, "predict", m, image, "--json").lines[0] for m in ("spots", out))
    assert file["model"] == "spots"
    assert file["probabilities"] == pytest.approx(stored["probabilities"], abs=1e-4)
    run(capsys, "export", "spots", tmp_path / "no" / "m.onnx").failed("no")


def test_check_json(trained: Trained, capsys: Capture) -> None:
    (line,) = run(capsys, "check", trained.data, "--json").lines
    assert line["checked"] == line["records"] == 32
    assert line["labels"] == {"normal": 16, "sick": 16}
    for finding in line["findings"]:
        assert {"kind", "level", "title", "detail", "advice", "count", "files"} <= set(finding)
    words = run(capsys, "check", trained.data)
    assert (words.code, words.err) == (0, "")
    assert all(finding["title"] in words.out for finding in line["findings"])


# ----------------------------------------------------------------------- models, home


def test_models_list_show_and_remove(trained: Trained, home: Path, capsys: Capture) -> None:
    assert run(capsys, "models", "list", "--json") == generated.Ran(0, "", "")
    for _ in range(2):
        assert run(capsys, "train", trained.data, "--name", "spots", "--json").code == 0
    assert run(capsys, "train", trained.data, "--name", "dots", "--json").lines[0]["version"] == 1
    listed = run(capsys, "models", "list", "--json").lines
    assert [(line["name"], line["version"]) for line in listed] == [("dots", 1), ("spots", 1), ("spots", 2)]
    assert listed[1]["labels"] == ["normal", "sick"]
    assert set(listed[1]["auc"]) == {"value", "low", "high"}
    assert "spots@2" in run(capsys, "models", "list").out

    (card,) = run(capsys, "models", "show", "spots@1", "--json").lines
    assert (card["name"], card["version"]) == ("spots", 1)
    assert run(capsys, "models", "show", "spots", "--json").lines[0]["version"] == 1  # in production, until promoted
    assert run(capsys, "models", "promote", "spots@2").code == 0
    assert run(capsys, "models", "show", "spots", "--json").lines[0]["version"] == 2
    assert "AUC" in run(capsys, "models", "show", "spots").out
    run(capsys, "models", "show", "spots@7").failed("has no version 7", "1, 2")

    removed = run(capsys, "models", "remove", "spots@1", "--yes", "--json")
    assert removed.lines == [{"removed": "spots", "version": 1}]
    assert not (home / "models" / "spots" / "1").exists()
    assert run(capsys, "predict", "spots", trained.data / "sick" / "001.png").code == 0
    assert run(capsys, "models", "remove", "spots", "-y").code == 0
    assert [line["name"] for line in run(capsys, "models", "list", "--json").lines] == ["dots"]
    run(capsys, "predict", "spots", trained.data).failed("no model 'spots'", "dots")
    # a number is not used twice: whoever noted "spots@2" must not find another model under it
    assert run(capsys, "train", trained.data, "--name", "spots", "--json").lines[0]["version"] == 3


def test_removing_asks_first(trained: Trained, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run(capsys, "models", "remove", "spots").code == 1
    assert trained.onnx.exists()
    assert run(capsys, "models", "list", "--json").lines


def test_home_goes_before_or_after_the_command_and_beats_the_variable(
    trained: Trained, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "empty"))
    for arguments in (
        ("--home", trained.home, "models", "list", "--json"),
        ("models", "list", "--json", "--home", trained.home),
        ("--home", tmp_path / "other", "models", "list", "--json", "--home", trained.home),
    ):
        assert [line["name"] for line in run(capsys, *arguments).lines] == ["spots"]
        monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "empty"))
    assert run(capsys, "models", "list", "--json").lines == []
    monkeypatch.chdir(trained.home.parent)
    assert run(capsys, "models", "list", "--json", "--home", "home").lines  # relative to where one stands


# ----------------------------------------------------------------------- the real process


def test_a_reader_that_stops_listening_is_no_crash(trained: Trained) -> None:
    command = [sys.executable, "-m", "medloupe", "predict", "spots", str(trained.data), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert said == ""


def test_the_installed_command_separates_the_streams(trained: Trained) -> None:
    script = Path(sys.executable).with_name("medloupe")
    if not script.exists():
        pytest.skip("medloupe is not installed as a command here")
    good, bad = trained.data / "sick" / "000.png", trained.data / "none.png"
    for encoding in ("utf-8", "ascii"):  # a console that cannot show a bar still gets its answer
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([script, "predict", "spots", good, bad], capture_output=True, text=True, env=environment)
        assert done.returncode == 1
        assert "sick" in done.stdout
        assert "none.png" in done.stderr
        assert "Traceback" not in done.stderr
    done = subprocess.run([script, "predict", "spots", good, "--json"], capture_output=True, text=True)
    assert json.loads(done.stdout)["prediction"] == "sick"
    assert done.stderr == ""
