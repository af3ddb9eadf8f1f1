"""Models in 8 bits: accepted only where they keep their accuracy, kept for servers, and refused with both figures."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import generated
import medloupe
import several
import tinyecg
from generated import run as cli
from live import running
from medloupe.data import whereabouts
from medloupe.data.scan import scan_dataset
from medloupe.data.split import Plan
from medloupe.embed import eightbit
from medloupe.embed.backbone import Backbone
from medloupe.embed.features import embed
from medloupe.embed.registry import backbone
from medloupe.embed.tail import extract_upper_part
from medloupe.embed.tail import write_tail as write_tail
from medloupe.errors import CompressionRefusedError, DataError
from medloupe.graphs.session import open_session, run
from medloupe.model.bundle import Model
from medloupe.model.novelty import Novelty
from medloupe.modelfile import writer
from medloupe.serving.engine.precisions import measurement_key
from medloupe.store.models import Store
from medloupe.training.compress import fidelity
from medloupe.training.compress import run as compress
from medloupe.training.compress.fidelity import PrecisionFigures
from medloupe.training.heads.fit import HeadChoice
from medloupe.training.pipeline.finetuning import untuned_levels
from othertails import tuned as other_weights
from trained import Trained


@pytest.fixture
def own(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """The trained model in a home of this test's own, which it may change."""
    home = tmp_path / "home"
    shutil.copytree(trained.home, home)
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    return replace(trained, home=home)


def eight_bit(own: Trained) -> compress.CompressedModel:
    """`spots` in 8 bits."""
    model = Store(own.home).get("spots")
    return compress.compress(model, whereabouts.scan_training_data(medloupe.read(own.data), model.card, "spots"))


