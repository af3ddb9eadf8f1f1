"""`medloupe compare`: a sentence, a line of JSON, a page, or why not."""

from __future__ import annotations

from pathlib import Path

import pytest

import generated
from evident import judged
from generated import run
from medloupe.store.models import Store
from parsing import parsed, visible
from storing import made

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def store(home: Path, tmp_path: Path) -> Store:
    """lungs@1 and a better lungs@2."""
    store = Store(home)
    for i, skill in enumerate((1, 3)):
        store.add(made(tmp_path, seed=i), write_files=judged(skill, noise=i))
    return store


def test_words_figures_and_page(store: Store, tmp_path: Path, capsys: Capture) -> None:
    said = run(capsys, "compare", "lungs@1", "lungs@2")
    assert (said.code, said.out) == (0, "")
    assert "lungs@2 ranks better than lungs@1 by more than chance explains" in said.err
    assert "balanced accuracy" in said.err and "*" in said.err

    page = tmp_path / "page.html"
    done = run(capsys, "compare", "lungs@1", "lungs@2", "--out", page, "--json")
    (line,) = done.lines
    assert (line["a"], line["b"], line["records"], line["groups"]) == ("lungs@1", "lungs@2", 200, 200)
    assert set(line["auc"]) == {"a", "b", "difference", "low", "high"}
    assert line["auc"]["low"] <= line["auc"]["difference"] <= line["auc"]["high"]
    assert line["auc"]["difference"] == pytest.approx(line["auc"]["b"] - line["auc"]["a"])
    assert [p["label"] for p in line["per_label"]] == ["ill", "well"]
    html = page.read_text("utf-8")
    parsed(html)
    assert line["words"] in visible(html)
    assert run(capsys, "compare", "lungs@1", "lungs@2", "--json").lines == [line]


def test_what_cannot_be_compared(store: Store, tmp_path: Path, capsys: Capture) -> None:
    run(capsys, "compare", "lungs@1", "lungs@1").failed("the same run", "medloupe models list")
    run(capsys, "compare", "lungs@1", "lungs@7").failed("no version 7")
    run(capsys, "compare", "lungs@1", "heart").failed("no model 'heart'")
    run(capsys, "compare", "lungs@1", "lungs@2", "--out", tmp_path / "no" / "page.html").failed("cannot be written")
    assert run(capsys, "compare", "lungs@1").code == 2


def test_two_trainings(home: Path, tmp_path: Path, capsys: Capture) -> None:
    """Two names trained on the same data, from the images to the page."""
    data = generated.folders(tmp_path / "cells", 16)
    for name, seed in (("cells", 0), ("others", 1)):
        assert run(capsys, "train", data, "--name", name, "--seed", seed, "--json").code == 0
    page = tmp_path / "page.html"
    (line,) = run(capsys, "compare", "cells", "others", "--out", page, "--json").lines
    assert (line["a"], line["b"], line["records"], line["only_a"], line["only_b"]) == ("cells@1", "others@1", 32, 0, 0)
    text = visible(page.read_text("utf-8"))
    assert "Seed 0 1" in text and "Fine-tuning" in text.split("The same in both:")[1]
