"""Detectors on other data, under field changes, and against each other: figures, pages, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import generated
from detectors import TrainedDetector
from discs import write_discs
from generated import run
from made_boxes import make_boxes
from medloupe.data.reading import read
from medloupe.evaluation.external_boxes import validate_detector
from medloupe.evaluation.stress_boxes import MOVING, stress_detector
from medloupe.imaging.corruptions import CORRUPTIONS
from medloupe.inference.find import find_model
from medloupe.metrics.box_evidence import BoxEvidence
from medloupe.metrics.evidence import FILE, Evidence
from medloupe.metrics.matching import Detections
from medloupe.model.bundle import Model
from medloupe.report.pages import render
from medloupe.store.models import Store
from parsing import parsed, visible

Capture = pytest.CaptureFixture[str]
CHANGES = tuple(c for c in CORRUPTIONS if c.name in ("blur-strong", "half", "darker", "turned-10"))


@pytest.fixture
def home(detector: TrainedDetector, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDLOUPE_HOME", str(detector.home))
    return detector.home


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other pictures of the same kind, on which discs are called coins."""
    root = write_discs(tmp_path_factory.mktemp("elsewhere") / "other", 16, seed=5)
    table = root / "boxes.csv"
    table.write_text(table.read_text("utf-8").replace(",disc,", ",coin,"), "utf-8")
    return root


def test_figures_on_other_data(home: Path, elsewhere: Path) -> None:
    model = find_model("shapes")
    data = read(elsewhere, task="detection")
    found = validate_detector(model, data, {"coin": "disc"})
    card, boxes = found.report["card"], sum(len(r.boxes) for r in data.records)
    assert sum(row["boxes"] for row in card["detection"]["per_label"]) == boxes
    assert card["metrics"]["map50"]["value"] > 0.5, "new pictures of the same kind"
    assert card["split"]["test"] == 16 and found.seen == 0
    assert "count as 'disc'" in card["split"]["sentence"]
    old = {row["label"]: row["line"] for row in model.card["detection"]["per_label"]}
    assert {row["label"]: row["line"] for row in card["detection"]["per_label"]} == old, "its own lines"
    assert card["claimed"]["map50"] == model.card["metrics"]["map50"]
    assert card["metrics"]["refused"]["value"] is not None
    page = render(found.report)
    parsed(page)
    assert "none of which the model was trained on" in visible(page)


def test_only_labels_with_boxes_are_judged(home: Path, elsewhere: Path) -> None:
    """Discs are not marked as such in this data: that the model marks them is no mistake."""
    found = validate_detector(find_model("shapes"), read(elsewhere, task="detection"))
    card = found.report["card"]
    assert [row["label"] for row in card["detection"]["per_label"]] == ["square"]
    assert "of coin" in card["split"]["sentence"] and "has no boxes of disc" in card["split"]["sentence"]


def test_pictures_it_learned_from_do_not_judge(
    home: Path, detector: TrainedDetector, elsewhere: Path, capsys: Capture
) -> None:
    run(capsys, "evaluate", "shapes", detector.data).failed("can judge shapes", "has not seen")
    said = run(capsys, "evaluate", "shapes", elsewhere, "--box-label", "coin=disc", "--json")
    (line,) = said.lines
    assert line["left_out"] == {"seen": 0, "unlabelled": 0, "unreadable": 0}
    assert line["metrics"]["map50"]["low"] <= line["metrics"]["map50"]["value"] <= line["metrics"]["map50"]["high"]