@pytest.fixture(scope="module")
def eight(_trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> compress.CompressedModel:
    """The same, made once. For reading only."""
    home = tmp_path_factory.mktemp("eight") / "home"
    shutil.copytree(_trained.home, home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDLOUPE_HOME", str(home))
        return eight_bit(replace(_trained, home=home))


def blind(folder: Path) -> Backbone:
    """An 8-bit network that sees next to nothing: its first convolution is nearly zero."""
    usual = backbone()
    model = onnx.load(usual.path)
    for tensor in model.graph.initializer:
        if tensor.name == "stem_w_f16":
            value = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array((value * 1e-3).astype(value.dtype), tensor.name))
    onnx.save(model, folder / "blind.onnx")
    pictures = [np.full((224, 224, 3), grey, np.uint8) for grey in (0, 128, 255)]
    return eightbit.quantise_backbone(replace(usual, path=folder / "blind.onnx"), pictures)


# ----------------------------------------------------------------------- files


def test_one_command_gives_a_small_file_that_answers_alike(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "small.onnx"
    ran = cli(capsys, "export", "spots", out, "--precision", "int8", "--json")
    assert ran.code == 0, ran.err
    (said,) = ran.lines
    assert said["precision"] == "int8" and said["kept"] and said["parity"] <= 0.01
    assert said["bytes"] == out.stat().st_size == said["compression"]["int8"]["bytes"] <= 4_500_000
    assert said["bytes"] < 0.6 * said["compression"]["fp32"]["bytes"]
    loaded, usual = medloupe.load(out), Store(own.home).get("spots")
    assert loaded.card["precision"] == said["compression"]
    images = sorted(own.data.rglob("*.png"))
    answers = [(loaded.predict(image), usual.predict(image)) for image in images]
    assert np.mean([a.prediction == b.prediction for a, b in answers]) >= 0.9
    assert np.mean([a.refused is None for a, _ in answers]) >= 0.9
    assert loaded.predict(images[0], heatmap=True).heatmap is not None


def test_the_card_has_both_sets_of_figures(eight: compress.CompressedModel) -> None:
    said = eight.model.card["precision"]
    for precision in ("fp32", "int8"):
        assert set(said[precision]["sensitivity"]) == {"normal", "sick"}
        assert 0.5 < said[precision]["auc"] <= 1 and said[precision]["latency_ms"] > 0
    assert eight.accepted and said["accepted"] and not said["forced"]
    assert said["judged"]["images"] == 32 and said["int8"]["agreement"] > 0.8
    assert said["times_faster"] > 0 and said["calibration"]["images"] == 160
    json.dumps(said, allow_nan=False)
    assert eight.model.backbone.sha256 == eightbit.hash_shipped_network(), "the one that all share"


def test_what_is_read_beside_the_picture_stays_as_it_is(own: Trained) -> None:
    """Judged is the picture's part; the lines of the model, drawn with all its inputs, are not drawn anew."""
    model = Store(own.home).get("spots")
    model = replace(model, extras=several.extras(2))
    made = compress.compress(model, whereabouts.scan_training_data(medloupe.read(own.data), model.card, "spots"))
    assert made.model.extras is made.file.extras is model.extras
    assert made.model.card["per_label"] == model.card["per_label"]
    assert "what it reads beside it" in made.model.card["precision"]["judged"]["words"]
    out = own.home / "small.onnx"
    assert writer.write_onnx(made.file, out, tolerance=writer.PARITY_SMALL) <= 0.01
    assert out.stat().st_size == made.model.card["precision"]["int8"]["bytes"]
    pixels = generated.tissue(3, True)
    full, small = (m.predict(pixels, several.GIVEN) for m in (model, medloupe.load(out)))
    assert full.inputs == small.inputs


def test_networks_of_ecgs_are_not_made_8_bit(own: Trained, tmp_path: Path) -> None:
    model = tinyecg.model(tmp_path)
    found = whereabouts.scan_training_data(medloupe.read(own.data), Store(own.home).get("spots").card, "spots")
    with pytest.raises(DataError, match="reads ECGs") as caught:
        compress.compress(model, found)
    assert "fp16" in caught.value.hint


def test_half_precision_halves_weights_and_changes_no_answer(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Store(own.home).get("spots")
    single = onnx.load(model.backbone.path)  # as a network fine-tuned as a whole comes: weights in single precision
    casts = {n.input[0]: n.output[0] for n in single.graph.node if n.op_type == "Cast" and n.input[0].endswith("_f16")}
    for tensor in single.graph.initializer:
        if tensor.name in casts:
            value = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(value, casts[tensor.name]))
    kept = [n for n in single.graph.node if not (n.op_type == "Cast" and n.input[0] in casts)]
    del single.graph.node[:]
    single.graph.node.extend(kept)
    data = single.SerializeToString()
    (tmp_path / "single.onnx").write_bytes(data)
    network = Backbone(card=model.backbone.card, path=tmp_path / "single.onnx", sha256="0" * 64)
    model = replace(model, backbone=network)
    model.save(tmp_path / "32.onnx")
    compress.to_half_precision(model).save(tmp_path / "16.onnx")
    sizes = [(tmp_path / f"{bits}.onnx").stat().st_size for bits in (32, 16)]
    assert sizes[1] < 0.55 * sizes[0]
    image = sorted(own.data.rglob("*.png"))[0]
    a, b = (medloupe.load(tmp_path / f"{bits}.onnx").predict(image) for bits in (32, 16))
    assert b.probabilities == pytest.approx(a.probabilities, abs=0.01)
    ran = cli(capsys, "export", "spots", tmp_path / "cli.onnx", "--precision", "fp16", "--json")
    assert ran.lines[0]["precision"] == "fp16" and ran.lines[0]["parity"] <= 0.01
    assert medloupe.load(tmp_path / "cli.onnx").card["precision"]["precision"] == "fp16"


def test_what_is_no_precision_is_refused(trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(capsys, "export", "spots", tmp_path / "m.onnx", "--precision", "int4").code == 2
    assert cli(capsys, "export", "spots", tmp_path / "m.onnx", "--labels", "x").code == 2, "options of --data"
    ran = cli(capsys, "export", "imagenet", tmp_path / "m.onnx", "--precision", "int8")
    ran.failed("imagenet was not trained here", "--precision fp16")
    assert not (tmp_path / "m.onnx").exists()


# ------------------------------------------------------------------------ gate


def test_a_network_that_loses_accuracy_is_refused(
    own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = blind(tmp_path)
    monkeypatch.setattr(eightbit, "find_shipped_network", lambda network: bad)
    monkeypatch.setattr(eightbit, "quantise_backbone", lambda network, images: bad)
    with pytest.raises(CompressionRefusedError, match="not written in 8 bits: the AUC falls from") as caught:
        eight_bit(own)
    error = caught.value
    assert error.before["auc"] - error.after["auc"] > 0.005 and "--force" in error.hint
    out = tmp_path / "m.onnx"
    cli(capsys, "export", "spots", out, "--precision", "int8").failed("the AUC falls from", "--force")
    assert not out.exists() and not Store(own.home).variants("spots")
    ran = cli(capsys, "export", "spots", out, "--precision", "int8", "--force", "--json")
    (said,) = ran.lines
    assert said["compression"]["forced"] and not said["compression"]["accepted"] and not said["kept"]
    assert medloupe.load(out).card["precision"]["judged"]["fell"]
    assert not Store(own.home).variants("spots"), "what was forced is not served"


def test_where_the_shared_network_fails_one_of_its_own_is_made(
    own: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, bad = backbone(), blind(tmp_path)
    monkeypatch.setattr(eightbit, "find_shipped_network", lambda network: bad)
    made = eight_bit(own)
    assert made.accepted and made.model.backbone.sha256 not in (bad.sha256, usual.sha256)
    assert made.model.card["precision"]["calibration"]["of"] == "the training images of this model"


@pytest.mark.slow
def test_a_tuned_tail_becomes_8_bit_too(own: Trained, tmp_path: Path) -> None:
    """Its calibration stays: judged on images that it has seen, it would seem surer than it is."""
    store = Store(own.home)
    model = store.get("spots")
    tail = write_tail(other_weights(extract_upper_part(onnx.load(model.backbone.path)), spread=0.1), tmp_path)
    said = {"finetuning": {"winner": "tail"}, "calibration": {"temperature": 3.0}, "tail": tail.as_json()}

    def write_files(folder: Path, made: Model) -> None:
        writer.write_onnx(made, folder / "model.onnx")

    below = untuned_levels(model.backbone)
    shared = embed(whereabouts.scan_training_data(medloupe.read(own.data), model.card, "spots"), model.backbone)
    novelty = Novelty.fit(shared.embeddings, np.arange(len(shared.embeddings)), below, 0)
    assert novelty is not None
    moved = replace(model, tail=tail, novelty=novelty)
    tuned = store.add(replace(moved, card={**model.card, **said}), write_files=write_files)
    found = whereabouts.scan_training_data(medloupe.read(own.data), tuned.card, "spots")
    made = compress.compress(tuned, found)
    plain = compress.compress(model, found)
    assert made.model.tail is not None and made.model.tail.sha256 != tail.sha256
    assert made.model.backbone.sha256 == eightbit.hash_shipped_network(), "the lower stages are shared"
    assert "flatters both figures" in made.model.card["precision"]["judged"]["words"]
    assert made.model.card["per_label"] == tuned.card["per_label"]
    ratio = np.linalg.norm(plain.model.head.weight) / np.linalg.norm(made.model.head.weight)
    measured = plain.model.card["calibration"]["temperature"]
    assert ratio == pytest.approx(3 / measured, rel=0.3)
    assert writer.write_onnx(made.file, tmp_path / "m.onnx", tolerance=writer.PARITY_SMALL) <= 0.01
    assert (tmp_path / "m.onnx").stat().st_size <= 4_500_000
    store.attach(made.model, "int8")
    kept = store.variants("spots", tuned.version)["int8"]
    assert kept.tail is not None and kept.tail.sha256 == made.model.tail.sha256
    image = sorted(own.data.rglob("*.png"))[0]
    assert kept.novelty is not None and kept.novelty.levels == tuned.novelty.levels
    for other in (medloupe.load(tmp_path / "m.onnx"), made.model):
        assert kept.predict(image).probabilities == pytest.approx(other.predict(image).probabilities, abs=0.02)
    refused = [medloupe.load(tmp_path / "m.onnx").predict(p).refused for p in sorted(own.data.rglob("*.png"))[:12]]
    assert refused.count(None) >= 11, "what it was trained on is not foreign to it"


@pytest.mark.parametrize(
    ("auc", "sensitivity", "said"),
    [
        (0.895, {"a": 0.78, "b": 0.5}, []),  # exactly as much as is allowed
        (0.8949, {"a": 0.8, "b": 0.5}, ["the AUC falls from 0.9000 to 0.8949"]),
        (0.95, {"a": 0.9, "b": 0.479}, ["the sensitivity for b falls from 0.500 to 0.479"]),
        (0.5, {"a": 0.1, "b": 0.1}, ["the AUC", "sensitivity for a", "sensitivity for b"]),
    ],
)
def test_what_falls_too_far_is_named(auc: float, sensitivity: dict[str, float], said: list[str]) -> None:
    before, after = (
        PrecisionFigures(auc=0.9, sensitivity={"a": 0.8, "b": 0.5}),
        PrecisionFigures(auc=auc, sensitivity=sensitivity),
    )
    fell = fidelity.describe_falls(before, after)
    assert len(fell) == len(said)
    assert all(part in line for part, line in zip(said, fell, strict=True))
    assert (fidelity.measure_worst_fall(before, after) <= 1 + 1e-6) == (not said)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_each_is_judged_by_heads_that_did_not_see_it(kind: str) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 120)
    y = np.eye(2, dtype=np.float32)[truth] if kind == "multiclass" else rng.integers(0, 2, (120, 2)).astype(np.float32)
    task = fidelity.PrecisionTask(
        labels=("a", "b"),
        kind=kind,
        targets=y,
        groups=np.arange(120) // 2,
        levels=(300,),
        choice=HeadChoice(c=1e-2, levels=(0,)),
        seed=0,
        sensitivity=0.9,
    )
    noise = rng.normal(size=(120, 300)).astype(np.float32)  # with so many numbers each could be learned by heart
    assert abs(fidelity.judge_embeddings(noise, task).figures.auc - 0.5) < 0.15
    told = noise.copy()
    told[:, :20] += np.repeat(3 * y, 10, axis=1)
    before = fidelity.judge_embeddings(told, task)
    same = fidelity.judge_embeddings(told, task, before)
    assert before.figures.auc > 0.9
    assert same.figures == replace(before.figures, agreement=1.0)
    assert fidelity.fit_head(told, task, before).weight.shape == (2, 300)


def test_calibration_keeps_out_of_the_test_split(home: Path, tmp_path: Path) -> None:
    data = medloupe.read(generated.folders(tmp_path / "data", 5, splits=("train", "test")))
    features = medloupe.embed.features.embed(scan_dataset(data), backbone())
    fitting = np.flatnonzero([r.split == "train" for r in data.records])
    planned = Plan(
        groups=np.arange(len(data)) // 2,
        fitting=fitting,
        test=np.setdiff1d(np.arange(len(data)), fitting),
        leaking=np.empty(0, np.int64),
        notes=(),
    )
    images = compress._calibration_images(features, planned, 224, 0, lambda *_: None)
    allowed = {medloupe.imaging.decode.load(data.records[i].image, 224).tobytes() for i in fitting}
    assert len(images) == len(fitting) and {i.tobytes() for i in images} <= allowed


# ----------------------------------------------------------------- whereabouts


def test_images_that_moved_are_asked_for(own: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere, out = tmp_path / "elsewhere", tmp_path / "m.onnx"
    shutil.copytree(own.data, elsewhere)
    folder = Store(own.home).folder("spots", 1)
    whereabouts.write_location(folder, tmp_path / "gone", labels=None, patient="P\\d+")
    assert whereabouts.read_location(folder) == {"root": str(tmp_path / "gone"), "patient": "P\\d+"}
    cli(capsys, "export", "spots", out, "--precision", "int8").failed("no longer at", "--data DIR")
    (folder / whereabouts.FILE).unlink()
    cli(capsys, "export", "spots", out, "--precision", "int8").failed("was not noted", "--data DIR")
    changed = elsewhere / "sick" / "000.png"
    before = changed.read_bytes()
    generated.save(changed, generated.tissue(999, True))
    cli(capsys, "export", "spots", out, "--precision", "int8", "--data", elsewhere).failed(
        "31 of its 32 images are there unchanged, and 1 others"
    )
    changed.write_bytes(before)
    assert cli(capsys, "export", "spots", out, "--precision", "int8", "--data", elsewhere).code == 0
    (elsewhere / "sick").rename(elsewhere / "ill")
    with pytest.raises(DataError, match="has the labels ill, normal"):
        whereabouts.scan_training_data(medloupe.read(elsewhere), Store(own.home).get("spots").card, "spots")


def test_where_the_images_lie_is_not_exported(own: Trained, eight: compress.CompressedModel, tmp_path: Path) -> None:
    eight.file.save(tmp_path / "m.onnx")
    assert str(own.data).encode() not in (tmp_path / "m.onnx").read_bytes()


# ----------------------------------------------------------------------- store


def test_the_store_keeps_it_with_its_version(own: Trained, eight: compress.CompressedModel) -> None:
    store = Store(own.home)
    mark = store.production()["spots"]
    made = eight.model
    store.attach(made, "int8")
    assert store.production()["spots"] != mark, "servers see that there is something new"
    (kept,) = store.variants("spots").values()
    assert kept.card == {**made.card} and kept.backbone.sha256 == made.backbone.sha256
    np.testing.assert_array_equal(kept.head.weight, made.head.weight)
    assert store.get("spots").card.get("precision") is None, "the version itself is as it was"
    blob = kept.backbone.path
    other = replace(made, head=replace(made.head, bias=made.head.bias + 1))
    store.attach(other, "int8")  # again: replaced, and nothing of the first is left
    (kept,) = store.variants("spots").values()
    np.testing.assert_array_equal(kept.head.bias, other.head.bias)
    heads = {p for p in (own.home / "blobs").rglob("*") if p.is_file()}
    store.sweep()
    assert {p for p in (own.home / "blobs").rglob("*") if p.is_file()} <= heads
    assert len([p for p in (own.home / "blobs").rglob("*") if p.is_file()]) == 4
    assert blob.is_file()
    second = _add_again(store, own)
    store.attach(replace(made, card={**made.card, "version": second.version}), "int8")
    store.remove("spots", 2)
    assert blob.is_file(), "version 1 still uses it"
    store.remove("spots")
    store.sweep()
    assert not [p for p in (own.home / "blobs").rglob("*") if p.is_file()]


def _add_again(store: Store, own: Trained) -> Model:
    model = store.get("spots")

    def write_files(folder: Path, _: Model) -> None:
        shutil.copy(own.onnx, folder / "model.onnx")

    return store.add(model, write_files=write_files)


# --------------------------------------------------------------------- serving


@pytest.mark.parametrize(("times", "runs"), [(1.9, "int8"), (0.7, "fp32")])
def test_a_server_runs_the_faster_one(
    own: Trained, eight: compress.CompressedModel, times: float, runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(own.home)
    made = eight.model
    store.attach(made, "int8")
    usual = store.get("spots")
    pace = own.home / "cache" / "graphs" / "pace.json"
    pace.parent.mkdir(parents=True, exist_ok=True)
    pace.write_text(json.dumps({measurement_key(usual.backbone.sha256, made.backbone.sha256): times}))
    picture = sorted(own.data.rglob("*.png"))[0]
    with running(own.home) as server, server.client() as client:
        said = client.get("/api/v1/models/spots").json()
        assert (said["precision"], said["precisions"]) == (runs, ["fp32", "int8"])
        answer = server.ask("spots", picture.read_bytes()).json()
        chosen = made if runs == "int8" else usual
        assert answer["probabilities"] == pytest.approx(chosen.predict(picture).probabilities, abs=2e-3)
        routed = client.post("/api/v1/predict", files={"image": ("p.png", picture.read_bytes())})
        assert routed.status_code == 200
        assert {"precision chosen"} <= {line.get("event") for line in server.lines()}
    shown = cli(capsys, "models", "show", "spots", "--json").lines[0]["precisions"]["int8"]
    assert shown["served_times_faster"] == times and shown["accepted"]


def test_a_server_takes_it_up_and_times_it_once(own: Trained, eight: compress.CompressedModel) -> None:
    store, picture = Store(own.home), sorted(own.data.rglob("*.png"))[0]
    with running(own.home) as server, server.client() as client:
        assert client.get("/api/v1/models/spots").json()["precisions"] == ["fp32"]
        store.attach(eight.model, "int8")
        said: dict[str, Any] = {}
        for _ in range(200):
            said = client.get("/api/v1/models/spots").json()
            if said["precisions"] == ["fp32", "int8"]:
                break
            assert server.ask("spots", picture.read_bytes()).status_code == 200, "meanwhile it answers"
        times = json.loads((own.home / "cache" / "graphs" / "pace.json").read_text())
        (measured,) = times.values()
        assert said["precision"] == ("int8" if measured >= 1.05 else "fp32")
        assert len([line for line in server.lines() if line["event"] == "precision timed"]) == 1
    with running(own.home) as server:
        assert not [line for line in server.lines() if line["event"] == "precision timed"], "known from before"
        assert server.ask("spots", picture.read_bytes()).status_code == 200


def test_integer_networks_are_packed_and_float_ones_mapped(own: Trained, tmp_path: Path) -> None:
    from medloupe.graphs.optimised import computes_in_integers, ensure_optimised, open_optimised

    eight = eightbit.find_shipped_network(backbone())
    assert eight is not None
    pixels = medloupe.imaging.decode.load(generated.tissue(1, True), 224)[None]
    for network, integers in ((backbone(), False), (eight, True)):
        copy = ensure_optimised(network.path, network.sha256, tmp_path / "graphs")
        assert computes_in_integers(copy) == integers
        a = run(open_optimised(copy, 1), ["embedding"], pixels)[0]
        b = run(open_session(network.path), ["embedding"], pixels)[0]
        assert np.abs(a - b).mean() < 0.02 * b.std()
