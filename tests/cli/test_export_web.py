"""`medloupe export --target web`: a folder that answers in a browser, or why there can be none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generated import run
from trained import Trained

Capture = pytest.CaptureFixture[str]


def test_a_folder_is_written(trained: Trained, web_runtime: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    (line,) = run(capsys, "export", "spots", out, "--target", "web", "--json").lines
    assert (line["name"], line["version"], line["folder"]) == ("spots", 1, str(out))
    files = [p for p in out.rglob("*") if p.is_file()]
    assert line["files"] == len(files)
    assert line["bytes"] == sum(p.stat().st_size for p in files)
    assert {"index.html", "sw.js", "release.json", "manifest.webmanifest"} <= {p.name for p in files}


@pytest.mark.parametrize("name", ["ecg12", "arrhythmia"])
def test_a_check_up_of_ecgs(
    home: Path, web_runtime: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("MEDLOUPE_STARTERS", name)
    out = tmp_path / "out"
    ran = run(capsys, "export", name, out, "--target", "web", "--json")
    assert ran.code == 0, ran.err
    assert ran.lines[0]["name"] == name
    (card,) = json.loads((out / "release.json").read_text("utf-8"))["checkups"]
    assert card["ecg"]["beats"] == (name == "arrhythmia")
    assert (out / "blobs" / card["network"]["sha256"]).stat().st_size == card["network"]["bytes"] < 300_000


def test_what_a_browser_cannot_answer(trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    failed = run(capsys, "export", trained.onnx, tmp_path / "out", "--target", "web")
    failed.failed("cannot be answered in a browser", "name its version in the store")
    assert not (tmp_path / "out").exists()


def test_options_of_the_file_do_not_go_with_it(trained: Trained, tmp_path: Path, capsys: Capture) -> None:
    failed = run(capsys, "export", "spots", tmp_path / "out", "--target", "web", "--precision", "int8")
    assert failed.code == 2
    assert "--target web takes the network as it is" in failed.err
