"""A training with fine-tuning, from a folder to answers: by name, by file, among others, on other data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import generated
import medloupe
import tunable
from generated import run
from medloupe.inference.choosing import AutoPredictor
from medloupe.inference.pictures import Predictor
from medloupe.model.bundle import Model
from medloupe.modelfile.reader import load
from medloupe.store.models import Store
from medloupe.training.pipeline import finetuning
from medloupe.training.tune.loop import overfitting_epoch
from medloupe.training.tune.recipe import Recipe

pytest.importorskip("torch")
EACH = 20


@dataclass(frozen=True, slots=True)
class Made:
    """A home with `spots` version 1, a linear head, and version 2, tuned; and their data."""

    home: Path
    data: Path
    backbone: Path
    said: tuple[tuple[str, int, int], ...]


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    root = tmp_path_factory.mktemp("tuned")
    patch = pytest.MonkeyPatch()
    said: list[tuple[str, int, int]] = []
    with patch.context() as context:
        context.setenv("MEDLOUPE_HOME", str(root / "home"))
        context.setattr("medloupe.training.tune.run.FOLDS", 2)
        context.setattr(
            "medloupe.training.tune.run.default_recipe",
            lambda kind, count: Recipe(kind=kind, epochs=2, batch=8, views=2),
        )
        data = generated.folders(root / "data", EACH)
        network = tunable.backbone(root / "backbone").path
        dataset = medloupe.read(data)
        medloupe.train(dataset, name="spots", backbone=network)
        medloupe.train(dataset, name="spots", backbone=network, finetune="tail", progress=lambda *at: said.append(at))
    return Made(root / "home", data, network, tuple(said))


@pytest.fixture
def made(_made: Made, monkeypatch: pytest.MonkeyPatch) -> Made:
    """For reading only; its home is in force."""
    monkeypatch.setenv("MEDLOUPE_HOME", str(_made.home))
    return _made


def tuned_model(made: Made) -> Model:
    return Store(made.home).get("spots", 2)


def images(made: Made) -> list[Path]:
    return sorted(made.data.rglob("*.png"))[:: EACH // 4]


# ------------------------------------------------------------ what is kept


def test_the_card_says_what_was_done_and_what_it_gave(made: Made) -> None:
    model = tuned_model(made)
    found = model.card["finetuning"]
    assert (found["winner"], found["kind"], found["folds"]) == ("tail", "tail", 2)
    assert found["alpha"] in (0.5, 1.0)
    assert [(c["name"], c["alpha"]) for c in found["candidates"]] == [("linear", 0.0), ("tail", 0.5), ("tail", 1.0)]
    assert found["candidates"][0]["difference"] is None
    assert {"value", "low", "high"} <= found["candidates"][1]["difference"].keys()
    assert found["words"].startswith("The upper stages of the network were tuned")
    assert "against a linear head" in found["words"] and "AUC" in found["words"]
    assert found["recipe"]["epochs"] == 2
    assert model.card["seconds"]["fine-tuning"] > 0
    assert model.card["tail"]["width"] == tunable.UPPER
    assert "finetuning" not in Store(made.home).get("spots", 1).card
    report = (made.home / "models" / "spots" / "2" / "report.html").read_text()
    assert "were tuned to these pictures" in report
    assert {"preparing", "fine-tuning"} <= {stage for stage, _, _ in made.said}


def test_both_versions_share_the_backbone_and_nothing_else(made: Made) -> None:
    linear, tuned = Store(made.home).get("spots", 1), tuned_model(made)
    assert linear.tail is None and tuned.tail is not None
    assert linear.backbone == tuned.backbone
    assert tuned.tail.path.is_relative_to(made.home / "blobs")
    assert tuned.tail.sha256 == tuned.card["tail"]["sha256"]


def test_the_network_in_the_store_is_the_one_that_was_judged(made: Made) -> None:
    """Out of fold it is other networks; but the head's own figures on the pictures it knows must be good."""
    model = tuned_model(made)
    dataset = medloupe.read(made.data)
    predictor = Predictor(model)
    right = [
        predictor.predict(r.image).prediction in {k for k, v in r.labels.items() if v == 1} for r in dataset.records
    ]
    assert np.mean(right) >= 0.75


