"""A detector and a check-up, composed: from the store to the command line and the server."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import generated
import medloupe
from discs import draw_picture, write_discs
from live import running
from medloupe.errors import ModelFileError, StorageError, StoreError
from medloupe.imaging.crops import bound_crop
from medloupe.inference.compose import compose
from medloupe.inference.find import find_model
from medloupe.store.models import Store
from medloupe.training.detect import loop

pytest.importorskip("torch")


def write_single(root):
    """Discs one by one, as they are cropped from fields, with a dark middle (sick) or without."""
    rng = np.random.default_rng(5)
    for label in ("healthy", "sick"):
        (root / label).mkdir(parents=True)
        for i in range(60):
            pixels, ((_, x0, y0, w, h),) = draw_picture(rng, 1, 0)
            pixels = pixels.copy()
            if label == "sick":
                y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
                pixels[np.hypot(x - x0 - w / 2, y - y0 - h / 2) <= w / 4] = (40, 20, 120)
            frame = (0, 0, pixels.shape[1], pixels.shape[0])
            left, top, right, bottom = bound_crop((x0, y0, x0 + w, y0 + h), 0.15, frame)
            Image.fromarray(pixels[top:bottom, left:right]).save(root / label / f"p{i:02}.png")
    return root


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A home with a detector of discs, a check-up of single discs, and `field`, composed of both; and a picture."""
    root = tmp_path_factory.mktemp("parts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(root / "home"))
        patch.setattr(loop, "STEPS", 200)
        medloupe.train(medloupe.read(write_discs(root / "discs")), name="shapes")
        medloupe.train(medloupe.read(write_single(root / "single")), name="sickness", sought=["sick"])
        compose("field", find_model("shapes"), "disc", find_model("sickness"), grey=False, side=40)
    pixels, _ = draw_picture(np.random.default_rng(99), 3, 1)
    Image.fromarray(pixels).save(root / "field.png")
    return root


@pytest.fixture
def own(parts, tmp_path, monkeypatch):
    """A copy of that home, to be changed."""
    shutil.copytree(parts / "home", tmp_path / "home")
    monkeypatch.setenv("MEDLOUPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_it_answers_for_each_thing_and_for_the_picture(parts, own):
    model = find_model("field", composed=True)
    told = model.predict(parts / "field.png").as_json()
    asked = told["asked"]
    assert asked["what"] == "disc"
    assert asked["checkup"] == "sickness@1"
    assert asked["found"] == told["counts"]["disc"] >= 2
    assert asked["judged"] + asked["refused"] == len(asked["cells"]) == asked["asked"]
    assert set(told["probabilities"]) == {"healthy", "sick"}
    assert [m["name"] for m in told["measurements"]] == ["sick per field"]
    assert told["state"] in ("clear", "unclear", "refused", "flagged")
    assert json.loads(json.dumps(told)) == told
    assert medloupe.predictor(model).predict(parts / "field.png").as_json()["asked"] == asked


def test_a_field_of_another_stain_is_refused_and_nothing_is_estimated(parts, own):
    """As bright, as large, in the same places: only the colour of the discs is another, which the detector allows."""
    pixels = np.asarray(Image.open(parts / "field.png")).astype(int)
    stained = np.where(pixels[..., :1] > 150, pixels * (0.95, 1.5, 1.6), pixels * (0.8, 1.2, 1.2))
    model = find_model("field", composed=True)
    told = model.predict(stained.clip(0, 255).astype(np.uint8)).as_json()
    assert told["state"] == "refused"
    assert told["why"]["code"] in ("cells_unusual", "cells_refused")
    assert not told.get("measurements")
    assert all(e["count"] is None for e in told["asked"]["estimates"])


def test_the_card_says_that_it_was_not_judged(own):
    card = find_model("field", composed=True).card
    assert card["composed"]["judged"] is None
    assert any("not judged on real fields" in w["text"] for w in card["warnings"])
    assert any("not judged on real fields" in text for text in card["limits"])
    assert card["composed"]["find"]["called"] == "shapes@1"
    assert all(len(sha) == 64 for part in ("find", "ask") for sha in card["composed"][part]["sha256"])


def test_it_goes_on_when_its_parts_are_removed_and_takes_them_along_when_it_goes(parts, own):
    before = find_model("field", composed=True).predict(parts / "field.png").as_json()["asked"]
    store = Store(own)
    store.remove("shapes")
    store.remove("sickness")
    assert find_model("field", composed=True).predict(parts / "field.png").as_json()["asked"] == before
    store.remove("field")
    assert not [p for p in (own / "blobs").rglob("*") if p.is_file()]


def test_a_damaged_part_is_told_and_never_left_out(own):
    store = Store(own)
    head = store.get("sickness").head
    blob = next(p for p in (own / "blobs").rglob("*") if p.is_file() and p.stat().st_size < 10 * head.weight.nbytes)
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    with pytest.raises(StorageError, match="damaged"):
        store.get("field")


def test_it_is_written_whole_or_not_at_all(own, monkeypatch):
    before = {p for p in own.rglob("*") if p.is_file() and ("blobs" in p.parts or "models" in p.parts)}
    with monkeypatch.context() as patch:
        patch.setattr("medloupe.inference.compose._write_files", lambda folder, made: None)
        with pytest.raises(StoreError, match=r"composed\.json"):
            compose("other", find_model("shapes"), "disc", find_model("sickness"), grey=False, side=40)
    assert {p for p in own.rglob("*") if p.is_file() and ("blobs" in p.parts or "models" in p.parts)} == before
    assert not Store(own).has("other")


def test_what_does_not_fit_together_is_refused(own):
    shapes, sickness = find_model("shapes"), find_model("sickness")
    field = find_model("field", composed=True)
    for wrong, match in (
        ({"label": "dsic"}, "finds no 'dsic'"),
        ({"find": sickness}, "no detector"),
        ({"ask": shapes}, "detector itself"),
        ({"find": field}, "composed itself"),
        ({"margin": 7.0}, "margin of 7"),
        ({"side": 0}, "side of 0"),
    ):
        given = {"find": shapes, "label": "disc", "ask": sickness, "grey": False, "side": 40, **wrong}
        with pytest.raises(StoreError, match=match):
            compose("other", **given)


def test_it_is_not_taken_for_a_model_of_one_file(own, tmp_path):
    with pytest.raises(StoreError, match="composed of shapes@1 and sickness@1"):
        find_model("field")
    with pytest.raises(ModelFileError, match="composed of two"):
        medloupe.save(find_model("field", composed=True), tmp_path / "field.onnx")


def test_a_card_alone_makes_nothing_composed(own):
    plain = find_model("shapes")
    claimed = replace(plain, card={**plain.card, "composed": find_model("field", composed=True).card["composed"]})

    def write(folder, made):
        (folder / "model.onnx").write_bytes(b"x")

    added = Store(own).add(claimed, write_files=write)
    assert Store(own).get("shapes", added.version).asks is None


def test_the_command_line_composes_and_predicts(parts, own, capsys):
    ran = generated.run(
        capsys, "compose", "two", "--find", "shapes@1:disc", "--ask", "sickness", "--crops", "colour:40", "--json"
    )
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["version"] == 1
    ran = generated.run(capsys, "predict", "two", str(parts / "field.png"), "--json")
    assert json.loads(ran.out)["asked"]["what"] == "disc"
    ran = generated.run(capsys, "predict", "two", str(parts / "field.png"))
    assert "found:" in ran.out
    assert generated.run(capsys, "compose", "two", "--find", "shapes", "--ask", "sickness").code == 2
    asked = generated.run(capsys, "compose", "two", "--find", "shapes:disc", "--ask", "sickness")
    assert asked.code == 2
    assert "--crops grey:50" in asked.err
    wrong = ("--crops", "blue:1")
    assert generated.run(capsys, "compose", "two", "--find", "shapes:disc", "--ask", "sickness", *wrong).code == 2
    assert generated.run(capsys, "export", "two", "out.onnx").code == 1
    assert generated.run(capsys, "models", "show", "two").code == 0


def test_the_server_answers_as_the_command_line_does(parts, own):
    picture = (parts / "field.png").read_bytes()
    alone = find_model("field", composed=True).predict(parts / "field.png").as_json()
    with running(own) as server:
        told = server.ask("field", picture).json()
        assert told["state"] == alone["state"]
        assert told["asked"]["labels"] == alone["asked"]["labels"]
        assert told["measurements"] == alone["measurements"]
        with server.client() as client:
            chosen = client.post("/api/v1/predict", files={"image": ("p.png", picture)}).json()
            assert chosen["model"] != "field"  # it is asked by name
            tensors = {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": ["AAAA"]}]}
            assert client.post("/v2/models/field/infer", json=tensors).status_code == 400
            for page in (f"/results/{told['id']}", "/checkups/field", "/", "/models", "/models/field", "/history"):
                shown = client.get(page)
                assert shown.status_code == 200, (page, shown.text[:500])
