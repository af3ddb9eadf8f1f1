"""Data is read by the kind of the model at hand; what contradicts it is refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors import TrainedDetector
from generated import run
from trained import Trained

Capture = pytest.CaptureFixture[str]


def test_a_classifier_refuses_data_read_for_places(trained: Trained, capsys: Capture, tmp_path: Path) -> None:
    for command in (
        ("evaluate", "spots", trained.data),
        ("stress", "spots", trained.data),
        ("adapt", "spots", trained.data),
        ("export", "spots", tmp_path / "m.onnx", "--precision", "int8", "--data", trained.data),
    ):
        said = run(capsys, *command, "--task", "detection")
        assert said.code == 2, command
        assert "tells whole pictures apart" in said.err
    said = run(capsys, "stress", "spots", trained.data, "--task", "classification", "--json")
    assert said.code == 0, said.err


def test_a_detector_refuses_data_read_for_classes(
    detector: TrainedDetector, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLOUPE_HOME", str(detector.home))
    for command in ("evaluate", "stress"):
        said = run(capsys, command, "shapes", detector.data, "--task", "classification")
        assert said.code == 2, command
        assert "marks places" in said.err
    said = run(capsys, "evaluate", "shapes", detector.data, "--cropped")
    assert (said.code, "looks at whole" in said.err) == (2, True)


def test_unknown_tasks_and_lonely_options_are_refused(trained: Trained, capsys: Capture, tmp_path: Path) -> None:
    assert "none of detection" in run(capsys, "evaluate", "spots", trained.data, "--task", "boxes").err
    said = run(capsys, "export", "spots", tmp_path / "m.onnx", "--task", "classification")
    assert (said.code, "--data" in said.err) == (2, True)
    for option, value in (("--margin", "0.2"), ("--crop-to", "lung")):
        said = run(capsys, "check", trained.data, option, value)
        assert (said.code, "goes with" in said.err) == (2, True), option
