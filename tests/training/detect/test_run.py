"""A small set from boxes to answers; what a longer training reaches is measured by benchmarks/detection.py."""

import json
from functools import partial

import numpy as np
import onnx
import pytest
from PIL import Image

import medloupe
from discs import write_discs
from medloupe.errors import DataError, FinetuneError, MedloupeError, ModelFileError, NotOurModelError
from medloupe.evaluation.stress import stress
from medloupe.graphs.session import open_session, run
from medloupe.metrics.matching import compute_iou
from medloupe.modelfile.reader import load
from medloupe.store.models import Store
from medloupe.training.adapt.run import adapt
from medloupe.training.audit.unmarked import find_unmarked
from medloupe.training.detect import loop
from medloupe.training.detect import run as training
from medloupe.training.pipeline import detection_card

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A detector of discs and squares, trained on 24 pictures in some seconds, and where its data lie."""
    root = write_discs(tmp_path_factory.mktemp("discs"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(loop, "STEPS", 100)
        yield medloupe.train(medloupe.read(root), name="shapes"), root


def test_the_card_says_how_it_was_judged(trained):
    card = trained[0].card
    assert card["task"] == "detection"
    assert card["split"]["scheme"] == "cross-validation"
    assert card["backbone"]["input_size"] == card["detection"]["input_size"] == 224
    assert {"map50", "map", "sensitivity"} <= set(card["metrics"])
    assert card["metrics"]["map50"]["low"] <= card["metrics"]["map50"]["value"] <= card["metrics"]["map50"]["high"]
    assert card["metrics"]["map50"]["value"] > 0.3
    assert [row["label"] for row in card["detection"]["per_label"]] == ["disc", "square"]
    assert any("224 × 224" in note for note in card["data"]["notes"])
    assert any("Whether a whole picture shows disc" in limit for limit in card["limits"])


def test_things_that_were_not_marked_are_listed(tmp_path, monkeypatch):
    root = write_discs(tmp_path / "data")
    lines = (root / "boxes.csv").read_text().splitlines()
    forgotten = [line for line in lines if line.startswith("images/004.png,disc")]
    assert forgotten
    assert any(line.startswith("images/004.png,square") for line in lines), "without any box nothing is known of it"
    (root / "boxes.csv").write_text("\n".join(line for line in lines if line not in forgotten) + "\n")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(loop, "STEPS", 100)
    monkeypatch.setattr(detection_card, "find_unmarked", partial(find_unmarked, confident=0.3))  # a short training
    card = medloupe.train(medloupe.read(root), name="forgotten").card
    (finding,) = [f for f in card["audit"]["findings"] if f["kind"] == "boxes_missing"]
    assert "images/004.png" in {file for file, _ in finding["files"]}


def test_boxes_are_given_in_pixels_of_the_picture_as_given(trained):
    model, root = trained
    answer = model.predict(root / "images" / "000.png")
    data = medloupe.read(root)
    true = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in data.records[0].boxes])
    surest = [b for b in answer.boxes if b.score >= answer.lines[b.label]]
    found = np.array([[b.x, b.y, b.x + b.width, b.y + b.height] for b in surest])
    assert (compute_iou(true, found).max(1) > 0.5).all()
    assert answer.state == "answered"
    assert set(answer.counts) == {"disc", "square"}
    told = answer.as_json()
    assert json.loads(json.dumps(told))["boxes"][0].keys() == {"label", "score", "x", "y", "w", "h"}
    assert [b["score"] for b in told["boxes"]] == sorted((b["score"] for b in told["boxes"]), reverse=True)


def test_file_store_and_large_pictures_answer_alike(trained, tmp_path):
    model, root = trained
    path = root / "images" / "001.png"
    kept = Store.open().get("shapes").predict(path)
    assert kept.boxes == model.predict(path).boxes == medloupe.load(model.onnx).predict(path).boxes
    with Image.open(path) as small:
        small.resize((1600, 1280), Image.Resampling.BICUBIC).save(tmp_path / "large.png")
    large = model.predict(tmp_path / "large.png").boxes
    assert large is not None
    assert kept.boxes is not None
    assert large[0].label == kept.boxes[0].label
    assert large[0].width == pytest.approx(10 * kept.boxes[0].width, rel=0.2)


def test_the_file_says_boxes_by_itself(trained):
    model, _ = trained
    pixels = np.zeros((3, 224, 224, 3), np.uint8)
    boxes, p = run(open_session(model.onnx), ["boxes", "probabilities"], pixels)
    assert boxes.shape == (3, model.detector.most, 6)
    assert p.shape == (3, 2)
    assert model.onnx.stat().st_size < 9e6


def test_an_exported_model_can_be_exported_again(trained, tmp_path):
    model, root = trained
    loaded = load(model.onnx)
    again = medloupe.save(loaded, tmp_path / "again.onnx")
    path = root / "images" / "002.png"
    assert again.predict(path).boxes == model.predict(path).boxes


def change(source, target, edit):
    graph = onnx.load(source)
    edit(graph.graph)
    onnx.save(graph, target)
    return target


def test_a_file_without_its_detector_is_refused(trained, tmp_path):
    def edit(graph):
        kept = [v for v in graph.output if v.name != "boxes"]
        del graph.output[:]
        graph.output.extend(kept)

    with pytest.raises(NotOurModelError, match="boxes"):
        load(change(trained[0].onnx, tmp_path / "none.onnx", edit))


def test_boxes_that_are_none_are_refused(trained, tmp_path):
    def edit(graph):
        one = next(t for t in graph.initializer if t.name == "detector.stride")
        one.CopyFrom(onnx.numpy_helper.from_array(np.array(-4, np.float32), one.name))

    with pytest.raises(ModelFileError, match="boxes that are none"):
        load(change(trained[0].onnx, tmp_path / "odd.onnx", edit))


def test_a_gain_that_does_not_explain_the_logits_is_refused(trained, tmp_path):
    def edit(graph):
        next(n for n in graph.node if n.name == "boxes.logits").input[1] = "boxes.one"

    def with_gain(graph):
        gain = next(t for t in graph.initializer if t.name == "boxes.gain")
        gain.CopyFrom(onnx.numpy_helper.from_array(np.array([9, 9], np.float32), gain.name))
        edit(graph)

    with pytest.raises(ModelFileError, match="contradicts itself"):
        load(change(trained[0].onnx, tmp_path / "gain.onnx", with_gain))


def test_a_label_with_two_boxes_and_boxes_without_size_are_told(tmp_path, monkeypatch):
    root = write_discs(tmp_path / "data", pictures=12, seed=1)
    with (root / "boxes.csv").open("a") as f:
        f.write("images/000.png,rare,20,20,30,30\nimages/001.png,rare,50,50,20,20\nimages/002.png,disc,5,5,0,9\n")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(loop, "STEPS", 6)
    model = medloupe.train(medloupe.read(root), name="rare")
    assert "boxes_empty" in {f["kind"] for f in model.card["audit"]["findings"]}
    assert any(w["text"].startswith("Fewer than 30 boxes") and "rare" in w["text"] for w in model.card["warnings"])
    assert "rare" in (model.predict(np.zeros((90, 90, 3), np.uint8)).counts or {})


def test_a_test_part_judges_what_it_did_not_teach(tmp_path, monkeypatch):
    root = write_discs(tmp_path / "data", pictures=50, seed=2, test=32)
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(loop, "STEPS", 6)
    card = medloupe.train(medloupe.read(root), name="split", finetune="auto").card
    split = card["split"]
    assert (split["scheme"], split["train"], split["test"]) == ("official test", 18, 32)
    assert "not tuned" in card["finetuning"]["words"]


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"finetune": "tail"}, "as it is"), ({"scratch": True}, "as it is"), ({"minutes": 0.001}, "minutes at least")],
)
def test_what_a_detector_does_not_do_is_refused(trained, asked, told):
    with pytest.raises(MedloupeError, match=told):
        medloupe.train(medloupe.read(trained[1]), name="refused", **asked)


def test_a_detector_is_not_judged_as_a_classifier(trained):
    model, root = trained
    data = medloupe.read(root)
    for judge in (medloupe.validate, adapt, stress):
        with pytest.raises(DataError, match="marks places"):
            judge(model, data)


def test_without_torch_it_is_said_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(FinetuneError, match="Finding places") as raised:
        training.require_torch()
    assert "medloupe[finetune]" in raised.value.hint


def test_the_same_training_is_taken_from_the_cache(trained):
    model, root = trained
    again = medloupe.train(medloupe.read(root), name="shapes")
    assert again.card["reused"]
    path = root / "images" / "003.png"
    assert again.predict(path).boxes == model.predict(path).boxes
