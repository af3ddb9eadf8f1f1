"""What is printed where."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

import tiny
from medloupe.cli import console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_json_is_one_line_in_the_words_of_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"label": "लेबल\nзуб", "p": 0.5})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "зуб" in out
    assert json.loads(out) == {"label": "लेबल\nзуб", "p": 0.5}


@pytest.mark.parametrize(("encoding", "text"), [("ascii", "зуб"), ("cp1252", "結核"), ("utf-8", "\udcff.png")])
def test_json_survives_a_stdout_that_cannot_show_it(encoding: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding, write_through=True))
    console.print_json({"file": text})
    assert json.loads(raw.getvalue().decode("ascii")) == {"file": text}


def test_bars_are_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress() as say:
        say("embedding", 1, 2)
    assert capsys.readouterr() == ("", "")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with console.progress() as say:
        for done in range(5):
            say("embedding", done, 4)
        say("writing", 1, 1)
    shown = terminal.getvalue()
    assert "Embedding" in shown
    assert "4/4" in shown
    assert "Writing report and ONNX file" in shown
    assert capsys.readouterr().out == ""


def test_figures_without_value_or_interval(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_figures(
        {"auc": {"value": None, "low": None, "high": None}, "accuracy": {"value": 0.5, "low": None, "high": None}}
    )
    assert capsys.readouterr().out.split() == ["accuracy", "0.500"]


def test_a_card_of_another_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only a few keys of a loaded file are checked; the rest may be anything."""
    console.print_card(tiny.model(tmp_path))
    assert "not a medical device" in capsys.readouterr().out
    console.print_card(tiny.model(tmp_path, split={}, metrics={}, warnings=None))
    assert "tiny version 3" in capsys.readouterr().out