def test_the_command_writes_a_page(home: Path, elsewhere: Path, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "page.html"
    said = run(capsys, "evaluate", "shapes", elsewhere, "--box-label", "coin=disc", "--report", page)
    assert said.code == 0 and "mAP at IoU .5" in said.out and "disc: " in said.out
    text = visible(page.read_text("utf-8"))
    assert "What it finds" in text and "What the model's own card claims" in text.replace("’", "'")


def test_what_does_not_go_together_is_told(home: Path, elsewhere: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(capsys, "evaluate", "shapes", elsewhere, "--boxes").code == 2
    run(capsys, "evaluate", "shapes", elsewhere, "--box-label", "coin=disk").failed("no label 'disk'", "disc")
    run(capsys, "evaluate", "shapes", elsewhere, "--box-label", "penny=disc").failed("is called 'penny'")
    plain = generated.folders(tmp_path / "plain", 4)
    run(capsys, "evaluate", "shapes", plain).failed("boxes")
    run(capsys, "adapt", "shapes", elsewhere).failed("marks places", "adapting to local cases")
    run(capsys, "export", "shapes", tmp_path / "x.onnx", "--precision", "int8").failed("marks places", "8 bits")


def test_changes_move_the_figures(home: Path, elsewhere: Path) -> None:
    model, data = find_model("shapes"), read(elsewhere, task="detection")
    found = stress_detector(model, data, {"coin": "disc"}, changes=CHANGES, images=12)
    assert found.images == 12 and found.judged == "model"
    rows = {row.change.name: row for row in found.rows}
    plain = found.unchanged["map50"]["value"]
    assert plain is not None and plain > 0.5
    for row in found.rows:
        if row.change.kind in MOVING:
            assert set(row.figures) == {"refused"}, "true boxes do not lie where they did"
            continue
        value, apart = row.figures["map50"]["value"], row.figures["map50"]["difference"]["value"]
        assert value is not None and apart == pytest.approx(value - plain)
    half = rows["half"].figures["map50"]["value"]
    assert half is not None and half > 0.3, "boxes on a smaller picture are brought back to the size of the given one"
    again = stress_detector(model, data, {"coin": "disc"}, changes=CHANGES, images=12)
    assert json.dumps(again.as_json()) == json.dumps(found.as_json())
    assert len(found.pictures) == 1 + len(CHANGES)


def test_on_what_it_learned_from_levels_are_said_to_be_flattered(
    home: Path, detector: TrainedDetector, tmp_path: Path, capsys: Capture
) -> None:
    page = tmp_path / "stress.html"
    said = run(capsys, "stress", "shapes", detector.data, "--images", 10, "--report", page, "--json")
    (line,) = said.lines
    assert line["judged"] == "learned" and any("flattered" in s for s in line["basis"])
    text = visible(page.read_text("utf-8"))
    assert "AP50" in text and "same marks" in text and "Difference of the AUC" not in text
    said = run(capsys, "stress", "shapes", detector.data, "--images", 10)
    assert "AP50, difference" in said.out and "false marks" in said.out


@pytest.fixture
def two(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with shapes@1 and shapes@2, judged on the same 40 pictures: the second misses most."""
    model = find_model("shapes")
    assert model.onnx is not None
    data, truths = make_boxes(5, pictures=40)
    fewer = [Detections(d.boxes[::4], d.scores[::4], d.labels[::4]) for d in data]
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "store"))
    for found in (data, fewer):

        def write_files(folder: Path, made: Model, found: list[Detections] = found) -> None:
            assert model.onnx is not None
            shutil.copyfile(model.onnx, folder / "model.onnx")
            evidence = BoxEvidence(
                labels=made.labels,
                digests=Evidence.digest([bytes([i]) * 32 for i in range(40)]),
                groups=np.arange(40),
                detections=found,
                truths=truths,
            )
            (folder / FILE).write_bytes(evidence.as_bytes())

        Store(tmp_path / "store").add(model, write_files=write_files)


def test_two_detectors_on_a_page(two: None, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / "page.html"
    (line,) = run(capsys, "compare", "shapes@1", "shapes@2", "--out", page, "--json").lines
    assert set(line["per_label"]) == {"disc", "square"}
    for figure in (line["map50"], *line["per_label"].values()):
        assert figure["low"] <= figure["difference"] <= figure["high"] < 0, "three of four marks are missing"
        assert figure["difference"] == pytest.approx(figure["b"] - figure["a"])
    assert line["map50"]["a"] == pytest.approx(np.mean([d["a"] for d in line["per_label"].values()]))
    html = page.read_text("utf-8")
    parsed(html)
    assert line["words"] in visible(html) and "AP50 of disc" in visible(html)
    said = run(capsys, "compare", "shapes@1", "shapes@2")
    assert "AP50 square" in said.err and "more than chance explains" in said.err