# ------------------------------------------------------------ answers


def test_by_name_by_exported_file_and_by_the_file_in_the_store_it_answers_the_same(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = tmp_path / "spots.onnx"
    assert run(capsys, "export", "spots@2", exported).code == 0
    asked = [str(p) for p in images(made)]
    by_name, by_file, by_first = (
        run(capsys, "predict", model, *asked, "--json").lines
        for model in ("spots@2", exported, made.home / "models" / "spots" / "2" / "model.onnx")
    )
    linear = run(capsys, "predict", "spots@1", *asked, "--json").lines
    assert len(by_name) == len(asked)
    for one, *others in zip(by_name, by_file, by_first, strict=True):
        for other in others:
            assert other["probabilities"] == pytest.approx(one["probabilities"], abs=1e-4)
            assert other["prediction"] == one["prediction"]
            assert (other["refused"] is None) == (one["refused"] is None)
    apart = [abs(a["probabilities"]["sick"] - b["probabilities"]["sick"]) for a, b in zip(by_name, linear, strict=True)]
    assert max(apart) > 1e-3


def test_heat_maps_add_up_to_the_logits_in_both(made: Made, tmp_path: Path) -> None:
    model = tuned_model(made)
    file = load(model.save(tmp_path / "m.onnx").onnx or "")
    image = images(made)[-1]
    one, two = (m.predict(image, heatmap=True).heatmap for m in (model, file))
    assert one is not None and two is not None
    np.testing.assert_allclose(one, two, atol=1e-3)
    logits, _ = Predictor(model).run(medloupe.imaging.decode.load(image, tunable.SIZE)[None])
    np.testing.assert_allclose(one.mean((1, 2)) + model.head.bias, logits[0], atol=1e-4)


def test_foreign_pictures_are_refused_in_both(made: Made, tmp_path: Path) -> None:
    model = tuned_model(made)
    assert model.novelty is not None
    assert sum(model.novelty.levels) == tunable.LOWER  # only what no tail touches
    file = load(model.save(tmp_path / "m.onnx").onnx or "")
    foreign = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    foreign[::2] = 255
    for m in (model, file):
        refused = m.predict(foreign).refused
        assert refused is not None
        assert "'spots'" in refused.reason
        assert m.predict(images(made)[0]).refused is None
    pixels = np.stack([medloupe.imaging.decode.load(p, tunable.SIZE) for p in images(made)])
    shared = Predictor(model)._run(pixels, heatmap=False)[2]
    merged = Predictor(file)._run(pixels, heatmap=False)[2]
    assert shared is not None and merged is not None
    np.testing.assert_allclose(model.novelty.score(shared), model.novelty.score(merged), rtol=1e-3)


def test_among_others_it_is_chosen_by_the_kind_of_picture(made: Made) -> None:
    """One pass of the shared backbone serves the tuned model as any other."""
    linear, tuned = Store(made.home).get("spots", 1), tuned_model(made)
    both = AutoPredictor([tuned])
    for image in images(made):
        found = both.predict(image, heatmap=True)
        own = tuned.predict(image, heatmap=True)
        assert (found.model, found.version) == ("spots", 2)
        assert found.probabilities == pytest.approx(own.probabilities, abs=1e-6)
        assert found.heatmap is not None and own.heatmap is not None
        np.testing.assert_allclose(found.heatmap, own.heatmap, atol=1e-5)
    assert AutoPredictor([linear]).predict(images(made)[0]).version == 1


def test_it_is_validated_on_other_data(made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = generated.folders(tmp_path / "other", 16, first=500)
    found = {}
    for version in (1, 2):
        done = run(capsys, "evaluate", f"spots@{version}", other, "--json")
        assert done.code == 0, done.err
        found[version] = done.lines[-1]["metrics"]["auc"]["value"]
    assert found[2] > 0.6
    assert found[1] != found[2]


# ------------------------------------------------------------ with clinical columns


@pytest.mark.slow
def test_columns_are_weighed_on_top_of_the_tuned_network(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all columns left out the answer is, to the last bit, that of the tuned network alone."""
    monkeypatch.setattr("medloupe.training.tune.run.FOLDS", 2)
    recipe = Recipe(kind="tail", epochs=2, batch=8, views=2)
    monkeypatch.setattr("medloupe.training.tune.run.default_recipe", lambda kind, count: recipe)
    rng = np.random.default_rng(0)
    sick = [i % 2 == 1 for i in range(60)]
    rows = [{"label": ("normal", "sick")[s], "age": str(int(45 + 14 * s + rng.normal(0, 12)))} for s in sick]
    pictures = [generated.tissue(i, s and i % 4 == 1) for i, s in enumerate(sick)]  # half of the sick show nothing
    dataset = medloupe.read(generated.table(tmp_path / "data", rows, pictures))
    network = tunable.backbone(tmp_path / "backbone").path
    options: dict[str, Any] = {"name": "spots", "backbone": network, "finetune": "tail"}
    alone, weighed = medloupe.train(dataset, **options), medloupe.train(dataset, **options, clinical=["age"])
    assert alone.tail is not None and weighed.tail is not None and weighed.extras is not None
    assert weighed.card["finetuning"]["winner"] == "tail" and weighed.extras.names == ("age",)
    rows_of = {r["name"]: r["auc"]["value"] for r in weighed.card["inputs"]["fusion"]}
    assert rows_of["image"] == alone.card["metrics"]["auc"]["value"], "the tuned network's, of folds it had not seen"
    assert rows_of["everything removed"] == rows_of["image"] < rows_of["all"]
    assert weighed.card["metrics"]["auc"]["value"] == rows_of["all"]
    np.testing.assert_array_equal(weighed.head.weight, alone.head.weight)
    before, kept = (Store(home).get("spots", v) for v in (1, 2))
    file = load(weighed.save(tmp_path / "m.onnx").onnx or "")
    for record in dataset.records[:6]:
        bare = alone.predict(record.image).probabilities
        assert dict(weighed.predict(record.image).probabilities) == dict(bare)
        empty = kept.predict(record.image, {"age": ""}).probabilities
        assert dict(empty) == dict(before.predict(record.image).probabilities)
        assert file.predict(record.image).probabilities == pytest.approx(bare, abs=1e-4)
        young, old = (weighed.predict(record.image, {"age": a}).probabilities for a in ("30", "75"))
        assert old["sick"] > young["sick"]
        for other in (kept, file):
            assert other.predict(record.image, {"age": "75"}).probabilities == pytest.approx(old, abs=1e-4)


# ------------------------------------------------------------ again, and from there


def test_the_same_again_is_taken_from_the_cache(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where the file of the tail was lost with the cache."""
    import shutil

    home = tmp_path / "copy"
    shutil.copytree(made.home, home)
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    shutil.rmtree(home / "cache" / "tuned")
    again = medloupe.train(medloupe.read(made.data), name="spots", backbone=made.backbone, finetune="tail")
    assert again.card["reused"] is True
    assert again.version == 3
    assert again.tail is not None
    first = tuned_model(made)
    assert first.tail is not None and again.tail.sha256 == first.tail.sha256
    store = Store(home)
    blob = store.get("spots", 3).tail
    assert blob is not None and blob.path.exists()
    store.remove("spots", 2)
    assert blob.path.exists()  # version 3 has the same tail
    store.remove("spots", 3)
    assert not blob.path.exists()
    assert store.get("spots", 1).tail is None


def test_a_model_is_the_start_of_the_next(made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A linear head on a tuned network: nothing is trained, the tail goes along."""
    import shutil

    home = tmp_path / "copy"
    shutil.copytree(made.home, home)
    monkeypatch.setenv("MEDLOUPE_HOME", str(home))
    start = Store(home).get("spots", 2)
    data = medloupe.read(generated.folders(tmp_path / "other", 16, first=700))
    model = medloupe.train(data, name="others", start=start)
    assert model.tail is not None and start.tail is not None
    assert model.tail.sha256 == start.tail.sha256
    assert model.card["started_from"]["name"] == "spots"
    kept = Store(home).get("others")
    pixels = medloupe.imaging.decode.load(images(made)[0], tunable.SIZE)[None]
    np.testing.assert_allclose(Predictor(kept).run(pixels)[0], Predictor(model).run(pixels)[0], atol=1e-4)


# ------------------------------------------------------------ auto


def test_auto_within_too_little_time_keeps_the_linear_head_and_says_why(
    made: Made, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("train", made.data, "--name", "x", "--backbone", made.backbone, "--finetune", "auto")
    done = run(capsys, *command, "--minutes", "0.0001", "--json")
    assert done.code == 0, done.err
    model = Store(home).get("x")
    assert model.tail is None
    assert model.card["finetuning"]["winner"] == "linear"
    words = model.card["finetuning"]["words"]
    assert words.startswith("The network was not tuned: ")
    assert "--minutes" in words
    assert words.split(".")[0] in model.report
    assert words in run(capsys, *command, "--minutes", "0.0001").out
    asked = run(capsys, *(*command[:-1], "tail"), "--minutes", "0.0001", "--json")
    assert "--minutes" in asked.failed()


@pytest.mark.slow
def test_auto_keeps_what_is_as_good(made: Made, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training that changes nothing gains nothing."""
    monkeypatch.setattr("medloupe.training.tune.run.FOLDS", 2)
    still = Recipe(epochs=1, batch=8, views=1, rate=1e-9)
    monkeypatch.setattr("medloupe.training.tune.run.default_recipe", lambda kind, count: still)
    model = medloupe.train(medloupe.read(made.data), name="x", backbone=made.backbone, finetune="auto")
    assert model.tail is None
    found = model.card["finetuning"]
    assert found["winner"] == "linear"
    assert "the untuned network was kept" in found["words"]
    assert model.onnx is not None


@pytest.mark.slow
def test_the_whole_network(made: Made, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It becomes a backbone of its own."""
    monkeypatch.setattr("medloupe.training.tune.run.FOLDS", 2)
    recipe = Recipe(kind="full", epochs=2, batch=8)
    monkeypatch.setattr("medloupe.training.tune.run.default_recipe", lambda kind, count: recipe)
    model = medloupe.train(medloupe.read(made.data), name="x", backbone=made.backbone, finetune="full")
    kept = Store(home).get("x")
    assert kept.tail is None
    assert kept.backbone.card.name == "tunable, tuned"
    assert kept.backbone.sha256 != tuned_model(made).backbone.sha256
    image = images(made)[0]
    file = medloupe.load(home / "models" / "x" / "1" / "model.onnx")
    for other in (kept, file):
        assert other.predict(image).probabilities == pytest.approx(model.predict(image).probabilities, abs=1e-4)
        assert other.predict(image).refused is None
    assert kept.card["finetuning"]["kind"] == "full"


# ------------------------------------------------------------ without PyTorch


def alone(tmp_path: Path, *arguments: object, torch: bool) -> subprocess.CompletedProcess[str]:
    """A fresh process, in which importing PyTorch fails (torch: counts as an error even if it is caught)."""
    stub = tmp_path / "stub" / "torch"
    stub.mkdir(parents=True, exist_ok=True)
    said = "" if torch else "import sys; print('PyTorch was imported', file=sys.stderr)\n"
    (stub / "__init__.py").write_text(f"{said}raise ImportError('not here')\n")
    environment = {**os.environ, "PYTHONPATH": str(stub.parent)}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def test_without_pytorch_fine_tuning_says_how_to_install_it(made: Made, home: Path, tmp_path: Path) -> None:
    train = ("-m", "medloupe", "train", made.data, "--name", "x", "--backbone", made.backbone, "--json")
    done = alone(tmp_path, *train, "--finetune", "tail", torch=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("medloupe: ")]
    assert "PyTorch" in line
    assert "pip install 'medloupe[finetune]'" in done.stderr
    kept = alone(tmp_path, *train, "--finetune", "auto", torch=True)
    assert kept.returncode == 0, kept.stderr
    words = Store(home).get("x").card["finetuning"]["words"]
    assert "PyTorch" in words and "pip install" in words


def test_nothing_but_fine_tuning_imports_pytorch(made: Made, home: Path, tmp_path: Path) -> None:
    """A linear head, answers by a tuned model and the server's modules; the stub tells on whoever tries."""
    other = generated.folders(tmp_path / "other", 6, first=900)
    script = tmp_path / "all.py"
    script.write_text(
        f"""
import sys
import medloupe, medloupe.cli.app, medloupe.serving.app
from medloupe.store.models import Store
data = medloupe.read({str(made.data)!r})
medloupe.train(data, name="x", backbone={str(made.backbone)!r})
model = Store.open().get("x")
model.predict(data.records[0].image, heatmap=True)
from pathlib import Path
tuned = Store(Path({str(made.home)!r})).get("spots", 2)
tuned.predict(data.records[0].image, heatmap=True)
medloupe.validate(tuned, medloupe.read({str(other)!r}))
print(sorted(m for m in sys.modules if m.split(".")[0] in ("torch", "transformers", "optuna")))
""",
        "utf-8",
    )
    done = alone(tmp_path, script, torch=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1].replace("'", '"')) == []
    assert "PyTorch was imported" not in done.stderr


# ------------------------------------------------------------ words


def history(*losses: float) -> list[dict[str, Any]]:
    return [{"epoch": i + 1, "train_loss": 1 / (1 + i), "val_loss": loss} for i, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "at"),
    [
        ((0.9, 0.7, 0.6), None),
        ((0.9, 0.5, 0.54), None),
        ((0.9, 0.5, 0.56), 2),
        ((0.5, 0.8, 0.9), 1),
        ((0.5,), None),
        ((), None),
    ],
)
def test_where_the_curves_part(losses: tuple[float, ...], at: int | None) -> None:
    assert overfitting_epoch(history(*losses)) == at
    assert overfitting_epoch([{"epoch": 1, "train_loss": 1.0}]) is None
    assert overfitting_epoch([{**e, "train_loss": e["epoch"]} for e in history(*losses)]) is None  # both get worse


def test_what_no_tail_touches(made: Made) -> None:
    assert sum(finetuning.untuned_levels(tuned_model(made).backbone)) == tunable.LOWER


# ------------------------------------------------------------ the shipped backbone


@pytest.mark.slow
def test_the_shipped_backbone_by_the_command_line(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = generated.folders(tmp_path / "data", 16)
    done = run(capsys, "train", data, "--name", "spots", "--finetune", "tail", "--minutes", "30", "--json")
    assert done.code == 0, done.err
    line = done.lines[-1]
    assert line["metrics"]["auc"]["value"] > 0.8
    model = Store(home).get("spots")
    assert model.tail is not None and model.tail.width == 1792
    assert model.novelty is not None and sum(model.novelty.levels) == 3584 - 1792
    image = data / "sick" / "003.png"
    (by_name,) = run(capsys, "predict", "spots", image, "--json").lines
    (by_file,) = run(capsys, "predict", line["onnx"], image, "--json").lines
    assert by_file["probabilities"] == pytest.approx(by_name["probabilities"], abs=1e-4)
    assert by_name["refused"] is None
    (chosen,) = run(capsys, "predict", "auto", image, "--json").lines
    assert chosen["model"] == "spots"
    assert chosen["probabilities"] == pytest.approx(by_name["probabilities"], abs=1e-6)
